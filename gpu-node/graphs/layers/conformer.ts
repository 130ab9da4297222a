/**
 * Speech tokens → mu, the mean the flow starts its conditions from (cosyvoice/transformer/upsample_encoder.py
 * UpsampleConformerEncoder, cosyvoice/transformer/attention.py RelPositionMultiHeadedAttention). Batch of one, rows
 * [S, channels] at the token rate, then [S·ratio, channels]. A run continues after the tokens whose keys, values and
 * convolution rows it is given; with none of them it is the whole utterance with every token visible to every other.
 */
import { DATA_TYPE, MICROSOFT, NONE } from '../onnx/graph.ts';
import { LAST, convolve } from './conv.ts';
import { sinesCosines } from './estimator.ts';
import type { FlowConfig } from '../../checkpoint/types.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { Watch } from './watch.ts';
import type { Weights } from './weights.ts';
import type { Tap } from './estimator.ts';

const ENCODER = 'encoder';
const EMBED_NORM_EPSILON = 1e-5;
const BLOCK_NORM_EPSILON = 1e-12;
const LEAKY_SLOPE = 0.01;

export type EncoderInputs = {
  /** (1, S + lookahead) int32; the last `lookahead` tokens give no rows of their own. Negative ids count as 0. */
  readonly tokens: Value;
  /** (1, S + lookahead) float32: 1 for a token, 0 after the end of the utterance. */
  readonly valid: Value;
  /** (1, 2, C): last rows of the look-ahead convolution before this run; zeros at the start. */
  readonly lookaheadTail: Value;
  /** (1, 2·ratio, C): last rows before the up-sampling convolution; zeros at the start. */
  readonly upTail: Value;
  /** (blocks, 2, heads, L, headDim): keys and values of earlier tokens. */
  readonly past: Value;
  /** (upBlocks, 2, heads, L·ratio, headDim) */
  readonly upPast: Value;
};

export type EncoderOutputs = {
  /** [S·ratio, melBins] */
  readonly mu: Value;
  readonly lookaheadTail: Value;
  readonly upTail: Value;
  /** Like the inputs, with this run's keys and values at the end. */
  readonly past: Value;
  readonly upPast: Value;
};

export type EncoderOptions = { readonly graph: Graph; readonly weights: Weights; readonly config: FlowConfig; readonly tap?: Tap };

export function encoder(inputs: EncoderInputs, options: EncoderOptions): EncoderOutputs {
  const { graph, weights, config, tap } = options;
  const watch = new Watch(graph, weights.format);
  const width = config.encoder.hiddenSize;
  const ids = graph.op('Max', [inputs.tokens, graph.op('Cast', [graph.ints([0])], { to: DATA_TYPE.int32 })]);
  const looked = graph.op('Gather', [weights.tensor('input_embedding.weight'), graph.op('Reshape', [ids, graph.ints([-1])])], { axis: 0 });
  const ahead = -config.preLookaheadTokens;
  tap?.('x', graph.op('Slice', [looked, graph.ints([0]), graph.ints([ahead]), graph.ints([0])]));
  const valid = graph.op('Reshape', [inputs.valid, graph.ints([-1, 1])]);
  const embedded = graph.op('Mul', [embed(looked, `${ENCODER}.embed.out`, options), valid]);
  const own = graph.op('Slice', [embedded, graph.ints([0]), graph.ints([ahead]), graph.ints([0])]);
  tap?.('embed', own);

  const layer = `${ENCODER}.pre_lookahead_layer`;
  const batched = (rows: Value): Value => graph.op('Reshape', [rows, graph.ints([1, -1, width])]);
  const seen = graph.op('LeakyRelu', [convolve({ graph, weights, name: `${layer}.conv1`, padded: batched(embedded) })], { alpha: { float: LEAKY_SLOPE } });
  const seenWithPast = graph.op('Concat', [inputs.lookaheadTail, batched(seen)], { axis: 1 });
  let rows = graph.op('Add', [convolve({ graph, weights, name: `${layer}.conv2`, padded: seenWithPast }), own]);
  tap?.('lookahead', rows);

  const lower = blocks(rows, { ...options, watch, prefix: `${ENCODER}.encoders`, count: config.encoder.blocks, past: inputs.past, tapName: 'block' });
  const repeated = graph.op('Reshape', [graph.op('Expand', [graph.op('Unsqueeze', [lower.rows, graph.ints([1])]), graph.ints([1, config.tokenMelRatio, 1])]), graph.ints([1, -1, width])]);
  const repeatedWithPast = graph.op('Concat', [inputs.upTail, repeated], { axis: 1 });
  rows = convolve({ graph, weights, name: `${ENCODER}.up_layer.conv`, padded: repeatedWithPast });
  tap?.('up', rows);
  rows = embed(rows, `${ENCODER}.up_embed.out`, options);
  tap?.('up_embed', rows);
  const upper = blocks(rows, { ...options, watch, prefix: `${ENCODER}.up_encoders`, count: config.encoder.upBlocks, past: inputs.upPast, tapName: 'up_block' });
  const out = weights.layerNorm(graph, upper.rows, `${ENCODER}.after_norm`, EMBED_NORM_EPSILON);
  tap?.('out', out);
  const last = (padded: Value, count: number): Value => graph.op('Slice', [padded, graph.ints([-count]), graph.ints([LAST]), graph.ints([1])]);
  return {
    mu: watch.over(weights.linear(graph, out, 'encoder_proj', { exact: true })),
    lookaheadTail: last(seenWithPast, 2),
    upTail: last(repeatedWithPast, 2 * config.tokenMelRatio),
    past: lower.past,
    upPast: upper.past,
  };
}

