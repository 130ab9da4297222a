/** Entry of the Worker: routes, errors, Durable Objects. */
import { Hono } from 'hono';
import { HEARTBEAT_PATH } from '../shared/contract/heartbeat.ts';
import { CosyError } from '../shared/errors/index.ts';
import { speech, speechOperations } from './api/audio.ts';
import { consentOperations, consents } from './api/consents.ts';
import { docs, docsOperations } from './api/docs.ts';
import { downloads, jobOperations, jobs } from './api/jobs.ts';
import { keyOperations, keys } from './api/keys.ts';
import { modelOperations, models } from './api/models.ts';
import { heartbeats, nodeOperations, nodes, regions } from './api/nodes.ts';
import { problem } from './api/problem.ts';
import { resultOperations, results } from './api/results.ts';
import { socketOperations, speechSocket } from './api/socket.ts';
import { audit, tenantOperations, tenants } from './api/tenants.ts';
import { text, textOperations } from './api/text.ts';
import { tokenOperations, tokens } from './api/tokens.ts';
import { usage, usageOperations } from './api/usage.ts';
import { voiceOperations, voices } from './api/voices.ts';
import { authenticate } from './auth/authenticate.ts';
import { cors } from './auth/cors.ts';
import type { EdgeContext, Env } from './env.ts';
import { forgetting } from './forgetting.ts';
import { consume, sweep } from './jobs/queue.ts';
import type { JobMessage } from './jobs/queue.ts';
import { tidyVoices } from './voices/remove.ts';

export { TenantQuota } from './admit/quota-object.ts';
export { NodeRegistry } from './route/registry-object.ts';

const app = new Hono<EdgeContext>();

app.use(async (c, next) => {
  const given = c.req.header('x-request-id');
  c.set('requestId', given !== undefined && /^[\w.:-]{1,100}$/.test(given) ? given : crypto.randomUUID());
  c.set('limits', new Headers());
  await next();
  if (c.res.status === 101) return; // headers of an upgrade cannot be added to
  c.header('x-request-id', c.get('requestId'));
  for (const [name, value] of c.get('limits')) c.header(name, value);
});

app.use(cors);

app.get('/healthz', (c) => c.json({ status: 'ok' }));

app.route(HEARTBEAT_PATH, heartbeats);

app.use('/v1/*', async (c, next) => {
  c.set('caller', await authenticate(c.req.raw, c.env, (work) => c.executionCtx.waitUntil(work)));
  await next();
});

app.route('/v1/audio/speech/ws', speechSocket);
app.route('/v1/audio/speech', speech);
app.route('/v1/audio/results', results);
app.route('/v1/audio/jobs', jobs);
app.route('/downloads', downloads);
app.route('/v1/audio/voices', voices);
app.route('/v1/audio/voice_consents', consents);
app.route('/v1/text', text);
app.route('/v1/models', models);
app.route('/v1/keys', keys);
app.route('/v1/tokens', tokens);
app.route('/v1/tenants', tenants);
app.route('/v1/audit', audit);
app.route('/v1/usage', usage);
app.route('/v1/regions', regions);
app.route('/v1/nodes', nodes);
app.route('/', docs([...speechOperations, ...socketOperations, ...resultOperations, ...voiceOperations, ...consentOperations, ...jobOperations, ...textOperations, ...modelOperations, ...keyOperations, ...tokenOperations, ...tenantOperations, ...usageOperations, ...nodeOperations, ...docsOperations]));

app.notFound((c) => problem(new CosyError('not_found', `There is no ${c.req.method} ${c.req.path}.`), c.get('requestId')));
app.onError((error, c) => problem(error, c.get('requestId')));

export default {
  fetch: app.fetch,
  queue: consume,
  async scheduled({ scheduledTime, cron }, env) {
    // in one process the queue is memory: at its start no message is under way
    await (cron === 'start' ? sweep(env, scheduledTime, 0) : sweep(env, scheduledTime));
    await tidyVoices(env, forgetting(env));
  },
} satisfies ExportedHandler<Env, JobMessage>;
