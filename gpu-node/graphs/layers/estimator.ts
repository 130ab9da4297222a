/**
 * The velocity field of the flow: 1-D U-Net of one resolution (cosyvoice/flow/decoder.py CausalConditionalDecoder, blocks of
 * Matcha-TTS), on channels-last rows. Rows of the batch lie one after another, [B·F, channels]; B is fixed when the graph is
 * written (2 = with and without condition). What lies left of the frames comes through `Past`, so the same formula serves a
 * whole utterance and a block that continues one.
 */
import { DATA_TYPE, MICROSOFT, NONE } from '../onnx/graph.ts';
import { convolve } from './conv.ts';
import type { FlowConfig } from '../../checkpoint/types.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import type { Watch } from './watch.ts';
import type { Weights } from './weights.ts';

const ESTIMATOR = 'decoder.estimator';
const LAYER_NORM_EPSILON = 1e-5;
/** onnx.proto3 TensorProto.DataType; only ever inside a graph. */
const DOUBLE = 11;

/** How one pass reaches frames to the left. Called in the order of the network; each call is one layer. */
export interface Past {
  /** (B, F, C) → (B, 2 + F, C): the last two frames of this layer's input before the block, then the block. */
  readonly before: (frames: Value, channels: number) => Value;
  /** Queries (B, F, heads·headDim), keys and values (B, heads, F, headDim) of the block → values mixed with those of before, like the queries. */
  readonly attend: (queries: Value, keys: Value, values: Value) => Value;
}

/** Named points of the network, for comparison with the official modules. Values are rows [B·F, channels]. */
export type Tap = (name: string, rows: Value) => void;

export type EstimatorOptions = {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly config: FlowConfig;
  readonly batch: number;
  readonly past: Past;
  /** (1 or B, C) for each resnet, in order: `timeBiases`. */
  readonly timeBiases: readonly Value[];
  readonly tap?: Tap;
  readonly watch?: Watch;
};

/** input (B, F, inChannels) → velocity [B·F, melBins], both in the type of `weights`. */
export function estimator(input: Value, options: EstimatorOptions): Value {
  const { graph, weights, config, tap } = options;
  const net = new Net(options);
  const width = config.estimator.channels;
  const entered = net.stage(`${ESTIMATOR}.down_blocks.0`, net.flat(input, config.estimator.inChannels), { input: config.estimator.inChannels, resnetTap: 'resnet_down' });
  tap?.('down', entered);
  let rows = net.causal(`${ESTIMATOR}.down_blocks.0.2`, entered, width);
  tap?.('downsample', rows);
  for (let index = 0; index < config.estimator.midStages; index++) {
    rows = net.stage(`${ESTIMATOR}.mid_blocks.${index}`, rows, { input: width });
    if (index === 0) tap?.('mid0', rows);
  }
  tap?.('mid_last', rows);
  rows = net.stage(`${ESTIMATOR}.up_blocks.0`, graph.op('Concat', [rows, entered], { axis: 1 }), { input: 2 * width });
  tap?.('up', rows);
  rows = net.causal(`${ESTIMATOR}.up_blocks.0.2`, rows, width);
  tap?.('upsample', rows);
  rows = net.block(`${ESTIMATOR}.final_block`, rows, width);
  tap?.('final_block', rows);
  return weights.linear(graph, rows, `${ESTIMATOR}.final_proj`, { exact: true });
}

/** Names of the resnets in the order in which the network meets them. */
export function resnetNames(config: FlowConfig): string[] {
  const mid = Array.from({ length: config.estimator.midStages }, (_, index) => `${ESTIMATOR}.mid_blocks.${index}.0`);
  return [`${ESTIMATOR}.down_blocks.0.0`, ...mid, `${ESTIMATOR}.up_blocks.0.0`];
}

/** Number of attention layers and channel counts of the convolutions that keep two frames, in the order of `Past` calls. */
export function pastSizes(config: FlowConfig): { readonly attentions: number; readonly convolutions: readonly number[] } {
  const { channels, inChannels, midStages, blocksPerStage } = config.estimator;
  const mid = Array.from({ length: midStages }, () => [channels, channels]).flat();
  return { attentions: (midStages + 2) * blocksPerStage, convolutions: [inChannels, channels, channels, ...mid, 2 * channels, channels, channels, channels] };
}

/**
 * Time (n) → what each resnet adds, [n, C] each: sinusoidal embedding, two linear layers, then Mish and the resnet's own
 * linear (matcha/models/components/decoder.py SinusoidalPosEmb, TimestepEmbedding, ResnetBlock1D). `weights` are float32: it
 * depends on t only and costs nothing.
 */
export function timeBiases({ graph, weights, config, time, tap }: { readonly graph: Graph; readonly weights: Weights; readonly config: FlowConfig; readonly time: Value; readonly tap?: Tap }): Value {
  const half = config.estimator.inChannels / 2;
  const scale = Math.fround(Math.log(10000) / (half - 1));
  const frequencies = graph.floats('time/frequencies', [1, half], () => Float32Array.from({ length: half }, (_, k) => Math.exp(Math.fround(-scale * k))));
  const angles = graph.op('Mul', [graph.op('Reshape', [graph.op('Mul', [time, graph.float(1000)]), graph.ints([-1, 1])]), frequencies]);
  const embedded = sinesCosines(graph, angles);
  tap?.('sin_embedding', embedded);
  const inner = weights.linear(graph, embedded, `${ESTIMATOR}.time_mlp.linear_1`, { exact: true });
  const activated = graph.op('Mul', [inner, graph.op('Sigmoid', [inner])]);
  const hidden = weights.linear(graph, activated, `${ESTIMATOR}.time_mlp.linear_2`, { exact: true });
  tap?.('time_mlp', hidden);
  const shared = mish(graph, hidden, weights);
  const each = resnetNames(config).map((name) => weights.linear(graph, shared, `${name}.mlp.1`, { exact: true }));
  return graph.op('Concat', each, { axis: 1 });
}

