import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TensorStore } from '../../../gpu-node/checkpoint/types.ts';
import { inverseStft, stft } from '../../../gpu-node/graphs/layers/hift.ts';
import { residualBlockInt8 } from '../../../gpu-node/graphs/layers/hift8.ts';
import { exactWeightLevels } from '../../../gpu-node/graphs/layers/vnni.ts';
import { Graph } from '../../../gpu-node/graphs/onnx/graph.ts';
import { writeModel } from '../../../gpu-node/graphs/onnx/write.ts';
import { contextFrames } from '../../../gpu-node/graphs/vocoder.ts';
import { runners } from '../../../gpu-node/parity/hift.ts';
import { runCase } from '../../../gpu-node/parity/run.ts';
import { VocoderEngine } from '../../../gpu-node/wave/index.ts';
import { largestDifference, openNarrow, rootMeanSquare, wanderingMel } from '../wave/narrow.ts';
import type { Narrow } from '../wave/narrow.ts';

let narrow: Narrow;
beforeAll(async () => {
  narrow = await openNarrow();
});
afterAll(() => narrow.close());

describe('the vocoder graphs', () => {
  it.each(['hift_f0', 'hift_source', 'hift_stft', 'hift_decode', 'hift_decode_layers', 'hift_decode_loud', 'hift_decode_one', 'hift_inference'])('equal the official modules within tolerance: %s', async (id) => {
    const report = await runCase(id, runners, narrow.context);
    expect(report).toMatchObject({ status: 'passed' });
  });

  it('answer every hift case of the folder', () => {
    expect(narrow.ids.filter((id) => id.startsWith('hift_') && !(id in runners))).toEqual([]);
  });

  it('look 15 frames to each side, as measured on the official modules', () => {
    expect(contextFrames(narrow.checkpoint.config.hift)).toEqual({ total: 15, stages: [10, 3, 2], f0: 5 });
  });

  it('decode the inside of a window with that context like the whole', async () => {
    const { context, directory, checkpoint } = narrow;
    const engine = await VocoderEngine.open(directory, checkpoint.config.hift, context.open);
    const mel = wanderingMel(64);
    const source = Float32Array.from({ length: 64 * 480 }, (_, i) => 0.1 * Math.sin(i * i * 1e-5));
    const whole = await engine.decode({ mel, source, from: 0, to: 64, first: true, last: true });
    const inside = await engine.decode({ mel: mel.slice(10 * 80, 50 * 80), source: source.slice(10 * 480, 50 * 480), from: 15, to: 25, first: false, last: false });
    expect(largestDifference(inside, whole.subarray(25 * 480, 35 * 480))).toBeLessThan(2e-5);
    const less = await engine.decode({ mel: mel.slice(20 * 80, 40 * 80), source: source.slice(20 * 480, 40 * 480), from: 5, to: 15, first: false, last: false });
    expect(largestDifference(less, whole.subarray(25 * 480, 35 * 480))).toBeGreaterThan(1e-3);
    await engine.release();
  });

  it('have residual blocks with 8-bit products that equal plain rounded sums', async () => {
    const { context, directory, checkpoint } = narrow;
    const { config, hift } = checkpoint;
    // 64 levels fit the sums of every processor, 127 those of one with VNNI.
    for (const levels of [64, exactWeightLevels()]) {
      const [name, channels, length] = ['resblocks.4', config.hift.baseChannels / 4, 150] as const;
      const graph = new Graph('blocks8');
      const x = graph.input('x', 'float32', [1, 'L', channels]);
      graph.output('y', residualBlockInt8({ graph, store: hift, x, name, dilations: [1, 3, 5], levels }), 'float32', [1, 'L', channels]);
      writeModel(graph, join(directory, 'blocks8.onnx'));
      const session = await context.open(join(directory, 'blocks8.onnx'));
      const data = Float32Array.from({ length: channels * length }, (_, i) => 2 * Math.sin(i * 0.7) * Math.cos(i * i * 0.01));
      const { y } = await session.run({ x: { type: 'float32', dims: [1, length, channels], data } });
      await session.release();
      const plain = [1, 3, 5].reduce<Float32Array>((sum, dilation, j) => plainUnit({ store: hift, x: sum, channels, name, j, dilation, levels }), data);
      const error = plain.map((value, i) => value - (y?.data[i] as number));
      const added = plain.map((value, i) => value - (data[i] as number));
      // Float rounding moves a value across a step now and then.
      expect(20 * Math.log10(rootMeanSquare(added) / rootMeanSquare(error))).toBeGreaterThan(45);
    }
  });

  it('transform and back like the plain discrete Fourier sums', async () => {
    const istft = { nFft: 16, hopLength: 4 };
    const graph = new Graph('transform');
    const spectrum = stft(graph, graph.op('Unsqueeze', [graph.input('x', 'float32', [1, 'N']), graph.ints([1, 2])]), istft);
    graph.output('spectrum', spectrum, 'float32', [1, 18, 1, 'L']);
    graph.output('y', inverseStft(graph, spectrum, istft), 'float32', [1, 'M']);
    writeModel(graph, join(narrow.directory, 'transform.onnx'));
    const session = await narrow.context.open(join(narrow.directory, 'transform.onnx'));
    const x = Float32Array.from({ length: 480 }, (_, i) => Math.sin(i * 0.3) + Math.cos(i * i * 0.01));
    const { spectrum: rows, y } = await session.run({ x: { type: 'float32', dims: [1, x.length], data: x } });
    await session.release();
    if (rows?.type !== 'float32' || y?.type !== 'float32') throw new Error('float32 outputs');
    expect(largestDifference(rows.data, plainStft(x, istft))).toBeLessThan(5e-6);
    // The first and last samples lack windows; `edgeGains` is for them and is checked by the cases.
    expect(largestDifference(y.data.subarray(4, -4), x.subarray(4, -4))).toBeLessThan(2e-6);
  });
});

