/** API keys in the database, and the look-up of one that a request shows. */
import { auditRow } from '../audit.ts';
import { SCOPES } from '../caller.ts';
import type { Residency, Scope } from '../caller.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { newKey } from './secret.ts';
import type { NewKey } from './secret.ts';
import { noTenant, readTenant, toResidency } from './tenants.ts';
import type { Actor, Tenant } from './tenants.ts';
import { Trusted } from './trusted.ts';
import type { Defer } from './trusted.ts';

/** A key as the API shows it: everything but the secret. */
export type Key = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdMs: number;
  readonly expiresMs: number | undefined;
  readonly revokedMs: number | undefined;
  /** Day in UTC, `YYYY-MM-DD`. */
  readonly lastUsed: string | undefined;
  readonly replaces: string | undefined;
};

/** What a request is checked against. */
export type KeyRecord = Pick<Key, 'id' | 'tenant' | 'scopes' | 'expiresMs' | 'revokedMs' | 'lastUsed'> & { readonly hash: string; readonly plan: string; readonly residency: Residency | undefined };

/** More keys than any tenant needs; a runaway script is stopped here. */
const MAX_LIVE_KEYS = 1000;

const known = new Trusted<KeyRecord>('key/1/');

/** By id, from memory where it can be. Throws `store_unavailable`. */
export function findKey(id: string, env: Env, defer: Defer): Promise<KeyRecord | undefined> {
  return known.get(id, { copies: env.HOT, load: () => readRecord(id, env), defer });
}

/** True when `findKey` answers from memory. */
export function isKnownKey(id: string): boolean {
  return known.knows(id);
}

/** Once a day for each key. */
export function markUsed(record: KeyRecord, env: Env, defer: Defer): void {
  const today = new Date().toISOString().slice(0, 10);
  if (record.lastUsed === today) return;
  known.change(({ id }) => id === record.id, (value) => ({ ...value, lastUsed: today }));
  // a day that is not noted must not cost the request that came on it
  defer(env.DB.prepare('UPDATE keys SET last_used = ?1 WHERE id = ?2 AND (last_used IS NULL OR last_used < ?1)').bind(today, record.id).run().catch(() => {}));
}

/** After a change of the tenant, for this isolate. */
export function tenantChanged({ id, plan, residency }: Tenant): void {
  known.change(({ tenant }) => tenant === id, (value) => ({ ...value, plan, residency }));
}

export type CreateKey = { readonly tenant: string; readonly name: string; readonly scopes: readonly Scope[]; readonly expiresMs: number | undefined };

/** The only time that the key itself is seen. Throws `not_found` (no such tenant) or `invalid_value` (too many keys). */
export async function createKey(wanted: CreateKey, actor: Actor, env: Env): Promise<{ readonly key: Key; readonly secret: string }> {
  const tenant = await readTenant(wanted.tenant, env);
  if (!tenant) throw noTenant(wanted.tenant);
  const live = await env.DB.prepare('SELECT count(*) AS n FROM keys WHERE tenant = ? AND revoked_ms IS NULL').bind(tenant.id).first<number>('n');
  if ((live ?? 0) >= MAX_LIVE_KEYS) throw new CosyError('invalid_value', `The tenant has ${MAX_LIVE_KEYS} keys: revoke some first.`);
  const made = await newKey();
  const key: Key = { id: made.id, ...wanted, createdMs: Date.now(), revokedMs: undefined, lastUsed: undefined, replaces: undefined };
  await env.DB.batch([insertion(key, made, env), auditRow(env, { what: 'key.created', subject: key.id }, { ...actor, tenant: tenant.id })]);
  await known.set(key.id, toRecord(key, made.hash, tenant), env.HOT);
  return { key, secret: made.key };
}

/** From the oldest, or from the newest; of one tenant. An unknown `after` gives nothing. */
export async function listKeys({ tenant, limit, after, order, env }: { readonly tenant: string; readonly limit: number; readonly after: string | undefined; readonly order: 'asc' | 'desc'; readonly env: Env }): Promise<Key[]> {
  const [sign, direction] = order === 'asc' ? ['>', 'ASC'] : ['<', 'DESC'];
  const from = after === undefined ? '' : `AND seq ${sign} (SELECT seq FROM keys WHERE id = ?3 AND tenant = ?1)`;
  const query = env.DB.prepare(`SELECT * FROM keys WHERE tenant = ?1 ${from} ORDER BY seq ${direction} LIMIT ?2`);
  const { results } = await (after === undefined ? query.bind(tenant, limit) : query.bind(tenant, limit, after)).all<KeyRow>();
  return results.map(toKey);
}

/** Of one tenant. Throws `not_found`. */
export async function readKey(id: string, tenant: string, env: Env): Promise<Key> {
  return toKey(await readRow(id, tenant, env));
}

