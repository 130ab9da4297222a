/**
 * Tensors that lie in an open file. Opening reads no values; each tensor is read with `pread` when it is asked for, so a
 * 2 GB file costs the memory of one tensor.
 */
import { closeSync, readSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { CosyError } from '../../shared/errors/index.ts';
import { BYTES_PER_ELEMENT, widen } from './dtype.ts';
import type { TensorInfo, TensorStore } from './types.ts';

/** Where a tensor lies: `position` of its storage in the file, the elements it holds, and the view into them. */
export type Placed = TensorInfo & {
  readonly position: number;
  /** Bytes of the compressed storage at `position`, when it is compressed. */
  readonly deflated?: number | undefined;
  readonly storageElements: number;
  readonly offset: number;
  readonly strides: readonly number[];
};

/** Larger than any tensor of the model (embedding table: 1.4e8), small enough for one ArrayBuffer of float32. */
const MAX_ELEMENTS = 2 ** 29;
/** One pread takes at most 2^31 − 1 bytes on Linux. */
const READ_BYTES = 2 ** 30;

/** Throws `checkpoint_refused` when a view leaves its storage or is too large, before anything is allocated. */
export function place(placed: Placed, file: string): Placed {
  const { shape, strides, offset, storageElements, name } = placed;
  const counts = [...shape, ...strides, offset, storageElements];
  if (shape.length !== strides.length || !counts.every((value) => Number.isSafeInteger(value) && value >= 0)) {
    throw new CosyError('checkpoint_refused', `${file}: tensor ${name} has an impossible shape. Download the file again.`);
  }
  const elements = elementCount(shape);
  const last = elements === 0 ? -1 : offset + shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 0);
  if (elements > MAX_ELEMENTS || last >= storageElements) {
    throw new CosyError('checkpoint_refused', `${file}: tensor ${name} reaches outside its data (${elements} elements). Download the file again.`);
  }
  return placed;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Row-major strides of a shape. */
export function contiguous(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1);
  return strides;
}

/** Owns `handle` and closes it. `file`: name for messages. */
export class FileStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, Placed>;
  readonly #handle: number;
  readonly #file: string;
  #closed = false;

  constructor(options: { handle: number; file: string; tensors: ReadonlyMap<string, Placed> }) {
    this.#handle = options.handle;
    this.#file = options.file;
    this.tensors = options.tensors;
  }

  float32(name: string): Float32Array {
    return widen(this.#find(name).dtype, this.bytes(name));
  }

  bytes(name: string): Uint8Array {
    const placed = this.#find(name);
    const size = BYTES_PER_ELEMENT[placed.dtype];
    const elements = elementCount(placed.shape);
    if (elements === 0) return new Uint8Array(0);
    const start = placed.offset * size;
    const isContiguous = contiguous(placed.shape).every((stride, axis) => placed.shape[axis] === 1 || stride === placed.strides[axis]);
    if (isContiguous) return this.#read(placed, start, elements * size);
    const span = placed.shape.reduce((sum, length, axis) => sum + (length - 1) * (placed.strides[axis] ?? 0), 1);
    return gather(this.#read(placed, start, span * size), placed, size);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#handle);
  }

  #find(name: string): Placed {
    const placed = this.tensors.get(name);
    if (placed === undefined) throw new CosyError('checkpoint_invalid', `${this.#file} has no tensor ${name}.`);
    return placed;
  }

  /** `length` bytes from `start` of the tensor's storage. */
  #read({ position, deflated, dtype, storageElements }: Placed, start: number, length: number): Uint8Array {
    if (deflated !== undefined) {
      const storage = inflate({ handle: this.#handle, file: this.#file, range: { position, deflated, length: storageElements * BYTES_PER_ELEMENT[dtype] } });
      return storage.slice(start, start + length);
    }
    const bytes = new Uint8Array(length);
    readFully({ handle: this.#handle, bytes, position: position + start, file: this.#file });
    return bytes;
  }
}

/** Fills `bytes` from `position`. Throws `checkpoint_invalid` when the file ends before. */
export function readFully({ handle, bytes, position, file }: { handle: number; bytes: Uint8Array; position: number; file: string }): void {
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(handle, bytes, done, Math.min(READ_BYTES, bytes.length - done), position + done);
    if (count === 0) throw new CosyError('checkpoint_invalid', `${file} is cut short. Download it again.`);
    done += count;
  }
}

/** A compressed range, inflated. Throws `checkpoint_invalid` when it does not give exactly `range.length` bytes. */
export function inflate({ handle, file, range }: { handle: number; file: string; range: { readonly position: number; readonly length: number; readonly deflated: number } }): Uint8Array {
  const packed = new Uint8Array(range.deflated);
  readFully({ handle, bytes: packed, position: range.position, file });
  try {
    const bytes = inflateRawSync(packed, { maxOutputLength: Math.max(1, range.length) });
    if (bytes.length === range.length) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch {
    // said below
  }
  throw new CosyError('checkpoint_invalid', `${file} has a compressed entry that does not inflate to its size. Download it again.`);
}

function gather(span: Uint8Array, { shape, strides }: Placed, size: number): Uint8Array {
  const result = new Uint8Array(elementCount(shape) * size);
  const index = shape.map(() => 0);
  for (let to = 0, from = 0; to < result.length; to += size) {
    for (let byte = 0; byte < size; byte++) result[to + byte] = span[from * size + byte] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      const stride = strides[axis] ?? 0;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        from += stride;
        break;
      }
      index[axis] = 0;
      from -= stride * (next - 1);
    }
  }
  return result;
}
