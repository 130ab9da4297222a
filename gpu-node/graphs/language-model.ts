/**
 * The text-speech language model as one graph for prefill and decoding. Rows of the batch have their own lengths and share
 * nothing. In: token ids of one combined table and the key/value cache. Out: logits of the speech head for the last
 * position of each row; keys and values of the new positions. Masking and sampling happen outside (tokens/).
 * Official: cosyvoice/llm/llm.py Qwen2LM.
 */
import { join } from 'node:path';
import type { Checkpoint, LanguageModelConfig } from '../checkpoint/types.ts';
import { DECODING_LOOP_FILE, decodingLoopGraph } from './language-model-loop.ts';
import { floatWeight, linear } from './layers/quantize.ts';
import type { WeightFormat } from './layers/quantize.ts';
import { qwen2Layers, readerAt } from './layers/qwen2.ts';
import type { CachePorts, Projection, Qwen2Outputs } from './layers/qwen2.ts';
import type { Network, Precision } from './network.ts';
import { Graph } from './onnx/graph.ts';
import type { Value } from './onnx/graph.ts';
import { writeModels } from './onnx/write.ts';

/** Opened by tokens/. */
export const LANGUAGE_MODEL_FILE = 'llm.onnx';

/**
 * Longest sequence (prompt, text and speech together). 30 s of prompt are 750 tokens, a sentence of 80 text tokens at most
 * 1600 more; text in pieces may go on, but a cache of this size (200 MB a row at full size) is where it must end.
 */
export const MAX_POSITIONS = 8192;

/** First row of each part in the combined embedding table. `start` and `task` are rows of `llm_embedding`. */
export function embeddingRows(config: LanguageModelConfig): { readonly text: number; readonly speech: number; readonly start: number; readonly task: number; readonly count: number } {
  const special = config.textVocabSize + config.speechVocabSize;
  return { text: 0, speech: config.textVocabSize, start: special, task: special + 1, count: special + 2 };
}

/** Weights (32 MB in float32) of a model that is called small: of a step the arithmetic is then the smaller part. */
const SMALL = 8_000_000;

/**
 * Whether the weights that every step multiplies, the projections of the layers and the speech head, are few. int8 then means a
 * scale per 32 inputs everywhere, which is one operator a layer instead of six; and a step takes as long with one thread as with two
 * (bundled voice, 7 million weights: 1.9 ms; eight rows 6.9 and 6.7).
 */
export function isSmallModel(config: LanguageModelConfig): boolean {
  const attention = (2 * config.heads + 2 * config.kvHeads) * config.headDim;
  return config.layers * config.hiddenSize * (attention + 3 * config.intermediateSize) + config.hiddenSize * config.speechVocabSize <= SMALL;
}

export const languageModel: Network = {
  stage: 'llm',
  precisions: ['int8', 'int4', 'fp32', 'fp16'],
  write(checkpoint, directory, precision) {
    writeModels([
      { graph: languageModelGraph(checkpoint, precision), path: join(directory, LANGUAGE_MODEL_FILE) },
      { graph: decodingLoopGraph(checkpoint, precision), path: join(directory, DECODING_LOOP_FILE) },
    ]);
  },
};

export type LanguageModelOptions = {
  /** Adds outputs `embeds`, `hidden.L` (after each layer), `hidden_norm`, all (B, T, hidden), for comparison with a reference. */
  readonly taps?: boolean;
  /** Instead of the formats of the precision, to compare their speed and distance. */
  readonly formats?: WeightFormats;
};

export type WeightFormats = { readonly layers: (layer: number, projection: Projection) => WeightFormat; readonly head: WeightFormat };

/**
 * Inputs: `ids` (B, T) int64 of the combined table, `positions` (B, T) int64 (where their keys go), `seqlens_k` (B) int32 (tokens of
 * each row after this run, minus one), `total_length` () int32 (those of the longest row), `past.L.key|value` (B, kvHeads, P, headDim).
 * Outputs: `logits` (B, V) float32, V = speechTokenSize + 3; of the cache either `new.L.key|value` (B, kvHeads, T, headDim), which are
 * to be written at `positions`, or `present.L.key|value`, which must be given the memory of the past; and for word times `queries.L`
 * (B, (heads + 2·kvHeads)·headDim): what the last position asks in layer L, before its rotation (its keys and values behind it).
 * The embedding table stays on disk, mapped: only rows that are used cost memory.
 */
