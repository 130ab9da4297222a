/**
 * The part of a voice that speaking needs, near to where it is asked for: this isolate's memory → KV → D1. Copies may be a
 * little old. That is safe, because a copy only points: the prompt of a deleted voice is gone from R2 and from the nodes, and
 * then D1 is asked (`resolve.ts`). Rows of tenants pinned to the EU never enter KV.
 */
import { waitUntil } from 'cloudflare:workers';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { findByName, readVoice } from './catalogue.ts';
import type { Voice } from './catalogue.ts';
import type { Owner } from './objects.ts';

const hotSchema = z.object({ id: z.string(), promptKey: z.string(), modelRevision: z.string() });
export type HotVoice = z.infer<typeof hotSchema>;

/** Of this isolate's copy; an older one in use is renewed behind the request. */
const FRESH_MS = 10_000;
/** For as long as the database may be away. */
const STALE_MS = 10 * 60_000;
const KV_SECONDS = 300;
/** A slow KV costs no more than this. */
const KV_WAIT_MS = 300;
const MAX_ENTRIES = 5000;

type Entry = { readonly voice: HotVoice; readonly atMs: number; askingMs: number };
/** Least recently used first. */
const memory = new Map<string, Entry>();

/** By id, or by the name its owner gave it. Undefined: there is none. */
export async function findHot(wanted: string, owner: Owner, env: Env): Promise<HotVoice | undefined> {
  const place = placeOf(wanted, owner);
  const entry = memory.get(place);
  const nowMs = Date.now();
  if (!entry || nowMs - entry.atMs > STALE_MS) return (await fromKv(wanted, owner, env)) ?? fromDatabase(wanted, owner, env);
  memory.delete(place);
  memory.set(place, entry);
  if (nowMs - entry.atMs > FRESH_MS && nowMs - entry.askingMs > FRESH_MS) {
    entry.askingMs = nowMs;
    waitUntil(fromDatabase(wanted, owner, env).catch(() => {}));
  }
  return entry.voice;
}

/** Past every copy. Throws `store_unavailable`. */
export async function fromDatabase(wanted: string, owner: Owner, env: Env): Promise<HotVoice | undefined> {
  const voice = await (isId(wanted) ? readVoice : findByName)(wanted, owner.tenant, env).catch((cause: unknown) => {
    throw new CosyError('store_unavailable', 'The list of voices does not answer: try again.', { cause, retryAfterMs: 2000 });
  });
  if (!voice) {
    memory.delete(placeOf(wanted, owner));
    return undefined;
  }
  const hot = { id: voice.id, promptKey: voice.promptKey, modelRevision: voice.modelRevision };
  remember(wanted, hot, owner);
  if (isId(wanted) && owner.residency === undefined) waitUntil(env.HOT.put(kvKey(wanted, owner), JSON.stringify(hot), { expirationTtl: KV_SECONDS }).catch(() => {}));
  return hot;
}

/** After a change or deletion. Other isolates notice within seconds, KV elsewhere within a minute. */
export async function forgetHot({ id, name }: Pick<Voice, 'id' | 'name'>, owner: Owner, env: Env): Promise<void> {
  for (const wanted of [id, name]) memory.delete(placeOf(wanted, owner));
  if (owner.residency === undefined) await env.HOT.delete(kvKey(id, owner)).catch(() => {});
}

export function isId(wanted: string): boolean {
  return /^voice_[0-9a-z]{21}$/.test(wanted);
}

async function fromKv(wanted: string, owner: Owner, env: Env): Promise<HotVoice | undefined> {
  if (!isId(wanted) || owner.residency !== undefined) return undefined;
  let timer: ReturnType<typeof setTimeout> | null = null;
  try {
    const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), KV_WAIT_MS)));
    const parsed = hotSchema.safeParse(await Promise.race([env.HOT.get(kvKey(wanted, owner), 'json'), late]));
    // whatever lies there, a voice speaks for its owner only
    if (!parsed.success || !parsed.data.promptKey.startsWith(`${owner.tenant}/`)) return undefined;
    remember(wanted, parsed.data, owner);
    return parsed.data;
  } catch {
    return undefined; // the database knows
  } finally {
    clearTimeout(timer);
  }
}

function remember(wanted: string, voice: HotVoice, owner: Owner): void {
  const place = placeOf(wanted, owner);
  memory.delete(place);
  memory.set(place, { voice, atMs: Date.now(), askingMs: 0 });
  const oldest = memory.keys().next().value;
  if (memory.size > MAX_ENTRIES && oldest !== undefined) memory.delete(oldest);
}

function placeOf(wanted: string, { tenant, residency }: Owner): string {
  return `${residency ?? ''}|${tenant}|${wanted}`;
}

function kvKey(id: string, { tenant }: Owner): string {
  return `voice/${tenant}/${id}`;
}
