/** `/v1/audio/jobs`: long texts and batches, made in the background. */
import { Hono } from 'hono';
import type { MiddlewareHandler } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_JOB_CHARACTERS, MAX_JOB_ITEMS, MAX_SPEECH_BODY_BYTES } from '../../shared/limits/index.ts';
import { readJson } from '../admit/body.ts';
import { idempotent } from '../admit/idempotency.ts';
import { showLimits } from '../admit/quota.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext, Env } from '../env.ts';
import { readLink, signedPath } from '../jobs/link.ts';
import { plan } from '../jobs/plan.ts';
import { enqueue, ended, firstSegments } from '../jobs/queue.ts';
import { finishedSound } from '../jobs/sound.ts';
import { cancelJob, createJob, deleteJob, findJob, itemsOf, listJobs, segmentsOf } from '../jobs/store.ts';
import type { JobRow } from '../jobs/store.ts';
import { webhookSecret } from '../jobs/webhook.ts';
import { checkAddress } from '../outside.ts';
import type { Operation } from './operation.ts';
import { accept, pageOf, pageQuery, toPage, unknownFields } from './page.ts';
import { speechSchema } from './speech.ts';

/** Audio that nobody fetched for a week is not missed; links are shorter, because whoever has one needs no key. */
const KEPT_MS = 7 * 24 * 3_600_000;
const LINK_MS = 24 * 3_600_000;
const CHECK_MS = 5000;

const input = z.string({ error: 'must be the text to speak' }).min(1).max(MAX_JOB_CHARACTERS, `is longer than ${MAX_JOB_CHARACTERS} characters: send several jobs`);
/** As for speech, but longer, not as events, and with a voice that is known: a clip is enrolled first. Whole sentences sound better than blocks. */
const itemSchema = speechSchema.omit({ input: true, reference: true, stream_format: true, stream: true }).extend({ input, stream: z.boolean().default(false), custom_id: z.string().max(200).optional() });

const sharedFields = { webhook_url: z.string().max(2048).optional(), metadata: z.record(z.string().max(64), z.string().max(512)).refine((value) => Object.keys(value).length <= 16, 'has more than 16 entries').optional() };

/** One text with the fields of a speech request, or `items` of them. */
const jobSchema = z.union([itemSchema.extend(sharedFields), z.object({ ...sharedFields, items: z.array(itemSchema).min(1).max(MAX_JOB_ITEMS, `has more than ${MAX_JOB_ITEMS} entries: send several jobs`) })]);

const answerSchema = z.object({
  id: z.string(),
  object: z.literal('audio.job'),
  status: z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']),
  created_at: z.int(),
  expires_at: z.int(),
  progress: z.object({ segments: z.int(), segments_done: z.int(), audio_seconds: z.number() }).optional(),
  characters: z.int(),
  items: z.array(z.object({ custom_id: z.string().nullable(), status: z.string(), audio_seconds: z.number(), url: z.string().optional(), error: z.object({ code: z.string(), message: z.string() }).optional() })).optional(),
  webhook_secret: z.string().optional(),
  webhook_status: z.string().nullable().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  warnings: z.array(z.string()).optional(),
});

const one = { 200: { description: 'The job.', content: [{ type: 'application/json', schema: answerSchema }] } };
export const jobOperations: readonly Operation[] = [
  { method: 'post', path: '/v1/audio/jobs', id: 'createJob', tag: 'jobs', summary: 'Speak a long text, or many texts, in the background', scope: 'jobs', body: [{ type: 'application/json', schema: jobSchema }], answers: { 202: { description: 'Accepted. `webhook_secret` verifies the webhook.', content: [{ type: 'application/json', schema: answerSchema }] } } },
  { method: 'get', path: '/v1/audio/jobs', id: 'listJobs', tag: 'jobs', summary: 'Jobs, newest first', scope: 'jobs', query: pageQuery, answers: { 200: { description: 'A page.', content: [{ type: 'application/json', schema: pageOf(answerSchema) }] } } },
  { method: 'get', path: '/v1/audio/jobs/{id}', id: 'getJob', tag: 'jobs', summary: 'Progress, and links to finished audio', scope: 'jobs', answers: one },
  { method: 'get', path: '/v1/audio/jobs/{id}/audio', id: 'getJobAudio', tag: 'jobs', summary: "Finished audio of the job's first item, or of `item`", scope: 'jobs', query: z.object({ item: z.coerce.number().int().min(0).default(0) }), answers: { 200: { description: 'The audio; ranges are served.', content: [{ type: 'audio/*' }] } } },
  { method: 'post', path: '/v1/audio/jobs/{id}/cancel', id: 'cancelJob', tag: 'jobs', summary: 'Stop it; what is finished stays', scope: 'jobs', answers: one },
  { method: 'delete', path: '/v1/audio/jobs/{id}', id: 'deleteJob', tag: 'jobs', summary: 'Stop it and delete its audio', scope: 'jobs', answers: { 200: { description: 'Gone.', content: [{ type: 'application/json', schema: z.object({ id: z.string(), object: z.literal('audio.job.deleted'), deleted: z.literal(true) }) }] } } },
];

