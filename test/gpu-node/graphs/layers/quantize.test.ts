import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../../gpu-node/graphs/onnx/graph.ts';
import { writeModel } from '../../../../gpu-node/graphs/onnx/write.ts';
import { BLOCK, dequantizeBlocks, linear, quantizeBlocks } from '../../../../gpu-node/graphs/layers/quantize.ts';
import type { WeightFormat } from '../../../../gpu-node/graphs/layers/quantize.ts';
import { graphOpener } from '../../../../gpu-node/runtime/session.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quantize-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function normals(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const uniform = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 1) / 4294967297;
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  let error = 0;
  let size = 0;
  for (const [i, value] of expected.entries()) {
    error += (actual[i]! - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(error / size);
}

const outputs = 48;
const inputs = 96;
const rows = 3;
const weight = normals(outputs * inputs, 1);
const bias = normals(outputs, 2);
const x = normals(rows * inputs, 3);
const exact = Float32Array.from({ length: rows * outputs }, (_, index) => {
  const [row, out] = [Math.floor(index / outputs), index % outputs];
  let sum = bias[out]!;
  for (let i = 0; i < inputs; i += 1) sum += x[row * inputs + i]! * weight[out * inputs + i]!;
  return sum;
});

/** Root mean square error relative to the output that each format may have on normal weights and activations. */
const LIMITS: readonly (readonly [WeightFormat, number])[] = [
  ['float32', 1e-6],
  ['int8', 0.012],
  ['int8-row', 0.02],
  ['int8-column', 0.02],
  ['int4', 0.1],
];

describe('linear layers in every weight format', () => {
  it.each(LIMITS)('%s gives x·Wᵀ + b within its own rounding', async (format, limit) => {
    const graph = new Graph(format);
    graph.output('y', linear(graph, graph.input('x', 'float32', ['rows', inputs]), { name: 'layer', inputs, outputs, weight: () => weight, bias: () => bias }, format), 'float32', ['rows', outputs]);
    writeModel(graph, join(folder, `${format}.onnx`));
    const session = await graphOpener({ device: 'cpu', threads: 1 })(join(folder, `${format}.onnx`));
    const { y } = await session.run({ x: { type: 'float32', dims: [rows, inputs], data: x } });
    await session.release();
    expect(y?.dims).toEqual([rows, outputs]);
    expect(relativeError(y?.data as Float32Array, exact)).toBeLessThan(limit);
  });

  it('int8-row gives a row bit for bit the same whatever the other rows are, and zeros for zeros', async () => {
    const graph = new Graph('rows');
    graph.output('y', linear(graph, graph.input('x', 'float32', ['rows', inputs]), { name: 'layer', inputs, outputs, weight: () => weight }, 'int8-row'), 'float32', ['rows', outputs]);
    writeModel(graph, join(folder, 'rows.onnx'));
    const session = await graphOpener({ device: 'cpu', threads: 1 })(join(folder, 'rows.onnx'));
    const first = x.subarray(0, inputs);
    const { y: alone } = await session.run({ x: { type: 'float32', dims: [1, inputs], data: first } });
    const { y: among } = await session.run({ x: { type: 'float32', dims: [3, inputs], data: Float32Array.of(...normals(inputs, 9).map((v) => v * 1000), ...first, ...new Float32Array(inputs)) } });
    await session.release();
    const values = among?.data as Float32Array;
    expect(values.subarray(outputs, 2 * outputs)).toEqual(alone?.data);
    expect(values.subarray(2 * outputs).every((value) => value === 0)).toBe(true);
  });

  it('quantizes inputs that do not fill the last block as if zeros followed', () => {
    for (const bits of [4, 8] as const) {
      const short = normals(4 * 40, 5);
      const padded = new Float32Array(4 * 64);
      for (let row = 0; row < 4; row += 1) padded.set(short.subarray(row * 40, row * 40 + 40), row * 64);
      expect(quantizeBlocks(short, { outputs: 4, inputs: 40, bits })).toEqual(quantizeBlocks(padded, { outputs: 4, inputs: 64, bits }));
    }
  });

  it('keeps blocks of zeros, and blocks that 4 bits can hold, as they are', () => {
    const blocks = new Float32Array(2 * BLOCK);
    for (let i = 0; i < BLOCK; i += 1) blocks[i] = ((i % 16) - 8) * 0.25;
    const shape = { outputs: 2, inputs: BLOCK, bits: 4 } as const;
    expect(dequantizeBlocks(quantizeBlocks(blocks, shape), shape)).toEqual(blocks);
  });

  it('has less error in 4 bits than plain rounding to the largest weight', () => {
    const shape = { outputs: 64, inputs: 320, bits: 4 } as const;
    const values = normals(64 * 320, 7);
    const plain = new Float32Array(values.length);
    for (let start = 0; start < values.length; start += BLOCK) {
      const block = values.subarray(start, start + BLOCK);
      const scale = block.reduce((peak, v) => Math.max(peak, Math.abs(v)), 0) / 7;
      block.forEach((v, i) => (plain[start + i] = Math.round(v / scale) * scale));
    }
    const ours = relativeError(dequantizeBlocks(quantizeBlocks(values, shape), shape), values);
    expect(ours).toBeLessThan(relativeError(plain, values));
    expect(ours).toBeLessThan(0.09);
  });
});

describe('8-bit blocks', () => {
  it('keep weights on a coarse grid as they are: up to 15 steps to each side, in half precision', () => {
    for (let most = 1; most <= 15; most += 1) {
      const step = 0.0137 * most;
      const grid = Float32Array.from({ length: outputs * inputs }, (_, i) => Math.fround(step * (((i * 7919) % (2 * most + 1)) - most)));
      const size = { outputs, inputs, bits: 8 as const };
      expect(relativeError(dequantizeBlocks(quantizeBlocks(grid, size), size), grid), `${most} steps`).toBeLessThan(1e-6);
      const half = Float32Array.from(new Float16Array(grid));
      expect(relativeError(dequantizeBlocks(quantizeBlocks(half, size), size), half), `${most} steps in half precision`).toBeLessThan(4e-4);
    }
  });
});