/** X[k, m] = Σ w[n]·x[4m + n − 8]·e^(−2πikn/16) over the reflected signal; real rows, then imaginary rows. */
function plainStft(x: Float32Array, { nFft, hopLength }: { nFft: number; hopLength: number }): Float32Array {
  const frames = x.length / hopLength + 1;
  const bins = nFft / 2 + 1;
  const at = (i: number) => x[i < 0 ? -i : i >= x.length ? 2 * (x.length - 1) - i : i] as number;
  const out = new Float32Array(2 * bins * frames);
  for (let k = 0; k < bins; k++) {
    for (let m = 0; m < frames; m++) {
      let real = 0;
      let imaginary = 0;
      for (let n = 0; n < nFft; n++) {
        const value = (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / nFft)) * at(hopLength * m + n - nFft / 2);
        real += value * Math.cos((2 * Math.PI * k * n) / nFft);
        imaginary -= value * Math.sin((2 * Math.PI * k * n) / nFft);
      }
      out[k * frames + m] = real;
      out[(bins + k) * frames + m] = imaginary;
    }
  }
  return out;
}

type PlainUnit = { readonly store: TensorStore; readonly x: Float32Array; readonly channels: number; readonly name: string; readonly j: number; readonly dilation: number; readonly levels: number };

/** x + conv(snake(conv(snake(x)))) in (L, C), with activations and weights rounded to 8 bits in front of each product. */
function plainUnit({ store, x, channels, name, j, dilation, levels }: PlainUnit): Float32Array {
  const outer = store.float32(`${name}.activations1.${j}.alpha`);
  const inner = store.float32(`${name}.activations2.${j}.alpha`);
  const snake = (values: Float32Array, alpha: Float32Array) => values.map((value, i) => (alpha[i % channels] as number) * value + Math.sin((alpha[i % channels] as number) * value) ** 2);
  const hidden = plainConv8({ store, x: snake(x, outer), alpha: outer, name: `${name}.convs1.${j}`, dilation, levels });
  const added = plainConv8({ store, x: snake(hidden, inner), alpha: inner, name: `${name}.convs2.${j}`, dilation: 1, levels });
  return x.map((value, i) => value + (added[i] as number));
}

function plainConv8({ store, x, alpha, name, dilation, levels }: { store: TensorStore; x: Float32Array; alpha: Float32Array; name: string; dilation: number; levels: number }): Float32Array {
  const [outputs = 0, inputs = 0, kernel = 0] = store.tensors.get(`${name}.weight`)?.shape ?? [];
  const bias = store.float32(`${name}.bias`);
  const low = Math.min(0, ...x);
  const step = (Math.max(0, ...x) - low) / 255;
  const zero = Math.round(-low / step);
  const rounded = x.map((value) => Math.max(-zero, Math.min(255 - zero, Math.round(value / step))) * step);
  const weight = store.float32(`${name}.weight`).map((value, i) => value / (alpha[Math.floor(i / kernel) % inputs] as number));
  for (let row = 0; row < outputs; row++) {
    const line = weight.subarray(row * inputs * kernel, (row + 1) * inputs * kernel);
    const size = Math.max(...line.map(Math.abs)) / levels;
    line.set(line.map((value) => Math.round(value / size) * size));
  }
  const length = x.length / inputs;
  return Float32Array.from({ length: length * outputs }, (_, i) => {
    const [at, row] = [Math.floor(i / outputs), i % outputs];
    let sum = bias[row] as number;
    for (let tap = 0; tap < kernel; tap++) {
      const from = at + (tap - (kernel - 1) / 2) * dilation;
      if (from < 0 || from >= length) continue;
      for (let channel = 0; channel < inputs; channel++) sum += (weight[(row * inputs + channel) * kernel + tap] as number) * (rounded[from * inputs + channel] as number);
    }
    return sum;
  });
}
