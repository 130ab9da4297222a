/**
 * The books of one tenant in SQLite: levels of its limits, leases of the isolates that speak for it, usage. Synchronous and
 * without a clock of its own: the object calls it inside one transaction per message, with its time.
 *
 * Nothing is admitted that was not taken from the limits first. What was reserved and not delivered goes back. A lease that
 * ends without a word is charged what it last reported, never more; should its isolate still report the end of a speech
 * later, only the difference is charged.
 */
import { planOf } from '../../shared/limits/plans.ts';
import type { Plan } from '../../shared/limits/plans.ts';
import { LEASE_MS, RESEND_MS } from './message.ts';
import type { Answer, Block, Figures, Level, Message, Refusal, Running, Settled } from './message.ts';
import { UsageBook } from './usage-book.ts';

type Row = Record<string, unknown>;
/** What SqlStorage of a Durable Object has. */
export type Sql = { readonly exec: (query: string, ...bindings: (string | number | null)[]) => { readonly toArray: () => Row[] } };

/** Of what is left, at most this share is granted in advance, so that no isolate starves the others. */
const SHARE = 16;
/** Longer than a message is sent again. */
const REMEMBER_MESSAGES_MS = 2 * RESEND_MS;
/** Longer than any speech lasts, and than a queue tries again. */
const REMEMBER_ENDED_MS = 48 * 3_600_000;
/** A place is free when some speech ends; nobody knows when, so a client asks again soon. */
const PLACE_RETRY_MS = 1000;
const MINUTE_MS = 60_000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS levels (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms REAL NOT NULL, requests REAL NOT NULL, characters REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leases (id TEXT PRIMARY KEY, streams INTEGER NOT NULL, characters INTEGER NOT NULL, expires_ms REAL NOT NULL, last_seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS running (reservation TEXT PRIMARY KEY, lease TEXT NOT NULL, key TEXT NOT NULL, reserved INTEGER NOT NULL, characters INTEGER NOT NULL, audio_ms INTEGER NOT NULL, once TEXT);
CREATE TABLE IF NOT EXISTS ended (name TEXT PRIMARY KEY, characters INTEGER NOT NULL, audio_ms INTEGER NOT NULL, at_ms REAL NOT NULL);
CREATE TABLE IF NOT EXISTS messages (lease TEXT NOT NULL, seq INTEGER NOT NULL, granted TEXT, at_ms REAL NOT NULL, PRIMARY KEY (lease, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tenant (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS spent (period TEXT PRIMARY KEY, characters INTEGER NOT NULL)`;

export class QuotaLedger {
  readonly #sql: Sql;
  readonly usage: UsageBook;
  #tenant: string | undefined;

  constructor(sql: Sql) {
    this.#sql = sql;
    for (const statement of SCHEMA.split(';')) sql.exec(statement);
    this.usage = new UsageBook(sql);
  }

  /** Whose books these are: an object does not know its own name. */
  remember(tenant: string): void {
    if (this.tenant === '') this.#sql.exec('INSERT OR IGNORE INTO tenant (id) VALUES (?)', tenant);
  }

  get tenant(): string {
    this.#tenant ??= this.#one('SELECT id FROM tenant')?.['id'] as string | undefined;
    return this.#tenant ?? '';
  }

  /** Applies a message once and answers it; the same message again gets the same grant. */
  exchange(message: Message, nowMs: number): Answer {
    const plan = planOf(message.plan);
    this.expire(nowMs);
    const before = this.#one('SELECT granted FROM messages WHERE lease = ? AND seq = ?', message.lease, message.seq);
    if (before) {
      const granted = typeof before['granted'] === 'string' ? (JSON.parse(before['granted']) as Block) : undefined;
      // one that was refused may be granted now: nothing was taken for it
      if (granted || !message.need) return { ...(granted ? { granted } : {}), figures: this.#figures(plan, nowMs) };
    } else {
      const newest = this.#renew(message, nowMs);
      for (const settled of message.settled) this.#settle(message, settled, plan, nowMs);
      if (message.give) this.#give(message.lease, message.give, plan, nowMs);
      // one that was overtaken may name speech that is over by now
      if (message.running && newest) this.#report(message.lease, message.running);
    }
    const decision = message.need ? this.#admit(message.need.characters, message.need.want, plan, nowMs) : {};
    if (decision.granted) this.#take(message.lease, decision.granted, plan, nowMs);
    this.#sql.exec('INSERT INTO messages (lease, seq, granted, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET granted = excluded.granted', message.lease, message.seq, decision.granted ? JSON.stringify(decision.granted) : null, nowMs);
    return { ...decision, figures: this.#figures(plan, nowMs) };
  }

  /** Closes the leases that ran out: their places are free, their speech is charged as far as it was reported. */
  expire(nowMs: number): void {
    for (const { id } of this.#all('SELECT id FROM leases WHERE expires_ms <= ?', nowMs)) {
      for (const row of this.#all('SELECT * FROM running WHERE lease = ?', String(id))) {
        const heard = { reservation: String(row['reservation']), key: String(row['key']), characters: Number(row['characters']), audioMs: Number(row['audio_ms']), cached: false };
        if (heard.audioMs === 0) continue;
        // what is charged now is not charged again when its isolate reports the end after all
        this.#charge({ ...heard, once: typeof row['once'] === 'string' ? row['once'] : heard.reservation }, nowMs);
      }
      this.#sql.exec('DELETE FROM running WHERE lease = ?', String(id));
      this.#sql.exec('DELETE FROM leases WHERE id = ?', String(id));
    }
  }

  /** Forgets what no message can refer to any more. */
  prune(nowMs: number): void {
    this.#sql.exec('DELETE FROM messages WHERE at_ms < ?', nowMs - REMEMBER_MESSAGES_MS);
    this.#sql.exec('DELETE FROM ended WHERE at_ms < ?', nowMs - REMEMBER_ENDED_MS);
    this.#sql.exec('DELETE FROM spent WHERE period NOT IN (?, ?)', periodAt(nowMs, 'day'), periodAt(nowMs, 'month'));
    this.usage.prune(nowMs);
  }

  /** When the next lease runs out. */
  nextExpiryMs(): number | undefined {
    const at = this.#one('SELECT MIN(expires_ms) AS at FROM leases')?.['at'];
    return typeof at === 'number' ? at : undefined;
  }

  /** Whether `prune` will have something to forget. */
  get remembers(): boolean {
    return this.#one('SELECT 1 FROM messages LIMIT 1') !== undefined || this.#one('SELECT 1 FROM ended LIMIT 1') !== undefined;
  }

  /** True when no later message of the lease was here before. A lease that is not known (any more) holds what its isolate says it holds. */
  #renew({ lease, seq, running = [], give }: Message, nowMs: number): boolean {
    const last = this.#one('SELECT last_seq FROM leases WHERE id = ?', lease);
    if (last) {
      this.#sql.exec('UPDATE leases SET expires_ms = MAX(expires_ms, ?), last_seq = MAX(last_seq, ?) WHERE id = ?', nowMs + LEASE_MS, seq, lease);
      return Number(last['last_seq']) < seq;
    }
    const characters = running.reduce((sum, { reserved }) => sum + reserved, give?.characters ?? 0);
    this.#sql.exec('INSERT INTO leases (id, streams, characters, expires_ms, last_seq) VALUES (?, ?, ?, ?, ?)', lease, running.filter(({ placeKept }) => !placeKept).length + (give?.streams ?? 0), characters, nowMs + LEASE_MS, seq);
    return true;
  }

  #settle({ lease }: Message, settled: Settled, plan: Plan, nowMs: number): void {
    this.#sql.exec('DELETE FROM running WHERE reservation = ?', settled.reservation);
    this.#release(lease, settled.placeKept ? 0 : 1, settled.reserved);
    const characters = settled.served ? Math.min(settled.characters, settled.reserved) : 0;
    this.#refill({ requests: settled.served ? 0 : 1, characters: settled.reserved - characters }, plan, nowMs);
    if (settled.served) this.#charge({ ...settled, characters }, nowMs);
    if (settled.once === undefined) this.#sql.exec('DELETE FROM ended WHERE name = ?', settled.reservation);
  }

  /** Charges what was not charged under this name before; `once` remembers it. */
  #charge({ reservation, key, characters, audioMs, cached, once }: Omit<Running, 'reserved'> & { readonly cached: boolean }, nowMs: number): void {
    const row = this.#one('SELECT characters, audio_ms FROM ended WHERE name = ?', once ?? reservation);
    const before = { characters: Number(row?.['characters'] ?? 0), audioMs: Number(row?.['audio_ms'] ?? 0) };
    const more = Math.max(0, characters - before.characters);
    this.usage.add(key, { requests: row ? 0 : 1, characters: more, audioMs: Math.max(0, audioMs - before.audioMs), cacheHits: cached ? 1 : 0 }, nowMs);
    this.#spend(more, nowMs);
    if (once === undefined) return;
    this.#sql.exec('INSERT OR REPLACE INTO ended (name, characters, audio_ms, at_ms) VALUES (?, ?, ?, ?)', once, Math.max(before.characters, characters), Math.max(before.audioMs, audioMs), nowMs);
  }

  #give(lease: string, block: Block, plan: Plan, nowMs: number): void {
    this.#release(lease, block.streams, block.characters);
    this.#refill(block, plan, nowMs);
  }

  #release(lease: string, streams: number, characters: number): void {
    this.#sql.exec('UPDATE leases SET streams = MAX(0, streams - ?), characters = MAX(0, characters - ?) WHERE id = ?', streams, characters, lease);
  }

  #report(lease: string, running: readonly Running[]): void {
    for (const { reservation, key, reserved, characters, audioMs, over, once } of running) {
      if (over) continue;
      this.#sql.exec('INSERT OR REPLACE INTO running (reservation, lease, key, reserved, characters, audio_ms, once) VALUES (?, ?, ?, ?, ?, ?, ?)', reservation, lease, key, reserved, characters, audioMs, once ?? null);
    }
  }

  #admit(characters: number, want: Block, plan: Plan, nowMs: number): { readonly granted?: Block; readonly refused?: Refusal } {
    const { requests, characters: level } = this.#levels(plan, nowMs);
    const held = this.#held();
    const { quota } = plan;
    const spent = quota ? this.#spent(nowMs, quota.per) : 0;
    if (quota && spent + characters > quota.characters) return { refused: { code: 'insufficient_quota', what: 'quota', retryAfterMs: periodEndMs(nowMs, quota.per) - nowMs } };
    if (plan.streams !== undefined && held.streams + 1 > plan.streams) return { refused: { code: 'concurrency_limit_exceeded', what: 'concurrency', retryAfterMs: PLACE_RETRY_MS } };
    const wait = (lack: number, perMinute = Infinity) => Math.max(1, Math.ceil((lack * MINUTE_MS) / perMinute));
    if (requests < 1) return { refused: { code: 'rate_limit_exceeded', what: 'requests', retryAfterMs: wait(1 - requests, plan.requestsPerMinute) } };
    if (level < characters) return { refused: { code: 'rate_limit_exceeded', what: 'characters', retryAfterMs: wait(characters - level, plan.charactersPerMinute) } };
    // what others hold of the quota may come back: not the end of it, only a wait
    if (quota && spent + held.characters + characters > quota.characters) return { refused: { code: 'rate_limit_exceeded', what: 'quota', retryAfterMs: PLACE_RETRY_MS } };
    const more = (wanted: number, left: number) => Math.min(Math.floor(wanted), Math.max(0, Math.floor(left / SHARE)));
    const quotaLeft = quota ? quota.characters - spent - held.characters : Infinity;
    return {
      granted: {
        requests: 1 + more(want.requests, requests - 1),
        characters: characters + more(want.characters, Math.min(level, quotaLeft) - characters),
        streams: 1 + more(want.streams, (plan.streams ?? Infinity) - held.streams - 1),
      },
    };
  }

  #take(lease: string, block: Block, plan: Plan, nowMs: number): void {
    this.#refill({ requests: -block.requests, characters: -block.characters }, plan, nowMs);
    this.#sql.exec('UPDATE leases SET streams = streams + ?, characters = characters + ? WHERE id = ?', block.streams, block.characters, lease);
  }

  /** Levels rise steadily to one minute's worth: on average a plan's numbers, in no minute more than twice them. */
  #levels(plan: Plan, nowMs: number): { readonly requests: number; readonly characters: number; readonly atMs: number } {
    const row = this.#one('SELECT at_ms, requests, characters FROM levels');
    const [full, fullCharacters] = [plan.requestsPerMinute ?? Infinity, plan.charactersPerMinute ?? Infinity];
    if (!row) return { requests: full, characters: fullCharacters, atMs: nowMs };
    // an object that moved to a machine whose clock is behind does not go back in time
    const atMs = Math.max(nowMs, Number(row['at_ms']));
    const minutes = (atMs - Number(row['at_ms'])) / MINUTE_MS;
    const risen = (level: unknown, limit: number) => (limit === Infinity ? Infinity : Math.min(limit, Number(level) + minutes * limit));
    return { requests: risen(row['requests'], full), characters: risen(row['characters'], fullCharacters), atMs };
  }

  #refill(by: { readonly requests: number; readonly characters: number }, plan: Plan, nowMs: number): void {
    const { requests, characters, atMs } = this.#levels(plan, nowMs);
    // a plan without the limit keeps a level of 0 here, which nobody reads until a plan with one refills it
    const level = (value: number, limit: number | undefined) => (limit === undefined ? 0 : Math.min(limit, value));
    this.#sql.exec(
      'INSERT INTO levels (one, at_ms, requests, characters) VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, requests = excluded.requests, characters = excluded.characters',
      atMs,
      level(requests + by.requests, plan.requestsPerMinute),
      level(characters + by.characters, plan.charactersPerMinute),
    );
  }

  #figures(plan: Plan, nowMs: number): Figures {
    const { requests, characters } = this.#levels(plan, nowMs);
    const level = (limit: number | undefined, value: number): Level | undefined => (limit === undefined ? undefined : { limit, remaining: Math.max(0, Math.floor(value)), resetMs: Math.ceil(((limit - value) * MINUTE_MS) / limit) });
    const held = this.#held();
    const { quota, streams } = plan;
    const [r, c] = [level(plan.requestsPerMinute, requests), level(plan.charactersPerMinute, characters)];
    return {
      ...(r ? { requests: r } : {}),
      ...(c ? { characters: c } : {}),
      ...(streams === undefined ? {} : { concurrency: { limit: streams, remaining: Math.max(0, streams - held.streams), resetMs: held.streams >= streams ? PLACE_RETRY_MS : 0 } }),
      ...(quota ? { quota: { limit: quota.characters, remaining: Math.max(0, quota.characters - this.#spent(nowMs, quota.per) - held.characters), resetMs: periodEndMs(nowMs, quota.per) - nowMs } } : {}),
    };
  }

  #held(): { readonly streams: number; readonly characters: number } {
    const row = this.#one('SELECT SUM(streams) AS streams, SUM(characters) AS characters FROM leases');
    return { streams: Number(row?.['streams'] ?? 0), characters: Number(row?.['characters'] ?? 0) };
  }

  #spend(characters: number, nowMs: number): void {
    for (const per of ['day', 'month'] as const) this.#sql.exec('INSERT INTO spent (period, characters) VALUES (?, ?) ON CONFLICT DO UPDATE SET characters = characters + excluded.characters', periodAt(nowMs, per), characters);
  }

  #spent(nowMs: number, per: 'day' | 'month'): number {
    return Number(this.#one('SELECT characters FROM spent WHERE period = ?', periodAt(nowMs, per))?.['characters'] ?? 0);
  }

  #all(query: string, ...bindings: (string | number | null)[]): Row[] {
    return this.#sql.exec(query, ...bindings).toArray();
  }

  #one(query: string, ...bindings: (string | number | null)[]): Row | undefined {
    return this.#all(query, ...bindings)[0];
  }
}

function periodAt(nowMs: number, per: 'day' | 'month'): string {
  return new Date(nowMs).toISOString().slice(0, per === 'day' ? 10 : 7);
}

function periodEndMs(nowMs: number, per: 'day' | 'month'): number {
  const at = new Date(nowMs);
  return per === 'day' ? Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() + 1) : Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1);
}
