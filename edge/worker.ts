/** Entry of the Worker: routes, errors, Durable Objects. */
import { Hono } from 'hono';
import { CosyError } from '../shared/errors/index.ts';
import { speech, speechOperations } from './api/audio.ts';
import { docs, docsOperations } from './api/docs.ts';
import { modelOperations, models } from './api/models.ts';
import { problem } from './api/problem.ts';
import { text, textOperations } from './api/text.ts';
import { authenticate } from './auth/authenticate.ts';
import type { EdgeContext } from './env.ts';
import { nodeDirectory, voicesOfNode } from './route/node.ts';

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

app.route('/v1/audio/speech', speech);
app.route('/v1/text', text);
app.route('/v1/models', models);
app.route('/', docs([...speechOperations, ...textOperations, ...modelOperations, ...docsOperations]));

app.get('/v1/audio/voices', async (c) => c.json(await voicesOfNode(nodeDirectory(c.env), c.req.raw.signal)));

app.notFound((c) => problem(new CosyError('not_found', `There is no ${c.req.method} ${c.req.path}.`), c.get('requestId')));
app.onError((error, c) => problem(error, c.get('requestId')));

export default app;
