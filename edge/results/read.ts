/** A finished sound by its key: found or not, and read from any byte on. */
import type { Frame } from '../../shared/contract/frames.ts';
import { MAX_RESULT_AGE_MS } from '../../shared/limits/index.ts';
import { PIECE_BYTES, decodeResult, pieceName } from './layout.ts';
import type { ResultHeader, ResultObject } from './layout.ts';
import { recall, remember } from './recent.ts';

/** A finished sound. Its bytes are read while they are sent, one piece at a time. */
export type StoredResult = ResultHeader & {
  /** Bytes `from` … `to` (exclusive). Throws when the store has lost one. */
  readonly bytesBetween: (from: number, to: number) => AsyncGenerator<Uint8Array>;
  /** As they came from the node: sound, marks with words, the end. */
  readonly parts: () => AsyncGenerator<Extract<Frame, { readonly type: 'audio' | 'mark' | 'end' }>>;
};

/** Undefined when there is none, it is too old, or the store does not answer: then the sound is made. Never throws. */
export async function findResult(bucket: R2Bucket, path: string): Promise<StoredResult | undefined> {
  try {
    const result = recall(path, Date.now()) ?? (await load(bucket, path));
    if (!result || Date.now() - result.header.storedMs > MAX_RESULT_AGE_MS) return undefined;
    const between = (from: number, to: number) => bytesBetween(bucket, path, { result, from, to });
    return { ...result.header, bytesBetween: between, parts: () => parts(result.header, between) };
  } catch {
    return undefined;
  }
}

async function load(bucket: R2Bucket, path: string): Promise<ResultObject | undefined> {
  const object = await bucket.get(path);
  if (!object) return undefined;
  const bytes = new Uint8Array(await object.arrayBuffer());
  const result = decodeResult(bytes);
  if (result) remember(path, result, { bytes: bytes.length, nowMs: Date.now() });
  return result;
}

async function* bytesBetween(bucket: R2Bucket, path: string, { result, from, to }: { readonly result: ResultObject; readonly from: number; readonly to: number }): AsyncGenerator<Uint8Array> {
  const { header, tail } = result;
  const tailAt = header.pieces * PIECE_BYTES;
  for (let at = from; at < Math.min(to, tailAt); ) {
    const index = Math.floor(at / PIECE_BYTES);
    const offset = at - index * PIECE_BYTES;
    const length = Math.min(to - at, PIECE_BYTES - offset);
    const piece = await bucket.get(pieceName(path, header.id, index), { range: { offset, length } });
    if (!piece) throw new Error('a piece of a result is gone');
    yield new Uint8Array(await piece.arrayBuffer());
    at += length;
  }
  if (to > tailAt) yield tail.subarray(Math.max(0, from - tailAt), to - tailAt);
}

/** Sound is cut where marks stand, so that events come in the order in which they were made. */
async function* parts(header: ResultHeader, between: (from: number, to: number) => AsyncGenerator<Uint8Array>): AsyncGenerator<Extract<Frame, { readonly type: 'audio' | 'mark' | 'end' }>> {
  let at = 0;
  for (const { atByte, mark } of header.marks) {
    for await (const bytes of between(at, atByte)) if (bytes.length > 0) yield { type: 'audio', value: bytes };
    at = Math.max(at, atByte);
    yield { type: 'mark', value: mark };
  }
  for await (const bytes of between(at, header.bytes)) if (bytes.length > 0) yield { type: 'audio', value: bytes };
  yield { type: 'end', value: header.end };
}
