/**
 * Durable Object of one region: the nodes that sent a heartbeat lately, and the nonces of those heartbeats, so that a replay
 * is refused wherever it arrives. All is in SQLite: a restart forgets neither.
 */
import { DurableObject } from 'cloudflare:workers';
import { MISSED_PERIODS } from '../../shared/contract/heartbeat.ts';
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { Env } from '../env.ts';

/** A node, and how long ago it was heard (by this object's clock, whatever the node's says). */
export type RegisteredNode = { readonly heartbeat: Heartbeat; readonly agoMs: number };

/** More in one region are refused: a key that leaked cannot fill the store. */
const MAX_NODES = 2000;
/** How often old rows are looked for. */
const CLEAN_EVERY_MS = 60_000;

export class NodeRegistry extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  #cleanedMs = 0;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#sql = state.storage.sql;
    this.#sql.exec('CREATE TABLE IF NOT EXISTS nodes (instance TEXT PRIMARY KEY, url TEXT NOT NULL, sequence INTEGER NOT NULL, since_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, gone_ms INTEGER NOT NULL, heartbeat TEXT NOT NULL)');
    this.#sql.exec('CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID');
  }

  /** `replayed`: the nonce was seen before, and nothing changed. `full`: there are too many nodes. */
  heartbeat(heartbeat: Heartbeat, { nonce, untilMs }: { readonly nonce: string; readonly untilMs: number }): 'ok' | 'replayed' | 'full' {
    const nowMs = Date.now();
    this.#clean(nowMs);
    if (this.#sql.exec('INSERT OR IGNORE INTO nonces (nonce, until_ms) VALUES (?, ?)', nonce, untilMs).rowsWritten === 0) return 'replayed';
    const { instance, sequence, url, state, periodMs } = heartbeat;
    if (state === 'gone') {
      // the row stays until it is cleaned, so that an earlier heartbeat that comes late does not bring the node back
      this.#sql.exec('UPDATE nodes SET gone_ms = 0, sequence = ?, seen_ms = ? WHERE instance = ? AND sequence < ?', sequence, nowMs, instance, sequence);
      return 'ok';
    }
    const [count] = this.#sql.exec<{ count: number }>('SELECT count(*) AS count FROM nodes WHERE instance <> ?', instance);
    if ((count?.count ?? 0) >= MAX_NODES) return 'full';
    this.#sql.exec(
      `INSERT INTO nodes (instance, url, sequence, since_ms, seen_ms, gone_ms, heartbeat) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)
       ON CONFLICT (instance) DO UPDATE SET url = ?2, sequence = ?3, seen_ms = ?4, gone_ms = ?5, heartbeat = ?6 WHERE ?3 > sequence`,
      instance,
      url,
      sequence,
      nowMs,
      nowMs + MISSED_PERIODS * periodMs,
      JSON.stringify(heartbeat),
    );
    return 'ok';
  }

  /** Those that are not gone; of two processes at one address, the one that came last. */
  nodes(): RegisteredNode[] {
    const nowMs = Date.now();
    const rows = this.#sql.exec<{ url: string; seen_ms: number; heartbeat: string }>('SELECT url, seen_ms, heartbeat FROM nodes WHERE gone_ms > ? ORDER BY since_ms', nowMs);
    const byUrl = new Map([...rows].map((row) => [row.url, row]));
    return [...byUrl.values()].map((row) => ({ heartbeat: JSON.parse(row.heartbeat) as Heartbeat, agoMs: nowMs - row.seen_ms }));
  }

  #clean(nowMs: number): void {
    if (nowMs - this.#cleanedMs < CLEAN_EVERY_MS) return;
    this.#cleanedMs = nowMs;
    this.#sql.exec('DELETE FROM nonces WHERE until_ms < ?', nowMs);
    this.#sql.exec('DELETE FROM nodes WHERE gone_ms < ? AND seen_ms < ?', nowMs, nowMs - CLEAN_EVERY_MS);
  }
}
