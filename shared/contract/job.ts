/** What an edge asks of a node: one signed JSON document per synthesis. Both sides validate with the same schema. */
import { z } from 'zod';
import { AUDIO_FORMATS, MAX_SPEED, MAX_TEXT_CHARACTERS, MAX_TRANSCRIPT_CHARACTERS, MIN_SPEED, SAMPLE_RATES_HZ } from '../limits/index.ts';
import { voiceKeySchema } from './voice.ts';

/** A speaker of the checkpoint by name; a stored prompt by its key, with its bytes (base64) for a node that does not hold it; or a clip to imitate (base64, any supported container). */
export const voiceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('preset'), name: z.string().min(1).max(200) }),
  z.object({ kind: z.literal('prompt'), key: voiceKeySchema, bytes: z.base64().optional() }),
  z.object({ kind: z.literal('clip'), audio: z.base64(), transcript: z.string().max(MAX_TRANSCRIPT_CHARACTERS).optional() }),
]);

export const MODES = ['sft', 'zero_shot', 'cross_lingual', 'instruct'] as const;
export type Mode = (typeof MODES)[number];

/** As Alibaba's and Azure's SSML allow them, roughly; more silence is no speech. */
const MAX_BREAK_MS = 20_000;
const MAX_BREAKS = 1000;

/** Two hours of speech. */
const MAX_RESUME_TOKENS = 200_000;

export const jobSchema = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(200),
  text: z.string().min(1).max(MAX_TEXT_CHARACTERS),
  /** Silence that the text asks for: behind `at` characters of it. Ascending. */
  breaks: z.array(z.object({ at: z.int().min(0), ms: z.int().min(1).max(MAX_BREAK_MS) })).max(MAX_BREAKS).optional(),
  voice: voiceSchema,
  /** Derived from voice and instruction when absent. */
  mode: z.enum(MODES).optional(),
  instruction: z.string().max(2000).optional(),
  /** BCP 47 primary tag, a hint for reading. */
  language: z.string().max(16).optional(),
  format: z.enum(AUDIO_FORMATS),
  sampleRateHz: z.union(SAMPLE_RATES_HZ.map((rate) => z.literal(rate))),
  speed: z.number().min(MIN_SPEED).max(MAX_SPEED),
  volume: z.number().min(0).max(2),
  /**
   * Same seed, text, voice and settings: identical samples on one node that speaks nothing else. Beside other jobs, and on another
   * node of the same kind, too, as far as its processor computes rows of a batch alike (gpu-node/README.md); else equal up to
   * rounding until a draw falls differently. The start frame tells the seed that made the sound: another one when the first sentence had to be read again.
   */
  seed: z.int().min(0).max(0xffff_ffff).optional(),
  /** On: audio leaves as it is made. Off: each sentence is made whole (full attention), then sent. */
  streaming: z.boolean(),
  /** Namespace of cloned voices: equal clips of two tenants are two voices. */
  tenant: z.string().min(1).max(200).optional(),
  /** From arrival to the last byte; afterwards the job fails with `deadline_exceeded`. */
  deadlineMs: z.int().min(1).max(3_600_000).optional(),
  /**
   * Another node sent this much of the job before it went away: its tokens frames, joined (contract/tokens.ts), and the samples
   * at `sampleRateHz` of its audio (the latest mark frame). `seed` must be that of its start frame. The sound goes on behind it.
   */
  resume: z.object({ tokens: z.array(z.int().min(0).max(0xffff)).max(MAX_RESUME_TOKENS), sampleOffset: z.int().min(0) }).optional(),
});

export type Job = z.infer<typeof jobSchema>;
export type JobVoice = z.infer<typeof voiceSchema>;
