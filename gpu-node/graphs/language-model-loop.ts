/**
 * Several decoding steps of the language model in one run, for devices that a run's outputs leave: embedding → layers →
 * logits → sampling → the drawn id again, in an ONNX Loop. Rows of the batch have their own lengths, stop on their own and
 * then emit `NOTHING`. Keys and values stay inside; only those of the new positions come out. Random numbers come in, so
 * the ids are those of one step per run (graphs/language-model.ts with tokens/sampler.ts).
 *
 * in:  steps [] int64 (N), ids (B, 1) int64 of the combined table, seqlens_k (B) int32 (positions each row has), total_length []
 *      int32 (more than any row has in the end; P at most), left (B, 1) int64 (draws the row may make), masked (B, 3) int64 (how
 *      many steps each stop id is masked), recent (B, winSize) int64, uniforms (N, B, 2) float64, forced (N, B) int64 (an id
 *      instead of a draw, or −1), positions (B, N) int64 (where the new keys are), past.L.key|value (B, kvHeads, P, headDim)
 * out: tokens (N, B, 1) int64, new.L.key|value (B, kvHeads, N, headDim), queries.L (N, B, 1, (heads + 2·kvHeads)·headDim)
 *
 * The loop's condition and count are never computed, `total_length` does not change: nothing on the way has to be read by the host.
 */
import type { Checkpoint } from '../checkpoint/types.ts';
import { activationOf, embeddingRows, nextLogits } from './language-model.ts';
import { readerAt } from './layers/qwen2.ts';
import { drawnIds } from './layers/sampling.ts';
import type { Precision } from './network.ts';
import { DATA_TYPE, Graph, NONE } from './onnx/graph.ts';
import type { DataType, Dimension, Value } from './onnx/graph.ts';

/** Opened by tokens/ beside `LANGUAGE_MODEL_FILE`, whose weights it shares. */
export const DECODING_LOOP_FILE = 'llm-loop.onnx';

/** Emitted by a row that had stopped before this step, and by one whose logits were not numbers. */
export const NOTHING = -1;
export const BROKEN = -2;

