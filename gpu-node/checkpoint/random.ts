/**
 * A checkpoint of random weights in the official layout, of any size: what the bench measures speed on where no real
 * checkpoint is. It says nothing; its activations neither explode nor vanish, so timings are those of real weights.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Graph } from '../graphs/onnx/graph.ts';
import { writeModel } from '../graphs/onnx/write.ts';
import { expectedLayout } from './layout.ts';
import { elementCount } from './store.ts';
import { RANDOM_SIZES, randomConfig, yamlText } from './random-size.ts';
import type { RandomSize } from './random-size.ts';
import { writeTorch } from './torch-write.ts';
import type { TorchTensor } from './torch-write.ts';
import type { ModelConfig } from './types.ts';

export type { RandomSize } from './random-size.ts';

/** Names of the stored voices: one with a prompt, one without. */
export const RANDOM_VOICES = { prompted: 'random', fixed: 'random-fixed' } as const;
const PROMPT_TOKENS = 75;

/**
 * Writes `directory` (replacing what a stopped run has left; it appears when it is whole). float16 at full size: 1.3 GB.
 * Same seed, same bytes. Throws what the file system throws.
 */
export async function writeRandomCheckpoint(directory: string, { seed, size }: { readonly seed: number; readonly size: 'full' | 'tiny' | RandomSize }): Promise<void> {
  const dimensions = typeof size === 'string' ? RANDOM_SIZES[size] : size;
  const config = randomConfig(dimensions);
  const part = `${directory}.part`;
  rmSync(part, { recursive: true, force: true });
  try {
    mkdirSync(join(part, 'CosyVoice-BlankEN'), { recursive: true });
    writeFileSync(join(part, 'cosyvoice2.yaml'), yamlText(dimensions));
    writeTokenizer(join(part, 'CosyVoice-BlankEN'), config);
    writeWeights(part, config, new Random(seed));
    writeVoices(part, config, new Random(seed + 1));
    writeSpeakerModel(join(part, 'campplus.onnx'), config, new Random(seed + 2));
    writeSpeechTokenizer(join(part, 'speech_tokenizer_v2.onnx'), config, new Random(seed + 3));
    if (existsSync(directory)) rmSync(directory, { recursive: true });
    renameSync(part, directory);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

function writeWeights(directory: string, config: ModelConfig, random: Random): void {
  const layout = expectedLayout(config);
  for (const name of ['llm', 'flow', 'hift'] as const) {
    const tensors: Record<string, TorchTensor> = {};
    for (const [tensor, shape] of layout[name].shapes) {
      if (tensor === 'llm.model.lm_head.weight') tensors[tensor] = { dtype: 'float16', shape, bytes: { same: 'llm.model.model.embed_tokens.weight' } };
      else Object.assign(tensors, name === 'hift' && isNormed(tensor) ? normed(tensor, shape, random) : { [tensor]: plain(tensor, shape, random) });
    }
    writeTorch(join(directory, `${name}.pt`), tensors);
  }
}

function plain(name: string, shape: readonly number[], random: Random): TorchTensor {
  const { mean, deviation } = spread(name, shape);
  return { dtype: 'float16', shape, bytes: () => random.halves(elementCount(shape), mean, deviation) };
}

/** Convolutions of the vocoder with weight norm: magnitude g and direction v, as torch stores them. */
function isNormed(name: string): boolean {
  return /^(?:conv_pre|conv_post|ups|resblocks|source_resblocks|f0_predictor\.condnet)\b.*\.weight$/.test(name);
}

function normed(name: string, shape: readonly number[], random: Random): Record<string, TorchTensor> {
  const [rows = 0, ...rest] = shape;
  const base = name.slice(0, -'.weight'.length);
  const magnitude = spread(name, shape).deviation * Math.sqrt(elementCount(rest));
  return {
    [`${base}.parametrizations.weight.original0`]: { dtype: 'float16', shape: [rows, ...rest.map(() => 1)], bytes: () => random.halves(rows, magnitude, 0.02 * magnitude) },
    [`${base}.parametrizations.weight.original1`]: { dtype: 'float16', shape, bytes: () => random.halves(elementCount(shape), 0, 0.05) },
  };
}

/** Mean and standard deviation by role. Weights keep the variance of what they multiply; branches add a part of it. */
function spread(name: string, shape: readonly number[]): { mean: number; deviation: number } {
  const inputs = elementCount(shape.slice(1));
  if (/embed_tokens|embedding\.weight$/.test(name)) return { mean: 0, deviation: 0.7 };
  if (name.endsWith('.alpha')) return { mean: 1, deviation: 0.1 };
  if (name === 'f0_predictor.classifier.bias') return { mean: 150, deviation: 0 };
  if (name.endsWith('.bias')) return { mean: 0, deviation: 0.05 };
  if (shape.length === 1) return { mean: 1, deviation: 0.1 };
  // a transposed convolution adds about half of its taps for each output: kernel / stride is near 2
  if (name.startsWith('ups.')) return { mean: 0, deviation: 1 / Math.sqrt(2 * (shape[0] ?? 1)) };
  const gain = name === 'llm_decoder.weight' ? 3 : name.startsWith('conv_post') ? 0.3 : name.includes('.convs2.') ? 0.4 : name === 'm_source.l_linear.weight' ? 0.6 : 1;
  return { mean: 0, deviation: gain / Math.sqrt(inputs) };
}

function writeVoices(directory: string, config: ModelConfig, random: Random): void {
  const { melBins, tokenMelRatio, vocabSize } = config.flow;
  const frames = PROMPT_TOKENS * tokenMelRatio;
  const floats = (shape: readonly number[], mean: number, deviation: number): TorchTensor => ({ dtype: 'float16', shape, bytes: () => random.halves(elementCount(shape), mean, deviation) });
  const ids = (count: number, limit: number): TorchTensor => ({ dtype: 'int32', shape: [1, count], bytes: () => new Uint8Array(Int32Array.from({ length: count }, () => random.below(limit)).buffer) });
  const speech = ids(PROMPT_TOKENS, vocabSize);
  writeTorch(join(directory, 'spk2info.pt'), {
    [RANDOM_VOICES.prompted]: {
      prompt_text: ids(12, 200),
      llm_prompt_speech_token: speech,
      flow_prompt_speech_token: speech,
      prompt_speech_feat: floats([1, frames, melBins], -4, 2),
      llm_embedding: floats([1, config.speakerDim], 0, 1),
      flow_embedding: floats([1, config.speakerDim], 0, 1),
    },
    [RANDOM_VOICES.fixed]: { embedding: floats([1, config.speakerDim], 0, 1) },
  });
}

/** 256 byte tokens without merges; the class's special tokens follow them. */
function writeTokenizer(directory: string, { llm }: ModelConfig): void {
  const shown = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  const hidden = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !shown(byte));
  const letters = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(shown(byte) ? byte : 256 + hidden.indexOf(byte)));
  writeFileSync(join(directory, 'vocab.json'), JSON.stringify(Object.fromEntries(letters.map((letter, id) => [letter, id]))));
  writeFileSync(join(directory, 'merges.txt'), '#version: 0.2\n');
  writeFileSync(join(directory, 'tokenizer_config.json'), JSON.stringify({ added_tokens_decoder: {}, add_prefix_space: false, errors: 'replace', tokenizer_class: 'Qwen2Tokenizer' }));
  const qwen = {
    architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_act: 'silu', hidden_size: llm.hiddenSize, intermediate_size: llm.intermediateSize,
    num_hidden_layers: llm.layers, num_attention_heads: llm.heads, num_key_value_heads: llm.kvHeads, max_position_embeddings: 32768,
    rms_norm_eps: llm.rmsNormEps, rope_theta: llm.ropeTheta, tie_word_embeddings: true, vocab_size: llm.textVocabSize,
  };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(qwen, null, 2));
}

