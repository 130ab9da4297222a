import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { expectedLayout } from '../../../gpu-node/checkpoint/layout.ts';
import { RANDOM_SIZES, randomConfig } from '../../../gpu-node/checkpoint/random-size.ts';
import { writeRandomCheckpoint } from '../../../gpu-node/checkpoint/random.ts';
import { readSpeakers } from '../../../gpu-node/checkpoint/speakers.ts';
import { writeTorch } from '../../../gpu-node/checkpoint/torch-write.ts';
import type { TorchTensor } from '../../../gpu-node/checkpoint/torch-write.ts';
import { openTorchWeights } from '../../../gpu-node/checkpoint/torch.ts';
import type { TensorStore } from '../../../gpu-node/checkpoint/types.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { copiedCheckpoint, failure, safetensorsFile, temporaryDirectory } from './files.ts';

const golden = join(goldenDirectory, 'checkpoint');
/** A line of the flow's `cfm_params`, and how far it is indented. */
const REG_LOSS = /( *)reg_loss_type: 'l1'\n/;

async function openWith(directory: string): Promise<string> {
  return await failure(async () => (await openCheckpoint(directory, { cacheDirectory: directory })).close());
}

/** A copy with one text in its yaml changed. */
function changedYaml(from: string | RegExp, to: string): string {
  const directory = copiedCheckpoint();
  const path = join(directory, 'cosyvoice2.yaml');
  const text = readFileSync(path, 'utf8');
  expect(text.replace(from, to)).not.toBe(text);
  writeFileSync(path, text.replace(from, to));
  return directory;
}

/** Changes one text in the yaml of a copy and says what opening it answers. */
async function withYaml(from: string | RegExp, to: string): Promise<string> {
  return await openWith(changedYaml(from, to));
}

test('the reference checkpoint is described by its own yaml and shapes', async () => {
  const checkpoint = await openCheckpoint(golden);
  expect(checkpoint.config.llm).toMatchObject({ hiddenSize: 64, layers: 3, heads: 4, kvHeads: 2, headDim: 16, textVocabSize: 1134, mixRatio: [5, 15], minTokenTextRatio: 2, maxTokenTextRatio: 20 });
  expect(checkpoint.config.flow.encoder).toEqual({ hiddenSize: 64, heads: 4, linearUnits: 128, blocks: 2, upBlocks: 4, chunkTokens: 25 });
  expect(checkpoint.config.flow.estimator).toMatchObject({ channels: 32, chunkFrames: 50, midStages: 2 });
  expect(checkpoint.config.mel).toMatchObject({ sampleRateHz: 24000, fMaxHz: 8000 });
  expect(checkpoint.config.textFrontEnd).toBe('qwen');
  checkpoint.close();
});

test('the flow takes ten Euler steps, as the official code does, unless the checkpoint says that one of the right size is enough', async () => {
  for (const [directory, steps, pull] of [[copiedCheckpoint(), 10, undefined], [changedYaml(REG_LOSS, '$&$1pull: 2.5\n'), 1, 2.5]] as const) {
    const checkpoint = await openCheckpoint(directory, { cacheDirectory: directory });
    expect(checkpoint.config.flow).toMatchObject({ steps, pull });
    checkpoint.close();
  }
});

test('weight norm is folded and the prefix removed: rows have the length that g says', async () => {
  const checkpoint = await openCheckpoint(golden);
  const raw = await openTorchWeights(join(golden, 'hift.pt'));
  const g = raw.float32('generator.ups.0.parametrizations.weight.original0');
  const folded = checkpoint.hift.float32('ups.0.weight');
  const width = folded.length / g.length;
  for (let row = 0; row < g.length; row++) expect(Math.hypot(...folded.subarray(row * width, (row + 1) * width))).toBeCloseTo(Math.abs(g[row] ?? 0), 5);
  expect([...checkpoint.hift.tensors.keys()].filter((name) => /generator|parametrizations/.test(name))).toEqual([]);
  expect(checkpoint.hift.bytes('ups.0.weight').byteLength).toBe(folded.byteLength);
  checkpoint.close();
  raw.close();
});

