/**
 * Where jobs are kept: rows in D1, texts and sounds in the bucket of results under `jobs/TENANT/ID/`. Every change is one
 * statement or one batch, so a Worker that goes away leaves a state from which the queue can go on.
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { AudioFormat } from '../../shared/limits/index.ts';
import type { Caller, Residency } from '../caller.ts';
import { SCOPES } from '../caller.ts';
import type { Env } from '../env.ts';
import type { Plan } from './plan.ts';

export type JobStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

export type JobRow = {
  readonly id: string;
  readonly tenant: string;
  readonly key_id: string;
  readonly plan: string;
  readonly residency: Residency | null;
  readonly status: JobStatus;
  readonly created_ms: number;
  readonly updated_ms: number;
  readonly expires_ms: number;
  readonly items: number;
  readonly segments: number;
  readonly characters: number;
  readonly metadata: string | null;
  readonly webhook_url: string | null;
  readonly webhook_status: string | null;
};

/** What became of an item, summed over its segments. */
export type ItemRow = { readonly item: number; readonly custom_id: string | null; readonly format: AudioFormat; readonly sample_rate_hz: number; readonly segments: number; readonly done: number; readonly failed: number; readonly audio_ms: number; readonly error_code: string | null; readonly error_message: string | null };

export type SegmentRow = { readonly number: number; readonly item: number; readonly text_start: number; readonly text_bytes: number; readonly status: 'waiting' | 'done' | 'failed'; readonly bytes: number };

/** The request of one item without its text, as the speech schema takes it. */
export type ItemRequest = Readonly<Record<string, unknown>>;

export type NewJob = {
  readonly id: string;
  readonly caller: Caller;
  readonly plan: Plan;
  readonly items: readonly { readonly customId: string | undefined; readonly format: AudioFormat; readonly sampleRateHz: number; readonly request: ItemRequest }[];
  readonly metadata: string | undefined;
  readonly webhookUrl: string | undefined;
  readonly nowMs: number;
  readonly expiresMs: number;
};

/** The texts first: a row that exists can be worked on. */
export async function createJob(env: Env, { id, caller, plan, items, metadata, webhookUrl, nowMs, expiresMs }: NewJob): Promise<void> {
  const bucket = bucketOf(env, caller.residency);
  await bucket.put(textKey(caller.tenant, id), plan.text);
  await bucket.put(itemsKey(caller.tenant, id), JSON.stringify(items.map(({ request }) => request)));
  await env.DB.batch([
    env.DB.prepare('INSERT INTO jobs (id, tenant, key_id, plan, residency, status, created_ms, updated_ms, expires_ms, items, segments, characters, metadata, webhook_url) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').bind(
      id, caller.tenant, caller.keyId, caller.plan, caller.residency ?? null, 'queued', nowMs, nowMs, expiresMs, items.length, plan.segments.length, plan.characters, metadata ?? null, webhookUrl ?? null,
    ),
    env.DB.prepare("INSERT INTO job_items (job, item, custom_id, format, sample_rate_hz) SELECT ?1, key, value ->> 'customId', value ->> 'format', value ->> 'sampleRateHz' FROM json_each(?2)").bind(id, JSON.stringify(items.map(({ customId, format, sampleRateHz }) => ({ customId, format, sampleRateHz })))),
    env.DB.prepare("INSERT INTO job_segments (job, number, item, text_start, text_bytes, status) SELECT ?1, key, value ->> 'item', value ->> 'start', value ->> 'bytes', 'waiting' FROM json_each(?2)").bind(id, JSON.stringify(plan.segments)),
  ]);
}

/** Undefined when there is no such job of this tenant. */
export async function findJob(env: Env, id: string, tenant?: string): Promise<JobRow | undefined> {
  return (await env.DB.prepare('SELECT * FROM jobs WHERE id = ?1 AND (?2 IS NULL OR tenant = ?2)').bind(id, tenant ?? null).first<JobRow>()) ?? undefined;
}

export async function listJobs(env: Env, { tenant, limit, after, ascending }: { readonly tenant: string; readonly limit: number; readonly after: string | undefined; readonly ascending: boolean }): Promise<JobRow[]> {
  const [compare, order] = ascending ? ['>', 'ASC'] : ['<', 'DESC'];
  const behind = after === undefined ? '' : `AND (created_ms, id) ${compare} (SELECT created_ms, id FROM jobs WHERE id = ?3 AND tenant = ?1)`;
  const query = env.DB.prepare(`SELECT * FROM jobs WHERE tenant = ?1 ${behind} ORDER BY created_ms ${order}, id ${order} LIMIT ?2`);
  return (await (after === undefined ? query.bind(tenant, limit) : query.bind(tenant, limit, after)).all<JobRow>()).results;
}