/** Linear, LayerNorm, times √width (cosyvoice/transformer/subsampling.py LinearNoSubsampling and its position class). */
function embed(rows: Value, name: string, { graph, weights, config }: EncoderOptions): Value {
  const normed = weights.layerNorm(graph, weights.linear(graph, rows, `${name}.0`), `${name}.1`, EMBED_NORM_EPSILON);
  return graph.op('Mul', [normed, graph.float(Math.sqrt(config.encoder.hiddenSize))]);
}

type BlocksOptions = EncoderOptions & { readonly watch: Watch; readonly prefix: string; readonly count: number; readonly past: Value; readonly tapName: string };

function blocks(input: Value, { prefix, count, past, tapName, ...options }: BlocksOptions): { readonly rows: Value; readonly past: Value } {
  const { graph, weights, tap } = options;
  const positions = new Positions(options, input, past);
  const layers = graph.ops('Split', [past], count, { axis: 0, num_outputs: count });
  const presents: Value[] = [];
  let rows = input;
  for (const [index, layerPast] of layers.entries()) {
    const name = `${prefix}.${index}`;
    const attended = attention(weights.layerNorm(graph, rows, `${name}.norm_mha`, BLOCK_NORM_EPSILON), { ...options, name: `${name}.self_attn`, past: layerPast, positions });
    presents.push(attended.past);
    rows = graph.op('Add', [rows, attended.rows]);
    const inner = weights.linear(graph, weights.layerNorm(graph, rows, `${name}.norm_ff`, BLOCK_NORM_EPSILON), `${name}.feed_forward.w_1`);
    const silu = graph.op('Mul', [inner, graph.op('Sigmoid', [inner])]);
    rows = graph.op('Add', [rows, weights.linear(graph, silu, `${name}.feed_forward.w_2`)]);
    if (index === 0) tap?.(`${tapName}0`, rows);
  }
  tap?.(`${tapName}s`, rows);
  options.watch.see(rows);
  return { rows, past: graph.op('Concat', presents, { axis: 0 }) };
}

type AttentionOptions = EncoderOptions & { readonly watch: Watch; readonly name: string; readonly past: Value; readonly positions: Positions };

/**
 * softmax(((q + u)·k + (q + v)·(Wpos·pe(i − j))) / √d) v. The position term is the additive bias of MultiHeadAttention.
 * `past`: (1, 2, heads, L, headDim).
 */
function attention(rows: Value, { graph, weights, config, watch, name, past, positions }: AttentionOptions): { readonly rows: Value; readonly past: Value } {
  const { heads, hiddenSize } = config.encoder;
  const headDim = hiddenSize / heads;
  const heading = (flat: Value): Value => graph.op('Transpose', [graph.op('Reshape', [flat, graph.ints([1, -1, heads, headDim])])], { perm: [0, 2, 1, 3] });
  const flatTensor = (tensor: string): Value => graph.op('Reshape', [weights.tensor(`${name}.${tensor}`), graph.ints([hiddenSize])]);
  const query = weights.linear(graph, rows, `${name}.linear_q`);
  const [pastKeys = NONE, pastValues = NONE] = graph.ops('Split', [past], 2, { axis: 1, num_outputs: 2 });
  const extend = (before: Value, linear: string): Value =>
    graph.op('Concat', [graph.op('Squeeze', [before, graph.ints([1])]), heading(weights.linear(graph, rows, `${name}.${linear}`))], { axis: 2 });
  const keys = extend(pastKeys, 'linear_k');
  const values = extend(pastValues, 'linear_v');
  const towardsPositions = heading(graph.op('Mul', [graph.op('Add', [query, flatTensor('pos_bias_v')]), graph.float(1 / Math.sqrt(headDim))]));
  const bias = positions.bias(towardsPositions, `${name}.linear_pos`);
  const towardsKeys = graph.op('Reshape', [graph.op('Add', [query, flatTensor('pos_bias_u')]), graph.ints([1, -1, hiddenSize])]);
  const mixed = graph.op('MultiHeadAttention', [towardsKeys, keys, values, NONE, NONE, bias], { num_heads: heads }, { domain: MICROSOFT });
  watch.see(mixed);
  const present = graph.op('Concat', [keys, values].map((value) => graph.op('Unsqueeze', [value, graph.ints([1])])), { axis: 1 });
  return { rows: weights.linear(graph, graph.op('Reshape', [mixed, graph.ints([-1, hiddenSize])]), `${name}.linear_out`), past: present };
}

