/**
 * Requests between edge and node are signed: HMAC-SHA-256 over version, time, nonce, method, path and the SHA-256 of the
 * body. The receiver refuses a wrong signature, a time outside the window and a nonce it has seen. Several keys may be valid
 * at once, so keys rotate without an outage. WebCrypto only: the same code runs in workerd and Node.
 */
import { CosyError } from '../errors/index.ts';
import { SIGNATURE_WINDOW_MS } from '../limits/index.ts';

/** `id` is public and says which secret was used; `secret` is at least 32 bytes of randomness in text form. */
export type SigningKey = { readonly id: string; readonly secret: string };

/** What a signature covers. */
export type SignedPart = { readonly method: string; readonly path: string; readonly body: Uint8Array<ArrayBuffer> };

/** Carries key id, time and signature. */
export const SIGNATURE_HEADER = 'x-cosyvoice-signature';

/** Value of the signature header for a request sent now. */
export async function sign(request: SignedPart, key: SigningKey, nowMs: number): Promise<string> {
  const nonce = crypto.randomUUID();
  const mac = await crypto.subtle.sign('HMAC', await importKey(key), await content(request, nowMs, nonce));
  return `v1 ${key.id} ${nowMs} ${nonce} ${toHex(mac)}`;
}

/** What a signature that holds says: whose it is, and the nonce to be refused until `untilMs` should it come again. */
export type Verified = { readonly keyId: string; readonly nonce: string; readonly untilMs: number };

/** Everything but the nonce, which the caller must have seen never before. Throws `signature_invalid`; the message never says which check failed beyond what the sender may know. */
export async function verifySignature(request: SignedPart, header: string | undefined, { keys, nowMs }: { readonly keys: readonly SigningKey[]; readonly nowMs: number }): Promise<Verified> {
  const [version, id, time, nonce, mac, ...rest] = (header ?? '').split(' ');
  const key = keys.find((one) => one.id === id);
  const bytes = fromHex(mac ?? '');
  if (version !== 'v1' || !key || !nonce || nonce.length > 64 || !bytes || rest.length > 0) throw refused('The request is not signed with a key of this node.');
  const sentMs = Number(time);
  if (!Number.isSafeInteger(sentMs) || Math.abs(nowMs - sentMs) > SIGNATURE_WINDOW_MS) throw refused('The signature is too old or from a clock that is off: check the time on both machines.');
  // subtle.verify compares in constant time
  if (!(await crypto.subtle.verify('HMAC', await importKey(key), bytes, await content(request, sentMs, nonce)))) throw refused('The request is not signed with a key of this node.');
  return { keyId: key.id, nonce, untilMs: sentMs + 2 * SIGNATURE_WINDOW_MS };
}

/** The error for a nonce that was seen before. */
export function replayed(): CosyError {
  return refused('The request was already received: sign each request anew.');
}

/** `id:secret` pairs separated by blanks, as settings hold them. */
export function parseKeys(text: string): SigningKey[] {
  return text.split(/\s+/).filter(Boolean).map((pair) => ({ id: pair.split(':')[0] ?? '', secret: pair.slice(pair.indexOf(':') + 1) }));
}

/** Remembers nonces for as long as their signature would be accepted. */
export class SignatureVerifier {
  readonly #keys: readonly SigningKey[];
  readonly #seen = new Map<string, number>();

  constructor(keys: readonly SigningKey[]) {
    this.#keys = keys;
  }

  /** Throws like `verifySignature`, and for a nonce that was seen before. */
  async verify(request: SignedPart, header: string | undefined, nowMs: number): Promise<void> {
    const { nonce, untilMs } = await verifySignature(request, header, { keys: this.#keys, nowMs });
    this.#forget(nowMs);
    if (this.#seen.has(nonce)) throw replayed();
    this.#seen.set(nonce, untilMs);
  }

  #forget(nowMs: number): void {
    for (const [nonce, untilMs] of this.#seen) {
      if (untilMs > nowMs) break; // insertion order is about time order
      this.#seen.delete(nonce);
    }
  }
}

function refused(message: string): CosyError {
  return new CosyError('signature_invalid', message);
}

async function content({ method, path, body }: SignedPart, timeMs: number, nonce: string): Promise<Uint8Array<ArrayBuffer>> {
  const digest = toHex(await crypto.subtle.digest('SHA-256', body));
  return Uint8Array.from(new TextEncoder().encode(`v1\n${timeMs}\n${nonce}\n${method}\n${path}\n${digest}`));
}

function importKey(key: SigningKey): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', new TextEncoder().encode(key.secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
}

function toHex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[0-9a-f]{64}$/.test(text)) return undefined;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
