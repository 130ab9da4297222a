/**
 * Graph files of the flow, tokens → mel. `flow-encoder.onnx`: tokens → mu. `flow-solve.onnx`: mu, prompt mel, speaker and
 * noise → mel, all Euler steps with guidance in one run. Both go through an utterance at once or block by block: earlier
 * blocks come in as keys, values and convolution rows, and those of the block go out. The weights are the same either way.
 *
 * flow-encoder  in:  tokens (1, S+A) int32, valid (1, S+A), lookahead_tail (1, 2, C), up_tail (1, 2·ratio, C),
 *                    past (blocks, 2, heads, L, headDim), up_past (upBlocks, 2, heads, L·ratio, headDim), limit [1] int64
 *               out: mu (1, F, 80), and new_… for the four states; keys and values end with the run's, at most `limit` tokens
 * flow-solve    in:  mu, condition, noise (1, F, 80), embedding (1, speakerDim), time, dt (steps), guidance [],
 *                    keep [1] int64, tails (steps, 2, 2, ΣC), k{page}_{layer}, v{page}_{layer} (steps, 2, heads, L, headDim)
 *               out: mel (1, F, 80), new_tails, new_k_{layer}, new_v_{layer} (steps, 2, heads, keep, headDim)
 * Rows of the axis of 2: with and without condition. Keys have no positions, so pages may come in any order and may be empty.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_TYPE, Graph, NONE } from './onnx/graph.ts';
import { writeModel } from './onnx/write.ts';
import { LAST } from './layers/conv.ts';
import { encoder } from './layers/conformer.ts';
import { estimator, pastSizes, timeBiases } from './layers/estimator.ts';
import { exactWeightLevels } from './layers/vnni.ts';
import { Weights } from './layers/weights.ts';
import type { FlowConfig, TensorStore } from '../checkpoint/types.ts';
import type { Past, Tap } from './layers/estimator.ts';
import type { WeightFormat } from './layers/quantize.ts';
import type { DataType, Dimension, Value } from './onnx/graph.ts';
import type { Network, Precision } from './network.ts';

/** Element type of keys and values between runs: half the memory, rounding of 2⁻¹¹. */
export type CacheType = 'float32' | 'float16';

/** With and without condition (classifier-free guidance). */
export const GUIDANCE_ROWS = 2;

/** Weights, and the cache that goes with them: what costs precision elsewhere need not keep its keys in float32. */
const FORMATS: Readonly<Record<Precision, { readonly format: WeightFormat; readonly cache: CacheType }>> = {
  fp32: { format: 'float32', cache: 'float32' },
  fp16: { format: 'float16', cache: 'float16' },
  int8: { format: 'int8-column', cache: 'float16' },
  int4: { format: 'int4', cache: 'float16' },
};

/** Bytes of a stream's keys and values that the default left context may take: 500 MB for a stream in all. */
const CONTEXT_BYTES = 480e6;
/** More blocks cost time and change the mel by about 1 % (measured on the bundled voice). */
const MAX_DEFAULT_BLOCKS = 8;

/** Left blocks that fit: 4 at full size in float16, 2 in float32, 8 for the bundled voice. */
export function defaultLeftBlocks(config: FlowConfig, cache: CacheType): number {
  const { heads, headDim, chunkFrames } = config.estimator;
  const values = 2 * pastSizes(config).attentions * heads * headDim * chunkFrames * GUIDANCE_ROWS * config.steps;
  return Math.max(1, Math.min(MAX_DEFAULT_BLOCKS, Math.floor(CONTEXT_BYTES / (values * (cache === 'float32' ? 4 : 2)))));
}

/** What the door needs to know of the files, in `flow.json` beside them. */
export type FlowFiles = {
  readonly cache: CacheType;
  /** Attention contexts of earlier blocks that one run takes: the voice's and those of the left blocks. */
  readonly pages: number;
  /** Largest level of 8-bit weights; 0 where there are none. A machine that adds exactly only fewer levels must convert anew. */
  readonly weightLevels: number;
};

export const flow: Network = {
  stage: 'flow',
  precisions: ['int8', 'fp32', 'fp16'],
  write(checkpoint, directory, precision) {
    const config = checkpoint.config.flow;
    const { format, cache } = FORMATS[precision];
    const options = { store: checkpoint.flow, config, format };
    const files: FlowFiles = { cache, pages: 1 + defaultLeftBlocks(config, cache), weightLevels: format === 'int8-column' ? exactWeightLevels() : 0 };
    writeModel(encoderGraph(options), join(directory, 'flow-encoder.onnx'));
    writeModel(solveGraph({ ...options, ...files }), join(directory, 'flow-solve.onnx'));
    writeFileSync(join(directory, 'flow.json'), JSON.stringify(files));
  },
};