export const jobs = new Hono<EdgeContext>();
jobs.use(async (c, next) => {
  requireScope(c.get('caller'), 'jobs');
  await Promise.all([next(), showLimits({ caller: c.get('caller'), env: c.env, limits: c.get('limits') })]);
});

/** Before what an idempotency key keeps: the secret is made anew for each answer and stored with none. */
const withWebhookSecret: MiddlewareHandler<EdgeContext> = async (c, next) => {
  await next();
  if (c.res.status !== 202) return;
  const { webhook_status, ...job } = (await c.res.clone().json()) as z.infer<typeof answerSchema>;
  if (webhook_status === undefined) return;
  c.res = new Response(JSON.stringify({ ...job, webhook_status, webhook_secret: await webhookSecret(c.env, c.get('caller').tenant) }), c.res);
};

jobs.post('/', withWebhookSecret, idempotent(MAX_SPEECH_BODY_BYTES), async (c) => {
  const { env } = c;
  const caller = c.get('caller');
  const { request, warnings } = parse(await readJson(c.req.raw, MAX_SPEECH_BODY_BYTES));
  if (request.webhook_url !== undefined) await checkAddress(request.webhook_url, env, AbortSignal.timeout(CHECK_MS));
  const planned = plan(request.items.map(({ input: text, response_format: format, input_type }) => ({ input: text, format, ssml: input_type === 'ssml' })));
  const id = `job_${crypto.randomUUID().replaceAll('-', '')}`;
  const nowMs = Date.now();
  await createJob(env, {
    id,
    caller,
    plan: planned,
    items: request.items.map(({ input: _, custom_id, ...item }) => ({ customId: custom_id, format: item.response_format, sampleRateHz: item.sample_rate, request: { ...item, response_format: item.response_format === 'wav' ? 'pcm' : item.response_format } })),
    metadata: request.metadata && JSON.stringify(request.metadata),
    webhookUrl: request.webhook_url,
    nowMs,
    expiresMs: nowMs + KEPT_MS,
  });
  await enqueue(env, id, firstSegments(planned.segments.length));
  const row = await mine(env, id, caller.tenant);
  return c.json({ ...brief(row), ...(warnings.length > 0 && { warnings }) }, 202);
});

jobs.get('/', async (c) => {
  const { limit, after, order } = accept(pageQuery, c.req.query());
  const rows = await listJobs(c.env, { tenant: c.get('caller').tenant, limit: limit + 1, after, ascending: order === 'asc' });
  return c.json(toPage(rows.map(brief), limit));
});

jobs.get('/:id', async (c) => {
  const job = await mine(c.env, c.req.param('id'), c.get('caller').tenant);
  return c.json(await full(c.env, job, new URL(c.req.url).origin));
});

jobs.get('/:id/audio', async (c) => {
  const job = await mine(c.env, c.req.param('id'), c.get('caller').tenant);
  return sound(job, Number(c.req.query('item') ?? 0), c.req.raw, c.env);
});

jobs.post('/:id/cancel', async (c) => {
  const job = await mine(c.env, c.req.param('id'), c.get('caller').tenant);
  if (await cancelJob(c.env, job.id, Date.now())) await ended(c.env, job);
  return c.json(await full(c.env, await mine(c.env, job.id, job.tenant), new URL(c.req.url).origin));
});

