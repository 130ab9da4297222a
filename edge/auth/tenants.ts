/** Tenants: who owns voices, keys and usage; on which plan; and where their data may be. */
import { auditRow } from '../audit.ts';
import type { Caller, Residency } from '../caller.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { Trusted } from './trusted.ts';
import type { Defer } from './trusted.ts';

export type Tenant = { readonly id: string; readonly plan: string; readonly residency: Residency | undefined; readonly createdMs: number };

/** Who changes something, for the audit. */
export type Actor = { readonly caller: Caller; readonly requestId: string };

/** Of requests without a tenant: the operator's own, and the one that the first start on one machine makes. */
export const DEFAULT_TENANT = 'default';

const known = new Trusted<Tenant>('tenant/1/');

/** From memory where it can be. Throws `store_unavailable`. */
export function findTenant(id: string, env: Env, defer: Defer): Promise<Tenant | undefined> {
  return known.get(id, { copies: env.HOT, load: () => readTenant(id, env), defer });
}

/** Straight from the database. */
export async function readTenant(id: string, env: Env): Promise<Tenant | undefined> {
  const row = await env.DB.prepare('SELECT id, plan, residency, created_ms FROM tenants WHERE id = ?').bind(id).first<TenantRow>();
  return row ? toTenant(row) : undefined;
}

/** By id, from the one after `after`. */
export async function listTenants({ limit, after, env }: { readonly limit: number; readonly after: string | undefined; readonly env: Env }): Promise<Tenant[]> {
  const { results } = await env.DB.prepare('SELECT id, plan, residency, created_ms FROM tenants WHERE id > ? ORDER BY id LIMIT ?').bind(after ?? '', limit).all<TenantRow>();
  return results.map(toTenant);
}

/** Throws `already_exists`. */
export async function createTenant({ id, plan, residency }: Omit<Tenant, 'createdMs'>, actor: Actor, env: Env): Promise<Tenant> {
  const tenant = { id, plan, residency, createdMs: Date.now() };
  const insert = env.DB.prepare('INSERT INTO tenants (id, plan, residency, created_ms) VALUES (?, ?, ?, ?)').bind(id, plan, residency ?? null, tenant.createdMs);
  try {
    await env.DB.batch([insert, auditRow(env, { what: 'tenant.created', subject: id }, { ...actor, tenant: id })]);
  } catch (error) {
    if (await readTenant(id, env)) throw new CosyError('already_exists', `The tenant ${JSON.stringify(id)} exists already: change it with PATCH.`, { param: 'id' });
    throw error;
  }
  await known.set(id, tenant, env.HOT);
  return tenant;
}

/** Throws `not_found`. Voices and results that were made before stay where they are. */
export async function changeTenant(id: string, change: { readonly plan?: string | undefined; readonly residency?: Residency | null | undefined }, actor: Actor, env: Env): Promise<Tenant> {
  const before = await readTenant(id, env);
  if (!before) throw noTenant(id);
  const tenant = { ...before, plan: change.plan ?? before.plan, residency: change.residency === undefined ? before.residency : (change.residency ?? undefined) };
  const update = env.DB.prepare('UPDATE tenants SET plan = ?, residency = ? WHERE id = ?').bind(tenant.plan, tenant.residency ?? null, id);
  await env.DB.batch([update, auditRow(env, { what: 'tenant.changed', subject: id }, { ...actor, tenant: id })]);
  await known.set(id, tenant, env.HOT);
  return tenant;
}

export function noTenant(id: string): CosyError {
  return new CosyError('not_found', `There is no tenant ${JSON.stringify(id)}: the operator makes one with POST /v1/tenants.`);
}

type TenantRow = { readonly id: string; readonly plan: string; readonly residency: string | null; readonly created_ms: number };

function toTenant({ id, plan, residency, created_ms }: TenantRow): Tenant {
  return { id, plan, residency: toResidency(residency), createdMs: created_ms };
}

/** A column's value; a place that this version does not know is refused rather than ignored. */
export function toResidency(value: string | null): Residency | undefined {
  if (value !== null && value !== 'eu') throw new CosyError('internal_error', 'The database names a residency that this version does not know: deploy the newer one.');
  return value ?? undefined;
}
