/**
 * Credential → caller.
 *
 *   API key     id → row (memory, KV, D1) → digests compared → expiry
 *   client token  signature, time → origin → the key that minted it must still be good
 *   JWT         issuer → its public keys → tenant
 *   admin key   digests compared; acts for the tenant in `x-tenant`
 */
import { isLoopback } from '../address.ts';
import { SCOPES } from '../caller.ts';
import type { Caller, Scope } from '../caller.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { isOwnPage, originOf, withinBounds } from './bounds.ts';
import { findCredential } from './credential.ts';
import { lookedUpInVain, mayLookUp } from './guesses.ts';
import { callerOfJwt } from './jwt.ts';
import { findKey, isKnownKey, markUsed } from './keys.ts';
import type { KeyRecord } from './keys.ts';
import { fromHex, isWhole, keyId, sameDigest, sha256 } from './secret.ts';
import { DEFAULT_TENANT, findTenant, noTenant } from './tenants.ts';
import { verifyToken } from './tokens.ts';
import type { Defer } from './trusted.ts';

/** The operator's requests are not limited. */
const OPERATOR_PLAN = 'unlimited';

/** Throws `invalid_api_key`, `token_expired`, `forbidden`, `rate_limit_exceeded` (guessing) or `store_unavailable`. */
export async function authenticate(request: Request, env: Env, defer: Defer): Promise<Caller> {
  if (env.AUTH === 'off') return open(request);
  const credential = findCredential(request);
  if (!credential) throw new CosyError('invalid_api_key', 'The API key is missing: send it as `Authorization: Bearer KEY`.');
  const caller = await CALLER_OF[credential.kind](credential.text, { request, env, defer });
  const tenant = request.headers.get('x-tenant');
  return caller.scopes.has('admin') ? actingFor(tenant, caller, env, defer) : sameTenant(tenant, caller);
}

/** Of a caller who stays (a socket): throws `invalid_api_key` once its key has ended. A client token's own end is no end of what it opened. */
export async function checkStillGood({ keyId: id }: Caller, env: Env, defer: Defer): Promise<void> {
  if (!id.startsWith('key_')) return;
  const record = await findKey(id, env, defer);
  if (!record) throw new CosyError('invalid_api_key', 'The API key is gone: use another one.');
  checkAlive(record);
}

/** Throws `forbidden`. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (caller.scopes.has(scope) || caller.scopes.has('admin')) return;
  throw new CosyError('forbidden', `This key may not do that: it lacks the scope ${scope}.`);
}

type Context = { readonly request: Request; readonly env: Env; readonly defer: Defer };

async function callerOfKey(key: string, { request, env, defer }: Context): Promise<Caller> {
  const id = keyId(key);
  // a mistyped key ends here and costs no store anything
  if (id === undefined || (!isKnownKey(id) && !(await isWhole(key)))) throw notWhole();
  const record = await lookUp(id, { request, env, defer });
  if (!record || !sameDigest(await sha256(key), fromHex(record.hash))) throw (await isWhole(key)) ? new CosyError('invalid_api_key', 'The API key is wrong: there is no such key.') : notWhole();
  checkAlive(record);
  markUsed(record, env, defer);
  return { tenant: record.tenant, keyId: record.id, kind: 'key', scopes: new Set(record.scopes), plan: record.plan, residency: record.residency, bounds: undefined };
}

function notWhole(): CosyError {
  return new CosyError('invalid_api_key', 'The API key is not whole: a character is missing or wrong. Copy it again.');
}

async function lookUp(id: string, { request, env, defer }: Context): Promise<KeyRecord | undefined> {
  const wasKnown = isKnownKey(id);
  if (!wasKnown) mayLookUp(request);
  const record = await findKey(id, env, defer);
  if (!record && !wasKnown) lookedUpInVain(request);
  return record;
}

async function callerOfToken(token: string, { request, env, defer }: Context): Promise<Caller> {
  const claims = await verifyToken(token, env);
  const bounds = { voice: claims.voice, maxCharacters: claims.chars, origin: claims.origin };
  withinBounds({ bounds }, { origin: originOf(request) });
  const key = claims.key.startsWith('key_') ? await findKey(claims.key, env, defer) : undefined;
  if (key) checkAlive(key);
  // tokens minted while keys were off end with that
  else if (claims.key !== 'admin') throw new CosyError('invalid_api_key', 'The key that minted this token is gone.');
  const { plan, residency } = key ?? (await operatorsTenant(claims.tenant, env, defer));
  return { tenant: claims.tenant, keyId: key?.id ?? `token:${claims.key}`, kind: 'token', scopes: new Set(claims.scopes), plan, residency, bounds };
}

async function callerOfOther(text: string, { env, defer }: Context): Promise<Caller> {
  if (env.ADMIN_KEY && sameDigest(await sha256(text), await sha256(env.ADMIN_KEY))) {
    return { tenant: DEFAULT_TENANT, keyId: 'admin', kind: 'admin', scopes: new Set(SCOPES), plan: OPERATOR_PLAN, residency: undefined, bounds: undefined };
  }
  return callerOfJwt(text, env, defer);
}

const CALLER_OF = { key: callerOfKey, token: callerOfToken, other: callerOfOther };

/** `expires_ms` is a key's own end, or that of the overlap after a rotation. */
function checkAlive({ revokedMs, expiresMs }: KeyRecord): void {
  if (revokedMs !== undefined) throw new CosyError('invalid_api_key', 'The API key was revoked: use another one.');
  if (expiresMs !== undefined && expiresMs <= Date.now()) throw new CosyError('invalid_api_key', 'The API key has expired: use another one.');
}

async function actingFor(wanted: string | null, caller: Caller, env: Env, defer: Defer): Promise<Caller> {
  const id = wanted ?? caller.tenant;
  const tenant = await findTenant(id, env, defer);
  if (!tenant && wanted !== null) throw noTenant(wanted);
  return { ...caller, tenant: id, residency: tenant?.residency };
}

async function operatorsTenant(id: string, env: Env, defer: Defer): Promise<Pick<Caller, 'plan' | 'residency'>> {
  return (await findTenant(id, env, defer)) ?? { plan: OPERATOR_PLAN, residency: undefined };
}

function sameTenant(wanted: string | null, caller: Caller): Caller {
  if (wanted !== null && wanted !== caller.tenant) throw new CosyError('forbidden', 'This key is of another tenant than x-tenant names.');
  return caller;
}

/** Without keys, everyone who can reach the Worker is the tenant `local`; so it is reached from this machine only, and not by foreign pages in its browser. */
function open(request: Request): Caller {
  if (!isLoopback(new URL(request.url).hostname)) throw new CosyError('forbidden', 'AUTH=off is for this machine only: ask at 127.0.0.1, or use keys.');
  if (!isOwnPage(request.headers.get('origin'))) throw new CosyError('forbidden', 'AUTH=off is for pages of this machine only: use keys for others.');
  return { tenant: 'local', keyId: 'open', kind: 'open', scopes: new Set(SCOPES), plan: OPERATOR_PLAN, residency: undefined, bounds: undefined };
}
