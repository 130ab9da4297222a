/**
 * What the database said a short while ago, so that a warm request asks no store: this isolate's memory → KV → D1.
 *
 * Every copy carries the time at which D1 was asked, and no copy is believed longer than `TRUST_MS` after it, wherever it
 * lay; so a revoked key is refused everywhere within a minute, however late KV is. A copy in use is asked for again behind
 * the request, so the wait is only ever the first one's. While D1 does not answer, what was known is believed longer
 * (`STALE_MS`): better a key revoked during an outage than no service.
 */
import { CosyError } from '../../shared/errors/index.ts';

/** Work that goes on after the answer (`ExecutionContext.waitUntil`). */
export type Defer = (work: Promise<unknown>) => void;

/** Copies that all isolates share, as KV has them. */
export type Copies = {
  get(key: string, type: 'json'): Promise<unknown>;
  put(key: string, value: string, options: { readonly expirationTtl: number }): Promise<void>;
};

/** Of one request. */
export type Sources<T> = {
  readonly copies: Copies;
  /** Asks the database. */
  readonly load: (id: string) => Promise<T | undefined>;
  readonly defer: Defer;
};

type Entry<T> = { readonly value: T | undefined; readonly askedMs: number; retryMs: number };

/** Together with `SKEW_MS` under the minute that is promised. */
const TRUST_MS = 50_000;
/** Clocks of two machines; a copy from further in the future is not believed. */
const SKEW_MS = 5_000;
const REFRESH_MS = 20_000;
const UNKNOWN_MS = 30_000;
const STALE_MS = 10 * 60_000;
/** Between two questions to a database that failed. */
const RETRY_MS = 5_000;
const KV_WAIT_MS = 500;
const D1_WAIT_MS = 3_000;
const MAX_ENTRIES = 10_000;

export class Trusted<T extends object> {
  readonly #prefix: string;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry<T>>();

  /** `prefix`: of the names of its shared copies, with the version of what they hold. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** True when `get` will not ask D1 in the foreground because this isolate knows, be it that there is none. */
  knows(id: string): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && isBelieved(entry, Date.now());
  }

  /** Undefined: there is none. Throws `store_unavailable` when the database does not answer and nothing is known. */
  async get(id: string, sources: Sources<T>): Promise<T | undefined> {
    const nowMs = Date.now();
    const entry = this.#entries.get(id);
    if (!entry || !isBelieved(entry, nowMs)) return this.#ask(id, entry, sources);
    this.#keep(id, entry);
    if (entry.value && nowMs - entry.askedMs > REFRESH_MS && nowMs > entry.retryMs) {
      entry.retryMs = nowMs + RETRY_MS;
      sources.defer(this.#load(id, entry, sources).catch(() => {}));
    }
    return entry.value;
  }

  /** After a change that was written: known here at once, elsewhere within a minute. */
  async set(id: string, value: T, copies: Copies): Promise<void> {
    this.#keep(id, { value, askedMs: Date.now(), retryMs: 0 });
    await this.#publish(id, copies);
  }

  /** Changes copies in this isolate only. */
  change(matches: (value: T) => boolean, changed: (value: T) => T): void {
    for (const [id, { value, askedMs }] of this.#entries) if (value && matches(value)) this.#entries.set(id, { value: changed(value), askedMs, retryMs: 0 });
  }

  async #ask(id: string, known: Entry<T> | undefined, sources: Sources<T>): Promise<T | undefined> {
    const nowMs = Date.now();
    const kept = (await within(KV_WAIT_MS, sources.copies.get(this.#prefix + id, 'json')).catch(() => null)) as Entry<T> | null;
    const current = this.#entries.get(id);
    if (current !== undefined && current !== known && isBelieved(current, nowMs)) return current.value;
    if (kept && isBelieved(kept, nowMs)) {
      this.#keep(id, { value: kept.value, askedMs: kept.askedMs, retryMs: 0 });
      return kept.value;
    }
    try {
      const value = await this.#load(id, current, sources);
      if (value) sources.defer(this.#publish(id, sources.copies));
      return value;
    } catch (error) {
      const last = current?.value ? current : kept;
      if (!last?.value || nowMs - last.askedMs > STALE_MS) throw new CosyError('store_unavailable', 'The database does not answer: try again in a few seconds.', { cause: error, retryAfterMs: RETRY_MS });
      if (this.#entries.get(id) === current) this.#keep(id, { value: last.value, askedMs: last.askedMs, retryMs: Date.now() + RETRY_MS });
      return last.value;
    }
  }

  /** A change made here while the database was asked is newer than its answer. */
  async #load(id: string, known: Entry<T> | undefined, { load }: Sources<T>): Promise<T | undefined> {
    const askedMs = Date.now();
    const value = await within(D1_WAIT_MS, load(id));
    const current = this.#entries.get(id);
    if (current !== undefined && current !== known) return current.value;
    this.#keep(id, { value, askedMs, retryMs: 0 });
    return value;
  }

  async #publish(id: string, copies: Copies): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry?.value) return;
    const { value, askedMs } = entry;
    await copies.put(this.#prefix + id, JSON.stringify({ value, askedMs }), { expirationTtl: STALE_MS / 1000 }).catch(() => {});
  }

  #keep(id: string, entry: Entry<T>): void {
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    if (this.#entries.size <= MAX_ENTRIES) return;
    for (const oldest of this.#entries.keys()) return void this.#entries.delete(oldest);
  }
}

function isBelieved({ value, askedMs, retryMs = 0 }: Partial<Entry<unknown>>, nowMs: number): boolean {
  const ageMs = nowMs - (askedMs ?? 0);
  if (value === undefined) return ageMs < UNKNOWN_MS;
  return (ageMs > -SKEW_MS && ageMs < TRUST_MS) || (nowMs < retryMs && ageMs < STALE_MS);
}

/** A store that hangs is a store that failed. */
async function within<V>(limitMs: number, work: Promise<V>): Promise<V> {
  let stop = () => {};
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error('late')), limitMs);
    stop = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop();
  }
}
