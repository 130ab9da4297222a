/**
 * May this tenant speak now: reserved before the work, settled after it by what was delivered. A reservation that is never
 * settled (the Worker went away) is given back by the tenant's object itself, within `LEASE_MS`.
 */
import { waitUntil } from 'cloudflare:workers';
import { CosyError } from '../../shared/errors/index.ts';
import { planOf } from '../../shared/limits/plans.ts';
import type { Caller, Residency } from '../caller.ts';
import type { Env } from '../env.ts';
import { limitHeaders } from './figures.ts';
import { TenantLease } from './lease.ts';
import type { Send } from './lease.ts';
import { RENEW_MS } from './message.ts';
import type { Refusal } from './message.ts';
import type { TenantQuota } from './quota-object.ts';

/** Tenants of one isolate; beyond them the ones at rest are dropped. */
const MAX_LEASES = 2000;
/** An object that does not answer for so long does not answer. */
const ANSWER_MS = 3000;

/** What was heard. `cached`: a kept result, which costs a request and no characters. */
export type Delivered = { readonly characters: number; readonly audioMs: number; readonly complete: boolean; readonly cached?: boolean };

/** A place among the tenant's requests. */
export type Reservation = {
  /** `x-ratelimit-*` of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Characters it holds. */
  readonly characters: number;
  /** What was heard so far: charged should this isolate go away. */
  readonly progress: (heard: Pick<Delivered, 'characters' | 'audioMs'>) => void;
  /** Once; later calls do nothing. Never throws. */
  readonly settle: (delivered: Delivered) => Promise<void>;
};

/** `once`: a request that is made again under the same id (a job's segment, after a crash) is charged once; never for ids that callers choose. `limits`: gets the headers too, also when this throws. */
export type ReserveRequest = { readonly caller: Caller; readonly requestId: string; readonly characters: number; readonly env: Env; readonly once?: boolean | undefined; readonly limits?: Headers | undefined };

const leases = new Map<string, TenantLease>();

/** Throws `rate_limit_exceeded`, `concurrency_limit_exceeded` or `insufficient_quota`, each with the time to wait; `overloaded` when the tenant's object does not answer. */
export async function reserve({ caller, requestId, characters, env, once = false, limits }: ReserveRequest): Promise<Reservation> {
  const plan = planOf(caller.plan);
  if (plan.charactersPerMinute !== undefined && characters > plan.charactersPerMinute) throw new CosyError('input_too_long', `The text has ${characters} characters; this plan allows ${plan.charactersPerMinute} in a minute: split it into several requests.`, { param: 'input' });
  const lease = leaseOf(caller);
  const send: Send = (message) => withinTime(tenantObject(env, caller).exchange(message), ANSWER_MS);
  const asking = lease.admit({ key: caller.keyId, characters, once: once ? requestId : undefined, ask: Object.keys(plan).length > 0, send });
  // a listener who leaves now must not leave a place behind that nobody knows of
  waitUntil(asking.catch(() => {}));
  const place = await asking.catch((error: unknown) => {
    throw new CosyError('overloaded', 'The limits of this account cannot be read: try again.', { cause: error, retryAfterMs: 1000 });
  });
  const headers = limitHeaders(place.figures);
  for (const [name, value] of Object.entries(headers)) limits?.set(name, value);
  if ('code' in place) throw refusal(place);
  const beating = setInterval(() => waitUntil(place.beat(send)), RENEW_MS);
  return {
    headers,
    characters,
    progress: (heard) => place.progress(heard.characters, heard.audioMs),
    settle: async ({ characters: heard, audioMs, complete, cached = false }) => {
      clearInterval(beating);
      const settling = place.settle({ characters: cached ? 0 : heard, audioMs: Math.round(audioMs), served: complete || audioMs > 0, cached }, send).catch(() => {});
      waitUntil(settling.then(() => place.rest(send)).catch(() => {}));
      await settling;
    },
  };
}

/** The same headers where nothing is reserved. An object that does not answer leaves them away. */
export async function showLimits({ caller, env, limits }: Pick<ReserveRequest, 'caller' | 'env'> & { readonly limits: Headers }): Promise<void> {
  const send: Send = (message) => withinTime(tenantObject(env, caller).exchange(message), ANSWER_MS);
  const figures = await leaseOf(caller).look(send).catch(() => ({}));
  for (const [name, value] of Object.entries(limitHeaders(figures))) limits.set(name, value);
}

/** The object of a tenant, in the jurisdiction where its data may be. */
export function tenantObject(env: Env, { tenant, residency }: { readonly tenant: string; readonly residency: Residency | undefined }): DurableObjectStub<TenantQuota> {
  const objects = residency === undefined ? env.TENANT : within(residency, env.TENANT);
  return objects.get(objects.idFromName(tenant));
}

function within(residency: Residency, objects: DurableObjectNamespace<TenantQuota>): DurableObjectNamespace<TenantQuota> {
  try {
    return objects.jurisdiction(residency);
  } catch (error) {
    // on one machine there is one place; anywhere else a jurisdiction that cannot be had is a failure
    if (error instanceof Error && error.message.includes('not implemented in workerd')) return objects;
    throw error;
  }
}

function leaseOf({ tenant, plan, residency }: Caller): TenantLease {
  const key = `${residency ?? ''} ${plan} ${tenant}`;
  const lease = leases.get(key) ?? new TenantLease(tenant, plan);
  // the newest last, so that the first ones are those not asked for longest
  leases.delete(key);
  leases.set(key, lease);
  if (leases.size > MAX_LEASES) for (const [other, { idle }] of leases) if (idle && other !== key && leases.delete(other)) break;
  return lease;
}

function refusal({ code, what, retryAfterMs }: Refusal): CosyError {
  const why = {
    requests: 'Too many requests in a minute',
    characters: 'Too many characters in a minute',
    concurrency: 'Too many requests at the same time',
    quota: code === 'insufficient_quota' ? "The plan's characters are used up until its next period" : "The plan's last characters are held by requests under way",
  }[what];
  return new CosyError(code, `${why}: try again after the time in retry-after.`, { retryAfterMs });
}

function withinTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('no answer in time')), ms);
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}