export type FlowGraphOptions = { readonly store: TensorStore; readonly config: FlowConfig; readonly format: WeightFormat };

/** `taps`: adds every named intermediate value as an output `tap_NAME`. */
export function encoderGraph({ store, config, format }: FlowGraphOptions, { taps = false } = {}): Graph {
  const graph = new Graph('flow-encoder');
  const weights = new Weights(graph, store, format).wide();
  const { hiddenSize, heads, blocks, upBlocks } = config.encoder;
  const ratio = config.tokenMelRatio;
  const state = (layers: number, length: string): readonly Dimension[] => [layers, 2, heads, length, hiddenSize / heads];
  const inputs = {
    tokens: graph.input('tokens', 'int32', [1, 'tokens']),
    valid: graph.input('valid', 'float32', [1, 'tokens']),
    lookaheadTail: graph.input('lookahead_tail', 'float32', [1, 2, hiddenSize]),
    upTail: graph.input('up_tail', 'float32', [1, 2 * ratio, hiddenSize]),
    past: graph.input('past', 'float32', state(blocks, 'past')),
    upPast: graph.input('up_past', 'float32', state(upBlocks, 'up_past')),
  };
  const limit = graph.input('limit', 'int64', [1]);
  const out = encoder(inputs, { graph, weights, config, ...(taps ? { tap: tapOutputs(graph) } : {}) });
  const newest = (states: Value, count: Value): Value => {
    const first = graph.op('Max', [graph.op('Sub', [graph.op('Shape', [states], { start: 3, end: 4 }), count]), graph.ints([0])]);
    return graph.op('Slice', [states, first, graph.ints([LAST]), graph.ints([3])]);
  };
  graph.output('mu', graph.op('Reshape', [out.mu, graph.ints([1, -1, config.melBins])]), 'float32', [1, 'frames', config.melBins]);
  graph.output('new_lookahead_tail', out.lookaheadTail, 'float32', [1, 2, hiddenSize]);
  graph.output('new_up_tail', out.upTail, 'float32', [1, 2 * ratio, hiddenSize]);
  graph.output('new_past', newest(out.past, limit), 'float32', state(blocks, 'present'));
  graph.output('new_up_past', newest(out.upPast, graph.op('Mul', [limit, graph.ints([ratio])])), 'float32', state(upBlocks, 'up_present'));
  return graph;
}

/** The whole solve. `cache`: type of keys and values that enter and leave; `pages`: how many contexts enter. */
export function solveGraph({ store, config, format, cache, pages: pageCount }: FlowGraphOptions & Pick<FlowFiles, 'cache' | 'pages'>): Graph {
  const graph = new Graph('flow-solve');
  const weights = new Weights(graph, store, format);
  const { melBins } = config;
  const { attentions, convolutions } = pastSizes(config);
  const width = convolutions.reduce((sum, size) => sum + size, 0);
  const frames = [1, 'frames', melBins] as const;
  const condition = conditionRows(graph, config, projectSpeaker(graph, weights.wide(), config));
  const noise = graph.input('noise', 'float32', frames);
  const time = graph.input('time', 'float32', ['steps']);
  const dt = graph.input('dt', 'float32', ['steps']);
  const guidance = graph.input('guidance', 'float32', []);
  const keep = graph.input('keep', 'int64', [1]);
  const tails = graph.input('tails', 'float32', ['steps', GUIDANCE_ROWS, 2, width]);
  const page = (name: string, length: Dimension): [string, readonly Dimension[]] => [name, ['steps', GUIDANCE_ROWS, config.estimator.heads, length, config.estimator.headDim]];
  const pages = pageNames(attentions, pageCount).map((name) => graph.input(...insert(page(name, `${name.split('_')[0]}_length`), cache)));
  const keptFrom = graph.op('Sub', [graph.op('Shape', [noise], { start: 1, end: 2 }), keep]);
  const withGuidance = graph.op('Add', [guidance, graph.float(1)]);

  const body = new Graph('step', graph);
  const x = body.input('step_x', 'float32', frames);
  const biases = body.input('step_biases', 'float32', ['biases']);
  const stepDt = body.input('step_dt', 'float32', []);
  const past = new CachedPast({ body, config, cache, type: weights.type, pageCount, keptFrom, tails: body.input('step_tails', 'float32', [GUIDANCE_ROWS, 2, width]) });
  const input = cast(body, body.op('Concat', [body.op('Expand', [x, graph.ints([GUIDANCE_ROWS, 1, 1])]), condition], { axis: 2 }), 'float32', weights.type);
  const each = body.ops('Split', [cast(body, biases, 'float32', weights.type)], config.estimator.midStages + 2, { axis: 0, num_outputs: config.estimator.midStages + 2 });
  const rows = estimator(input, { graph: body, weights, config, batch: GUIDANCE_ROWS, past, timeBiases: each });
  const velocity = body.op('Reshape', [cast(body, rows, weights.type, 'float32'), graph.ints([GUIDANCE_ROWS, -1, melBins])]);
  const [conditioned = NONE, free = NONE] = body.ops('Split', [velocity], 2, { axis: 0, num_outputs: 2 });
  const guided = body.op('Sub', [body.op('Mul', [conditioned, withGuidance]), body.op('Mul', [free, guidance])]);
  body.output('step_next', body.op('Add', [x, body.op('Mul', [guided, stepDt])]), 'float32', frames);
  const states = past.outputs();

  const scanned = [timeBiases({ graph, weights: weights.wide(), config, time }), dt, tails, ...pages];
  const [mel = NONE, ...newStates] = graph.ops('Scan', [noise, ...scanned], 1 + states, { body, num_scan_inputs: scanned.length });
  graph.output('mel', mel, 'float32', frames);
  const names = ['new_tails', ...newNames(attentions)];
  for (const [index, name] of names.entries()) {
    const shape = index === 0 ? ['steps', GUIDANCE_ROWS, 2, width] : page(name, 'kept')[1];
    graph.output(name, newStates[index] ?? NONE, index === 0 ? 'float32' : cache, shape);
  }
  return graph;
}

