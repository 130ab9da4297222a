/** Links to finished sound that carry their own permission: whoever has the link may load it until it expires. */
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';

type TokenKey = { readonly id: string; readonly secret: Uint8Array<ArrayBuffer> };

/** `job/item` and when the permission ends. */
export type Grant = { readonly job: string; readonly item: number; readonly expiresMs: number };

/** The path of a link, below the Worker's origin. */
export async function signedPath(env: Env, { job, item, expiresMs }: Grant): Promise<string> {
  const [key] = tokenKeys(env);
  const claim = `${job}.${item}.${expiresMs}`;
  return `/downloads/${claim}.${key.id}.${toBase64Url(await mac(key.secret, `download/${claim}`))}`;
}

/** Throws `forbidden` for a link that was made up, altered, or has expired. */
export async function readLink(env: Env, token: string, nowMs: number): Promise<Grant> {
  const [job = '', item = '', expires = '', keyId = '', signature = ''] = token.split('.');
  const key = tokenKeys(env).find(({ id }) => id === keyId);
  const expected = key && toBase64Url(await mac(key.secret, `download/${job}.${item}.${expires}`));
  if (expected === undefined || !equal(expected, signature)) throw new CosyError('forbidden', 'This link is not valid: ask for the job again, it has new ones.');
  if (Number(expires) < nowMs) throw new CosyError('forbidden', 'This link has expired: ask for the job again, it has new ones.');
  return { job, item: Number(item), expiresMs: Number(expires) };
}

/** The deployment's keys, newest first. Throws `internal_error` when it has none. */
export function tokenKeys(env: Env): readonly [TokenKey, ...TokenKey[]] {
  const [first, ...rest] = (env.TOKEN_KEYS ?? '').split(/\s+/).filter(Boolean).map((pair) => ({ id: pair.slice(0, pair.indexOf(':')), secret: bytes(pair.slice(pair.indexOf(':') + 1)) }));
  if (!first) throw new CosyError('internal_error', 'This deployment has no TOKEN_KEYS, with which links and webhooks are signed.');
  return [first, ...rest];
}

/** HMAC-SHA-256. */
export async function mac(secret: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(text)));
}

function equal(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ (b.charCodeAt(i) || 0);
  return difference === 0;
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(text));
}

function toBase64Url(data: Uint8Array): string {
  return btoa(String.fromCharCode(...data)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
