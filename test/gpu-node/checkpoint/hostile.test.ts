import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readHyperPyYaml } from '../../../gpu-node/checkpoint/hyperpyyaml.ts';
import { openSafetensors } from '../../../gpu-node/checkpoint/safetensors.ts';
import { openTorchWeights } from '../../../gpu-node/checkpoint/torch.ts';
import type { TensorStore } from '../../../gpu-node/checkpoint/types.ts';
import { failure, pickledTensors, safetensorsBytes, string, temporaryDirectory, torchFile, written, zip } from './files.ts';
import type { PickledTensor } from './files.ts';

async function opening(data: Uint8Array): Promise<string> {
  const path = written(temporaryDirectory(), 'llm.pt', data);
  return await failure(async () => (await openTorchWeights(path)).close());
}

async function reading(pickle: string | Buffer): Promise<string> {
  return await opening(torchFile(Buffer.isBuffer(pickle) ? pickle : Buffer.from(pickle, 'latin1')));
}

async function openStore(tensors: Readonly<Record<string, PickledTensor>>, storages: Readonly<Record<string, Uint8Array>>): Promise<TensorStore> {
  return await openTorchWeights(written(temporaryDirectory(), 'llm.pt', torchFile(pickledTensors(tensors), storages)));
}

test.each([
  ['posix.system', '\x80\x02cposix\nsystem\n(X\x04\0\0\0true\x74R.'],
  ['builtins.eval', '\x80\x02cbuiltins\neval\n.'],
  ['builtins.getattr', '\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.'],
  ['torch.load', '\x80\x02ctorch\nload\n.'],
  ['collections.OrderedDict.fromkeys', '\x80\x02ccollections\nOrderedDict.fromkeys\n.'],
  ['__main__.constructor', '\x80\x02c__main__\nconstructor\n.'],
])('a pickle that asks for %s is refused by that name', async (name, pickle) => {
  expect(await reading(pickle)).toBe(`checkpoint_refused: llm.pt asks for ${name}, which weights do not need: the file was not loaded. Use a file from the official source.`);
});

test.each([
  ['an opcode that builds an instance', '\x80\x02(iposix\nsystem\n.'],
  ['an object by class', '\x80\x02cposix\nsystem\n)\x81.'],
  ['an extension', '\x80\x02\x82\x01.'],
  ['a stack that is empty', '\x80\x02R.'],
  ['a call of a storage type', '\x80\x02ctorch\nFloatStorage\n)R.'],
  ['a call of a value', '\x80\x02K\x01)R.'],
  ['an end before its end', '\x80\x02X\xff\xff\xff\x7fab'],
  ['text that is no UTF-8', '\x80\x02X\x01\0\0\0\xff.'],
  ['an unknown reference', '\x80\x02h\x07.'],
  ['a storage without a key', '\x80\x02(X\x07\0\0\0storagetQ.'],
])('%s is no index', async (_, pickle) => {
  const answer = await reading(pickle);
  expect(answer).toMatch(/^checkpoint_(?:invalid: llm.pt has a broken index|refused: llm.pt asks for)/);
  expect(answer).not.toContain('\n');
});

test('a root that is no dictionary of tensors is refused', async () => {
  expect(await reading('\x80\x02]q\0.')).toContain('is not a dictionary of tensors');
  expect(await reading(Buffer.concat([Buffer.from('\x80\x02}', 'latin1'), string('epoch'), string('x'), Buffer.from('s.')]))).toContain('epoch is not a tensor');
});

test('numbers beside the tensors, as training writes them, are passed over', async () => {
  expect(await reading(Buffer.concat([Buffer.from('\x80\x02}', 'latin1'), string('epoch'), Buffer.from('K\x05s.')]))).toBe('no error');
});

