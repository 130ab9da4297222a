/** The keys that sign what the edge hands out: client tokens, download links, webhooks. */
import { parseKeys } from '../shared/signing/index.ts';
import type { Env } from './env.ts';

export type TokenKey = { readonly id: string; readonly secret: Uint8Array<ArrayBuffer> };

const MIN_SECRET_BYTES = 32;

/** The first signs, all verify. A secret too short to be one is as good as none. */
export function tokenKeys({ TOKEN_KEYS: text = '' }: Pick<Env, 'TOKEN_KEYS'>): TokenKey[] {
  return parseKeys(text)
    .map(({ id, secret }) => ({ id, secret: Uint8Array.from(new TextEncoder().encode(secret)) }))
    .filter(({ id, secret }) => id !== '' && secret.length >= MIN_SECRET_BYTES);
}
