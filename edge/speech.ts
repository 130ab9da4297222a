/**
 * SPINE of the edge: one speech request, top to bottom.
 *
 *   parse → normalize → job → node → audio
 */
import { toLanguage } from '../shared/contract/language.ts';
import { jobSchema } from '../shared/contract/job.ts';
import type { Job } from '../shared/contract/job.ts';
import { CosyError } from '../shared/errors/index.ts';
import { MAX_TEXT_CHARACTERS } from '../shared/limits/index.ts';
import { normalize } from '../shared/normalize/index.ts';
import { parseSpeech } from './api/speech.ts';
import type { SpeechRequest } from './api/speech.ts';
import type { Env } from './env.ts';
import { nodeDirectory, synthesizeOnNode } from './route/node.ts';
import { openAudio } from './stream/audio.ts';
import type { AudioStream } from './stream/audio.ts';

/** Sound on its way, and what the headers of the answer say about it. */
export type SpeechAnswer = AudioStream & { readonly warnings: readonly string[]; readonly format: SpeechRequest['response_format']; readonly eventStream: boolean };

/** Throws the table's error for whatever of the request, the text or the nodes is at fault. */
export async function speak(body: unknown, requestId: string, env: Env, signal: AbortSignal): Promise<SpeechAnswer> {
  const { request, warnings } = parseSpeech(body);
  const text = spokenText(request);
  const job = toJob(request, text, requestId);
  const frames = await synthesizeOnNode(job, nodeDirectory(env), signal);
  const audio = await openAudio(frames);
  return { ...audio, warnings, format: request.response_format, eventStream: request.stream_format === 'sse' };
}

function spokenText(request: SpeechRequest): string {
  if (request.text_normalization === 'off') return request.input;
  const spoken = normalize(request.input, { language: toLanguage(request.language) }).text;
  if (spoken.length > MAX_TEXT_CHARACTERS) throw new CosyError('input_too_long', `input has ${spoken.length} characters once numbers and signs are words; the limit is ${MAX_TEXT_CHARACTERS}: split it into several requests.`, { param: 'input' });
  if (!/[\p{L}\p{N}]/u.test(spoken)) throw new CosyError('input_empty', 'input has nothing that can be spoken: send at least one word.', { param: 'input' });
  return spoken;
}

function toJob(request: SpeechRequest, text: string, id: string): Job {
  const { reference } = request;
  return jobSchema.parse({
    version: 1,
    id,
    text,
    voice: reference
      ? { kind: 'clip', audio: reference.audio, transcript: reference.text }
      : { kind: 'preset', name: request.voice ?? 'default' },
    mode: request.mode,
    instruction: request.instructions,
    language: request.language,
    format: request.response_format,
    sampleRateHz: request.sample_rate,
    speed: request.speed,
    volume: request.volume,
    seed: request.seed,
    streaming: request.stream,
    tenant: undefined,
    deadlineMs: undefined,
    resume: undefined,
  } satisfies Record<keyof Job, unknown>);
}
