/** Usage in the catalogue (D1, table `usage`): totals per tenant, key and day, with the version of the tenant's object. */
import type { UsageRow } from './message.ts';

/** Writes totals; an older version than what is there changes nothing. */
export async function writeUsage(database: D1Database, tenant: string, rows: readonly UsageRow[]): Promise<void> {
  if (rows.length === 0) return;
  const statement = database.prepare(
    `INSERT INTO usage (tenant, day, key_id, requests, characters, audio_ms, cache_hits, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (tenant, day, key_id) DO UPDATE SET requests = excluded.requests, characters = excluded.characters, audio_ms = excluded.audio_ms,
     cache_hits = excluded.cache_hits, version = excluded.version WHERE excluded.version > usage.version`,
  );
  await database.batch(rows.map(({ day, key, requests, characters, audioMs, cacheHits, version }) => statement.bind(tenant, day, key, requests, characters, audioMs, cacheHits, version)));
}

/** Days `from` to `to`, both included, as `YYYY-MM-DD`. */
export async function readUsage(database: D1Database, { tenant, from, to }: { readonly tenant: string; readonly from: string; readonly to: string }): Promise<UsageRow[]> {
  const query = 'SELECT day, key_id AS key, requests, characters, audio_ms AS audioMs, cache_hits AS cacheHits, version FROM usage WHERE tenant = ? AND day BETWEEN ? AND ? ORDER BY day, key_id';
  return (await database.prepare(query).bind(tenant, from, to).all<UsageRow>()).results;
}
