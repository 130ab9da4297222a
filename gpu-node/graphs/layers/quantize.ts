/**
 * Linear layers `y = x·Wᵀ + b` with weights stored as float32, float16, 8 or 4 bits. One call site per layer; the format
 * decides which operator is written. W is (outputs, inputs) row-major, as PyTorch stores it; x is (…, inputs).
 *
 * | format       | operator                | weights                              | activations in the product |
 * | float32      | MatMul                  | float32                              | float32 |
 * | float16      | MatMul                  | float16 (graph runs in float16)      | float16 |
 * | int8         | MatMulNBits, 8 bits     | int8, one scale per 32 inputs        | int8 per 32 inputs, at run time |
 * | int4         | MatMulNBits, 4 bits     | 4 bits, one scale per 32 inputs      | int8 per 32 inputs, at run time |
 * | int8-row     | MatMulIntegerToFloat    | 7 bits, one scale per output         | uint8, one scale per row of x, at run time |
 * | int8-column  | DynamicQuantizeMatMul   | int8, one scale per output           | uint8, one scale for all of x, at run time |
 *
 * The block formats keep precision when single activations are far larger than the rest. `int8-row` is as fast for one row
 * and two to three times faster for many; its sums are integers, so a row's result does not depend on the other rows, not
 * even in rounding. `int8-column` shares one activation scale among all rows: not for batched decoding.
 * Operators: ONNX Runtime docs/ContribOperators.md, com.microsoft domain.
 */
import { strict as assert } from 'node:assert';
import { MICROSOFT, NONE, bytesOf } from '../onnx/graph.ts';
import type { Graph, Value } from '../onnx/graph.ts';

export type WeightFormat = 'float32' | 'float16' | 'int8' | 'int4' | 'int8-row' | 'int8-column';

/** `weight` gives (outputs, inputs) float32 and is called once, when the file is written; `bias` gives (outputs). */
export type LinearWeights = {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly weight: () => Float32Array;
  readonly bias?: (() => Float32Array) | undefined;
};

/** Inputs that share a scale in the block formats. */
export const BLOCK = 32;
/** MatMulNBits accuracy_level: activations in int8, sums in int32 and float32 (level 4; level 0 would unpack weights to float). */
const INT8_ACTIVATIONS = 4;

/** x (…, inputs) → (…, outputs). In format float16 x is float16, else float32. */
export function linear(graph: Graph, x: Value, layer: LinearWeights, format: WeightFormat): Value {
  if (format === 'float32' || format === 'float16') return floatLinear(graph, x, layer, format);
  if (format === 'int8-row') return rowLinear(graph, x, layer);
  return format === 'int8-column' ? columnLinear(graph, x, layer) : blockLinear(graph, x, layer, format === 'int8' ? 8 : 4);
}

/** float32 or float16 initializer; float16 values are rounded to nearest. */
export function floatWeight(graph: Graph, name: string, options: { readonly shape: readonly number[]; readonly type: 'float32' | 'float16'; readonly values: () => Float32Array }): Value {
  const { shape, type, values } = options;
  return graph.weight(name, type, shape, () => bytesOf(type === 'float16' ? new Float16Array(values()) : values()));
}

function floatLinear(graph: Graph, x: Value, { name, inputs, outputs, weight, bias }: LinearWeights, type: 'float32' | 'float16'): Value {
  const matrix = floatWeight(graph, `${name}.weight`, { shape: [inputs, outputs], type, values: () => transpose(weight(), outputs, inputs) });
  const product = graph.op('MatMul', [x, matrix], {}, { name });
  return bias ? graph.op('Add', [product, floatWeight(graph, `${name}.bias`, { shape: [outputs], type, values: bias })]) : product;
}

function blockLinear(graph: Graph, x: Value, { name, inputs, outputs, weight, bias }: LinearWeights, bits: 4 | 8): Value {
  const blocks = Math.ceil(inputs / BLOCK);
  const shared = once(() => quantizeBlocks(weight(), { outputs, inputs, bits }), 2);
  const matrix = graph.weight(`${name}.int${bits}`, 'uint8', [outputs, blocks, (BLOCK * bits) / 8], () => shared().packed);
  const scales = graph.weight(`${name}.scales`, 'float32', [outputs, blocks], () => bytesOf(shared().scales));
  const offset = bias ? [NONE, NONE, graph.floats(`${name}.bias`, [outputs], bias)] : [];
  return graph.op('MatMulNBits', [x, matrix, scales, ...offset], { K: inputs, N: outputs, bits, block_size: BLOCK, accuracy_level: INT8_ACTIVATIONS }, { domain: MICROSOFT, name });
}