test('a voice without a prompt may have text that the language model reads first', async () => {
  const path = join(temporaryDirectory(), 'spk2info.pt');
  const tensor = (dtype: 'float32' | 'int32', shape: number[], values: Float32Array | Int32Array): TorchTensor => ({ dtype, shape, bytes: () => new Uint8Array(values.buffer) });
  writeTorch(path, { named: { embedding: tensor('float32', [1, 192], new Float32Array(192)), prompt_text: tensor('int32', [1, 2], Int32Array.of(553, 7)) } });
  const speaker = (await readSpeakers(path, { speakerDim: 192, melBins: 80 })).get('named');
  expect([...(speaker?.textIds ?? [])]).toEqual([553, 7]);
  expect(speaker?.prompt).toBeUndefined();
});

test('the three forms of a stored voice are read', async () => {
  const { speakers, close } = await openCheckpoint(golden);
  expect(speakers.get('sft_demo')?.prompt).toBeUndefined();
  const current = speakers.get('zs_demo')?.prompt;
  const server = speakers.get('001')?.prompt;
  expect(speakers.get('sft_demo')?.textIds).toBeUndefined();
  expect(speakers.get('zs_demo')?.textIds?.length).toBe(9);
  expect(speakers.get('001')?.text).toBe('收到朋友寄来的礼物，心里很快乐。');
  expect(server?.flowSpeechTokens).toEqual(current?.flowSpeechTokens);
  expect(server?.mel).toEqual(current?.mel);
  expect(current?.mel.length).toBe((current?.flowSpeechTokens.length ?? 0) * 2 * 80);
  close();
});

test('the layout derived from the official sizes is the official state dictionary, name by name', () => {
  const shapes = JSON.parse(brotliDecompressSync(readFileSync(join(import.meta.dirname, 'full-size-shapes.json.br'))).toString()) as Record<'llm' | 'flow' | 'hift', Record<string, number[]>>;
  const layout = expectedLayout(randomConfig(RANDOM_SIZES.full));
  for (const network of ['llm', 'flow', 'hift'] as const) {
    const official = Object.entries(shapes[network]).filter(([name]) => !name.endsWith('original0'));
    expect(Object.fromEntries(layout[network].shapes)).toEqual(Object.fromEntries(official.map(([name, shape]) => [name.replace('.parametrizations.weight.original1', '.weight'), shape])));
  }
});

test('a random checkpoint reads back as the sizes it was asked for, the same for the same seed', async () => {
  const directory = temporaryDirectory();
  await writeRandomCheckpoint(join(directory, 'a'), { seed: 3, size: 'tiny' });
  await writeRandomCheckpoint(join(directory, 'b'), { seed: 3, size: 'tiny' });
  const [a, b] = [await openCheckpoint(join(directory, 'a')), await openCheckpoint(join(directory, 'b'))];
  expect(a.config).toEqual(randomConfig(RANDOM_SIZES.tiny));
  expect(a.hash).toBe(b.hash);
  expect(a.speakers.get('random')?.prompt?.mel.length).toBe(75 * 2 * 80);
  expect(a.llm.float32('llm.model.lm_head.weight')).toEqual(a.llm.float32('llm.model.model.embed_tokens.weight'));
  a.close();
  b.close();
});

test('safetensors files stand in for the torch files, with the same values', async () => {
  const directory = copiedCheckpoint();
  const before = await openCheckpoint(directory);
  for (const name of ['llm', 'flow', 'hift'] as const) {
    const raw = await openTorchWeights(join(directory, `${name}.pt`));
    writeFileSync(join(directory, `${name}.safetensors`), asSafetensors(raw));
    raw.close();
    renameSync(join(directory, `${name}.pt`), join(directory, `${name}.torch`));
  }
  const after = await openCheckpoint(directory);
  for (const name of ['llm', 'flow', 'hift'] as const) {
    expect([...after[name].tensors.keys()].toSorted()).toEqual([...before[name].tensors.keys()].toSorted());
    for (const tensor of after[name].tensors.keys()) expect(Buffer.from(after[name].bytes(tensor)).equals(before[name].bytes(tensor)), tensor).toBe(true);
  }
  before.close();
  after.close();
});

function asSafetensors(store: TensorStore): Buffer {
  return safetensorsFile(Object.fromEntries(Array.from(store.tensors.values(), ({ name, shape }) => [name, { dtype: 'F32', shape, data: store.bytes(name) }])));
}

