/** Reads a JSON body no larger than a limit, so that nothing is parsed or held beyond it. */
import { CosyError } from '../../shared/errors/index.ts';

/** A client that is still writing sees an answer only when its body is taken; beyond this many limits it is cut off instead. */
const MAX_DRAINED = 4;

/** Throws `body_too_large`, `unsupported_media_type` or `invalid_json`. */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const type = request.headers.get('content-type') ?? 'application/json';
  if (!/^application\/json\b|\+json\b/i.test(type)) throw new CosyError('unsupported_media_type', 'Send the request as JSON with `content-type: application/json`.');
  const tooLarge = new CosyError('body_too_large', `The body is larger than ${maxBytes} bytes: send less text or a shorter reference clip.`);
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > maxBytes) {
    if (declared <= MAX_DRAINED * maxBytes) await request.body?.pipeTo(new WritableStream());
    throw tooLarge;
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    size += piece.length;
    if (size > maxBytes) throw tooLarge;
    pieces.push(piece);
  }
  const text = await new Blob(pieces as Uint8Array<ArrayBuffer>[]).text();
  try {
    return JSON.parse(text);
  } catch {
    throw new CosyError('invalid_json', 'The body is not valid JSON.');
  }
}
