/**
 * The form of an API key: `cv_<id>_<secret><checksum>`. The id is public and finds the row; the secret is 256 random bits; the
 * checksum tells a mistyped key from a wrong one without asking a store, and lets scanners of leaked secrets be sure.
 *
 * Stored is the SHA-256 of the whole key. A slow password hash would add nothing: it protects secrets that can be guessed,
 * and 2^256 cannot; but it would cost its time on every request (OWASP Password Storage, "high-entropy secrets").
 */
const FORM = /^cv_([0-9A-Za-z]{11})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** How every API key begins. */
export const KEY_PREFIX = 'cv_';

/** A key that is shown once, its public id (`key_…`) and what is stored of it. */
export type NewKey = { readonly key: string; readonly id: string; readonly hash: string };

/** From the runtime's secure random source. */
export async function newKey(): Promise<NewKey> {
  const id = base62(random(8), 11);
  const body = `${KEY_PREFIX}${id}_${base62(random(32), 43)}`;
  const key = body + (await checksum(body));
  return { key, id: `key_${id}`, hash: toHex(await sha256(key)) };
}

/** Id of the row that a well-formed key names; undefined for any other text. */
export function keyId(key: string): string | undefined {
  const id = FORM.exec(key)?.[1];
  return id === undefined ? undefined : `key_${id}`;
}

/** True when the key is as it was given out; false when a character is wrong, missing or too much. */
export async function isWhole(key: string): Promise<boolean> {
  return FORM.test(key) && (await checksum(key.slice(0, -6))) === key.slice(-6);
}

/** Of the text in UTF-8. */
export async function sha256(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

/** Two digests; the time taken says nothing about where they differ. */
export function sameDigest(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): boolean {
  return a.length === b.length && crypto.subtle.timingSafeEqual(a, b);
}

/** 64 hexadecimal digits → 32 bytes. */
export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Lower case. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** `<prefix>_` and 16 random letters and digits (95 bits). */
export function newId(prefix: string): string {
  return `${prefix}_${base62(random(12), 17).slice(-16)}`;
}

async function checksum(body: string): Promise<string> {
  return base62((await sha256(body)).subarray(0, 4), 6);
}

function random(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

/** One number, most significant digit first, padded to `length`. */
function base62(bytes: Uint8Array, length: number): string {
  let value = BigInt(`0x${toHex(bytes)}`);
  let text = '';
  for (; value > 0n; value /= 62n) text = (DIGITS[Number(value % 62n)] ?? '') + text;
  return text.padStart(length, '0');
}
