/** safetensors files: u64 header length, JSON header, data. Format: huggingface/safetensors README "Format". */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { BYTES_PER_ELEMENT } from './dtype.ts';
import { contiguous, elementCount, FileStore, place, readFully } from './store.ts';
import type { Placed } from './store.ts';
import type { TensorDtype } from './types.ts';

/** The format's own limit is 100 MB; the full-size flow needs 120 KB. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;

const DTYPES: Readonly<Record<string, TensorDtype>> = {
  F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16', I64: 'int64', I32: 'int32', I16: 'int16', I8: 'int8', U8: 'uint8', BOOL: 'bool',
};

/** Throws `checkpoint_invalid` for a broken header and `checkpoint_refused` for ranges that overlap or leave the file. */
export function openSafetensors(path: string): FileStore {
  const file = basename(path);
  const handle = openSync(path, 'r');
  try {
    const size = fstatSync(handle).size;
    const start = new Uint8Array(8);
    readFully({ handle, bytes: start, position: 0, file });
    const length = Number(new DataView(start.buffer).getBigUint64(0, true));
    if (length > Math.min(MAX_HEADER_BYTES, size - 8)) throw new CosyError('checkpoint_invalid', `${file} is not a complete safetensors file. Download it again.`);
    const header = new Uint8Array(length);
    readFully({ handle, bytes: header, position: 8, file });
    const tensors = new Map<string, Placed>();
    for (const [name, entry] of Object.entries(parseHeader(header, file))) {
      if (name !== '__metadata__') tensors.set(name, placeEntry({ name, entry, dataStart: 8 + length, size, file }));
    }
    refuseOverlap(tensors, file);
    return new FileStore({ handle, file, tensors });
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

function parseHeader(bytes: Uint8Array, file: string): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof header === 'object' && header !== null) return header as Record<string, unknown>;
  } catch {
    // one message for every way of being broken
  }
  throw new CosyError('checkpoint_invalid', `${file} has a broken header. Download it again.`);
}

function placeEntry({ name, entry, dataStart, size, file }: { name: string; entry: unknown; dataStart: number; size: number; file: string }): Placed {
  const { dtype: code, shape, data_offsets: offsets } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const dtype = DTYPES[String(code)];
  if (dtype === undefined || !isCounts(shape) || !isCounts(offsets)) {
    throw new CosyError('checkpoint_invalid', `${file}: tensor ${name} has a form that cannot be read (dtype ${String(code)}).`);
  }
  const [begin = 0, end = 0] = offsets;
  const elements = elementCount(shape);
  if (end - begin !== elements * BYTES_PER_ELEMENT[dtype] || dataStart + end > size) {
    throw new CosyError('checkpoint_refused', `${file}: tensor ${name} reaches outside its data. Download the file again.`);
  }
  return place({ name, dtype, shape, strides: contiguous(shape), position: dataStart + begin, storageElements: elements, offset: 0 }, file);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function refuseOverlap(tensors: ReadonlyMap<string, Placed>, file: string): void {
  const sorted = [...tensors.values()].filter(({ shape }) => elementCount(shape) > 0).toSorted((a, b) => a.position - b.position);
  for (const [index, { position, storageElements, dtype }] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next !== undefined && position + storageElements * BYTES_PER_ELEMENT[dtype] > next.position) {
      throw new CosyError('checkpoint_refused', `${file}: tensor ${next.name} overlaps another. Download the file again.`);
    }
  }
}
