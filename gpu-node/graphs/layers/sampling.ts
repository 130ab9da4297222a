/**
 * Repetition-aware sampling as graph operators: logits and two uniform numbers of each row → one id of each row, the same
 * that tokens/sampler.ts draws. Probabilities are made in double and rounded to float32 once, as there; the sums differ
 * from the plain ones by the rounding of doubles, which moves a draw in about one of 2²⁹.
 * Official: cosyvoice/utils/common.py ras_sampling. Only operators that ONNX Runtime has for CUDA in these types; counts are
 * float32, where they are exact.
 */
import { DATA_TYPE, bytesOf } from '../onnx/graph.ts';
import { LAST } from './conv.ts';
import type { Graph, Value } from '../onnx/graph.ts';

export type DrawInputs = {
  /** (B, V) float32 */
  readonly logits: Value;
  /** (B, 2) float64 in [0, 1) */
  readonly uniforms: Value;
  /** (B, winSize) int64: ids drawn last, −1 where there are none. */
  readonly recent: Value;
  /** (B, S) bool: which of the last S ids may not be drawn. */
  readonly blocked: Value;
};

export type DrawConfig = { readonly topP: number; readonly topK: number; readonly winSize: number; readonly tauR: number; readonly vocabulary: number; readonly blockable: number };

/** `id` (B, 1) int64; `broken` (B, 1) bool: the logits were not numbers, and the id means nothing. */
export function drawnIds(graph: Graph, { logits, uniforms, recent, blocked }: DrawInputs, config: DrawConfig): { readonly id: Value; readonly broken: Value } {
  const { vocabulary, blockable, winSize, tauR } = config;
  const slice = (value: Value, from: number, to: number): Value => graph.op('Slice', [value, graph.ints([from]), graph.ints([to]), graph.ints([1])]);
  const broken = graph.op('IsNaN', [sum(graph, graph.op('Mul', [logits, graph.float(0)]))]);
  const rest = graph.op('Where', [blocked, graph.float(-Infinity), slice(logits, vocabulary - blockable, vocabulary)]);
  const allowed = graph.op('Concat', [slice(logits, 0, vocabulary - blockable), rest], { axis: 1 });

  const first = fromNucleus(graph, softmax(graph, allowed), slice(uniforms, 0, 1), config);
  const ids = graph.weight('vocabulary', 'int64', [1, vocabulary], () => bytesOf(BigInt64Array.from({ length: vocabulary }, (_, id) => BigInt(id))));
  const others = graph.op('Where', [graph.op('Equal', [ids, first]), graph.float(-Infinity), allowed]);
  const second = fromAll(graph, softmax(graph, others), slice(uniforms, 1, 2), vocabulary);
  const repeats = count(graph, graph.op('Equal', [recent, first]));
  const isRepeated = graph.op('GreaterOrEqual', [repeats, graph.float(Math.ceil(winSize * tauR))]);
  return { id: graph.op('Where', [isRepeated, second, first]), broken };
}

/** (B, V) float32 → (B, V) float32 */
function softmax(graph: Graph, values: Value): Value {
  const peak = graph.op('ReduceMax', [values, graph.ints([-1])], { keepdims: 1 });
  const weights = graph.op('Exp', [graph.op('Sub', [double(graph, values), double(graph, peak)])]);
  return graph.op('Cast', [graph.op('Div', [weights, sum(graph, weights)])], { to: DATA_TYPE.float32 });
}

/** Entries in falling order while (float32 sum before them < topP) and (taken < topK), one of them drawn. (B, 1) */
function fromNucleus(graph: Graph, probabilities: Value, uniform: Value, { topP, topK, vocabulary }: DrawConfig): Value {
  const [best, ids] = graph.ops('TopK', [probabilities, graph.ints([Math.min(topK, vocabulary)])], 2, { axis: -1, largest: 1, sorted: 1 }) as [Value, Value];
  const before = graph.op('CumSum', [best, graph.ints(1)], { exclusive: 1 });
  const isIn = graph.op('Less', [before, graph.float(Math.fround(topP))]);
  const sums = graph.op('CumSum', [double(graph, graph.op('Where', [isIn, best, graph.float(0)])), graph.ints(1)]);
  const last = graph.op('Sub', [count(graph, isIn), graph.float(1)]);
  return graph.op('GatherElements', [ids, passed(graph, sums, uniform, last)], { axis: 1 });
}

/** An id drawn with its probability. Sums go over blocks and then over the blocks' sums: a running sum is one thread's work. (B, 1) */
function fromAll(graph: Graph, probabilities: Value, uniform: Value, vocabulary: number): Value {
  const size = Math.ceil(Math.sqrt(vocabulary));
  const blocks = Math.ceil(vocabulary / size);
  const padded = graph.op('Pad', [double(graph, probabilities), graph.ints([0, 0, 0, blocks * size - vocabulary])]);
  const inside = graph.op('CumSum', [graph.op('Reshape', [padded, graph.ints([-1, blocks, size])]), graph.ints(2)]);
  const totals = graph.op('Slice', [inside, graph.ints([size - 1]), graph.ints([size]), graph.ints([2])]);
  const sums = graph.op('Add', [inside, graph.op('CumSum', [totals, graph.ints(1)], { exclusive: 1 })]);
  return passed(graph, graph.op('Reshape', [sums, graph.ints([-1, blocks * size])]), uniform, graph.float(vocabulary - 1));
}

/** How many running sums do not exceed `uniform` of the last one, at most `last`: the place of the drawn entry. (B, 1) int64 */
function passed(graph: Graph, sums: Value, uniform: Value, last: Value): Value {
  const total = graph.op('Slice', [sums, graph.ints([-1]), graph.ints([LAST]), graph.ints([1])]);
  const place = graph.op('Min', [count(graph, graph.op('LessOrEqual', [sums, graph.op('Mul', [uniform, total])])), last]);
  return graph.op('Cast', [place], { to: DATA_TYPE.int64 });
}

/** (B, n) bool → (B, 1) float32 */
function count(graph: Graph, values: Value): Value {
  return sum(graph, graph.op('Cast', [values], { to: DATA_TYPE.float32 }));
}

function sum(graph: Graph, values: Value): Value {
  return graph.op('ReduceSum', [values, graph.ints([-1])], { keepdims: 1 });
}

function double(graph: Graph, values: Value): Value {
  return graph.op('Cast', [values], { to: DATA_TYPE.float64 });
}
