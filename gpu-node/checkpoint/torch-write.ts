/** Tensors → a file that `torch.load` and our reader open: a zip of stored entries with a protocol 2 pickle. Below 4 GB. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { contiguous, elementCount } from './store.ts';

const STORAGES = { float32: 'FloatStorage', float16: 'HalfStorage', int32: 'IntStorage' } as const;

/** `bytes` is called once, when the tensor is written. `same`: name of an earlier tensor whose data it shares. */
export type TorchTensor = {
  readonly dtype: keyof typeof STORAGES;
  readonly shape: readonly number[];
  readonly bytes: (() => Uint8Array) | { readonly same: string };
};

export type TorchValue = TorchTensor | { readonly [key: string]: TorchValue };

/** A dictionary, nested at will, of tensors. Written one tensor at a time. */
export function writeTorch(path: string, root: { readonly [key: string]: TorchValue }): void {
  const zip = new StoredZip(path);
  try {
    const index = new Index();
    index.dictionary(root);
    zip.add('archive/data.pkl', index.finish());
    zip.add('archive/byteorder', Buffer.from('little'));
    for (const [key, bytes] of index.storages.entries()) zip.add(`archive/data/${key}`, bytes());
    zip.add('archive/version', Buffer.from('3\n'));
    zip.finish();
  } finally {
    zip.close();
  }
}

function isTensor(value: TorchValue): value is TorchTensor {
  return typeof value['dtype'] === 'string';
}

/** The pickle and, in order, the storages it names. Opcodes: CPython Lib/pickletools.py. */
class Index {
  readonly storages: (() => Uint8Array)[] = [];
  readonly #keys = new Map<string, number>();
  readonly #parts: Buffer[] = [Buffer.from([0x80, 2])];

  dictionary(values: { readonly [key: string]: TorchValue }): void {
    this.#ascii('}(');
    for (const [name, value] of Object.entries(values)) {
      this.#string(name);
      if (isTensor(value)) this.#tensor(name, value);
      else this.dictionary(value);
    }
    this.#ascii('u');
  }

  finish(): Buffer {
    this.#ascii('.');
    return Buffer.concat(this.#parts);
  }

  #tensor(name: string, { dtype, shape, bytes }: TorchTensor): void {
    const key = typeof bytes === 'function' ? this.storages.push(bytes) - 1 : (this.#keys.get(bytes.same) ?? 0);
    this.#keys.set(name, key);
    this.#ascii('ctorch._utils\n_rebuild_tensor_v2\n((');
    this.#string('storage');
    this.#ascii(`ctorch\n${STORAGES[dtype]}\n`);
    this.#string(String(key));
    this.#string('cpu');
    this.#int(elementCount(shape));
    this.#ascii('tQ');
    this.#int(0);
    this.#ints(shape);
    this.#ints(contiguous(shape));
    this.#ascii('\x89ccollections\nOrderedDict\n)RtR');
  }

  #ints(values: readonly number[]): void {
    this.#ascii('(');
    for (const value of values) this.#int(value);
    this.#ascii('t');
  }

  #int(value: number): void {
    const bytes = Buffer.alloc(5, 'J');
    bytes.writeInt32LE(value, 1);
    this.#parts.push(bytes);
  }

  #string(text: string): void {
    const body = Buffer.from(text);
    const head = Buffer.alloc(5, 'X');
    head.writeUInt32LE(body.length, 1);
    this.#parts.push(head, body);
  }

  #ascii(text: string): void {
    this.#parts.push(Buffer.from(text, 'latin1'));
  }
}

/** Local headers, data, central directory: APPNOTE 6.3 §4.3, without zip64. */
class StoredZip {
  readonly #handle: number;
  readonly #directory: Buffer[] = [];
  #offset = 0;

  constructor(path: string) {
    this.#handle = openSync(path, 'w');
  }

  add(name: string, data: Uint8Array): void {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const offset = this.#offset;
    this.#write(Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name)]));
    this.#write(data);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    this.#directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0', 'latin1'), common, tail, Buffer.from(name)]));
  }

  finish(): void {
    const directory = Buffer.concat(this.#directory);
    const end = Buffer.alloc(22);
    end.write('PK\x05\x06', 'latin1');
    end.writeUInt16LE(this.#directory.length, 8);
    end.writeUInt16LE(this.#directory.length, 10);
    end.writeUInt32LE(directory.length, 12);
    end.writeUInt32LE(this.#offset, 16);
    this.#write(Buffer.concat([directory, end]));
  }

  close(): void {
    closeSync(this.#handle);
  }

  #write(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#handle, bytes, done, Math.min(2 ** 30, bytes.length - done));
    this.#offset += bytes.length;
  }
}