export function languageModelGraph(checkpoint: Checkpoint, precision: Precision, { taps = false, formats }: LanguageModelOptions = {}): Graph {
  const config = checkpoint.config.llm;
  const activation = activationOf(precision);
  const graph = new Graph('language-model');
  const ids = graph.input('ids', 'int64', ['B', 'T']);
  const newest = readerAt(graph, graph.input('positions', 'int64', ['B', 'T']), config);
  const size = ['B', config.kvHeads, 'P', config.headDim];
  const ports: CachePorts = {
    lengths: graph.input('seqlens_k', 'int32', ['B']),
    total: graph.input('total_length', 'int32', []),
    past: (layer, part) => graph.input(`past.${layer}.${part}`, activation, size),
    present(layer, part, value) {
      graph.output(`present.${layer}.${part}`, value, activation, size);
      graph.output(`new.${layer}.${part}`, newest(value), activation, ['B', config.kvHeads, 'T', config.headDim]);
    },
  };
  const { logits, embeds, normed, residuals, projected } = nextLogits(graph, ids, { checkpoint, precision, formats, ports });
  graph.output('logits', logits, 'float32', ['B', config.speechVocabSize]);

  const width = (config.heads + 2 * config.kvHeads) * config.headDim;
  for (const [layer, value] of projected.entries()) graph.output(`queries.${layer}`, graph.op('Gather', [value, graph.ints(-1)], { axis: 1 }), activation, ['B', width]);

  if (taps) {
    const shape = ['B', 'T', config.hiddenSize];
    graph.output('embeds', embeds, activation, shape);
    for (const [layer, value] of residuals.entries()) graph.output(`hidden.${layer}`, value, activation, shape);
    graph.output('hidden_norm', normed, activation, shape);
  }
  return graph;
}

/** Type of activations and cache. */
export function activationOf(precision: Precision): 'float32' | 'float16' {
  return precision === 'fp16' ? 'float16' : 'float32';
}

export type NextLogits = Pick<Qwen2Outputs, 'normed' | 'residuals' | 'projected'> & { readonly logits: Value; readonly embeds: Value };

/** ids (B, T) → logits (B, V) float32 of each row's last position, with the cache at `ports`. */
export function nextLogits(graph: Graph, ids: Value, { checkpoint, precision, formats, ports }: { readonly checkpoint: Checkpoint; readonly precision: Precision; readonly formats?: WeightFormats | undefined; readonly ports: CachePorts }): NextLogits {
  const config = checkpoint.config.llm;
  const read = (name: string): Float32Array => checkpoint.llm.float32(name);
  const activation = activationOf(precision);
  const { layers, head: headFormat } = formats ?? FORMATS[precision](config);
  const embeds = embed(graph, ids, { config, read, stored: precision === 'fp32' ? 'float32' : 'float16', activation });
  const { normed, residuals, projected } = qwen2Layers(graph, embeds, { shape: config, prefix: 'llm.model.model.', read, activation, format: layers, maxPositions: MAX_POSITIONS, ports });
  const last = graph.op('Gather', [normed, graph.ints(-1)], { axis: 1 });
  const head = { name: 'llm_decoder', inputs: config.hiddenSize, outputs: config.speechVocabSize, weight: () => read('llm_decoder.weight'), bias: () => read('llm_decoder.bias') };
  const scores = linear(graph, last, head, headFormat);
  return { logits: activation === 'float16' ? graph.op('Cast', [scores], { to: 1 }) : scores, embeds, normed, residuals, projected };
}

/**
 * int8: rows are quantized whole where RMS norm or attention made the values; the input of `down_proj`, a product that can
 * hold single values far above the rest, and the head get a scale per 32 inputs. int4: only the MLP, which is 80 % of the
 * weights, and not in the first and last layer, whose errors cost most. A small model has the scale per 32 everywhere.
 * Distance to fp32 on the bundled pilot voice, mean KL divergence of the next token's distribution: int8 0.0014, int4 0.010
 * (0.023 with everything in 4 bits); an 8-bit block format everywhere has 0.0006 and takes twice the time for prompts.
 */
const FORMATS: Readonly<Record<Precision, (config: LanguageModelConfig) => WeightFormats>> = {
  fp32: () => ({ layers: () => 'float32', head: 'float32' }),
  fp16: () => ({ layers: () => 'float16', head: 'float16' }),
  int8: (config) => ({ layers: (_, projection) => (projection === 'down_proj' || isSmallModel(config) ? 'int8' : 'int8-row'), head: 'int8' }),
  int4: ({ layers }) => ({ layers: (layer, projection) => (projection === 'q_proj' || projection === 'o_proj' || layer === 0 || layer === layers - 1 ? 'int8-row' : 'int4'), head: 'int8' }),
};

type EmbedOptions = {
  readonly config: LanguageModelConfig;
  readonly read: (name: string) => Float32Array;
  readonly stored: 'float32' | 'float16';
  readonly activation: 'float32' | 'float16';
};

/** ids (B, T) → (B, T, hidden) */
function embed(graph: Graph, ids: Value, { config, read, stored, activation }: EmbedOptions): Value {
  const rows = embeddingRows(config);
  const table = floatWeight(graph, 'embeddings', {
    shape: [rows.count, config.hiddenSize],
    type: stored,
    values: () => {
      const all = new Float32Array(rows.count * config.hiddenSize);
      all.set(read('llm.model.model.embed_tokens.weight').subarray(0, config.textVocabSize * config.hiddenSize), rows.text);
      all.set(read('speech_embedding.weight'), rows.speech * config.hiddenSize);
      all.set(read('llm_embedding.weight'), rows.start * config.hiddenSize);
      return all;
    },
  });
  const found = graph.op('Gather', [table, ids], { axis: 0 });
  return stored === activation ? found : graph.op('Cast', [found], { to: 1 });
}