/** Sampling as the checkpoint's configuration says. */
export function decodingLoopGraph(checkpoint: Checkpoint, precision: Precision): Graph {
  const config = checkpoint.config.llm;
  const { sampling, speechTokenSize, speechVocabSize, kvHeads, headDim, layers } = config;
  const stops = speechVocabSize - speechTokenSize;
  const activation = activationOf(precision);
  const cache: readonly Dimension[] = ['B', kvHeads, 'P', headDim];
  const graph = new Graph('decoding-loop');
  const steps = graph.input('steps', 'int64', []);
  const ids = graph.input('ids', 'int64', ['B', 1]);
  const lengths = graph.input('seqlens_k', 'int32', ['B']);
  const total = graph.input('total_length', 'int32', []);
  const left = graph.input('left', 'int64', ['B', 1]);
  const masked = graph.input('masked', 'int64', ['B', stops]);
  const recent = graph.input('recent', 'int64', ['B', sampling.winSize]);
  const uniforms = graph.input('uniforms', 'float64', ['N', 'B', 2]);
  const forced = graph.input('forced', 'int64', ['N', 'B']);
  const positions = graph.input('positions', 'int64', ['B', 'N']);
  const parts = Array.from({ length: layers * 2 }, (_, i) => `${i >> 1}.${i % 2 === 0 ? 'key' : 'value'}`);
  const past = parts.map((part) => graph.input(`past.${part}`, activation, cache));

  const body = new Graph('step', graph, { weightsIn: graph });
  body.input('step/iteration', 'int64', []);
  body.input('step/condition', 'bool', []);
  const carried: { readonly first: Value; readonly next: Value; readonly type: DataType; readonly shape: readonly Dimension[] }[] = [];
  /** Declares a value that goes from step to step, and returns it; the body makes `step/next/NAME`, or `presents` says how it is called there. */
  const carry = (name: string, first: Value, type: DataType, shape: readonly Dimension[]): Value => {
    carried.push({ first, next: `step/next/${name}`, type, shape });
    return body.input(`step/${name}`, type, shape);
  };
  const step = carry('step', graph.ints([0]), 'int64', [1]);
  const id = carry('id', ids, 'int64', ['B', 1]);
  const active = carry('active', graph.op('Greater', [left, graph.ints(0)]), 'bool', ['B', 1]);
  const last = carry('recent', recent, 'int64', ['B', sampling.winSize]);
  const fed = carry('fed', lengths, 'int32', ['B']);
  const caches = new Map(parts.map((part, index) => [part, carry(part, past[index]!, activation, cache)]));
  const presents = new Map<string, Value>();
  const next = (name: string, type: string, inputs: readonly Value[], attributes = {}): Value => body.op(type, inputs, attributes, { name: `step/next/${name}` });

  const { logits, projected } = nextLogits(body, id, {
    checkpoint,
    precision,
    ports: { lengths: fed, total, past: (layer, part) => caches.get(`${layer}.${part}`)!, present: (layer, part, value) => presents.set(`step/next/${layer}.${part}`, value) },
  });
  const atStep = (values: Value): Value => body.op('Gather', [values, step], { axis: 0 });
  const draw = drawnIds(
    body,
    { logits, uniforms: body.op('Squeeze', [atStep(uniforms), body.ints([0])]), recent: last, blocked: body.op('Less', [step, masked]) },
    { ...sampling, vocabulary: speechVocabSize, blockable: stops },
  );
  const given = body.op('Reshape', [atStep(forced), body.ints([-1, 1])]);
  const isGiven = body.op('GreaterOrEqual', [given, body.ints(0)]);
  const isBroken = body.op('And', [draw.broken, body.op('Not', [isGiven])]);
  const chosen = body.op('Where', [isGiven, given, draw.id]);
  const shown = body.op('Where', [active, body.op('Where', [isBroken, body.ints(BROKEN), chosen]), body.ints(NOTHING)]);

  const one = body.ints([1]);
  const count = next('step', 'Add', [step, one]);
  const goesOn = body.op('And', [body.op('And', [body.op('Less', [chosen, body.ints(speechTokenSize)]), body.op('Not', [isBroken])]), body.op('Less', [count, left])]);
  const stays = next('active', 'And', [active, goesOn]);
  next('id', 'Where', [stays, body.op('Add', [chosen, body.ints(embeddingRows(config).speech)]), body.ints(0)]);
  next('recent', 'Slice', [body.op('Concat', [last, chosen], { axis: 1 }), one, body.ints([sampling.winSize + 1]), one]);
  // a row that has stopped writes behind its last position, again and again
  next('fed', 'Add', [fed, body.op('Reshape', [body.op('Cast', [active], { to: DATA_TYPE.int32 }), body.ints([-1])])]);

  const condition = body.truth();
  body.output(condition, condition, 'bool', []);
  for (const { next: name, type, shape } of carried) body.output(presents.get(name) ?? name, presents.get(name) ?? name, type, shape);
  const width = (config.heads + 2 * kvHeads) * headDim;
  body.output(shown, shown, 'int64', ['B', 1]);
  for (const value of projected) body.output(value, value, activation, ['B', 1, width]);

  const results = graph.ops('Loop', [steps, NONE, ...carried.map(({ first }) => first)], carried.length + 1 + layers, { body });
  const final = results.slice(carried.length - parts.length, carried.length);
  const [tokens = NONE, ...queries] = results.slice(carried.length);
  graph.output('tokens', tokens, 'int64', ['N', 'B', 1]);
  for (const [layer, value] of queries.entries()) graph.output(`queries.${layer}`, value, activation, ['N', 'B', 1, width]);
  const newest = readerAt(graph, positions, config);
  for (const [index, part] of parts.entries()) graph.output(`new.${part}`, newest(final[index]!), activation, ['B', kvHeads, 'N', headDim]);
  return graph;
}
