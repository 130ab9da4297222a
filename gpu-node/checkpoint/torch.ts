/** `torch.save` files (zip since torch 1.6) → tensors by name, and plain values. Written by torch/serialization.py `_save`. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { BYTES_PER_ELEMENT } from './dtype.ts';
import { Global, Made, unpickle } from './pickle.ts';
import type { Pickled, PickleWorld } from './pickle.ts';
import { FileStore, inflate, place, readFully } from './store.ts';
import type { Placed } from './store.ts';
import type { TensorDtype } from './types.ts';
import { readZip } from './zip.ts';
import type { Range } from './zip.ts';

/** The index of the full-size flow is 49 KB; a speaker file with 10,000 voices stays below 10 MB. */
const MAX_INDEX_BYTES = 32 * 2 ** 20;

const STORAGES: Readonly<Record<string, TensorDtype>> = {
  'torch.FloatStorage': 'float32',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.DoubleStorage': 'float64',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
};

type Storage = { readonly dtype: TensorDtype; readonly position: number; readonly elements: number; readonly deflated: number | undefined };
/** A tensor before it has a name. */
export type LooseTensor = Omit<Placed, 'name'>;

/** What a `.pt` file holds: the unpickled value, with `Made(LooseTensor)` for tensors, and the open file. */
export type TorchFile = { readonly handle: number; readonly root: Pickled };

/** Weights of one network: the root is a dictionary of tensors. Numbers beside them (`epoch`, `step`) are passed over. */
export async function openTorchWeights(path: string): Promise<FileStore> {
  const file = basename(path);
  const { handle, root } = await openTorchFile(path);
  try {
    if (!(root instanceof Map)) throw new CosyError('checkpoint_invalid', `${file} is not a dictionary of tensors.`);
    const tensors = new Map<string, Placed>();
    for (const [name, value] of root) {
      if (typeof name !== 'string') throw new CosyError('checkpoint_invalid', `${file} is not a dictionary of tensors.`);
      if (value instanceof Made) tensors.set(name, place({ name, ...(value.value as LooseTensor) }, file));
      else if (typeof value !== 'number') throw new CosyError('checkpoint_invalid', `${file}: ${name} is not a tensor.`);
    }
    return new FileStore({ handle, file, tensors });
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

/** The caller closes `handle`. Throws `checkpoint_invalid` or `checkpoint_refused`. */
export async function openTorchFile(path: string): Promise<TorchFile> {
  const file = basename(path);
  const handle = openSync(path, 'r');
  try {
    if (fstatSync(handle).size === 0) throw new CosyError('checkpoint_invalid', `${file} is empty. Download it again.`);
    const entries = await readZip(handle, file);
    if (readEntry({ handle, file, entries, name: 'byteorder', optional: true })?.toString('latin1').trim() === 'big') {
      throw new CosyError('checkpoint_invalid', `${file} was written on a big-endian machine, which is not supported.`);
    }
    const index = readEntry({ handle, file, entries, name: 'data.pkl', optional: false });
    if (index === undefined) throw new CosyError('checkpoint_invalid', `${file} has no index.`);
    return { handle, root: unpickle(index, torchWorld(entries), file) };
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

function readEntry({ handle, file, entries, name, optional }: { handle: number; file: string; entries: ReadonlyMap<string, Range>; name: string; optional: boolean }): Buffer | undefined {
  const range = entries.get(name);
  if (range === undefined) {
    if (optional) return undefined;
    throw new CosyError('checkpoint_invalid', `${file} has no ${name}: it is not a torch file. Download it again.`);
  }
  if (range.length > MAX_INDEX_BYTES) throw new CosyError('checkpoint_refused', `${file}: ${name} is ${range.length} bytes, more than any index needs. Download it again.`);
  const { deflated } = range;
  if (deflated !== undefined) return Buffer.from(inflate({ handle, file, range: { ...range, deflated } }));
  const bytes = Buffer.alloc(range.length);
  readFully({ handle, bytes, position: range.position, file });
  return bytes;
}

function torchWorld(entries: ReadonlyMap<string, Range>): PickleWorld {
  const uncalled = (): never => {
    throw new Error('a storage type that is called');
  };
  return {
    persistent: (id) => new Made(readStorage(id, entries)),
    calls: {
      'collections.OrderedDict': ([items]) => new Map(Array.isArray(items) ? items.map((item) => pair(item)) : []),
      'torch._utils._rebuild_tensor_v2': (args) => new Made(readTensor(args)),
      'torch._utils._rebuild_parameter': ([tensor]) => tensor ?? null,
      ...Object.fromEntries(Object.keys(STORAGES).map((name) => [name, uncalled])),
    },
  };
}

function pair(item: Pickled): [Pickled, Pickled] {
  if (!Array.isArray(item) || item.length !== 2) throw new Error('a dictionary of something else than pairs');
  return [item[0] ?? null, item[1] ?? null];
}

/** ('storage', type, key, device, elements) */
function readStorage(id: Pickled, entries: ReadonlyMap<string, Range>): Storage {
  if (!Array.isArray(id) || id[0] !== 'storage' || !(id[1] instanceof Global) || typeof id[2] !== 'string') throw new Error('a reference that is no storage');
  const dtype = STORAGES[id[1].name];
  const range = entries.get(`data/${id[2]}`);
  const elements = id[4];
  if (dtype === undefined || range === undefined || typeof elements !== 'number') throw new Error('a storage without data');
  if (elements * BYTES_PER_ELEMENT[dtype] !== range.length) throw new Error('a storage of another size than its data');
  return { dtype, position: range.position, elements, deflated: range.deflated };
}

/** (storage, offset, size, stride, requires_grad, hooks) */
function readTensor([storage, offset, shape, strides]: Pickled[]): LooseTensor {
  if (!(storage instanceof Made) || typeof offset !== 'number' || !isNumbers(shape) || !isNumbers(strides)) throw new Error('a tensor without data');
  const { dtype, position, elements, deflated } = storage.value as Storage;
  return { dtype, position, deflated, storageElements: elements, offset, shape, strides };
}

function isNumbers(value: Pickled | undefined): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}