export async function itemsOf(env: Env, job: string): Promise<ItemRow[]> {
  const query = env.DB.prepare(
    `SELECT i.item, i.custom_id, i.format, i.sample_rate_hz, COUNT(*) AS segments, SUM(s.status = 'done') AS done, SUM(s.status = 'failed') AS failed, SUM(s.audio_ms) AS audio_ms, MAX(s.error_code) AS error_code, MAX(s.error_message) AS error_message
     FROM job_items i JOIN job_segments s ON s.job = i.job AND s.item = i.item WHERE i.job = ? GROUP BY i.item ORDER BY i.item`,
  );
  return (await query.bind(job).all<ItemRow>()).results;
}

export async function segmentsOf(env: Env, job: string, item: number): Promise<SegmentRow[]> {
  return (await env.DB.prepare('SELECT number, item, text_start, text_bytes, status, bytes FROM job_segments WHERE job = ? AND item = ? ORDER BY number').bind(job, item).all<SegmentRow>()).results;
}

export async function findSegment(env: Env, job: string, number: number): Promise<SegmentRow | undefined> {
  return (await env.DB.prepare('SELECT number, item, text_start, text_bytes, status, bytes FROM job_segments WHERE job = ? AND number = ?').bind(job, number).first<SegmentRow>()) ?? undefined;
}

export async function waitingSegments(env: Env, job: string, limit: number): Promise<number[]> {
  return (await env.DB.prepare("SELECT number FROM job_segments WHERE job = ? AND status = 'waiting' ORDER BY number LIMIT ?").bind(job, limit).all<{ number: number }>()).results.map(({ number }) => number);
}

/** The text of a segment and how it is to be spoken; undefined when the job's texts are gone. */
export async function segmentInput(env: Env, job: JobRow, segment: SegmentRow): Promise<{ readonly text: string; readonly request: ItemRequest } | undefined> {
  const bucket = bucketOf(env, job.residency ?? undefined);
  const [text, items] = await Promise.all([bucket.get(textKey(job.tenant, job.id), { range: { offset: segment.text_start, length: segment.text_bytes } }), bucket.get(itemsKey(job.tenant, job.id))]);
  if (text === null || items === null) return undefined;
  const request = ((await items.json()) as ItemRequest[])[segment.item];
  return request && { text: await text.text(), request };
}

export async function putSound(env: Env, job: JobRow, number: number, sound: Uint8Array<ArrayBuffer>): Promise<void> {
  await bucketOf(env, job.residency ?? undefined).put(soundKey(job.tenant, job.id, number), sound);
}

/** Part of a segment's sound; null when it is gone. */
export async function getSound(env: Env, job: JobRow, number: number, range: { readonly offset: number; readonly length: number }): Promise<R2ObjectBody | null> {
  return bucketOf(env, job.residency ?? undefined).get(soundKey(job.tenant, job.id, number), { range });
}

export type Finished = { readonly number: number; readonly nowMs: number } & ({ readonly bytes: number; readonly audioMs: number } | { readonly code: string; readonly message: string });

/** A second report of the same segment changes nothing, nor one that comes after the job was cancelled. */
export async function finishSegment(env: Env, job: string, finished: Finished): Promise<void> {
  const stillWanted = "job = ?1 AND number = ?2 AND status = 'waiting' AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND status IN ('queued', 'running'))";
  const segment =
    'bytes' in finished
      ? env.DB.prepare(`UPDATE job_segments SET status = 'done', bytes = ?3, audio_ms = ?4 WHERE ${stillWanted}`).bind(job, finished.number, finished.bytes, finished.audioMs)
      : env.DB.prepare(`UPDATE job_segments SET status = 'failed', error_code = ?3, error_message = ?4 WHERE ${stillWanted}`).bind(job, finished.number, finished.code, finished.message);
  await env.DB.batch([segment, env.DB.prepare("UPDATE jobs SET status = 'running', updated_ms = ? WHERE id = ? AND status IN ('queued', 'running')").bind(finished.nowMs, job)]);
}