/** One call of the estimator on a batch of two, as the official code makes it; and the time embedding on its own. For tests. */
export function estimatorGraph({ store, config, format }: FlowGraphOptions): Graph {
  const graph = new Graph('flow-estimator');
  const weights = new Weights(graph, store, format);
  const x = graph.input('x', 'float32', [1, 'frames', config.melBins]);
  const condition = conditionRows(graph, config, graph.input('speaker', 'float32', [1, config.melBins]));
  const time = graph.input('time', 'float32', ['times']);
  const bias = graph.input('bias', 'float32', [1, 1, 'queries', 'keys']);
  const tap = tapOutputs(graph);
  const biases = graph.op('Slice', [timeBiases({ graph, weights, config, time, tap }), graph.ints([0]), graph.ints([1]), graph.ints([0])]);
  const each = graph.ops('Split', [biases], config.estimator.midStages + 2, { axis: 1, num_outputs: config.estimator.midStages + 2 });
  const past: Past = {
    before: (frames, channels) => graph.op('Concat', [graph.floats(`zeros/${channels}`, [GUIDANCE_ROWS, 2, channels], () => new Float32Array(GUIDANCE_ROWS * 2 * channels)), frames], { axis: 1 }),
    attend: (keys, values) => [keys, values],
    bias,
  };
  const input = graph.op('Concat', [graph.op('Expand', [x, graph.ints([GUIDANCE_ROWS, 1, 1])]), condition], { axis: 2 });
  const velocity = estimator(input, { graph, weights, config, batch: GUIDANCE_ROWS, past, timeBiases: each, tap });
  graph.output('velocity', graph.op('Reshape', [velocity, graph.ints([GUIDANCE_ROWS, -1, config.melBins])]), 'float32', [GUIDANCE_ROWS, 'frames', config.melBins]);
  return graph;
}

/** embedding (1, speakerDim) → speaker (1, melBins). For tests; the solve has it inside. */
export function speakerGraph({ store, config, format }: FlowGraphOptions): Graph {
  const graph = new Graph('flow-speaker');
  graph.output('speaker', projectSpeaker(graph, new Weights(graph, store, format), config), 'float32', [1, config.melBins]);
  return graph;
}

/** Inputs k{page}_{layer}, v{page}_{layer} in the order of the graph. */
export function pageNames(attentions: number, pages: number): string[] {
  return Array.from({ length: pages }, (_, page) => Array.from({ length: attentions }, (__, layer) => [`k${page}_${layer}`, `v${page}_${layer}`]).flat()).flat();
}

/** Outputs new_k_{layer}, new_v_{layer} in the order of the graph. */
export function newNames(attentions: number): string[] {
  return Array.from({ length: attentions }, (_, layer) => [`new_k_${layer}`, `new_v_${layer}`]).flat();
}

