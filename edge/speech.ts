/**
 * SPINE of the edge: one speech request, top to bottom.
 *
 *   parse → bounds → normalize → voice → place → node → audio → settled
 */
import { jobSchema } from '../shared/contract/job.ts';
import type { Job, JobVoice } from '../shared/contract/job.ts';
import { reserve } from './admit/quota.ts';
import { parseSpeech } from './api/speech.ts';
import type { SpeechRequest } from './api/speech.ts';
import { withinBounds } from './auth/bounds.ts';
import type { Caller } from './caller.ts';
import type { Env } from './env.ts';
import { readText } from './reading.ts';
import { nodeDirectory, synthesizeOnNode } from './route/node.ts';
import { openAudio } from './stream/audio.ts';
import type { AudioStream } from './stream/audio.ts';
import { resolveVoice } from './voices/resolve.ts';
import type { WantedVoice } from './voices/resolve.ts';

export type SpeakContext = { readonly requestId: string; readonly caller: Caller; readonly env: Env; readonly signal: AbortSignal };

/** Sound on its way, and what the headers of the answer say about it. */
export type SpeechAnswer = AudioStream & { readonly warnings: readonly string[]; readonly headers: Readonly<Record<string, string>>; readonly eventStream: boolean };

/** Throws the table's error for whatever of the request, the text, the quota or the nodes is at fault. */
export async function speak(body: unknown, { requestId, caller, env, signal }: SpeakContext): Promise<SpeechAnswer> {
  const { request, warnings } = parseSpeech(body);
  withinBounds(caller, { voice: request.reference ? undefined : request.voice, characters: request.input.length });
  const { text, warnings: aboutText } = readText(request);
  const voice = await resolveVoice(wantedVoice(request), { caller, env, signal });
  const reservation = await reserve({ caller, requestId, characters: text.length, env });
  const job = toJob(request, { text, voice: voice.job, id: requestId, tenant: caller.tenant });
  const frames = await synthesizeOnNode(job, nodeDirectory(env), signal);
  const audio = await openAudio(frames);
  return { ...audio, warnings: [...warnings, ...aboutText], headers: reservation.headers, eventStream: request.stream_format === 'sse' };
}

function wantedVoice({ voice, reference }: SpeechRequest): WantedVoice {
  return reference ? { audio: reference.audio, transcript: reference.text } : { name: voice ?? 'default' };
}

function toJob(request: SpeechRequest, { text, voice, id, tenant }: { readonly text: string; readonly voice: JobVoice; readonly id: string; readonly tenant: string }): Job {
  return jobSchema.parse({
    version: 1,
    id,
    text,
    voice,
    mode: request.mode,
    instruction: request.instructions,
    language: request.language,
    format: request.response_format,
    sampleRateHz: request.sample_rate,
    speed: request.speed,
    volume: request.volume,
    seed: request.seed,
    streaming: request.stream,
    tenant,
    deadlineMs: undefined,
    resume: undefined,
  } satisfies Record<keyof Job, unknown>);
}