function columnLinear(graph: Graph, x: Value, { name, inputs, outputs, weight, bias }: LinearWeights): Value {
  const shared = once(() => quantizeColumns(weight(), outputs, inputs), 2);
  const matrix = graph.weight(`${name}.int8`, 'int8', [inputs, outputs], () => bytesOf(shared().values));
  const scales = graph.weight(`${name}.scales`, 'float32', [outputs], () => bytesOf(shared().scales));
  const offset = bias ? [NONE, graph.floats(`${name}.bias`, [outputs], bias)] : [];
  return graph.op('DynamicQuantizeMatMul', [x, matrix, scales, ...offset], {}, { domain: MICROSOFT, name });
}

/** Processors without VNNI add two products in 16 bits: 2 · 255 · 64 fits, with 127 large values would be cut off. */
const ROW_LEVELS = 64;

function rowLinear(graph: Graph, x: Value, { name, inputs, outputs, weight, bias }: LinearWeights): Value {
  const shared = once(() => quantizeColumns(weight(), outputs, inputs, ROW_LEVELS), 2);
  const matrix = graph.weight(`${name}.int8`, 'int8', [inputs, outputs], () => bytesOf(shared().values));
  const scales = graph.weight(`${name}.scales`, 'float32', [outputs], () => bytesOf(shared().scales));
  const { levels, peak, step, zero } = quantizedRows(graph, x);
  const product = graph.op('MatMulIntegerToFloat', [levels, matrix, step, scales, zero], {}, { domain: MICROSOFT, name });
  const scaled = graph.op('Mul', [product, peak]);
  return bias ? graph.op('Add', [scaled, graph.floats(`${name}.bias`, [outputs], bias)]) : scaled;
}

type QuantizedRows = { readonly levels: Value; readonly peak: Value; readonly step: Value; readonly zero: Value };
const quantized = new WeakMap<Graph, Map<Value, QuantizedRows>>();

/** x ≈ (levels − 128)·step·peak with a peak per row, made once per graph and value: layers that read the same x share it. */
function quantizedRows(graph: Graph, x: Value): QuantizedRows {
  const known = quantized.get(graph) ?? new Map<Value, QuantizedRows>();
  quantized.set(graph, known);
  let rows = known.get(x);
  if (!rows) {
    const zero = graph.weight('int8-row.zero', 'uint8', [], () => Uint8Array.of(128));
    const peak = graph.op('ReduceMax', [graph.op('Abs', [x]), graph.ints([-1])], { keepdims: 1 });
    const step = graph.float(1 / 127);
    // In a row of zeros 0/0 becomes some level, and the peak of 0 makes the product 0 again.
    rows = { levels: graph.op('QuantizeLinear', [graph.op('Div', [x, peak]), step, zero]), peak, step, zero };
    known.set(x, rows);
  }
  return rows;
}

/** MatMulNBits layout: `packed` (outputs, blocks, BLOCK·bits/8), low bits first, values offset by 2^(bits−1); `scales` (outputs, blocks). */
export type BlockWeights = { readonly packed: Uint8Array; readonly scales: Float32Array };

/** Symmetric quantization of W (outputs, inputs) in blocks of 32 inputs; the last block is padded with zeros. */
export function quantizeBlocks(weight: Float32Array, { outputs, inputs, bits }: { readonly outputs: number; readonly inputs: number; readonly bits: 4 | 8 }): BlockWeights {
  assert.equal(weight.length, outputs * inputs);
  const blocks = Math.ceil(inputs / BLOCK);
  const packed = new Uint8Array((outputs * blocks * BLOCK * bits) / 8);
  const scales = new Float32Array(outputs * blocks);
  const levels = new Int8Array(BLOCK);
  const low = -(1 << (bits - 1));
  for (let index = 0; index < scales.length; index += 1) {
    const row = Math.floor(index / blocks);
    const start = row * inputs + (index % blocks) * BLOCK;
    const block = weight.subarray(start, Math.min(start + BLOCK, (row + 1) * inputs));
    levels.fill(0);
    scales[index] = bits === 4 ? bestScale(block, levels) : plainScale(block, levels);
    if (bits === 8) for (let i = 0; i < BLOCK; i += 1) packed[index * BLOCK + i] = levels[i]! - low;
    else for (let i = 0; i < BLOCK; i += 2) packed[(index * BLOCK + i) >> 1] = (levels[i]! - low) | ((levels[i + 1]! - low) << 4);
  }
  return { packed, scales };
}

/** Back to float32 (outputs, inputs): what the operator multiplies with, apart from the rounding of activations. */
export function dequantizeBlocks({ packed, scales }: BlockWeights, { outputs, inputs, bits }: { readonly outputs: number; readonly inputs: number; readonly bits: 4 | 8 }): Float32Array {
  const blocks = Math.ceil(inputs / BLOCK);
  const weight = new Float32Array(outputs * inputs);
  for (let row = 0; row < outputs; row += 1) {
    for (let column = 0; column < inputs; column += 1) {
      const position = row * blocks * BLOCK + column;
      const byte = packed[bits === 8 ? position : position >> 1]!;
      const level = bits === 8 ? byte - 128 : ((position & 1 ? byte >> 4 : byte & 15) - 8);
      weight[row * inputs + column] = level * scales[row * blocks + Math.floor(column / BLOCK)]!;
    }
  }
  return weight;
}

