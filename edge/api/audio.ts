/** `POST /v1/audio/speech`: sound as it is made, as bytes or as events. */
import { Hono } from 'hono';
import { MAX_SPEECH_BODY_BYTES } from '../../shared/limits/index.ts';
import { readJson } from '../admit/body.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import { speak } from '../speech.ts';
import { toEvents } from '../stream/events.ts';
import type { Operation } from './operation.ts';
import { speechSchema } from './speech.ts';

export const speechOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/audio/speech',
    id: 'createSpeech',
    tag: 'speech',
    summary: 'Speak a text',
    scope: 'speech',
    body: [{ type: 'application/json', schema: speechSchema }],
    answers: { 200: { description: 'Sound while it is made. A body that breaks off is not complete.', content: ['audio/mpeg', 'audio/wav', 'audio/pcm', 'audio/ogg', 'audio/webm', 'audio/aac', 'audio/flac', 'audio/basic', 'text/event-stream'].map((type) => ({ type })) } },
  },
];

export const speech = new Hono<EdgeContext>();

speech.post('/', async (c) => {
  requireScope(c.get('caller'), 'speech');
  const body = await readJson(c.req.raw, MAX_SPEECH_BODY_BYTES);
  const answer = await speak(body, { requestId: c.get('requestId'), caller: c.get('caller'), env: c.env, signal: c.req.raw.signal });
  return new Response(answer.eventStream ? toEvents(answer.body) : answer.body, {
    headers: {
      ...answer.headers,
      'content-type': answer.eventStream ? 'text/event-stream' : answer.start.contentType,
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-audio-sample-rate': String(answer.start.sampleRateHz),
      'x-audio-channels': '1',
      'x-seed': String(answer.start.seed),
      ...(answer.warnings.length > 0 ? { 'x-warnings': answer.warnings.join('; ').slice(0, 1000) } : {}),
    },
  });
});
