/**
 * Public keys of an issuer (RFC 7517), cached. A token with an unknown key id makes it asked again, because issuers rotate;
 * a cool-down keeps made-up key ids from becoming requests. While the issuer does not answer, its last keys go on.
 */
import { createLocalJWKSet, errors } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import { CosyError } from '../../shared/errors/index.ts';

/** A key that an issuer took back is refused after this. */
const FRESH_MS = 10 * 60_000;
/** Last keys of an issuer that does not answer. */
const STALE_MS = 60 * 60_000;
const COOL_DOWN_MS = 30_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;

type Kept = { readonly keys: JWTVerifyGetKey | undefined; readonly readMs: number; readonly triedMs: number };

const kept = new Map<string, Kept>();

/** Finds the key of a token. Throws jose's `JWKSNoMatchingKey`, or `store_unavailable` when the issuer was never reached. */
export function issuerKeys(url: string): JWTVerifyGetKey {
  return async (header, token) => {
    let set = kept.get(url);
    if (!set?.keys || (Date.now() - set.readMs > FRESH_MS && !isCooling(set))) set = await read(url, set);
    if (!set.keys || Date.now() - set.readMs > STALE_MS) throw new CosyError('store_unavailable', "The token's issuer does not answer: try again in a few seconds.", { retryAfterMs: COOL_DOWN_MS });
    try {
      return await set.keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || isCooling(set)) throw error;
      const again = await read(url, set);
      if (!again.keys) throw error;
      return again.keys(header, token);
    }
  };
}

function isCooling({ triedMs }: Kept): boolean {
  return Date.now() - triedMs < COOL_DOWN_MS;
}

async function read(url: string, before: Kept | undefined): Promise<Kept> {
  const nowMs = Date.now();
  if (before && !before.keys && isCooling(before)) return before;
  let after: Kept = { keys: before?.keys, readMs: before?.readMs ?? 0, triedMs: nowMs };
  // tried, before it is known how it ends: others do not ask as well, unless nothing is known yet
  if (before) kept.set(url, after);
  try {
    const response = await fetch(url, { headers: { accept: 'application/jwk-set+json, application/json' }, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = response.ok ? await response.text() : '';
    if (text !== '' && text.length <= MAX_BYTES) after = { keys: createLocalJWKSet(JSON.parse(text) as JSONWebKeySet), readMs: nowMs, triedMs: nowMs };
  } catch {
    // the last keys go on
  }
  kept.set(url, after);
  return after;
}