test('compressed entries are inflated to the size they declare and no further', async () => {
  const pickle = pickledTensors({ w: { key: '0', storage: 'FloatStorage', elements: 1000, offset: 10, shape: [2], strides: [1] } });
  const values = Buffer.from(Float32Array.from({ length: 1000 }, (_, i) => i).buffer);
  const file = (size: number): Buffer => zip([{ name: 'a/data.pkl', data: deflateRawSync(pickle), method: 8, size: pickle.length }, { name: 'a/data/0', data: deflateRawSync(values), method: 8, size }]);
  const store = await openTorchWeights(written(temporaryDirectory(), 'llm.pt', file(4000)));
  expect([...store.float32('w')]).toEqual([10, 11]);
  store.close();
  const bomb = deflateRawSync(Buffer.alloc(1 << 22));
  expect(await opening(zip([{ name: 'a/data.pkl', data: bomb, method: 8, size: 100 }]))).toContain('does not inflate to its size');
  expect(await opening(zip([{ name: 'a/data.pkl', data: bomb, method: 8, size: 2 ** 31 }]))).toContain('checkpoint_refused: llm.pt inflates to more than');
  expect(await opening(zip([{ name: 'a/data.pkl', data: bomb, method: 8, size: 2 ** 26 }]))).toContain('more than any index needs');
  expect(await opening(zip([{ name: 'a/data.pkl', data: bomb, method: 12, size: 100 }]))).toContain('compression method 12');
});

test('encrypted, repeated and overlapping entries are refused', async () => {
  expect(await opening(zip([{ name: 'a/data.pkl', data: Buffer.alloc(20), size: 8, flags: 1 }]))).toContain('is encrypted');
  expect(await opening(zip([{ name: 'a/x', data: Buffer.alloc(8) }, { name: 'a/x', data: Buffer.alloc(8) }]))).toContain('twice');
  expect(await opening(zip([{ name: 'a/x', data: Buffer.alloc(99) }, { name: 'a/y', data: Buffer.alloc(99), at: 0 }]))).toContain('overlapping');
});

test('what is no zip, or a zip of something else, says so', async () => {
  expect(await opening(Buffer.from('version https://git-lfs.github.com/spec/v1\n'))).toContain('checkpoint_invalid: llm.pt is not a complete torch file');
  expect(await opening(zip([{ name: 'a/readme', data: Buffer.from('x') }]))).toContain('has no data.pkl: it is not a torch file');
  expect(await opening(zip([{ name: 'a/byteorder', data: Buffer.from('big') }, { name: 'a/data.pkl', data: Buffer.from('.') }]))).toContain('big-endian');
});

test('strides and offsets of a view are followed', async () => {
  const values = new Uint8Array(Float32Array.from({ length: 13 }, (_, i) => i).buffer);
  const tensor = { key: '0', storage: 'FloatStorage', elements: 13 };
  const store = await openStore(
    {
      transposed: { ...tensor, offset: 1, shape: [3, 4], strides: [1, 3] },
      every: { ...tensor, offset: 12, shape: [1, 1], strides: [7, 9] },
      repeated: { ...tensor, offset: 2, shape: [2, 3], strides: [0, 1] },
      scalar: { ...tensor, offset: 5, shape: [], strides: [] },
      empty: { ...tensor, offset: 0, shape: [0, 4], strides: [4, 1] },
    },
    { 0: values },
  );
  expect([...store.float32('transposed')]).toEqual([1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12]);
  expect([...store.float32('every')]).toEqual([12]);
  expect([...store.float32('repeated')]).toEqual([2, 3, 4, 2, 3, 4]);
  expect([...store.float32('scalar')]).toEqual([5]);
  expect(store.float32('empty').length).toBe(0);
  expect(await failure(() => store.float32('absent'))).toBe('checkpoint_invalid: llm.pt has no tensor absent.');
  store.close();
  store.close();
});

test('every stored format is widened', async () => {
  const one = (storage: string, elements: number): PickledTensor => ({ key: storage, storage, elements, offset: 0, shape: [elements], strides: [1] });
  const bytes = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const arrays = {
    HalfStorage: Float16Array.of(1.5, -2), BFloat16Storage: Uint16Array.of(0x3fc0, 0xc000), DoubleStorage: Float64Array.of(1.5, -2), LongStorage: BigInt64Array.of(15n, -2n),
    IntStorage: Int32Array.of(15, -2), ShortStorage: Int16Array.of(15, -2), CharStorage: Int8Array.of(15, -2), ByteStorage: Uint8Array.of(15, 2), BoolStorage: Uint8Array.of(1, 0),
  };
  const store = await openStore(Object.fromEntries(Object.keys(arrays).map((name) => [name, one(name, 2)])), Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, bytes(array)])));
  const read = Object.fromEntries(Object.keys(arrays).map((name) => [name, [...store.float32(name)]]));
  const fraction = [1.5, -2];
  const whole = [15, -2];
  expect(read).toEqual({ HalfStorage: fraction, BFloat16Storage: fraction, DoubleStorage: fraction, LongStorage: whole, IntStorage: whole, ShortStorage: whole, CharStorage: whole, ByteStorage: [15, 2], BoolStorage: [1, 0] });
  store.close();
});

