/** Entry of the Worker: routes, errors, Durable Objects. */
import { Hono } from 'hono';
import { CosyError } from '../shared/errors/index.ts';
import { MAX_SPEECH_BODY_BYTES } from '../shared/limits/index.ts';
import { readJson } from './admit/body.ts';
import { problem } from './api/problem.ts';
import { normalizeText } from './api/text.ts';
import { authenticate, requireScope } from './auth/authenticate.ts';
import type { EdgeContext } from './env.ts';
import { nodeDirectory, voicesOfNode } from './route/node.ts';
import { speak } from './speech.ts';
import { toEvents } from './stream/events.ts';

export { TenantQuota } from './admit/quota-object.ts';
export { NodeRegistry } from './route/registry-object.ts';

const app = new Hono<EdgeContext>();

app.use(async (c, next) => {
  const given = c.req.header('x-request-id');
  c.set('requestId', given !== undefined && /^[\w.:-]{1,100}$/.test(given) ? given : crypto.randomUUID());
  await next();
  c.header('x-request-id', c.get('requestId'));
});

app.get('/healthz', (c) => c.json({ status: 'ok' }));

app.use('/v1/*', async (c, next) => {
  c.set('caller', await authenticate(c.req.raw, c.env));
  await next();
});

app.post('/v1/audio/speech', async (c) => {
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

app.post('/v1/text/normalize', async (c) => c.json(normalizeText(await readJson(c.req.raw, MAX_SPEECH_BODY_BYTES))));

app.get('/v1/audio/voices', async (c) => c.json(await voicesOfNode(nodeDirectory(c.env), c.req.raw.signal)));

app.notFound((c) => problem(new CosyError('not_found', `There is no ${c.req.method} ${c.req.path}.`), c.get('requestId')));
app.onError((error, c) => problem(error, c.get('requestId')));

export default app;
