/**
 * Keeps a sound while it goes to its listener: bytes are copied into a piece, full pieces are written behind the listener's
 * back. A store that is slower than the stream, a sound that is too large, a stream that breaks off or a listener who leaves:
 * nothing is kept. The listener never waits for the store.
 */
import type { Frame, StreamEnd, StreamStart } from '../../shared/contract/frames.ts';
import { MAX_RESULT_BYTES } from '../../shared/limits/index.ts';
import { PIECE_BYTES, encodeResult, pieceName } from './layout.ts';
import type { PlacedMark } from './layout.ts';
import { forget, remember } from './recent.ts';

type Part = Extract<Frame, { readonly type: 'audio' | 'mark' | 'end' }>;

export type KeepOptions = {
  readonly bucket: R2Bucket;
  readonly path: string;
  readonly id: string;
  readonly start: StreamStart;
  /** Called when the result is there: whether its voice or tenant was deleted since `startedMs`. */
  readonly forgottenSince: (startedMs: number) => Promise<boolean>;
  /** Takes what goes on after the answer. */
  readonly waitUntil: (work: Promise<unknown>) => void;
};

/** `parts` as they come. Kept when `end` was among them. */
export async function* keep(parts: AsyncGenerator<Part>, options: KeepOptions): AsyncGenerator<Part> {
  const writer = new ResultWriter(options);
  try {
    for await (const part of parts) {
      if (part.type === 'audio') writer.push(part.value);
      else if (part.type === 'mark') writer.mark(part.value);
      else writer.finish(part.value);
      yield part;
    }
  } finally {
    writer.leave();
  }
}

/** One sound on its way into the store. */
class ResultWriter {
  readonly #options: KeepOptions;
  readonly #startedMs = Date.now();
  readonly #marks: PlacedMark[] = [];
  #piece = new Uint8Array(FIRST_BYTES);
  #filled = 0;
  #pieces = 0;
  #bytes = 0;
  #writing: Promise<unknown> | undefined;
  #state: 'open' | 'finished' | 'given up' = 'open';

  constructor(options: KeepOptions) {
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    if (this.#state !== 'open') return;
    if (this.#bytes + bytes.length > MAX_RESULT_BYTES) return this.#giveUp();
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === PIECE_BYTES && !this.#writePiece()) return;
      const taken = Math.min(bytes.length - at, PIECE_BYTES - this.#filled);
      this.#roomFor(this.#filled + taken);
      this.#piece.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
    }
    this.#bytes += bytes.length;
  }

  mark(mark: PlacedMark['mark']): void {
    if (this.#state === 'open' && mark.words) this.#marks.push({ atByte: this.#bytes, mark });
  }

  /** The sound is whole. What is left to write goes on after the answer. */
  finish(end: StreamEnd): void {
    if (this.#state !== 'open') return;
    this.#state = 'finished';
    this.#options.waitUntil(this.#store(end).catch(() => this.#remove()));
  }

  /** After `finish` this does nothing. */
  leave(): void {
    if (this.#state === 'open') this.#giveUp();
  }

  async #store(end: StreamEnd): Promise<void> {
    await this.#writing;
    if (this.#state !== 'finished') return; // the last piece was not written
    const { bucket, path, id, start, forgottenSince } = this.#options;
    const result = { header: { id, storedMs: Date.now(), bytes: this.#bytes, pieces: this.#pieces, start, end, marks: this.#marks }, tail: this.#piece.slice(0, this.#filled) };
    const object = encodeResult(result);
    remember(path, result, { bytes: object.length, nowMs: Date.now() });
    await bucket.put(path, object);
    if (!(await forgottenSince(this.#startedMs))) return;
    await bucket.delete(path);
    await this.#remove();
  }

  /** False when the store did not keep up. */
  #writePiece(): boolean {
    if (this.#writing !== undefined) {
      this.#giveUp();
      return false;
    }
    const { bucket, path, id } = this.#options;
    const written = bucket.put(pieceName(path, id, this.#pieces), this.#piece).then(
      () => void (this.#writing = undefined),
      () => this.#giveUp(),
    );
    this.#writing = written;
    this.#pieces += 1;
    this.#piece = new Uint8Array(PIECE_BYTES);
    this.#filled = 0;
    return true;
  }

  #giveUp(): void {
    if (this.#state === 'given up') return;
    this.#state = 'given up';
    this.#piece = new Uint8Array(0);
    this.#options.waitUntil(Promise.resolve(this.#writing).then(() => this.#remove()));
  }

  async #remove(): Promise<void> {
    const { bucket, path, id } = this.#options;
    forget(path);
    const names = Array.from({ length: this.#pieces }, (_, index) => pieceName(path, id, index));
    for (let at = 0; at < names.length; at += 1000) await bucket.delete(names.slice(at, at + 1000)).catch(() => {}); // what stays ends with its age
  }

  /** A short sound never takes a whole piece of memory. */
  #roomFor(bytes: number): void {
    if (bytes <= this.#piece.length) return;
    const larger = new Uint8Array(Math.min(PIECE_BYTES, Math.max(bytes, 2 * this.#piece.length)));
    larger.set(this.#piece.subarray(0, this.#filled));
    this.#piece = larger;
  }
}

const FIRST_BYTES = 8 * 1024;
