/**
 * `POST /v1/audio/speech`: OpenAI's fields plus ours. Unknown fields are reported as warnings, not refused, so that any
 * client of the OpenAI API works unchanged.
 */
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { AUDIO_FORMATS, MAX_SPEED, MAX_TEXT_CHARACTERS, MIN_SPEED, SAMPLE_RATES_HZ } from '../../shared/limits/index.ts';
import { MODES } from '../../shared/contract/job.ts';
import { LEXICON_LIMITS } from '../../shared/normalize/index.ts';
import { lexiconEntrySchema } from './lexicon.ts';
import { accept, unknownFields } from './page.ts';

/** A clip to imitate: a data URL or plain base64, and what is said in it. */
const referenceSchema = z.object({
  audio: z
    .string()
    .transform((text) => text.replace(/^data:[^,]{0,200},/, ''))
    .pipe(z.base64({ error: 'must be base64 or a base64 data URL' }).min(1, 'is empty')),
  text: z.string().max(2000).optional(),
  /** Id of a consent record, where the operator asks for one. */
  consent: z.string().max(64).optional(),
});

const voiceName = z.string().min(1).max(200);

/** Body of a speech request. Absent fields get OpenAI's defaults. */
export const speechSchema = z.object({
  model: z.string().max(200).optional(),
  input: z.string({ error: 'input must be the text to speak' }).max(MAX_TEXT_CHARACTERS, `input is longer than ${MAX_TEXT_CHARACTERS} characters: split it into several requests`),
  voice: z.union([voiceName, z.object({ id: voiceName }).transform(({ id }) => id)], { error: 'voice must be a name of 1 to 200 characters' }).optional(),
  instructions: z.string().max(2000).optional(),
  response_format: z.enum(AUDIO_FORMATS, { error: `response_format must be one of ${AUDIO_FORMATS.join(', ')}` }).default('mp3'),
  speed: z.number().min(MIN_SPEED).max(MAX_SPEED).default(1),
  stream_format: z.enum(['audio', 'sse']).default('audio'),
  stream: z.boolean().default(true),
  sample_rate: z.union(SAMPLE_RATES_HZ.map((rate) => z.literal(rate)), { error: `sample_rate must be one of ${SAMPLE_RATES_HZ.join(', ')}` }).default(24000),
  language: z.string().max(16).optional(),
  seed: z.int().min(0).max(0xffff_ffff).optional(),
  volume: z.number().min(0).max(2).default(1),
  text_normalization: z.enum(['auto', 'on', 'off']).default('auto'),
  input_type: z.enum(['text', 'ssml', 'auto']).default('text'),
  pronunciations: z.array(lexiconEntrySchema).max(LEXICON_LIMITS.entries).default([]),
  mode: z.enum(MODES).optional(),
  reference: referenceSchema.optional(),
  /** Word times in the events. */
  timestamps: z.enum(['none', 'word']).default('none'),
  /** False: neither answered from kept results nor kept, and without a seed a new reading each time. */
  cache: z.boolean().default(true),
});

/** A valid request, defaults filled in. */
export type SpeechRequest = z.infer<typeof speechSchema>;

/** Throws `invalid_value` (or `input_empty`) naming the first offending field. */
export function parseSpeech(body: unknown): { readonly request: SpeechRequest; readonly warnings: readonly string[] } {
  const request = accept(speechSchema, body);
  if (request.input.trim() === '') throw new CosyError('input_empty', 'input has no text: send at least one word.', { param: 'input' });
  return { request, warnings: unknownFields(body, speechSchema) };
}
