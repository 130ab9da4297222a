/**
 * Vocoder graphs: `f0.onnx` (mel → pitch) and `decode.onnx` (mel + source → samples), and `vocoder.json` with the
 * weights of the harmonic source between them, which is computed in double in wave/source.ts, because its running phase
 * must not lose precision with length.
 * Official: cosyvoice/hifigan/f0_predictor.py ConvRNNF0Predictor, generator.py HiFTGenerator.decode.
 *
 * `decode` works on a window with context: of W frames the first `left` and the last `right` only inform the others.
 * After each stage the signal is cropped to the context that the remaining stages can still see, so context costs less
 * than its length. At the ends of an utterance the context is 0 and the padding is that of the official code.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint, TensorStore, VocoderConfig } from '../checkpoint/types.ts';
import { conv, inverseStft, residualBlock, stft, upsample } from './layers/hift.ts';
import type { Real } from './layers/hift.ts';
import { channelsFirst, channelsLast, residualBlockInt8 } from './layers/hift8.ts';
import { exactWeightLevels } from './layers/vnni.ts';
import type { Network } from './network.ts';
import { DATA_TYPE, Graph } from './onnx/graph.ts';
import type { Value } from './onnx/graph.ts';
import { writeModel } from './onnx/write.ts';

export const vocoder: Network = {
  stage: 'hift',
  precisions: ['fp32', 'int8', 'fp16'],
  write: (checkpoint: Checkpoint, directory: string, precision) => {
    const weightLevels = precision === 'int8' ? exactWeightLevels() : 0;
    const files: VocoderFiles = { source: sourceWeights(checkpoint.hift), weightLevels };
    writeModel(f0Graph(checkpoint.hift, checkpoint.config.hift), join(directory, 'f0.onnx'));
    writeModel(decodeGraph(checkpoint.hift, checkpoint.config.hift, { weightLevels, type: precision === 'fp16' ? 'float16' : 'float32' }), join(directory, 'decode.onnx'));
    writeFileSync(join(directory, 'vocoder.json'), JSON.stringify(files));
  },
};

/** What the stage needs besides the graphs, in `vocoder.json`. */
export type VocoderFiles = {
  /** The layer that merges the harmonics. */
  readonly source: { readonly weight: readonly number[]; readonly bias: number };
  /** Largest level of 8-bit weights; 0 where there are none. A machine that adds exactly only fewer levels must convert anew. */
  readonly weightLevels: number;
};

/** Residual blocks of at least this many channels have 8-bit products in precision int8; with 64 the gain was 15 %. */
const INT8_CHANNELS = 96;

/** The layer that merges the harmonics; ten numbers, which the source needs outside of a graph. */
export function sourceWeights(store: TensorStore): { weight: number[]; bias: number } {
  const [bias = 0] = store.float32('m_source.l_linear.bias');
  return { weight: [...store.float32('m_source.l_linear.weight')], bias };
}

/** mel (B, 80, F) → f0 (B, F) in Hz. A value depends on one frame per layer on both sides. */
export function f0Graph(store: TensorStore, config: VocoderConfig): Graph {
  const graph = new Graph('f0');
  const mel = graph.input('mel', 'float32', ['B', config.melBins, 'F']);
  let x = graph.op('Unsqueeze', [mel, graph.ints([2])]);
  // Every second module of the official Sequential is the activation.
  for (let i = 0; i < config.f0.layers; i++) x = graph.op('Elu', [conv(graph, store, x, `f0_predictor.condnet.${2 * i}`)]);
  const weight = graph.floats('f0_predictor.classifier.weight', [1, config.f0.channels, 1, 1], () => store.float32('f0_predictor.classifier.weight'));
  const bias = graph.floats('f0_predictor.classifier.bias', [1], () => store.float32('f0_predictor.classifier.bias'));
  const hertz = graph.op('Abs', [graph.op('Conv', [x, weight, bias])]);
  graph.output('f0', graph.op('Squeeze', [hertz, graph.ints([1, 2])]), 'float32', ['B', 'F']);
  return graph;
}

/**
 * mel (B, 80, W), source (B, 480·W), left (1), right (1) → samples (B, 480·(W − left − right)), not clamped.
 * `taps` adds the outputs of inner layers under the names of the reference cases. `weightLevels` > 0: residual blocks of at
 * least `int8Channels` channels have 8-bit products with that many weight levels on each side of zero. `type`: of everything
 * between the two transforms; pitch, spectra, exponentials and phases stay float32.
 */