jobs.delete('/:id', async (c) => {
  const job = await mine(c.env, c.req.param('id'), c.get('caller').tenant);
  await cancelJob(c.env, job.id, Date.now());
  await deleteJob(c.env, job);
  return c.json({ id: job.id, object: 'audio.job.deleted', deleted: true });
});

/** `/downloads/TOKEN`: open to whoever has the link. */
export const downloads = new Hono<EdgeContext>();
downloads.get('/:token', async (c) => {
  const { job: id, item } = await readLink(c.env, c.req.param('token'), Date.now());
  const job = await findJob(c.env, id);
  if (!job) throw missing();
  return sound(job, item, c.req.raw, c.env);
});

async function sound(job: JobRow, number: number, request: Request, env: Env): Promise<Response> {
  const item = (await itemsOf(env, job.id)).find((each) => each.item === number);
  if (!item) throw new CosyError('not_found', 'The job has no such item: they are counted from 0.', { param: 'item' });
  if (item.done < item.segments) throw new CosyError('job_not_finished', item.failed > 0 ? 'A part of this audio could not be made: see the job.' : 'This audio is not finished: see the progress of the job.');
  return finishedSound({ job, item, segments: await segmentsOf(env, job.id, number) }, request, env);
}

async function mine(env: Env, id: string, tenant: string): Promise<JobRow> {
  const job = await findJob(env, id, tenant);
  if (!job) throw missing();
  return job;
}

function missing(): CosyError {
  return new CosyError('job_not_found', 'There is no such job: it was deleted, has expired, or belongs to another tenant.');
}

function brief({ id, status, created_ms, expires_ms, characters, metadata, webhook_url, webhook_status }: JobRow): z.infer<typeof answerSchema> {
  return {
    id,
    object: 'audio.job',
    status,
    created_at: Math.floor(created_ms / 1000),
    expires_at: Math.floor(expires_ms / 1000),
    characters,
    ...(webhook_url !== null && { webhook_status }),
    ...(metadata !== null && { metadata: JSON.parse(metadata) as Record<string, string> }),
  };
}

async function full(env: Env, job: JobRow, origin: string): Promise<z.infer<typeof answerSchema>> {
  const items = await itemsOf(env, job.id);
  const expiresMs = Math.min(job.expires_ms, Date.now() + LINK_MS);
  return {
    ...brief(job),
    progress: { segments: job.segments, segments_done: items.reduce((sum, { done }) => sum + done, 0), audio_seconds: items.reduce((sum, { audio_ms }) => sum + audio_ms, 0) / 1000 },
    items: await Promise.all(
      items.map(async ({ item, custom_id, segments, done, failed, audio_ms, error_code, error_message }) => ({
        custom_id,
        status: done === segments ? 'succeeded' : failed > 0 ? 'failed' : job.status === 'cancelled' ? 'cancelled' : done > 0 ? 'running' : 'queued',
        audio_seconds: audio_ms / 1000,
        ...(done === segments && { url: origin + (await signedPath(env, { job: job.id, item, expiresMs })) }),
        ...(error_code !== null && { error: { code: error_code, message: error_message ?? '' } }),
      })),
    ),
  };
}

type JobRequest = { readonly items: readonly z.infer<typeof itemSchema>[]; readonly webhook_url?: string | undefined; readonly metadata?: Record<string, string> | undefined };

function parse(body: unknown): { readonly request: JobRequest; readonly warnings: readonly string[] } {
  const fields = typeof body === 'object' && body !== null ? Object.keys(body) : [];
  if (fields.includes('reference')) throw new CosyError('invalid_value', 'reference: a job speaks with a voice that is known; enrol the clip at /v1/audio/voices and send its id as voice.', { param: 'reference' });
  const [single, batch] = jobSchema.options;
  const schema = fields.includes('items') ? batch : single;
  const data = accept(schema, body);
  const warnings = unknownFields(body, schema);
  if ('items' in data) return { request: data, warnings };
  const { webhook_url, metadata, ...item } = data;
  return { request: { items: [item], webhook_url, metadata }, warnings };
}