/** (1, speakerDim) of any length → (1, melBins): normalised to length 1 (0 stays 0), then linear. */
function projectSpeaker(graph: Graph, weights: Weights, config: FlowConfig): Value {
  const embedding = graph.input('embedding', 'float32', [1, config.speakerDim]);
  return weights.linear(graph, graph.op('LpNormalization', [embedding], { axis: 1, p: 2 }), 'spk_embed_affine_layer', { exact: true });
}

/** [mu, speaker, condition] (2, F, …), the second row zero. `speaker`: (1, melBins). */
function conditionRows(graph: Graph, config: FlowConfig, speaker: Value): Value {
  const frames = [1, 'frames', config.melBins] as const;
  const mu = graph.input('mu', 'float32', frames);
  const condition = graph.input('condition', 'float32', frames);
  const everywhere = graph.op('Expand', [graph.op('Unsqueeze', [speaker, graph.ints([0])]), graph.op('Shape', [mu])]);
  const conditioned = graph.op('Concat', [mu, everywhere, condition], { axis: 2 });
  return graph.op('Concat', [conditioned, graph.op('Mul', [conditioned, graph.float(0)])], { axis: 0 });
}

/** `value`, of type `from`, as type `to`. */
function cast(graph: Graph, value: Value, from: CacheType, to: CacheType): Value {
  return from === to ? value : graph.op('Cast', [value], { to: DATA_TYPE[to] });
}

function insert([name, shape]: [string, readonly Dimension[]], type: DataType): [string, DataType, readonly Dimension[]] {
  return [name, type, shape];
}

function tapOutputs(graph: Graph): Tap {
  return (name, rows) => graph.output(`tap_${name}`, rows, 'float32', [`${name}_rows`, `${name}_columns`]);
}

type CachedPastOptions = { readonly body: Graph; readonly config: FlowConfig; readonly cache: CacheType; readonly type: CacheType; readonly pageCount: number; readonly keptFrom: Value; readonly tails: Value };

/** Reads one Euler step's state from the inputs of the step and declares the new state as its outputs. */
class CachedPast implements Past {
  readonly bias = NONE;
  readonly #options: CachedPastOptions;
  readonly #tails: Value[];
  readonly #pages: Map<string, Value>;
  readonly #newTails: Value[] = [];
  readonly #newPages: Value[] = [];

  constructor(options: CachedPastOptions) {
    const { body, config, cache, pageCount, tails } = options;
    const { attentions, convolutions } = pastSizes(config);
    this.#options = options;
    this.#tails = body.ops('Split', [cast(body, tails, 'float32', options.type), body.ints(convolutions)], convolutions.length, { axis: 2 });
    const shape = (name: string): readonly Dimension[] => [GUIDANCE_ROWS, config.estimator.heads, `${name.split('_')[0]}_length`, config.estimator.headDim];
    this.#pages = new Map(pageNames(attentions, pageCount).map((name) => [name, body.input(`step_${name}`, cache, shape(name))]));
  }

  before(frames: Value): Value {
    const { body } = this.#options;
    const joined = body.op('Concat', [this.#tails[this.#newTails.length] ?? NONE, frames], { axis: 1 });
    this.#newTails.push(body.op('Slice', [joined, body.ints([-2]), body.ints([LAST]), body.ints([1])]));
    return joined;
  }

  attend(keys: Value, values: Value): readonly [Value, Value] {
    const { body, keptFrom, cache, type, pageCount } = this.#options;
    const layer = this.#newPages.length / 2;
    const join = (own: Value, kind: 'k' | 'v'): Value => {
      const kept = body.op('Slice', [own, keptFrom, body.ints([LAST]), body.ints([2])]);
      this.#newPages.push(cast(body, kept, type, cache));
      const earlier = Array.from({ length: pageCount }, (_, page) => this.#pages.get(`${kind}${page}_${layer}`) ?? NONE);
      return body.op('Concat', [...earlier.map((page) => cast(body, page, cache, type)), own], { axis: 2 });
    };
    return [join(keys, 'k'), join(values, 'v')];
  }

  /** Declares the outputs after `step_next` and returns how many they are. */
  outputs(): number {
    const { body, config, cache, type } = this.#options;
    const { convolutions } = pastSizes(config);
    body.output('step_new_tails', cast(body, body.op('Concat', this.#newTails, { axis: 2 }), type, 'float32'), 'float32', [GUIDANCE_ROWS, 2, convolutions.reduce((sum, size) => sum + size, 0)]);
    const shape = [GUIDANCE_ROWS, config.estimator.heads, 'kept', config.estimator.headDim] as const;
    for (const [index, value] of this.#newPages.entries()) body.output(`step_new_${index}`, value, cache, shape);
    return 1 + this.#newPages.length;
  }
}