/** Relative positions of `rows` queries that stand at the end of L + rows keys, shared by the layers of one rate. */
class Positions {
  readonly #options: EncoderOptions;
  /** Number of queries and of keys, int64 [1]. */
  readonly #queries: Value;
  readonly #keys: Value;
  /** (K + Q, width): pe(r) for r = K−1 … −Q, all sines then all cosines. */
  readonly #table: Value;

  constructor(options: EncoderOptions, rows: Value, past: Value) {
    const { graph, config } = options;
    this.#options = options;
    const size = (value: Value, axis: number): Value => graph.op('Shape', [value], { start: axis, end: axis + 1 });
    this.#queries = size(rows, 0);
    this.#keys = graph.op('Add', [size(past, 3), this.#queries]);
    const scalar = (value: Value): Value => graph.op('Squeeze', [value]);
    const one = graph.ints([1]);
    const first = scalar(graph.op('Sub', [this.#keys, one]));
    const end = scalar(graph.op('Sub', [graph.op('Neg', [this.#queries]), one]));
    const distances = graph.op('Reshape', [graph.op('Cast', [graph.op('Range', [first, end, graph.ints(-1)])], { to: DATA_TYPE.float32 }), graph.ints([-1, 1])]);
    const width = config.encoder.hiddenSize;
    const step = Math.fround(-(Math.log(10000) / width));
    const frequencies = graph.floats('positions/frequencies', [1, width / 2], () => Float32Array.from({ length: width / 2 }, (_, m) => Math.exp(Math.fround(2 * m * step))));
    const angles = graph.op('Mul', [distances, frequencies]);
    this.#table = sinesCosines(graph, angles);
  }

  /**
   * queries (1, heads, Q, headDim), scaled → (1, heads, Q, K). The product with the table has the entry of distance
   * r = K−1−c in column c; query i needs column Q−1−i+j for key j, which one flat shift by a row turns into column j.
   */
  bias(queries: Value, linear: string): Value {
    const { graph, weights, config } = this.#options;
    const { heads, hiddenSize } = config.encoder;
    const projected = weights.multiply(graph, this.#table, this.#sinesFirst(linear));
    const perHead = graph.op('Transpose', [graph.op('Reshape', [projected, graph.ints([1, -1, heads, hiddenSize / heads])])], { perm: [0, 2, 3, 1] });
    const product = graph.op('MatMul', [queries, perHead]);
    const flat = graph.op('Reshape', [product, graph.ints([1, heads, -1])]);
    const start = graph.op('Sub', [this.#queries, graph.ints([1])]);
    const columns = graph.op('Sub', [graph.op('Add', [this.#keys, this.#queries]), graph.ints([1])]);
    const end = graph.op('Add', [start, graph.op('Mul', [this.#queries, columns])]);
    const shifted = graph.op('Slice', [flat, start, end, graph.ints([2])]);
    const shape = graph.op('Concat', [graph.ints([1, heads]), this.#queries, columns], { axis: 0 });
    return graph.op('Slice', [graph.op('Reshape', [shifted, shape]), graph.ints([0]), this.#keys, graph.ints([3])]);
  }

  /** The official table has sines at even and cosines at odd columns; the columns of the weight are put in our order. */
  #sinesFirst(linear: string): { readonly name: string; readonly outputs: number; readonly inputs: number; readonly values: () => Float32Array } {
    const { weights } = this.#options;
    const name = `${linear}.weight`;
    const [outputs = 0, inputs = 0] = weights.shape(name);
    const values = (): Float32Array => {
      const stored = weights.store.float32(name);
      return stored.map((_, index) => {
        const column = index % inputs;
        const from = column < inputs / 2 ? 2 * column : 2 * (column - inputs / 2) + 1;
        return stored[index - column + from] ?? 0;
      });
    };
    return { name, outputs, inputs, values };
  }
}