/** True for the one caller that closed the job: all its segments are done or failed. */
export async function closeJob(env: Env, job: string, nowMs: number): Promise<boolean> {
  const { meta } = await env.DB.prepare(
    `UPDATE jobs SET updated_ms = ?2, webhook_status = CASE WHEN webhook_url IS NULL THEN NULL ELSE 'pending' END,
       status = CASE WHEN EXISTS (SELECT 1 FROM job_segments WHERE job = ?1 AND status = 'failed') THEN 'failed' ELSE 'succeeded' END
     WHERE id = ?1 AND status IN ('queued', 'running') AND NOT EXISTS (SELECT 1 FROM job_segments WHERE job = ?1 AND status = 'waiting')`,
  ).bind(job, nowMs).run();
  return meta.changes > 0;
}

/** False when the job had ended already. */
export async function cancelJob(env: Env, job: string, nowMs: number): Promise<boolean> {
  const { meta } = await env.DB.prepare("UPDATE jobs SET status = 'cancelled', updated_ms = ?2, webhook_status = CASE WHEN webhook_url IS NULL THEN NULL ELSE 'pending' END WHERE id = ?1 AND status IN ('queued', 'running')").bind(job, nowMs).run();
  return meta.changes > 0;
}

export async function setWebhookStatus(env: Env, job: string, status: 'delivered' | 'failed'): Promise<void> {
  await env.DB.prepare('UPDATE jobs SET webhook_status = ? WHERE id = ?').bind(status, job).run();
}

/** Open jobs without progress since `beforeMs`, whose message may have been lost with a process. */
export async function stalledJobs(env: Env, beforeMs: number, limit: number): Promise<JobRow[]> {
  return (await env.DB.prepare("SELECT * FROM jobs WHERE status IN ('queued', 'running') AND updated_ms < ? ORDER BY updated_ms LIMIT ?").bind(beforeMs, limit).all<JobRow>()).results;
}

export async function touchJob(env: Env, job: string, nowMs: number): Promise<void> {
  await env.DB.prepare('UPDATE jobs SET updated_ms = ? WHERE id = ?').bind(nowMs, job).run();
}

export async function pendingWebhooks(env: Env, beforeMs: number, limit: number): Promise<JobRow[]> {
  return (await env.DB.prepare("SELECT * FROM jobs WHERE webhook_status = 'pending' AND updated_ms < ? LIMIT ?").bind(beforeMs, limit).all<JobRow>()).results;
}

export async function expiredJobs(env: Env, nowMs: number, limit: number): Promise<JobRow[]> {
  return (await env.DB.prepare('SELECT * FROM jobs WHERE expires_ms < ? LIMIT ?').bind(nowMs, limit).all<JobRow>()).results;
}

/** Texts are kept no longer than they are needed. */
export async function forgetTexts(env: Env, job: JobRow): Promise<void> {
  await bucketOf(env, job.residency ?? undefined).delete([textKey(job.tenant, job.id), itemsKey(job.tenant, job.id)]);
}

/** Sounds, texts, rows. Rows last: what is left after a crash is found again. */
export async function deleteJob(env: Env, job: JobRow): Promise<void> {
  const bucket = bucketOf(env, job.residency ?? undefined);
  const keys = [textKey(job.tenant, job.id), itemsKey(job.tenant, job.id), ...Array.from({ length: job.segments }, (_, number) => soundKey(job.tenant, job.id, number))];
  for (let i = 0; i < keys.length; i += 1000) await bucket.delete(keys.slice(i, i + 1000));
  await env.DB.batch(['DELETE FROM job_segments WHERE job = ?', 'DELETE FROM job_items WHERE job = ?', 'DELETE FROM jobs WHERE id = ?'].map((statement) => env.DB.prepare(statement).bind(job.id)));
}

/** In whose name the queue works. */
export function callerOf({ tenant, key_id, plan, residency }: JobRow): Caller {
  return { tenant, keyId: key_id, kind: 'key', scopes: new Set(SCOPES.filter((scope) => scope === 'speech' || scope === 'voices:read')), plan, residency: residency ?? undefined, bounds: undefined };
}

/** Throws `internal_error` rather than let a tenant's data leave its region. */
function bucketOf(env: Env, residency: Residency | undefined): R2Bucket {
  if (residency === undefined) return env.RESULTS;
  if (!env.RESULTS_EU) throw new CosyError('internal_error', 'This deployment has no store in the EU: bind RESULTS_EU.');
  return env.RESULTS_EU;
}

function textKey(tenant: string, job: string): string {
  return `jobs/${tenant}/${job}/text`;
}

function itemsKey(tenant: string, job: string): string {
  return `jobs/${tenant}/${job}/items.json`;
}

function soundKey(tenant: string, job: string, number: number): string {
  return `jobs/${tenant}/${job}/${number}`;
}
