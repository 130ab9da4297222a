/**
 * Qwen2 decoder layers over a shared key/value buffer, in ONNX Runtime's fused operators.
 *   x += O(attention(rms(x)));  x += down(silu(gate(rms(x))) · up(rms(x)))
 * Rotary position, causal mask and cache update happen inside GroupQueryAttention: past and present have P positions and may be
 * the same memory, new keys and values are written at each row's own length. Reference: transformers modeling_qwen2.py.
 */
import { concatenate } from '../../runtime/floats.ts';
import { MICROSOFT, NONE, bytesOf } from '../onnx/graph.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { floatWeight, linear } from './quantize.ts';
import type { LinearWeights, WeightFormat } from './quantize.ts';

export type Qwen2Shape = {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
};

/** Reads a checkpoint tensor by its official name as float32. */
export type ReadTensor = (name: string) => Float32Array;

export type Qwen2Options = {
  readonly shape: Qwen2Shape;
  /** Prefix of the tensor names, such as `llm.model.model.`. */
  readonly prefix: string;
  readonly read: ReadTensor;
  /** Type of activations, norms, biases and cache. */
  readonly activation: 'float32' | 'float16';
  readonly format: (layer: number, projection: Projection) => WeightFormat;
  /** Rows of the rotary table: no sequence may be longer. */
  readonly maxPositions: number;
  /** Where lengths and cache come from and go to. */
  readonly ports: CachePorts;
};

/** `lengths` (B) int32, `total` () int32; `past` (B, kvHeads, P, headDim) of a layer, and `present`, told what it becomes. */
export type CachePorts = {
  readonly lengths: Value;
  readonly total: Value;
  readonly past: (layer: number, part: CachePart) => Value;
  readonly present: (layer: number, part: CachePart, value: Value) => void;
};

const PARTS = ['key', 'value'] as const;
type CachePart = (typeof PARTS)[number];

export type Qwen2Outputs = {
  /** (B, T, hidden) after the final norm: `hidden_states[-1]` of transformers. */
  readonly normed: Value;
  /** Residual stream (B, T, hidden) after each layer, before any norm. */
  readonly residuals: readonly Value[];
  /** (B, T, (heads + 2·kvHeads)·headDim) of each layer: queries, keys and values before rotation. */
  readonly projected: readonly Value[];
};

/**
 * x (B, T, hidden) → hidden states. `ports.lengths`: tokens of each row after this run, minus one; `ports.total`: those of the
 * longest row. On CPU, B must be 1 when T > 1 and the row has a past.
 */
export function qwen2Layers(graph: Graph, x: Value, options: Qwen2Options): Qwen2Outputs {
  const { shape, prefix, activation, read } = options;
  const { lengths, total, past, present: keep } = options.ports;
  const [cos, sin] = rotaryTables(graph, options);
  const norm = (name: string): Value => floatWeight(graph, `${prefix}${name}.weight`, { shape: [shape.hiddenSize], type: activation, values: () => read(`${prefix}${name}.weight`) });

  const residuals: Value[] = [];
  const projected: Value[] = [];
  let residual = x;
  let normed = graph.op('SimplifiedLayerNormalization', [x, norm('layers.0.input_layernorm')], { axis: -1, epsilon: { float: shape.rmsNormEps }, stash_type: 1 });
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const project = (input: Value, part: string, projections: readonly [Projection, ...Projection[]]): Value => linear(graph, input, packed(options, `${base}${part}.`, projections), options.format(layer, projections[0]));
    const base = `layers.${layer}.`;
    const cache = PARTS.map((part) => past(layer, part));
    const qkv = project(normed, 'self_attn', ['q_proj', 'k_proj', 'v_proj']);
    projected.push(qkv);
    const [mixed, ...present] = graph.ops(
      'GroupQueryAttention',
      [qkv, NONE, NONE, ...cache, lengths, total, cos, sin],
      3,
      { num_heads: shape.heads, kv_num_heads: shape.kvHeads, do_rotary: 1, rotary_interleaved: 0, scale: { float: 1 / Math.sqrt(shape.headDim) } },
      { domain: MICROSOFT, name: `${prefix}${base}attention` },
    ) as [Value, Value, Value];
    for (const [index, part] of PARTS.entries()) keep(layer, part, present[index]!);
    const attended = project(mixed, 'self_attn', ['o_proj']);
    [normed, residual] = addAndNorm(graph, [attended, residual, norm(`${base}post_attention_layernorm`)], shape.rmsNormEps);

    const gate = project(normed, 'mlp', ['gate_proj']);
    const up = project(normed, 'mlp', ['up_proj']);
    const down = project(graph.op('Mul', [silu(graph, gate, activation), up]), 'mlp', ['down_proj']);
    const next = layer + 1 < shape.layers ? `layers.${layer + 1}.input_layernorm` : 'norm';
    [normed, residual] = addAndNorm(graph, [down, residual, norm(next)], shape.rmsNormEps);
    residuals.push(residual);
  }
  return { normed, residuals, projected };
}