test('the hash follows contents, not dates or places', async () => {
  const [a, b] = [copiedCheckpoint(), copiedCheckpoint()];
  const hash = async (directory: string): Promise<string> => {
    const checkpoint = await openCheckpoint(directory);
    checkpoint.close();
    return checkpoint.hash;
  };
  expect(await hash(b)).toBe(await hash(a));
  const bytes = readFileSync(join(b, 'campplus.onnx'));
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(join(b, 'campplus.onnx'), bytes);
  expect(await hash(b)).not.toBe(await hash(a));
});

test('what is no checkpoint is said in one line', async () => {
  const directory = temporaryDirectory();
  expect(await openWith(join(directory, 'none'))).toMatch(/^checkpoint_not_found: There is no folder .*none/);
  expect(await openWith(directory)).toMatch(/^checkpoint_not_found: .* has no cosyvoice2.yaml/);
  writeFileSync(join(directory, 'cosyvoice3.yaml'), '');
  expect(await openWith(directory)).toContain('another generation of CosyVoice (cosyvoice3.yaml)');
  expect(await openWith(join(directory, 'cosyvoice3.yaml'))).toContain('is a file');
});

test.each(['llm.pt', 'flow.pt', 'campplus.onnx', 'CosyVoice-BlankEN/vocab.json', 'CosyVoice-BlankEN/config.json'])('a missing %s is named', async (name) => {
  const directory = copiedCheckpoint();
  rmSync(join(directory, name));
  expect(await openWith(directory)).toMatch(new RegExp(`^checkpoint_invalid: .* lacks ${name}`));
});

test.each(['llm.pt', 'spk2info.pt'])('a %s that was cut short is named', async (name) => {
  const directory = copiedCheckpoint();
  truncateSync(join(directory, name), 10_000);
  expect(await openWith(directory)).toMatch(new RegExp(`^checkpoint_invalid: ${name} is not a complete torch file`));
  truncateSync(join(directory, name), 0);
  expect(await openWith(directory)).toBe(`checkpoint_invalid: ${name} is empty. Download it again.`);
});

test('a missing key of the yaml is named with its path', async () => {
  expect(await withYaml('            num_mid_blocks: 2\n', '')).toBe('checkpoint_invalid: cosyvoice2.yaml: flow.decoder.estimator.num_mid_blocks is missing. Restore the published file.');
  expect(await withYaml('    hop_size: 480\n    win_size: 1920\n    fmin: 0\n    fmax: 8000', '    win_size: 1920\n    fmin: 0\n    fmax: 8000')).toContain('feat_extractor: hop_size'.replace(': ', '.'));
  expect(await withYaml('token_mel_ratio: 2\n', '')).toContain('refers to <token_mel_ratio>, which it does not define');
  expect(await withYaml(REG_LOSS, '$&$1pull: 0\n')).toContain('flow.decoder.cfm_params.content.pull must be a positive number');
  expect(await withYaml('num_blocks: 2', 'num_blocks: two')).toContain('flow.encoder.num_blocks must be a number');
  expect(await withYaml('sample_rate: 24000', 'sample_rate: [24000')).toMatch(/cosyvoice2.yaml line \d+ is not YAML/);
});

test('a yaml that disagrees with the tensors names the tensor', async () => {
  expect(await withYaml('num_blocks: 2', 'num_blocks: 3')).toContain('flow.pt lacks the tensor encoder.encoders.2.');
  expect(await withYaml('num_mid_blocks: 2', 'num_mid_blocks: 1')).toContain('flow.pt has the tensor decoder.estimator.mid_blocks.1.');
  expect(await withYaml('base_channels: 32', 'base_channels: 64')).toContain('hift.pt: tensor conv_pre.weight has shape [32, 80, 7], by cosyvoice2.yaml it should be [64, 80, 7]');
});

test('our own keys of the yaml choose the text front end and the length limits', async () => {
  const directory = copiedCheckpoint();
  const path = join(directory, 'cosyvoice2.yaml');
  writeFileSync(path, `${readFileSync(path, 'utf8')}\ntext_frontend: phones\nmax_token_text_ratio: 7.5\n`);
  const { config, close } = await openCheckpoint(directory);
  expect(config.textFrontEnd).toBe('phones');
  expect([config.llm.minTokenTextRatio, config.llm.maxTokenTextRatio]).toEqual([1, 7.5]);
  close();
});