/** Filter bank (1, N, 80) → speaker vector (1, speakerDim): mean over time and one product. */
function writeSpeakerModel(path: string, { speakerDim }: ModelConfig, random: Random): void {
  const graph = new Graph('speaker');
  const bank = graph.input('input', 'float32', [1, 'N', 80]);
  const mean = graph.op('ReduceMean', [bank, graph.ints([1])], { keepdims: 0 });
  const weight = graph.floats('weight', [80, speakerDim], () => random.floats(80 * speakerDim, 0.1));
  graph.output('output', graph.op('MatMul', [mean, weight]), 'float32', [1, speakerDim]);
  writeModel(graph, path);
}

/** Log-mel (1, 128, N) and its length → ids (1, ⌈N/4⌉): a convolution of four frames, scaled and wrapped into the vocabulary. */
function writeSpeechTokenizer(path: string, { flow }: ModelConfig, random: Random): void {
  const graph = new Graph('speech-tokenizer');
  const mel = graph.input('feats', 'float32', [1, 128, 'N']);
  graph.input('feats_length', 'int32', [1]);
  const weight = graph.floats('weight', [1, 128, 4], () => random.floats(512, 1));
  const value = graph.op('Abs', [graph.op('Conv', [mel, weight], { kernel_shape: [4], strides: [4], pads: [0, 3] })]);
  const ids = graph.op('Cast', [graph.op('Mod', [graph.op('Mul', [value, graph.float(997)]), graph.float(flow.vocabSize)], { fmod: 1 })], { to: 6 });
  graph.output('indices', graph.op('Squeeze', [ids, graph.ints([1])]), 'int32', [1, 'T']);
  writeModel(graph, path);
}

/** Quantiles of the normal distribution in a table: a gigabyte of weights takes seconds. Two of them for one draw of 32 bits. */
const TABLE_BITS = 12;

class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e37_79b1) ^ 0x5bd1_e995) | 1;
  }

  below(limit: number): number {
    return this.#next() % limit;
  }

  floats(count: number, deviation: number): Float32Array {
    return Float32Array.from({ length: count }, () => (NORMAL[this.#next() & (NORMAL.length - 1)] as number) * deviation);
  }

  /** float16 bytes. */
  halves(count: number, mean: number, deviation: number): Uint8Array {
    const table = new Uint16Array(Float16Array.from(NORMAL, (value) => mean + deviation * value).buffer);
    const values = new Uint16Array(count);
    const mask = table.length - 1;
    for (let i = 0; i < count; i += 2) {
      const bits = this.#next();
      values[i] = table[bits & mask] as number;
      if (i + 1 < count) values[i + 1] = table[(bits >>> 16) & mask] as number;
    }
    return new Uint8Array(values.buffer);
  }

  /** Marsaglia 2003, xorshift32. */
  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
}

/** Sorted values of unit variance, bell-shaped and bounded. */
const NORMAL = normalTable();

function normalTable(): Float64Array {
  const size = 2 ** TABLE_BITS;
  const values = Float64Array.from({ length: size }, (_, index) => {
    // logistic approximation of the normal quantile (Tocher 1963), good to 2 %
    const p = (index + 0.5) / size;
    return Math.log(p / (1 - p)) / 1.702;
  });
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / size);
  return values.map((value) => value / deviation);
}