test.each([
  ['beyond its data', { offset: 10, shape: [4], strides: [1] }],
  ['beyond its data by strides', { offset: 0, shape: [2, 2], strides: [1, 100] }],
  ['before its data', { offset: -1, shape: [1], strides: [1] }],
  ['by negative strides', { offset: 3, shape: [2], strides: [-1] }],
  ['far larger than its data', { offset: 0, shape: [2 ** 30, 2 ** 30], strides: [0, 0] }],
  ['with fewer strides than axes', { offset: 0, shape: [2, 2], strides: [1] }],
])('a tensor that reaches %s is refused before memory is taken', async (_, view) => {
  const pickle = pickledTensors({ w: { key: '0', storage: 'FloatStorage', elements: 12, ...view } });
  expect(await opening(torchFile(pickle, { 0: Buffer.alloc(48) }))).toMatch(/^checkpoint_refused: llm.pt: tensor w /);
});

test('a storage of another size than its entry is refused', async () => {
  const pickle = pickledTensors({ w: { key: '0', storage: 'FloatStorage', elements: 1 << 30, offset: 0, shape: [1], strides: [1] } });
  expect(await opening(torchFile(pickle, { 0: Buffer.alloc(48) }))).toContain('a storage of another size than its data');
});

test('broken safetensors headers are named and nothing is taken on trust', async () => {
  const opened = async (header: string, data = Buffer.alloc(16)): Promise<string> => {
    const path = written(temporaryDirectory(), 'llm.safetensors', safetensorsBytes(header, [data]));
    return await failure(() => openSafetensors(path).close());
  };
  expect(await opened('{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')).toBe('no error');
  expect(await opened('{"w":')).toContain('broken header');
  expect(await opened('{"w":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}')).toContain('dtype F8_E4M3');
  expect(await opened('{"w":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}')).toContain('checkpoint_refused: llm.safetensors: tensor w reaches outside');
  expect(await opened('{"w":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}')).toContain('reaches outside');
  expect(await opened('{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"x":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}')).toContain('tensor x overlaps another');
  const path = join(temporaryDirectory(), 'x.safetensors');
  writeFileSync(path, Buffer.alloc(8, 0xff));
  expect(await failure(() => openSafetensors(path))).toContain('is not a complete safetensors file');
});

test('yaml is data: nothing is looked up, cycles and expansions end, arithmetic is computed', async () => {
  expect(readHyperPyYaml('a: 25\nb: 2\nc: !ref <a> * <b>\nd: !ref (<a> + 1) // 3 ** <b> - 0.5\ne: !ref <f[g]>\nf: !new:os.system\n    g: [1, !ref <a>]\nh: !apply:os.system [ls]\ni: !ref <j>/x\nj: name', 'y')).toEqual({
    a: 25, b: 2, c: 50, d: 1.5, e: [1, 25], f: { g: [1, 25] }, h: null, i: 'name/x', j: 'name',
  });
});

test('references without an end are refused', async () => {
  expect(await failure(() => readHyperPyYaml('a: !ref <b>\nb: !ref <a>', 'y'))).toContain('refers to itself');
  expect(await failure(() => readHyperPyYaml('a: &x [*x]', 'y'))).toMatch(/checkpoint_(?:invalid|refused)/);
  const bomb = ['a0: [1,1,1,1,1,1,1,1,1,1]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: [${Array.from({ length: 10 }, () => `!ref <a${i}>`).join(', ')}]`)].join('\n');
  expect(await failure(() => readHyperPyYaml(bomb, 'y'))).toContain('follows too many references');
  expect(await failure(() => readHyperPyYaml(`a: !ref ${'('.repeat(100_000)}1`, 'y'))).toContain('cannot be computed');
});
