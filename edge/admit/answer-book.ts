/**
 * Answers under idempotency keys, kept for a day, so that a client that did not see its answer asks again and changes
 * nothing. A key whose request never ended (its isolate went away) is free again after a while.
 */
import type { Sql } from './ledger.ts';

const DAY_MS = 86_400_000;
/** No request with a stored answer works longer: an upload of two minutes, a voice computed, with room. */
const LOCK_MS = 5 * 60_000;

const SCHEMA = `CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, body_hash TEXT NOT NULL, token TEXT, answer TEXT, expires_ms REAL NOT NULL)`;

/** What is stored of an answer. */
export type KeptAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

/** `new`: work, then `finish` with the token. `done`: it was answered before, but the answer is not kept. */
export type Begun =
  | { readonly state: 'new'; readonly token: string }
  | { readonly state: 'running' | 'reused' | 'done' }
  | { readonly state: 'kept'; readonly answer: KeptAnswer };

export class AnswerBook {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  /** `key` is unique in the tenant and names the route, too. */
  begin({ key, bodyHash, nowMs }: { readonly key: string; readonly bodyHash: string; readonly nowMs: number }): Begun {
    const row = this.#sql.exec('SELECT body_hash, token, answer FROM answers WHERE key = ? AND expires_ms > ?', key, nowMs).toArray()[0];
    if (row && row['body_hash'] !== bodyHash) return { state: 'reused' };
    if (row && row['token'] !== null) return { state: 'running' };
    if (row && typeof row['answer'] === 'string') return { state: 'kept', answer: JSON.parse(row['answer']) as KeptAnswer };
    if (row) return { state: 'done' };
    const token = crypto.randomUUID();
    this.#sql.exec('INSERT OR REPLACE INTO answers (key, body_hash, token, answer, expires_ms) VALUES (?, ?, ?, NULL, ?)', key, bodyHash, token, nowMs + LOCK_MS);
    return { state: 'new', token };
  }

  /** A token that is no longer the key's changes nothing. */
  finish({ key, token, end, nowMs }: { readonly key: string; readonly token: string; readonly end: KeptAnswer | 'done' | 'retry'; readonly nowMs: number }): void {
    if (end === 'retry') this.#sql.exec('DELETE FROM answers WHERE key = ? AND token = ?', key, token);
    else this.#sql.exec('UPDATE answers SET token = NULL, answer = ?, expires_ms = ? WHERE key = ? AND token = ?', end === 'done' ? null : JSON.stringify(end), nowMs + DAY_MS, key, token);
  }

  prune(nowMs: number): void {
    this.#sql.exec('DELETE FROM answers WHERE expires_ms <= ?', nowMs);
  }

  /** Whether `prune` will have something to forget. */
  get remembers(): boolean {
    return this.#sql.exec('SELECT 1 FROM answers LIMIT 1').toArray().length > 0;
  }
}
