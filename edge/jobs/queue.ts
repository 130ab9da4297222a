/**
 * SPINE of the background: one message, one segment.
 *
 *   segment → text → speech (the same spine as a request's) → bucket → row → next segment | end of the job → webhook
 *
 * Messages are delivered at least once, and a process may end anywhere: every step can be done again, and what no message
 * stands for any more is found by `sweep`.
 */
import { isCosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { speak } from '../speech.ts';
import { callerOf, closeJob, deleteJob, expiredJobs, findJob, findSegment, finishSegment, forgetTexts, pendingWebhooks, putSound, segmentInput, stalledJobs, touchJob, waitingSegments } from './store.ts';
import type { JobRow } from './store.ts';
import { deliver } from './webhook.ts';

export type JobMessage = { readonly kind: 'segment'; readonly job: string; readonly number: number } | { readonly kind: 'webhook'; readonly job: string };

/** Segments of one job that are made at the same time; the rest of the nodes is for others. */
const WIDTH = 2;
/** Of one segment; then it has failed. Waiting for a node counts, so this is about half a day with `MAX_DELAY_S`. */
const MAX_ATTEMPTS = 90;
const MAX_DELAY_S = 600;
/** A segment is a minute and a half of speech: ten times that long without progress, and its message is lost. */
const STALLED_MS = 15 * 60_000;
const SWEEP_JOBS = 100;
/** A segment whose job was cancelled meanwhile is dropped within this. */
const CANCEL_LOOK_MS = 5000;

/** Puts a new job's first segments into the queue. */
export async function enqueue(env: Env, job: string, numbers: readonly number[]): Promise<void> {
  if (numbers.length > 0) await env.JOBS.sendBatch(numbers.map((number) => ({ body: { kind: 'segment', job, number } satisfies JobMessage })));
}

/** The first segments of a job with this many. */
export function firstSegments(segments: number): number[] {
  return Array.from({ length: Math.min(WIDTH, segments) }, (_, number) => number);
}

/** Consumer of the queue. A message is taken or asked for again later, whatever happens to its neighbours. */
export async function consume(batch: MessageBatch<JobMessage>, env: Env): Promise<void> {
  await Promise.all(
    batch.messages.map(async (message) => {
      try {
        if (message.body.kind === 'webhook') await deliver(message.body.job, env, message.attempts);
        else await speakSegment(message.body, env, message.attempts);
        message.ack();
      } catch (error) {
        const afterMs = isCosyError(error) ? error.retryAfterMs : undefined;
        message.retry({ delaySeconds: Math.min(MAX_DELAY_S, Math.ceil(afterMs === undefined ? 2 ** Math.min(message.attempts, 9) : afterMs / 1000)) });
      }
    }),
  );
}

async function speakSegment({ job: id, number }: { readonly job: string; readonly number: number }, env: Env, attempts: number): Promise<void> {
  const [job, segment] = await Promise.all([findJob(env, id), findSegment(env, id, number)]);
  if (!job || !segment || !isOpen(job)) return;
  if (segment.status === 'waiting') {
    const input = await segmentInput(env, job, segment);
    if (!input) return;
    try {
      const { bytes, audioMs } = await soundOf(job, number, { ...input.request, input: input.text }, env);
      await putSound(env, job, number, bytes);
      await finishSegment(env, id, { number, nowMs: Date.now(), bytes: bytes.length, audioMs });
    } catch (error) {
      const known = isCosyError(error) ? error : undefined;
      if (known?.code === 'cancelled') return;
      if ((known?.retryable ?? true) && attempts < MAX_ATTEMPTS) throw error;
      await finishSegment(env, id, { number, nowMs: Date.now(), code: known?.code ?? 'internal_error', message: known?.message ?? 'Something failed here.' });
    }
  }
  if (number + WIDTH < job.segments) await enqueue(env, id, [number + WIDTH]);
  if (await closeJob(env, id, Date.now())) await ended(env, job);
}

/** What follows the end of a job, also a cancelled one. */
export async function ended(env: Env, job: JobRow): Promise<void> {
  await forgetTexts(env, job);
  if (job.webhook_url !== null) await env.JOBS.send({ kind: 'webhook', job: job.id } satisfies JobMessage);
}

/** The whole sound of a segment; `cancelled` when its job was. */
async function soundOf(job: JobRow, number: number, body: unknown, env: Env): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly audioMs: number }> {
  const cancel = new AbortController();
  let lookedMs = Date.now();
  // the id counts in the tenant's quota: a segment that is made again is charged once
  const answer = await speak(body, { requestId: `${job.id}.${number}`, caller: callerOf(job), env, signal: cancel.signal, once: true });
  const pieces: Uint8Array[] = [];
  let audioMs = 0;
  for await (const part of answer.parts) {
    if (part.type === 'audio') pieces.push(part.value);
    if (part.type === 'end') ({ audioMs } = part.value);
    if (Date.now() - lookedMs < CANCEL_LOOK_MS) continue;
    lookedMs = Date.now();
    const now = await findJob(env, job.id);
    if (!now || !isOpen(now)) cancel.abort();
  }
  return { bytes: new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer()), audioMs };
}

function isOpen({ status }: JobRow): boolean {
  return status === 'queued' || status === 'running';
}

/** Every minute: what stands still goes to the queue again, what has expired is deleted. `nowMs` since the epoch. */
export async function sweep(env: Env, nowMs: number, stalledMs = STALLED_MS): Promise<void> {
  for (const job of await stalledJobs(env, nowMs - stalledMs, SWEEP_JOBS)) {
    await touchJob(env, job.id, nowMs);
    const waiting = await waitingSegments(env, job.id, WIDTH);
    if (waiting.length > 0) await enqueue(env, job.id, waiting);
    else if (await closeJob(env, job.id, nowMs)) await ended(env, job);
  }
  for (const { id } of await pendingWebhooks(env, nowMs - stalledMs, SWEEP_JOBS)) {
    await touchJob(env, id, nowMs);
    await env.JOBS.send({ kind: 'webhook', job: id } satisfies JobMessage);
  }
  for (const job of await expiredJobs(env, nowMs, SWEEP_JOBS)) await deleteJob(env, job);
}