/** angles [n, k] → [n, 2k]: sines, then cosines. In double: ONNX Runtime's float32 sine is off by 3e-5 at 1000 radians. */
export function sinesCosines(graph: Graph, angles: Value): Value {
  const wide = graph.op('Cast', [angles], { to: DOUBLE });
  return graph.op('Cast', [graph.op('Concat', [graph.op('Sin', [wide]), graph.op('Cos', [wide])], { axis: 1 })], { to: DATA_TYPE.float32 });
}

/** x · tanh(softplus(x)) = x · n / (n + 2) with n = eˣ(eˣ + 2); x is capped where the quotient is 1 to the type's precision. */
export function mish(graph: Graph, x: Value, weights: Weights): Value {
  const two = weights.scalar(graph, 2);
  const e = graph.op('Exp', [graph.op('Min', [x, weights.scalar(graph, weights.type === 'float32' ? 20 : 5)])]);
  const n = graph.op('Mul', [e, graph.op('Add', [e, two])]);
  return graph.op('Mul', [x, graph.op('Div', [n, graph.op('Add', [n, two])])]);
}

class Net {
  readonly #options: EstimatorOptions;
  #resnets = 0;

  constructor(options: EstimatorOptions) {
    this.#options = options;
  }

  /** Resnet, then transformers. */
  stage(name: string, rows: Value, { input, resnetTap }: { readonly input: number; readonly resnetTap?: string }): Value {
    const { graph, weights, config } = this.#options;
    let x = graph.op('Add', [weights.linear(graph, rows, `${name}.0.res_conv`), this.#resnet(`${name}.0`, rows, input)]);
    if (resnetTap !== undefined) this.#options.tap?.(resnetTap, x);
    for (let index = 0; index < config.estimator.blocksPerStage; index++) {
      const block = `${name}.1.${index}`;
      x = graph.op('Add', [x, this.#attention(`${block}.attn1`, weights.layerNorm(graph, x, `${block}.norm1`, LAYER_NORM_EPSILON))]);
      x = graph.op('Add', [x, this.#feedForward(`${block}.ff.net`, weights.layerNorm(graph, x, `${block}.norm3`, LAYER_NORM_EPSILON))]);
    }
    this.#options.watch?.see(x);
    return x;
  }

  /** Causal convolution of three taps. */
  causal(name: string, rows: Value, channels: number): Value {
    const { graph, weights, past } = this.#options;
    return convolve({ graph, weights, name, padded: past.before(this.#frames(rows, channels), channels) });
  }

  /** Convolution, LayerNorm, Mish. */
  block(name: string, rows: Value, channels: number): Value {
    const { graph, weights } = this.#options;
    const out = mish(graph, weights.layerNorm(graph, this.causal(`${name}.block.0`, rows, channels), `${name}.block.2`, LAYER_NORM_EPSILON), weights);
    this.#options.watch?.see(out);
    return out;
  }

  /** (B, F, C) → [B·F, C] */
  flat(frames: Value, channels: number): Value {
    return this.#options.graph.op('Reshape', [frames, this.#options.graph.ints([-1, channels])]);
  }

  #frames(rows: Value, channels: number): Value {
    return this.#options.graph.op('Reshape', [rows, this.#options.graph.ints([this.#options.batch, -1, channels])]);
  }

  #resnet(name: string, rows: Value, input: number): Value {
    const { graph, config, timeBiases: biases } = this.#options;
    const first = this.block(`${name}.block1`, rows, input);
    const timed = graph.op('Add', [first, biases[this.#resnets++] ?? NONE]);
    return this.block(`${name}.block2`, timed, config.estimator.channels);
  }

  #attention(name: string, rows: Value): Value {
    const { graph, weights, config, past, batch } = this.#options;
    const { heads, headDim } = config.estimator;
    const inner = heads * headDim;
    const projected = weights.stacked(graph, rows, [`${name}.to_q`, `${name}.to_k`, `${name}.to_v`]);
    const [q = NONE, k = NONE, v = NONE] = graph.ops('Split', [projected], 3, { axis: 1, num_outputs: 3 });
    const split = (value: Value): Value => graph.op('Transpose', [graph.op('Reshape', [value, graph.ints([batch, -1, heads, headDim])])], { perm: [0, 2, 1, 3] });
    const mixed = past.attend(this.#frames(q, inner), split(k), split(v));
    this.#options.watch?.see(mixed);
    return weights.linear(graph, this.flat(mixed, inner), `${name}.to_out.0`);
  }

  #feedForward(name: string, rows: Value): Value {
    const { graph, weights } = this.#options;
    const inner = graph.op('BiasGelu', [weights.linear(graph, rows, `${name}.0.proj`, { bias: false }), weights.tensor(`${name}.0.proj.bias`)], {}, { domain: MICROSOFT });
    return weights.linear(graph, inner, `${name}.2`);
  }
}
