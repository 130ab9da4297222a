/**
 * Reads a body no larger and no slower than a limit, so that nothing is parsed or held beyond it. What it holds is the
 * body itself, once; a body over its limit is dropped as soon as that shows.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_BODY_MS, MAX_BODY_STALL_MS } from '../../shared/limits/index.ts';

/** A client that is still writing sees an answer only when its body is taken; beyond this many limits it is cut off instead. */
const MAX_DRAINED = 4;

/** How long a body may take: without a byte, and as a whole. */
export type Patience = { readonly stallMs: number; readonly totalMs: number };

const PATIENCE: Patience = { stallMs: MAX_BODY_STALL_MS, totalMs: MAX_BODY_MS };

/** Throws `body_too_large`, `body_too_slow`, `unsupported_media_type` or `invalid_json`. */
export async function readJson(request: Request, maxBytes: number, patience: Patience = PATIENCE): Promise<unknown> {
  const type = request.headers.get('content-type') ?? 'application/json';
  if (!/^application\/json\b|\+json\b/i.test(type)) throw new CosyError('unsupported_media_type', 'Send the request as JSON with `content-type: application/json`.');
  const bytes = await readBody(request, maxBytes, patience);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new CosyError('invalid_json', 'The body is not valid JSON.');
  }
}

/** The whole body, `maxBytes` at most. Throws `body_too_large` or `body_too_slow`. */
export async function readBody(request: Request, maxBytes: number, patience: Patience = PATIENCE): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = new CosyError('body_too_large', `The body is larger than ${maxBytes} bytes: send less text or a shorter clip.`);
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > maxBytes) {
    if (declared <= MAX_DRAINED * maxBytes) for await (const _ of piecesOf(request, patience));
    throw tooLarge;
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of piecesOf(request, patience)) {
    size += piece.length;
    if (size > maxBytes) throw tooLarge;
    pieces.push(piece);
  }
  return joined(pieces, size);
}

async function* piecesOf(request: Request, { stallMs, totalMs }: Patience): AsyncGenerator<Uint8Array> {
  const reader = request.body?.getReader();
  if (!reader) return;
  const endsMs = Date.now() + totalMs;
  try {
    for (;;) {
      const { value, done } = await within(reader.read(), Math.min(stallMs, endsMs - Date.now()));
      if (done) return;
      yield value;
    }
  } finally {
    // what the client still sends is not waited for
    reader.cancel().catch(() => {});
  }
}

function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new CosyError('body_too_slow', 'The body came too slowly: send it again over a faster connection.')), Math.max(0, ms));
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