/** Refused here at once, elsewhere within a minute, and with it the client tokens it minted. A second time changes nothing. Throws `not_found`. */
export async function revokeKey(id: string, tenant: string, actor: Actor, env: Env): Promise<Key> {
  const row = await readRow(id, tenant, env);
  if (row.revoked_ms !== null) return toKey(row);
  const revoked = { ...row, revoked_ms: Date.now() };
  await env.DB.batch([
    env.DB.prepare('UPDATE keys SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL').bind(revoked.revoked_ms, id),
    auditRow(env, { what: 'key.revoked', subject: id }, { ...actor, tenant }),
  ]);
  await publish(revoked, env);
  return toKey(revoked);
}

export type RotateKey = { readonly id: string; readonly tenant: string; readonly overlapMs: number; readonly actor: Actor; readonly env: Env };

/** A new key with the same name and rights; the old one ends after the overlap. Throws `not_found`, or `invalid_value` for a key that has ended. */
export async function rotateKey({ id, tenant, overlapMs, actor, env }: RotateKey): Promise<{ readonly key: Key; readonly secret: string; readonly old: Key }> {
  const row = await readRow(id, tenant, env);
  const nowMs = Date.now();
  if (row.revoked_ms !== null || (row.expires_ms !== null && row.expires_ms <= nowMs)) throw new CosyError('invalid_value', 'This key has ended: make a new one instead.');
  const made = await newKey();
  const key: Key = { ...toKey(row), id: made.id, createdMs: nowMs, lastUsed: undefined, replaces: id };
  const old = { ...row, expires_ms: Math.min(row.expires_ms ?? Infinity, nowMs + overlapMs) };
  await env.DB.batch([
    insertion(key, made, env),
    env.DB.prepare('UPDATE keys SET expires_ms = ? WHERE id = ?').bind(old.expires_ms, id),
    auditRow(env, { what: 'key.rotated', subject: id }, { ...actor, tenant }),
    auditRow(env, { what: 'key.created', subject: key.id }, { ...actor, tenant }),
  ]);
  await Promise.all([publish(old, env), readRecord(key.id, env).then((record) => record && known.set(key.id, record, env.HOT))]);
  return { key, secret: made.key, old: toKey(old) };
}

type KeyRow = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly hash: string;
  readonly scopes: string;
  readonly created_ms: number;
  readonly expires_ms: number | null;
  readonly revoked_ms: number | null;
  readonly last_used: string | null;
  readonly replaces: string | null;
};

async function readRow(id: string, tenant: string, env: Env): Promise<KeyRow> {
  const row = await env.DB.prepare('SELECT * FROM keys WHERE id = ? AND tenant = ?').bind(id, tenant).first<KeyRow>();
  if (!row) throw new CosyError('not_found', 'There is no such key.');
  return row;
}

async function readRecord(id: string, env: Env): Promise<KeyRecord | undefined> {
  const row = await env.DB.prepare('SELECT keys.*, tenants.plan, tenants.residency FROM keys JOIN tenants ON tenants.id = keys.tenant WHERE keys.id = ?').bind(id).first<KeyRow & { plan: string; residency: string | null }>();
  return row ? toRecord(toKey(row), row.hash, { plan: row.plan, residency: toResidency(row.residency) }) : undefined;
}

/** Makes a changed row the one that this isolate and KV know. */
async function publish(row: KeyRow, env: Env): Promise<void> {
  const tenant = await readTenant(row.tenant, env);
  if (tenant) await known.set(row.id, toRecord(toKey(row), row.hash, tenant), env.HOT);
}

function insertion(key: Key, { hash }: NewKey, env: Env): D1PreparedStatement {
  return env.DB.prepare('INSERT INTO keys (id, tenant, name, hash, scopes, created_ms, expires_ms, replaces) VALUES (?, ?, ?, ?, ?, ?, ?, ?)').bind(
    key.id, key.tenant, key.name, hash, key.scopes.join(' '), key.createdMs, key.expiresMs ?? null, key.replaces ?? null,
  );
}

function toRecord({ id, tenant, scopes, expiresMs, revokedMs, lastUsed }: Key, hash: string, { plan, residency }: Pick<Tenant, 'plan' | 'residency'>): KeyRecord {
  return { id, tenant, scopes, expiresMs, revokedMs, lastUsed, hash, plan, residency };
}

function toKey(row: KeyRow): Key {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    scopes: SCOPES.filter((scope) => row.scopes.split(' ').includes(scope)),
    createdMs: row.created_ms,
    expiresMs: row.expires_ms ?? undefined,
    revokedMs: row.revoked_ms ?? undefined,
    lastUsed: row.last_used ?? undefined,
    replaces: row.replaces ?? undefined,
  };
}