/**
 * Levels tried for the largest weight. Where weights lie on a coarse grid of up to 15 steps to each side, as the bundled voice's
 * do, one of the others is a multiple of the largest's steps, and the block is kept exactly.
 */
const EIGHT_BIT_RANGES = [127, 126, 121, 120, 117] as const;
/** How far from a whole level a weight on such a grid may be: both it and the largest were rounded to half precision (2 · 2⁻¹¹ · 127). */
const HALF_PRECISION = 0.125;

function plainScale(block: Float32Array, levels: Int8Array): number {
  const peak = Math.abs(extreme(block));
  const isExact = (range: number): boolean => block.every((value) => {
    const level = (value / peak) * range;
    return Math.abs(level - Math.round(level)) < HALF_PRECISION;
  });
  const scale = Math.fround(peak / (EIGHT_BIT_RANGES.find(isExact) ?? EIGHT_BIT_RANGES[0]));
  if (scale > 0) for (let i = 0; i < block.length; i += 1) levels[i] = ((block[i]! / scale + 128.5) | 0) - 128;
  return scale;
}

/** Steps tried for 4 bits, in levels given to the largest weight. Below 8 the largest weights are clipped so that the many small ones get finer steps. */
const FOUR_BIT_RANGES = [8, 7.5, 7, 6.5] as const;

/**
 * Scale with the least squared error among a few step sizes, each refitted to its own levels (scale = Σwq / Σq²).
 * The sign makes the largest weight −8, the level that +8 lacks. Writes the levels.
 */
function bestScale(block: Float32Array, levels: Int8Array): number {
  const peak = extreme(block);
  if (peak === 0) return 0;
  let bestRange = FOUR_BIT_RANGES[0] as number;
  let bestGain = -Infinity;
  let best = 0;
  for (const range of FOUR_BIT_RANGES) {
    const inverse = -range / peak;
    let weighted = 0;
    let squares = 0;
    for (let i = 0; i < block.length; i += 1) {
      const value = block[i]!;
      const level = fourBits(value * inverse);
      weighted += value * level;
      squares += level * level;
    }
    // Σ(w − sq)² at the best s is Σw² − (Σwq)²/Σq².
    const gain = squares === 0 ? 0 : (weighted * weighted) / squares;
    if (gain > bestGain) [bestGain, bestRange, best] = [gain, range, squares === 0 ? 0 : weighted / squares];
  }
  const inverse = -bestRange / peak;
  for (let i = 0; i < block.length; i += 1) levels[i] = fourBits(block[i]! * inverse);
  return Math.fround(best);
}

/** Rounds to −8 … 7. The sum is positive where it is cut to an integer, which is then the floor. */
function fourBits(value: number): number {
  return value >= 7 ? 7 : value <= -8 ? -8 : ((value + 16.5) | 0) - 16;
}

/** The value farthest from zero, with its sign. */
function extreme(values: Float32Array): number {
  let peak = 0;
  for (let i = 0; i < values.length; i += 1) if (Math.abs(values[i]!) > Math.abs(peak)) peak = values[i]!;
  return peak;
}

/** Symmetric, −levels … levels, with one scale per output, transposed to (inputs, outputs) as the integer products want it. */
export function quantizeColumns(weight: Float32Array, outputs: number, inputs: number, levels = 127): { readonly values: Int8Array; readonly scales: Float32Array } {
  assert.equal(weight.length, outputs * inputs);
  const values = new Int8Array(inputs * outputs);
  const scales = new Float32Array(outputs);
  for (let row = 0; row < outputs; row += 1) {
    const line = weight.subarray(row * inputs, (row + 1) * inputs);
    const scale = Math.fround(Math.abs(extreme(line)) / levels);
    scales[row] = scale;
    if (scale > 0) for (let column = 0; column < inputs; column += 1) values[column * outputs + row] = Math.max(-levels, Math.min(levels, Math.round(line[column]! / scale)));
  }
  return { values, scales };
}

/** (rows, columns) → (columns, rows), in tiles so that both sides stay in cache. */
export function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  const tile = 32;
  for (let r0 = 0; r0 < rows; r0 += tile) {
    for (let c0 = 0; c0 < columns; c0 += tile) {
      for (let r = r0; r < Math.min(r0 + tile, rows); r += 1) for (let c = c0; c < Math.min(c0 + tile, columns); c += 1) out[c * rows + r] = matrix[r * columns + c]!;
    }
  }
  return out;
}

/** Computes on the first of `uses` calls and forgets after the last: several weights of one file share the work, not the memory. */
export function once<T>(compute: () => T, uses: number): () => T {
  let value: { readonly kept: T } | undefined;
  let left = uses;
  return () => {
    const result = value ?? { kept: compute() };
    left = left > 1 ? left - 1 : uses;
    value = left === uses ? undefined : result;
    return result.kept;
  };
}