export function decodeGraph(store: TensorStore, config: VocoderConfig, { taps = false, weightLevels = 0, int8Channels = INT8_CHANNELS, type = 'float32' }: { taps?: boolean; weightLevels?: number; int8Channels?: number; type?: Real } = {}): Graph {
  const graph = new Graph('decode');
  const mel = graph.input('mel', 'float32', ['B', config.melBins, 'W']);
  const source = graph.input('source', 'float32', ['B', 'N']);
  const left = graph.input('left', 'int64', [1]);
  const right = graph.input('right', 'int64', [1]);
  const tap = (name: string, value: Value) => {
    if (taps) graph.output(name, value, 'float32', ['B', 'C', 1, `W_${name}`]);
    return value;
  };
  const context = contextFrames(config);
  const stages = config.upsampleRates.length;
  const hops = config.upsampleRates.reduce((a, b) => a * b);
  const blocks = config.resblockKernelSizes.length;

  const as = (value: Value, to: Real): Value => (type === 'float32' ? value : graph.op('Cast', [value], { to: DATA_TYPE[to] }));
  const exact = stft(graph, graph.op('Unsqueeze', [source, graph.ints([1, 2])]), config.istft);
  const spectrum = as(exact, type);
  if (taps) graph.output('stft', exact, 'float32', ['B', config.istft.nFft + 2, 1, 'L']);
  // Context that is still there, on each side.
  let remaining: readonly [Value, Value] = [left, right];
  const crop = (x: Value, rate: number, needed: number): Value => cut(graph, x, rate, remaining, needed);
  const cropped = (needed: number) => (remaining = [graph.op('Min', [left, graph.ints([needed])]), graph.op('Min', [right, graph.ints([needed])])]);

  let x = tap('conv_pre', conv(graph, store, as(graph.op('Unsqueeze', [mel, graph.ints([2])]), type), 'conv_pre', { type }));
  let rate = 1;
  for (let i = 0; i < stages; i++) {
    const up = config.upsampleRates[i] as number;
    const needed = context.stages[i] as number;
    const down = hops / (rate * up);
    if (i > 0) {
      x = crop(x, rate, needed);
      cropped(needed);
    }
    x = graph.op('LeakyRelu', [x], { alpha: { float: config.leakyReluSlope } });
    x = tap(`up${i}`, upsample({ graph, store, x, name: `ups.${i}`, rate: up, scale: i === 0 ? 1 : 1 / blocks, type }));
    rate *= up;
    if (i === stages - 1) x = graph.op('Pad', [x, graph.ints([0, 0, 0, 1, 0, 0, 0, 0])], { mode: 'reflect' });

    const pad = Math.floor(down / 2);
    const near = cut(graph, spectrum, hops, [left, right], i === 0 ? Number.MAX_SAFE_INTEGER : needed);
    const merged = tap(`src_down${i}`, conv(graph, store, near, `source_downs.${i}`, { stride: down, pads: [pad, pad], type }));
    // Each stage halves the channels.
    const levels = config.baseChannels >> (i + 1) >= int8Channels ? weightLevels : 0;
    const sourceBlock = { name: `source_resblocks.${i}`, dilations: config.sourceResblockDilations[i] ?? [] };
    x = graph.op('Add', [x, tap(`src_res${i}`, residualSum({ graph, store, x: merged, blocks: [sourceBlock], levels, type }))]);
    if (i === 0) {
      x = crop(x, rate, needed);
      cropped(needed);
    }
    const mixed = config.resblockDilations.map((dilations, j) => ({ name: `resblocks.${i * blocks + j}`, dilations }));
    x = residualSum({ graph, store, x, blocks: mixed, levels, type, onFirst: (value) => tap(`res${i}_0`, value) });
  }
  // torch's default slope, not the configured one (generator.py: `F.leaky_relu(x)`).
  x = graph.op('LeakyRelu', [x], { alpha: { float: 0.01 } });
  x = tap('conv_post', conv(graph, store, x, 'conv_post', { type, inScale: () => new Float32Array(store.tensors.get('conv_post.weight')?.shape[1] ?? 0).fill(1 / blocks) }));
  const samples = inverseStft(graph, toRectangular(graph, as(x, 'float32'), config.istft.nFft / 2 + 1), config.istft);
  const wide = graph.op('Unsqueeze', [samples, graph.ints([1, 2])]);
  graph.output('samples', graph.op('Squeeze', [crop(wide, hops * config.istft.hopLength, 0), graph.ints([1, 2])]), 'float32', ['B', 'M']);
  return graph;
}

type ResidualSum = {
  readonly graph: Graph;
  readonly store: TensorStore;
  readonly x: Value;
  readonly blocks: readonly { readonly name: string; readonly dilations: readonly number[] }[];
  /** 0: float32. */
  readonly levels: number;
  readonly type: Real;
  readonly onFirst?: (value: Value) => void;
};

