/**
 * A bound on look-ups of keys that turn out not to exist, so that guessing never becomes load on the database. Keys that this
 * isolate knows are not concerned. Counted per address (IPv6: per /64, which one subscriber has) and for all together.
 */
import { CosyError } from '../../shared/errors/index.ts';

const WINDOW_MS = 60_000;
const MAX_OF_ADDRESS = 20;
const MAX_OF_ALL = 600;
const MAX_ADDRESSES = 10_000;

let windowStartMs = 0;
let all = 0;
const perAddress = new Map<string, number>();

/** Throws `rate_limit_exceeded` before a look-up when too many were for nothing. */
export function mayLookUp(request: Request): void {
  const nowMs = Date.now();
  if (nowMs - windowStartMs >= WINDOW_MS) {
    windowStartMs = nowMs;
    all = 0;
    perAddress.clear();
  }
  if (all < MAX_OF_ALL && (perAddress.get(addressOf(request)) ?? 0) < MAX_OF_ADDRESS) return;
  throw new CosyError('rate_limit_exceeded', 'Too many keys that do not exist were tried from this address: wait a minute.', { retryAfterMs: Math.max(1000, windowStartMs + WINDOW_MS - nowMs) });
}

/** After a look-up that found nothing. */
export function lookedUpInVain(request: Request): void {
  const address = addressOf(request);
  all += 1;
  if (perAddress.size < MAX_ADDRESSES || perAddress.has(address)) perAddress.set(address, (perAddress.get(address) ?? 0) + 1);
}

/** Set by Cloudflare, which takes away what a client claims; on one machine all are one. */
function addressOf(request: Request): string {
  const address = request.headers.get('cf-connecting-ip') ?? '';
  return address.includes(':') ? address.split(':').slice(0, 4).join(':') : address;
}
