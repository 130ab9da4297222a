/**
 * Layers of the HiFT vocoder (HiFTNet, arXiv 2309.09493; official cosyvoice/hifigan/generator.py) as ONNX nodes.
 * Signals are (B, C, 1, W): with a height of one, ONNX Runtime takes its blocked convolution kernels on CPU, which it does
 * not for three-dimensional tensors (measured 1.3–1.6 times faster). Two identities save passes over memory:
 * - snake(x) = x + sin²(αx)/α = (t + sin² t)/α with t = αx: α and 1/α go into the weights of the neighbouring convolutions;
 * - leaky ReLU commutes with a positive factor: the mean of the residual blocks is a sum, its 1/n goes into the next weights.
 */
import { strict as assert } from 'node:assert';
import type { TensorInfo, TensorStore, VocoderConfig } from '../../checkpoint/types.ts';
import { CosyError } from '../../../shared/errors/index.ts';
import { bytesOf } from '../onnx/graph.ts';
import type { Graph, Value } from '../onnx/graph.ts';

/** Under this, sin²(αx)/α is below float32 rounding of x for any x that occurs, and 1/α is still a normal number. */
const SMALLEST_ALPHA = 1e-6;

/** Number type of signals and weights. */
export type Real = 'float32' | 'float16';

/** `inScale`, `outScale`: factors per input and output channel that are multiplied into the weights. */
export type ConvOptions = {
  /** Of signal and weights. */
  readonly type?: Real;
  readonly stride?: number;
  readonly dilation?: number;
  readonly pads?: readonly [number, number];
  readonly inScale?: () => Float32Array;
  readonly outScale?: () => Float32Array;
};

/** (B, Cin, 1, W) → (B, Cout, 1, W'); `name` has `.weight` (Cout, Cin, k) and `.bias`. Padding keeps the length when not given. */
export function conv(graph: Graph, store: TensorStore, x: Value, name: string, options: ConvOptions = {}): Value {
  const [outputs, inputs, kernel] = shapeOf(store, `${name}.weight`);
  const { stride = 1, dilation = 1, inScale, outScale, type = 'float32' } = options;
  const half = ((kernel - 1) * dilation) / 2;
  const [left, right] = options.pads ?? [half, half];
  const weight = reals(graph, type, `${name}.weight`, [outputs, inputs, 1, kernel], () => {
    const values = store.float32(`${name}.weight`);
    const columns = inScale?.();
    const rows = outScale?.();
    if (columns) values.forEach((value, i) => (values[i] = value * (columns[Math.floor(i / kernel) % inputs] as number)));
    if (rows) values.forEach((value, i) => (values[i] = value * (rows[Math.floor(i / (kernel * inputs))] as number)));
    return values;
  });
  const bias = reals(graph, type, `${name}.bias`, [outputs], () => {
    const rows = outScale?.();
    return store.float32(`${name}.bias`).map((value, i) => value * (rows?.[i] ?? 1));
  });
  return graph.op('Conv', [x, weight, bias], { kernel_shape: [1, kernel], strides: [1, stride], dilations: [1, dilation], pads: [0, left, 0, right] }, { name });
}

/** (B, Cin, 1, W) → (B, Cout, 1, rate·W); weight (Cin, Cout, k), times `scale`. */
export function upsample({ graph, store, x, name, rate, scale, type = 'float32' }: { graph: Graph; store: TensorStore; x: Value; name: string; rate: number; scale: number; type?: Real }): Value {
  const [inputs, outputs, kernel] = shapeOf(store, `${name}.weight`);
  const pad = (kernel - rate) / 2;
  const weight = reals(graph, type, `${name}.weight`, [inputs, outputs, 1, kernel], () => store.float32(`${name}.weight`).map((value) => value * scale));
  const bias = reals(graph, type, `${name}.bias`, [outputs], () => store.float32(`${name}.bias`));
  return graph.op('ConvTranspose', [x, weight, bias], { kernel_shape: [1, kernel], strides: [1, rate], pads: [0, pad, 0, pad] }, { name });
}

/** One residual block: for each dilation d, x += conv_{k,1}(snake(conv_{k,d}(snake(x)))). (B, C, 1, W) → the same. */
export function residualBlock({ graph, store, x, name, dilations, type = 'float32' }: { graph: Graph; store: TensorStore; x: Value; name: string; dilations: readonly number[]; type?: Real }): Value {
  return dilations.reduce((sum, dilation, j) => {
    const outer = alphaOf(store, `${name}.activations1.${j}.alpha`);
    const inner = alphaOf(store, `${name}.activations2.${j}.alpha`);
    const scaled = graph.op('Mul', [sum, reals(graph, type, `${name}.activations1.${j}.alpha`, [1, ...outer.shape, 1, 1], outer.values)]);
    const hidden = conv(graph, store, snake(graph, scaled), `${name}.convs1.${j}`, { type, dilation, inScale: () => outer.values().map(reciprocal), outScale: inner.values });
    return graph.op('Add', [conv(graph, store, snake(graph, hidden), `${name}.convs2.${j}`, { type, inScale: () => inner.values().map(reciprocal) }), sum]);
  }, x);
}

/** t + sin² t */
export function snake(graph: Graph, t: Value): Value {
  const sine = graph.op('Sin', [t]);
  return graph.op('Add', [t, graph.op('Mul', [sine, sine])]);
}