/** The sum of the blocks' outputs for the same input, (B, C, 1, L) → (B, C, 1, L). */
function residualSum({ graph, store, x, blocks, levels, type, onFirst }: ResidualSum): Value {
  const input = levels > 0 ? channelsLast(graph, x) : x;
  const outputs = blocks.map(({ name, dilations }) => (levels > 0 ? residualBlockInt8({ graph, store, x: input, name, dilations, levels }) : residualBlock({ graph, store, x: input, name, dilations, type })));
  if (outputs[0] && levels === 0) onFirst?.(outputs[0]);
  const sum = outputs.reduce((a, b) => graph.op('Add', [a, b]));
  return levels > 0 ? channelsFirst(graph, sum) : sum;
}

/** Log-magnitude and phase rows → real and imaginary rows. The magnitude is limited to 100 (`_istft`). */
function toRectangular(graph: Graph, x: Value, bins: number): Value {
  const [logMagnitude, angle] = graph.ops('Split', [x, graph.ints([bins, bins])], 2, { axis: 1 }) as [Value, Value];
  const magnitude = graph.op('Min', [graph.op('Exp', [logMagnitude]), graph.float(100)]);
  const phase = graph.op('Sin', [angle]);
  return graph.op('Concat', [graph.op('Mul', [magnitude, graph.op('Cos', [phase])]), graph.op('Mul', [magnitude, graph.op('Sin', [phase])])], { axis: 1 });
}

/** Removes the frames of context beyond `needed` on both sides of (B, C, 1, rate·frames [+ 1]). */
function cut(graph: Graph, x: Value, rate: number, remaining: readonly [Value, Value], needed: number): Value {
  if (needed === Number.MAX_SAFE_INTEGER) return x;
  const [before, behind] = remaining.map((frames) => graph.op('Mul', [graph.op('Max', [graph.op('Sub', [frames, graph.ints([needed])]), graph.ints([0])]), graph.ints([rate])])) as [Value, Value];
  const length = graph.op('Shape', [x], { start: 3, end: 4 });
  return graph.op('Slice', [x, before, graph.op('Sub', [length, behind]), graph.ints([3])]);
}

/** Kernel of conv_pre and conv_post; literal in the official code. */
const OUTER_KERNEL = 7;

export type VocoderContext = {
  /** Frames of mel and source on both sides that make a window's inside exact. 15 at full size. */
  readonly total: number;
  /** Of those, the frames that stage i still needs at its entry (stage 0: at the entry of its main residual blocks). */
  readonly stages: readonly number[];
  /** Frames of mel on both sides that a pitch value depends on. */
  readonly f0: number;
};

/** How far the vocoder looks, from its kernel sizes. Agrees with the measurement in MODEL.md §5.4 (14.2 frames of source). */
export function contextFrames(config: VocoderConfig): VocoderContext {
  const { upsampleRates, upsampleKernelSizes, istft } = config;
  const main = Math.max(...config.resblockKernelSizes.map((kernel, j) => reach(kernel, config.resblockDilations[j] ?? [])));
  let rate = upsampleRates.reduce((a, b) => a * b);
  // Positions at the current rate that everything behind the current point reaches.
  let behind = (OUTER_KERNEL - 1) / 2 + istft.nFft / istft.hopLength / 2;
  let sourceFrames = 0;
  const stages = upsampleRates.map(() => 0);
  for (let i = upsampleRates.length - 1; i >= 0; i--) {
    const up = upsampleRates[i] as number;
    const inside = behind + main;
    // One position for the down-sampling convolution of the source, whose kernel is two strides.
    const withSource = inside + reach(config.sourceResblockKernelSizes[i] as number, config.sourceResblockDilations[i] ?? []) + 1;
    stages[i] = Math.ceil((i > 0 ? withSource : inside) / rate);
    sourceFrames = withSource / rate;
    behind = (inside + ((upsampleKernelSizes[i] as number) + up) / 2 - 1) / up;
    rate /= up;
  }
  // Half a frame: the source behind the centre of the last known pitch value is not known yet.
  return { total: Math.ceil(Math.max(sourceFrames + 0.5, behind + (OUTER_KERNEL - 1) / 2)), stages, f0: config.f0.layers };
}

/** Positions on each side that a residual block looks at. */
function reach(kernel: number, dilations: readonly number[]): number {
  return ((kernel - 1) / 2) * dilations.reduce((sum, dilation) => sum + dilation + 1, 0);
}
