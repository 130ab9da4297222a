/**
 * SPINE of the edge: one speech request, top to bottom.
 *
 *   parse → bounds → normalize → place → voice → kept result, or node → audio → settled, kept
 */
import { waitUntil } from 'cloudflare:workers';
import type { Region } from '../shared/contract/heartbeat.ts';
import { jobSchema } from '../shared/contract/job.ts';
import type { Job, JobVoice } from '../shared/contract/job.ts';
import { reserve } from './admit/quota.ts';
import { settling } from './admit/settling.ts';
import { parseSpeech } from './api/speech.ts';
import type { SpeechRequest } from './api/speech.ts';
import { withinBounds } from './auth/bounds.ts';
import type { Caller } from './caller.ts';
import type { Env } from './env.ts';
import { readText } from './reading.ts';
import { asking, placeJob } from './placing.ts';
import { find, keepResult, resultKey, shelfOf } from './results/index.ts';
import type { StoredResult } from './results/index.ts';
import { openSpeech } from './stream/audio.ts';
import type { Speech } from './stream/audio.ts';
import { Listener } from './stream/heard.ts';
import { resolveVoice } from './voices/resolve.ts';
import type { WantedVoice } from './voices/resolve.ts';

export type SpeakContext = {
  readonly requestId: string;
  readonly caller: Caller;
  readonly env: Env;
  readonly signal: AbortSignal;
  /** Where the caller is; absent: where this Worker is. */
  readonly region?: Region;
  /** Header of the caller's trace, passed on. */
  readonly traceparent?: string | undefined;
  /** False: neither answered from kept results nor kept. */
  readonly keep?: boolean;
  /** Made again under the same id it is charged once: for ids of our own. */
  readonly once?: boolean;
  /** Gets `x-ratelimit-*`, also when this throws. */
  readonly limits?: Headers | undefined;
};

/** Sound on its way, and what its answer says about it. */
export type SpeechAnswer = Speech & {
  readonly warnings: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly request: SpeechRequest;
  /** Of the text as it is spoken. */
  readonly characters: number;
  /** The listener is gone: ends the work at once, also while `parts` waits for the node. */
  readonly leave: () => void;
  /** Names the bytes; absent when they are not kept. */
  readonly etag?: string;
  /** The sound was made before, and can be read from any byte on. */
  readonly stored?: StoredResult;
};

/** Throws the table's error for whatever of the request, the text, the quota or the nodes is at fault. */
export async function speak(body: unknown, { requestId, caller, env, signal, region, traceparent, keep = true, once, limits }: SpeakContext): Promise<SpeechAnswer> {
  const startMs = Date.now();
  const { request, warnings } = parseSpeech(body);
  withinBounds(caller, { voice: request.reference ? undefined : request.voice, characters: request.input.length });
  const { text, breaks, warnings: aboutText } = readText(request);
  const characters = text.length;
  // before the voice: a clip that nobody has room for is not computed either
  const reservation = await reserve({ caller, requestId, characters, env, once, limits });
  try {
    const voice = await resolveVoice(wantedVoice(request), { caller, requestId, env, ask: asking({ caller, region, env }) });
    const gone = new AbortController();
    signal.addEventListener('abort', () => gone.abort(signal.reason), { once: true });
    if (signal.aborted) gone.abort(signal.reason);
    const about = { leave: () => gone.abort(), request, characters, warnings: [...warnings, ...aboutText, ...voice.warnings] };
    const job = toJob(request, { text, breaks, voice: voice.job, id: requestId, tenant: caller.tenant });
    const shelf = keep && request.cache ? shelfOf(caller, env) : undefined;
    const key = shelf && (await resultKey({ ...job, tenant: caller.tenant, voice: voice.contentKey }));
    const stored = shelf && key && (await find(shelf, key));
    if (stored) {
      waitUntil(reservation.settle({ characters: 0, audioMs: stored.end.audioMs, complete: true, cached: true }));
      return { ...about, start: stored.start, parts: stored.parts(), stored, etag: stored.id, headers: { ...reservation.headers, 'x-cache': 'audio-hit', ...timing({ edge: Date.now() - startMs }) } };
    }
    const askMs = Date.now();
    const placed = await placeJob({ ...job, seed: job.seed ?? key?.seed }, { voice, caller, region, traceparent, env, signal: gone.signal });
    const speech = await openSpeech(placed.frames);
    const heard = settling(speech.parts, reservation, new Listener(speech.start));
    const headers = { ...reservation.headers, ...placed.headers, 'x-cache': 'audio-miss', ...timing({ edge: askMs - startMs, route: placed.routeMs, 'first-audio': Date.now() - askMs - placed.routeMs }) };
    if (!shelf || !key) return { ...about, start: speech.start, parts: heard, headers };
    const id = crypto.randomUUID();
    return { ...about, start: speech.start, parts: keepResult({ id, start: speech.start, parts: heard }, key, { shelf, waitUntil }), etag: id, headers };
  } catch (error) {
    waitUntil(reservation.settle({ characters: 0, audioMs: 0, complete: false }));
    throw error;
  }
}

/** What is known when the first sound is there, in milliseconds. */
function timing(parts: Readonly<Record<string, number>>): Readonly<Record<string, string>> {
  const total = Object.values(parts).reduce((sum, ms) => sum + ms, 0);
  return { 'openai-processing-ms': String(total), 'server-timing': Object.entries(parts).map(([name, ms]) => `${name};dur=${ms}`).join(', ') };
}

function wantedVoice({ voice, reference }: SpeechRequest): WantedVoice {
  return reference ? { audio: reference.audio, transcript: reference.text, consent: reference.consent } : { name: voice ?? 'default' };
}

function toJob(request: SpeechRequest, { text, breaks, voice, id, tenant }: Pick<Job, 'text' | 'breaks' | 'id'> & { readonly voice: JobVoice; readonly tenant: string }): Job {
  return jobSchema.parse({
    version: 1,
    id,
    text,
    breaks,
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
