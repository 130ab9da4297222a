/** Bad and odd files, built in memory. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { onTestFinished } from 'vitest';
import { goldenDirectory } from '../../golden/index.ts';

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A copy of the narrow reference checkpoint that a test may damage. */
export function copiedCheckpoint(): string {
  const directory = temporaryDirectory();
  cpSync(join(goldenDirectory, 'checkpoint'), directory, { recursive: true });
  return directory;
}

export type ZipEntry = { readonly name: string; readonly data: Uint8Array; readonly method?: number; readonly size?: number; readonly flags?: number; readonly at?: number };

/** `at` places a second directory entry over data that is already there; `size` lies about the unpacked size. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, method = 0, size = data.length, flags = 0, at } of entries) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at ?? offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0', 'latin1'), common, tail, Buffer.from(name)]));
    if (at !== undefined) continue;
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), data]);
    parts.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

export type PickledTensor = { readonly key: string; readonly storage: string; readonly elements: number; readonly offset: number; readonly shape: readonly number[]; readonly strides: readonly number[] };

/** Protocol 2 pickle of a dictionary of tensors, as torch writes it. */
export function pickledTensors(tensors: Readonly<Record<string, PickledTensor>>): Buffer {
  const body = Object.entries(tensors).map(([name, tensor]) => Buffer.concat([string(name), pickledTensor(tensor)]));
  return Buffer.concat([Buffer.from('\x80\x02}(', 'latin1'), ...body, Buffer.from('u.')]);
}

function pickledTensor({ key, storage, elements, offset, shape, strides }: PickledTensor): Buffer {
  return Buffer.concat([
    Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n(('), string('storage'), Buffer.from(`ctorch\n${storage}\n`), string(key), string('cpu'), int(elements), Buffer.from('tQ'),
    int(offset), tuple(shape), tuple(strides), Buffer.from('\x89ccollections\nOrderedDict\n)RtR', 'latin1'),
  ]);
}

export function string(text: string): Buffer {
  const head = Buffer.alloc(5, 'X');
  head.writeUInt32LE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
}

function tuple(values: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from('('), ...values.map((value) => int(value)), Buffer.from('t')]);
}

/** A `.pt` file with one pickle and numbered storages. */
export function torchFile(pickle: Buffer, storages: Readonly<Record<string, Uint8Array>> = {}): Buffer {
  return zip([{ name: 'a/data.pkl', data: pickle }, ...Object.entries(storages).map(([key, data]) => ({ name: `a/data/${key}`, data }))]);
}

export function safetensorsFile(tensors: Readonly<Record<string, { readonly dtype: string; readonly shape: readonly number[]; readonly data: Uint8Array }>>): Buffer {
  let at = 0;
  const header = Object.fromEntries(Object.entries(tensors).map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data_offsets: [at, (at += data.length)] }]));
  return safetensorsBytes(JSON.stringify(header), Object.values(tensors).map(({ data }) => data));
}

export function safetensorsBytes(header: string, data: readonly Uint8Array[]): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), ...data]);
}

export function written(directory: string, name: string, data: Uint8Array | string): string {
  const path = join(directory, name);
  writeFileSync(path, data);
  return path;
}

/** What a promise or call fails with: `code: message`. */
export async function failure(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${String(error.code)}: ${error.message}`;
    throw error;
  }
  return 'no error';
}