/** Reads what a run wrote at `positions` (B, T) int64 out of a cache (B, kvHeads, P, headDim) → (B, kvHeads, T, headDim). */
export function readerAt(graph: Graph, positions: Value, { kvHeads, headDim }: Pick<Qwen2Shape, 'kvHeads' | 'headDim'>): (cache: Value) => Value {
  const places = graph.op('Expand', [graph.op('Unsqueeze', [positions, graph.ints([1, 3])]), graph.ints([1, kvHeads, 1, headDim])]);
  return (cache) => graph.op('GatherElements', [cache, places], { axis: 2 });
}

/** Returns [rms(a + b)·weight, a + b]. */
function addAndNorm(graph: Graph, inputs: readonly [Value, Value, Value], epsilon: number): [Value, Value] {
  const outputs = graph.ops('SkipSimplifiedLayerNormalization', inputs, 4, { epsilon: { float: epsilon } }, { domain: MICROSOFT });
  return [outputs[0]!, outputs[3]!];
}

function silu(graph: Graph, x: Value, activation: 'float32' | 'float16'): Value {
  if (activation === 'float32') return graph.op('QuickGelu', [x], { alpha: { float: 1 } }, { domain: MICROSOFT });
  return graph.op('Mul', [x, graph.op('Sigmoid', [x])]);
}

/** One linear layer from several of the checkpoint that read the same input: rows one below the other. */
function packed({ shape, prefix, read }: Qwen2Options, base: string, parts: readonly Projection[]): LinearWeights {
  const sizes = parts.map((part) => projectionSize(shape, part));
  const outputs = sizes.reduce((sum, [size]) => sum + size, 0);
  const biased = parts[0] === 'q_proj';
  return {
    name: `${prefix}${base}${parts.join('+')}`,
    inputs: sizes[0]![1],
    outputs,
    weight: () => concatenate(parts.map((part) => read(`${prefix}${base}${part}.weight`))),
    bias: biased ? () => concatenate(parts.map((part) => read(`${prefix}${base}${part}.bias`))) : undefined,
  };
}

/** A packed product goes by its first part. */
export type Projection = 'q_proj' | 'k_proj' | 'v_proj' | 'o_proj' | 'gate_proj' | 'up_proj' | 'down_proj';

/** [outputs, inputs] */
function projectionSize({ hiddenSize, intermediateSize, heads, kvHeads, headDim }: Qwen2Shape, part: Projection): readonly [number, number] {
  if (part === 'q_proj') return [heads * headDim, hiddenSize];
  if (part === 'o_proj') return [hiddenSize, heads * headDim];
  if (part === 'down_proj') return [hiddenSize, intermediateSize];
  return [part === 'k_proj' || part === 'v_proj' ? kvHeads * headDim : intermediateSize, hiddenSize];
}

/** cos and sin of position·θ^(−2i/d), (maxPositions, headDim/2). Rounded to float32 where the reference rounds. */
function rotaryTables(graph: Graph, { shape, maxPositions, activation }: Qwen2Options): [Value, Value] {
  const half = shape.headDim / 2;
  const table = (name: string, of: (angle: number) => number): Value =>
    graph.weight(name, activation, [maxPositions, half], () => {
      const values = new Float32Array(maxPositions * half);
      for (let i = 0; i < half; i += 1) {
        const frequency = Math.fround(1 / Math.fround(shape.ropeTheta ** (i / half)));
        for (let position = 0; position < maxPositions; position += 1) values[position * half + i] = of(Math.fround(position * frequency));
      }
      return bytesOf(activation === 'float16' ? new Float16Array(values) : values);
    });
  return [table('rotary.cos', Math.cos), table('rotary.sin', Math.sin)];
}