/** The parameters (C,) of a snake, kept away from zero. */
export function alphaOf(store: TensorStore, name: string): { readonly shape: readonly number[]; readonly values: () => Float32Array } {
  return { shape: infoOf(store, name).shape, values: () => store.float32(name).map((value) => (Math.abs(value) < SMALLEST_ALPHA ? SMALLEST_ALPHA : value)) };
}

/** Weight of either type, values rounded to nearest. */
function reals(graph: Graph, type: Real, name: string, shape: readonly number[], values: () => Float32Array): Value {
  return graph.weight(name, type, shape, () => bytesOf(type === 'float16' ? new Float16Array(values()) : values()));
}

function reciprocal(value: number): number {
  return 1 / value;
}

/**
 * Short-time Fourier transform, centred with reflection, periodic Hann (torch.stft as in `_stft`).
 * (B, 1, 1, N) → (B, nFft + 2, 1, N/hop + 1): real rows, then imaginary rows.
 */
export function stft(graph: Graph, x: Value, { nFft, hopLength }: VocoderConfig['istft']): Value {
  const padded = graph.op('Pad', [x, graph.ints([0, 0, 0, nFft / 2, 0, 0, 0, nFft / 2])], { mode: 'reflect' });
  const bins = nFft / 2 + 1;
  const window = hann(nFft);
  const basis = graph.floats('stft.basis', [2 * bins, 1, 1, nFft], () =>
    Float32Array.from({ length: 2 * bins * nFft }, (_, i) => {
      const n = i % nFft;
      const row = Math.floor(i / nFft);
      const angle = (2 * Math.PI * (row % bins) * n) / nFft;
      return (window[n] as number) * (row < bins ? Math.cos(angle) : -Math.sin(angle));
    }),
  );
  return graph.op('Conv', [padded, basis], { kernel_shape: [1, nFft], strides: [1, hopLength] });
}

/**
 * Inverse of `stft` by overlap and add, as a convolution whose `hop` output rows are the samples of one hop:
 * (B, nFft + 2, 1, L) → (B, hop·(L − 1)). Divides by the overlapped squared window of the inside; the first and the last
 * nFft − hop samples of a whole utterance have less of it (`edgeGains`).
 */
export function inverseStft(graph: Graph, spectrum: Value, { nFft, hopLength }: VocoderConfig['istft']): Value {
  const bins = nFft / 2 + 1;
  const overlap = nFft / hopLength;
  assert(Number.isInteger(overlap) && overlap % 2 === 0, 'the inverse transform needs an even number of hops in a window');
  const window = hann(nFft);
  const weight = graph.floats('istft.basis', [hopLength, 2 * bins, 1, overlap], () =>
    Float32Array.from({ length: hopLength * 2 * bins * overlap }, (_, i) => {
      const back = overlap - 1 - (i % overlap);
      const row = Math.floor(i / overlap) % (2 * bins);
      const sample = Math.floor(i / (overlap * 2 * bins));
      const bin = row % bins;
      const n = hopLength * back + sample;
      const angle = (2 * Math.PI * bin * n) / nFft;
      const envelope = Array.from({ length: overlap }, (_, j) => (window[hopLength * j + sample] as number) ** 2).reduce((a, b) => a + b);
      const sides = bin === 0 || bin === nFft / 2 ? 1 : 2;
      return ((sides / nFft) * (window[n] as number) * (row < bins ? Math.cos(angle) : -Math.sin(angle))) / envelope;
    }),
  );
  // Half a window is cut off in front and behind, which leaves overlap/2 − 1 hops of padding.
  const hops = graph.op('Conv', [spectrum, weight], { kernel_shape: [1, overlap], pads: [0, overlap / 2 - 1, 0, overlap / 2 - 1] });
  return graph.op('Reshape', [graph.op('Transpose', [hops], { perm: [0, 2, 3, 1] }), graph.ints([0, -1])]);
}

/** Factors for the first (`head`) and, counted backwards, the last (`tail`) samples of an utterance, where fewer windows overlap than inside. */
export function edgeGains({ nFft, hopLength }: VocoderConfig['istft']): { readonly head: Float64Array; readonly tail: Float64Array } {
  const squares = hann(nFft).map((value) => value * value);
  const gains = (lacks: (sample: number) => number) =>
    Float64Array.from({ length: nFft / 2 - hopLength }, (_, i) => {
      const sample = lacks(i);
      let whole = 0;
      let missing = 0;
      for (let n = ((sample % hopLength) + hopLength) % hopLength; n < nFft; n += hopLength) {
        whole += squares[n] as number;
        if (sample < nFft / 2 ? n <= sample : n >= sample) missing += squares[n] as number;
      }
      return whole / (whole - missing);
    });
  // Places within the nearest window that is not there: it would have begun one hop before the first, or after the last.
  return { head: gains((i) => nFft / 2 + hopLength + i), tail: gains((i) => nFft / 2 - hopLength - 1 - i) };
}

/** Periodic Hann window. */
function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / length));
}

/** The three axes of a convolution's weight. Throws `checkpoint_invalid` naming the tensor. */
export function shapeOf(store: TensorStore, name: string): readonly [number, number, number] {
  const [a, b, c, ...more] = infoOf(store, name).shape;
  if (a === undefined || b === undefined || c === undefined || more.length > 0) throw new CosyError('checkpoint_invalid', `hift: ${name} must have three axes.`);
  return [a, b, c];
}

function infoOf(store: TensorStore, name: string): TensorInfo {
  const info = store.tensors.get(name);
  if (!info) throw new CosyError('checkpoint_invalid', `hift: the tensor ${name} is missing. Is this a CosyVoice2 checkpoint?`);
  return info;
}
