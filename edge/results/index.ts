/**
 * Finished sounds by what decides them: looked up before a node is asked, kept after the `end` of a stream. Owner of the
 * buckets RESULTS. In: identity of a sound, parts of a stream. Out: a stored sound, or nothing. A store that fails is a miss.
 */
import type { Frame, StreamStart } from '../../shared/contract/frames.ts';
import type { Residency } from '../caller.ts';
import type { Env } from '../env.ts';
import { tenantPrefix, voicePrefix } from './key.ts';
import type { ResultKey } from './key.ts';
import { findResult } from './read.ts';
import type { StoredResult } from './read.ts';
import { forget } from './recent.ts';
import { keep } from './write.ts';

export { resultKey } from './key.ts';
export type { ResultKey, SoundIdentity } from './key.ts';
export type { StoredResult } from './read.ts';

type Part = Extract<Frame, { readonly type: 'audio' | 'mark' | 'end' }>;

/** Whose results, and where they may lie. */
export type Shelf = { readonly tenant: string; readonly bucket: R2Bucket };

/** Undefined for a tenant bound to a place where there is no store: then nothing is kept. */
export function shelfOf({ tenant, residency }: { readonly tenant: string; readonly residency: Residency | undefined }, env: Env): Shelf | undefined {
  const bucket = residency === 'eu' ? env.RESULTS_EU : env.RESULTS;
  return bucket && { tenant, bucket };
}

/** Undefined when there is none. Never throws. */
export function find(shelf: Shelf, key: ResultKey): Promise<StoredResult | undefined> {
  return findResult(shelf.bucket, key.path);
}

/** A sound that is about to be made: `id` names its bytes, before and after it is kept. */
export type NewSound = { readonly id: string; readonly start: StreamStart; readonly parts: AsyncGenerator<Part> };

/** The same parts at the same pace; the sound is kept if it ends well. */
export function keepResult({ id, start, parts }: NewSound, key: ResultKey, { shelf, waitUntil }: { readonly shelf: Shelf; readonly waitUntil: (work: Promise<unknown>) => void }): AsyncGenerator<Part> {
  return keep(parts, { bucket: shelf.bucket, path: key.path, id, start, forgottenSince: (startedMs) => forgottenSince(shelf, key, startedMs), waitUntil });
}

/** Deletes every result of a voice; streams under way are not kept either. */
export async function forgetVoice(contentKey: string, shelf: Shelf): Promise<void> {
  const prefix = await voicePrefix(shelf.tenant, contentKey);
  await forgetPrefix(shelf.bucket, prefix);
}

/** Deletes every result of a tenant. */
export async function forgetTenant(shelf: Shelf): Promise<void> {
  await forgetPrefix(shelf.bucket, tenantPrefix(shelf.tenant));
}

/** Names under `forgotten/` say since when: a stream that began before finds its mark there after it was written. */
async function forgetPrefix(bucket: R2Bucket, prefix: string): Promise<void> {
  await bucket.put(`forgotten/${prefix}`, '');
  forget(prefix);
  for (;;) {
    const { objects, truncated } = await bucket.list({ prefix, limit: 1000 });
    if (objects.length > 0) await bucket.delete(objects.map(({ key }) => key));
    if (!truncated) return;
  }
}

/** Clocks of a Worker and a store may be this far apart. */
const CLOCK_TOLERANCE_MS = 60_000;

async function forgottenSince({ tenant, bucket }: Shelf, { voicePath }: ResultKey, startedMs: number): Promise<boolean> {
  const marks = await Promise.all([voicePath, tenantPrefix(tenant)].map((prefix) => bucket.head(`forgotten/${prefix}`)));
  return marks.some((mark) => mark !== null && mark.uploaded.getTime() >= startedMs - CLOCK_TOLERANCE_MS);
}
