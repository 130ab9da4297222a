/**
 * Usage per key and day in the tenant's object, until the catalogue (D1) has it. Rows are totals with a version, so writing
 * one twice, late or out of order changes nothing: each count arrives exactly once.
 */
import type { Sql } from './ledger.ts';
import type { UsageRow } from './message.ts';

const DAY_MS = 86_400_000;

const SCHEMA = `CREATE TABLE IF NOT EXISTS usage (
  day TEXT NOT NULL, key TEXT NOT NULL, requests INTEGER NOT NULL, characters INTEGER NOT NULL, audio_ms INTEGER NOT NULL, cache_hits INTEGER NOT NULL,
  version INTEGER NOT NULL, written INTEGER NOT NULL, PRIMARY KEY (day, key))`;

export class UsageBook {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec(SCHEMA);
  }

  /** Adds to the day of `nowMs` (UTC). */
  add(key: string, { requests, characters, audioMs, cacheHits }: Pick<UsageRow, 'requests' | 'characters' | 'audioMs' | 'cacheHits'>, nowMs: number): void {
    this.#sql.exec(
      `INSERT INTO usage (day, key, requests, characters, audio_ms, cache_hits, version, written) VALUES (?, ?, ?, ?, ?, ?, 1, 0)
       ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, characters = characters + excluded.characters, audio_ms = audio_ms + excluded.audio_ms,
       cache_hits = cache_hits + excluded.cache_hits, version = version + 1`,
      dayAt(nowMs),
      key,
      requests,
      characters,
      audioMs,
      cacheHits,
    );
  }

  /** What the catalogue does not have yet. */
  unwritten(limit: number): UsageRow[] {
    return this.#sql.exec('SELECT * FROM usage WHERE version > written ORDER BY day, key LIMIT ?', limit).toArray().map(toRow);
  }

  /** The catalogue has these, in these versions. */
  written(rows: readonly UsageRow[]): void {
    for (const { day, key, version } of rows) this.#sql.exec('UPDATE usage SET written = MAX(written, ?) WHERE day = ? AND key = ?', version, day, key);
  }

  /** Forgets written days that cannot change any more. */
  prune(nowMs: number): void {
    this.#sql.exec('DELETE FROM usage WHERE version = written AND day < ?', dayAt(nowMs - 2 * DAY_MS));
  }
}

function dayAt(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 10);
}

function toRow(row: Record<string, unknown>): UsageRow {
  return {
    day: String(row['day']),
    key: String(row['key']),
    requests: Number(row['requests']),
    characters: Number(row['characters']),
    audioMs: Number(row['audio_ms']),
    cacheHits: Number(row['cache_hits']),
    version: Number(row['version']),
  };
}
