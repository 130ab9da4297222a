/** `/v1/audio/speech`: sound as it is made, as bytes or as events; by GET, so that an `<audio>` element plays it. */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { AUDIO_FORMATS, MAX_SPEECH_BODY_BYTES, MAX_TEXT_CHARACTERS } from '../../shared/limits/index.ts';
import { readJson } from '../admit/body.ts';
import { idempotent } from '../admit/idempotency.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import { askedRange, namesIt } from '../range.ts';
import { regionOf } from '../route/regions.ts';
import { speak } from '../speech.ts';
import type { SpeakContext, SpeechAnswer } from '../speech.ts';
import { pulled, toBytes } from '../stream/audio.ts';
import { toEvents } from '../stream/events.ts';
import type { Operation } from './operation.ts';
import { speechSchema } from './speech.ts';

const SOUND = ['audio/mpeg', 'audio/wav', 'audio/pcm', 'audio/ogg', 'audio/webm', 'audio/aac', 'audio/flac', 'audio/basic', 'text/event-stream'].map((type) => ({ type }));

/** The query of a GET; every further field of a request may stand there too. */
const querySchema = z.object({ input: z.string().max(MAX_TEXT_CHARACTERS), voice: z.string().optional(), response_format: z.enum(AUDIO_FORMATS).optional(), access_token: z.string().optional() });

export const speechOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/audio/speech',
    id: 'createSpeech',
    tag: 'speech',
    summary: 'Speak a text',
    scope: 'speech',
    body: [{ type: 'application/json', schema: speechSchema }],
    answers: { 200: { description: 'Sound while it is made. A body that breaks off is not complete.', content: SOUND } },
  },
  {
    method: 'get',
    path: '/v1/audio/speech',
    id: 'playSpeech',
    tag: 'speech',
    summary: 'Speak a text, for players that can only get',
    scope: 'speech',
    query: querySchema,
    answers: {
      200: { description: 'Sound while it is made, or a kept one.', content: SOUND },
      206: { description: 'A part of a kept sound.', content: SOUND },
      304: { description: 'The sound is the one that If-None-Match names.' },
      416: { description: 'The range is beyond the end of the sound.' },
    },
  },
];

export const speech = new Hono<EdgeContext>();

speech.post('/', idempotent(MAX_SPEECH_BODY_BYTES), async (c) => {
  requireScope(c.get('caller'), 'speech');
  const answer = await speak(await readJson(c.req.raw, MAX_SPEECH_BODY_BYTES), contextOf(c));
  return answer.request.stream_format === 'sse' ? events(answer) : sound(answer);
});

speech.get('/', async (c) => {
  // a HEAD would make the whole sound and throw it away
  if (c.req.raw.method === 'HEAD') throw new CosyError('method_not_allowed', 'Sound is made while it is sent: use GET or POST.');
  requireScope(c.get('caller'), 'speech');
  const answer = await speak(fieldsOf(c.req.query()), contextOf(c));
  if (answer.request.stream_format === 'sse') return events(answer);
  return answer.stored ? partOf(answer, answer.stored, c.req.raw.headers) : sound(answer);
});

/** `no-cache`, which browsers send with every conditional request, asks caches to come here: here the sound is. */
function contextOf(c: Context<EdgeContext>): SpeakContext {
  const keep = !/\bno-store\b/i.test(c.req.header('cache-control') ?? '');
  return { requestId: c.get('requestId'), caller: c.get('caller'), env: c.env, signal: c.req.raw.signal, region: regionOf(c.req.raw, c.env), traceparent: c.req.header('traceparent')?.match(TRACEPARENT)?.[0], keep, limits: c.get('limits') };
}

/** W3C Trace Context, level 1. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

const NUMBERS = new Set(['speed', 'volume', 'seed', 'sample_rate']);
const SWITCHES = new Set(['stream', 'cache']);

/** A query has text only; a number that is none stays text, and is refused with its name. */
function fieldsOf({ access_token: _, ...query }: Record<string, string>): unknown {
  return Object.fromEntries(
    Object.entries(query).map(([name, text]) => {
      if (NUMBERS.has(name) && text.trim() !== '' && Number.isFinite(Number(text))) return [name, Number(text)];
      return [name, SWITCHES.has(name) && /^(true|false)$/.test(text) ? text === 'true' : text];
    }),
  );
}

function sound(answer: SpeechAnswer): Response {
  const headers = headersOf(answer, answer.start.contentType);
  if (answer.etag !== undefined) headers.set('etag', `"${answer.etag}"`);
  if (answer.stored) headers.set('accept-ranges', 'bytes');
  const body = toBytes(answer.parts, answer.leave);
  return new Response(answer.stored ? ofSize(body, answer.stored.bytes) : body, { headers });
}

function events(answer: SpeechAnswer): Response {
  const { request, characters, parts, leave } = answer;
  return new Response(toEvents(parts, { timestamps: request.timestamps === 'word', characters, leave }), { headers: headersOf(answer, 'text/event-stream') });
}

/** Of a finished sound: all of it, a range, or word that the caller has it (RFC 9110 §13, §14). */
function partOf(answer: SpeechAnswer, stored: NonNullable<SpeechAnswer['stored']>, asked: Headers): Response {
  const etag = `"${stored.id}"`;
  const headers = headersOf(answer, answer.start.contentType);
  headers.set('etag', etag);
  headers.set('accept-ranges', 'bytes');
  if (namesIt(asked.get('if-none-match') ?? undefined, etag)) {
    headers.delete('content-type');
    return new Response(null, { status: 304, headers });
  }
  const range = askedRange(asked, { etag, bytes: stored.bytes });
  if (range === undefined) return sound(answer);
  if (range === 'unsatisfiable') {
    headers.set('content-range', `bytes */${stored.bytes}`);
    return new Response(null, { status: 416, headers });
  }
  headers.set('content-range', `bytes ${range.from}-${range.to - 1}/${stored.bytes}`);
  return new Response(ofSize(pulled(stored.bytesBetween(range.from, range.to)), range.to - range.from), { status: 206, headers });
}

/** A kept sound may be kept by its listener too, and by nobody between. */
function headersOf({ start, warnings, headers, etag }: SpeechAnswer, contentType: string): Headers {
  return new Headers({
    ...headers,
    'content-type': contentType,
    'cache-control': etag === undefined ? 'no-store' : 'private, max-age=0, must-revalidate',
    'x-accel-buffering': 'no',
    'x-audio-sample-rate': String(start.sampleRateHz),
    'x-audio-channels': '1',
    'x-seed': String(start.seed),
    ...(warnings.length > 0 ? { 'x-warnings': warnings.join('; ').slice(0, 1000) } : {}),
  });
}

/** Says its length, so that a player can seek. */
function ofSize(body: ReadableStream<Uint8Array>, bytes: number): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(bytes);
  // who reads sees a failure as a body that ends too early
  body.pipeTo(writable).catch(() => {});
  return readable;
}
