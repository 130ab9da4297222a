/** Links to finished sound that carry their own permission: whoever has the link may load it until it expires. */
import { CosyError } from '../../shared/errors/index.ts';
import { sameDigest } from '../auth/secret.ts';
import type { Env } from '../env.ts';
import { tokenKeys } from '../token-keys.ts';
import type { TokenKey } from '../token-keys.ts';

/** `job/item` and when the permission ends. */
export type Grant = { readonly job: string; readonly item: number; readonly expiresMs: number };

/** The path of a link, below the Worker's origin. */
export async function signedPath(env: Env, { job, item, expiresMs }: Grant): Promise<string> {
  const key = signingKey(env);
  const claim = `${job}.${item}.${expiresMs}`;
  return `/downloads/${claim}.${key.id}.${await signatureOf(key, claim)}`;
}

/** Throws `forbidden` for a link that was made up, altered, or has expired. */
export async function readLink(env: Env, token: string, nowMs: number): Promise<Grant> {
  const [job = '', item = '', expires = '', keyId = '', signature = ''] = token.split('.');
  const key = tokenKeys(env).find(({ id }) => id === keyId);
  const expected = key && (await signatureOf(key, `${job}.${item}.${expires}`));
  if (expected === undefined || !sameDigest(bytes(expected), bytes(signature))) throw new CosyError('forbidden', 'This link is not valid: ask for the job again, it has new ones.');
  if (Number(expires) < nowMs) throw new CosyError('forbidden', 'This link has expired: ask for the job again, it has new ones.');
  return { job, item: Number(item), expiresMs: Number(expires) };
}

/** The key that signs. Throws `internal_error` when the deployment has none. */
export function signingKey(env: Env): TokenKey {
  const [first] = tokenKeys(env);
  if (!first) throw new CosyError('internal_error', 'This deployment has no TOKEN_KEYS, with which links and webhooks are signed.');
  return first;
}

async function signatureOf({ secret }: TokenKey, claim: string): Promise<string> {
  return (await mac(secret, `download/${claim}`)).toBase64({ alphabet: 'base64url', omitPadding: true });
}

/** HMAC-SHA-256. */
export async function mac(secret: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(text)));
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(text));
}
