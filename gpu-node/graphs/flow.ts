/**
 * Graph files of the flow, tokens → mel. `flow-encoder.onnx`: tokens → mu. `flow-solve.onnx`: mu, prompt mel, speaker and
 * noise → mel, all Euler steps with guidance in one run. Both go through an utterance at once or block by block: earlier
 * blocks come in as keys, values and convolution rows, and those of the block go out. The weights are the same either way.
 * `flow-solve-4.onnx` solves blocks of so many requests at once: equally long ones, each with its own past of any length.
 *
 * flow-encoder  in:  tokens (1, S+A) int32, valid (1, S+A), lookahead_tail (1, 2, C), up_tail (1, 2·ratio, C),
 *                    past (blocks, 2, heads, L, headDim), up_past (upBlocks, 2, heads, L·ratio, headDim), limit [1] int64
 *               out: mu (1, F, 80), and new_… for the four states; keys and values end with the run's, at most `limit` tokens
 * flow-solve    in:  mu, condition, noise (1, F, 80), embedding (1, speakerDim), time, dt (steps), guidance [],
 *                    keep [1] int64, tails (steps, R, 2, ΣC), k{page}_{layer}, v{page}_{layer} (steps, R, heads, L, headDim)
 *               out: mel (B, F, 80), new_tails, new_k_{layer}, new_v_{layer} (steps, R, heads, keep, headDim)
 * R rows: with condition and, unless the guidance is 0, without. Of B requests, those behind the first have their own inputs
 * and outputs (`of`), all but time, dt, guidance and keep. Keys have no positions, so pages may come in any order and may be
 * empty.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_TYPE, Graph, MICROSOFT, NONE } from './onnx/graph.ts';
import { writeModel, writeModels } from './onnx/write.ts';
import { LAST } from './layers/conv.ts';
import { encoder } from './layers/conformer.ts';
import { estimator, pastSizes, timeBiases } from './layers/estimator.ts';
import { exactWeightLevels } from './layers/vnni.ts';
import { Watch } from './layers/watch.ts';
import { Weights } from './layers/weights.ts';
import type { FlowConfig, TensorStore } from '../checkpoint/types.ts';
import type { Past, Tap } from './layers/estimator.ts';
import type { WeightFormat } from './layers/quantize.ts';
import type { Dimension, Value } from './onnx/graph.ts';
import type { Network, Precision } from './network.ts';

/** Element type of keys and values between runs: half the memory, rounding of 2⁻¹¹. */
export type CacheType = 'float32' | 'float16';

/** With and without condition (classifier-free guidance); without guidance the second one would be multiplied by 0. */
export function guidanceRows(config: FlowConfig): number {
  return config.inferenceCfgRate === 0 ? 1 : 2;
}

/** Blocks of different requests that one run solves, besides 1. */
export const SOLVE_BATCHES = [2, 4] as const;

/** File of the solve for so many requests. */
export function solveFile(members: number): string {
  return members === 1 ? 'flow-solve.onnx' : `flow-solve-${members}.onnx`;
}

/** Name of an input or output of one request in a batch. */
export function of(member: number, name: string): string {
  return member === 0 ? name : `${name}@${member}`;
}

/**
 * Weights, and the cache that goes with them. Half-precision storage is for graphs whose rows are in half precision: on a
 * processor, turning it into float32 for every block costs 11 % of the flow's time at full size, 8 % for the bundled voice.
 */
const FORMATS: Readonly<Record<Precision, { readonly format: WeightFormat; readonly cache: CacheType }>> = {
  fp32: { format: 'float32', cache: 'float32' },
  fp16: { format: 'float16', cache: 'float16' },
  int8: { format: 'int8-column', cache: 'float32' },
  int4: { format: 'int4', cache: 'float32' },
};

/**
 * Channels under which float32 is the usual format: 8 bits save little time in so narrow an estimator, and single large values, with
 * which `int8-column` shares its scale, cost more. Bundled voice, one utterance, relative to float32 with ten steps: int8 is
 * 0.080 off (RMS of the mel; 0.121 with six steps) in 143 ms of processor time (66), float32 with six steps 0.002 in 113.
 */
const NARROW = 256;

/** Bytes of a stream's keys and values that the default left context may take: 500 MB for a stream in all, half of it on a GPU. */
const CONTEXT_BYTES: Readonly<Record<CacheType, number>> = { float32: 480e6, float16: 240e6 };
/** More blocks cost time and hardly change the mel any more (distances per bound: gpu-node/README.md). */
const MAX_DEFAULT_BLOCKS = 8;

/**
 * Left blocks that fit: 2 at full size, 8 for the bundled voice. Each costs 6 % of the flow's time at full size, attention
 * and its reading together.
 */
export function defaultLeftBlocks(config: FlowConfig, cache: CacheType): number {
  const { heads, headDim, chunkFrames } = config.estimator;
  const values = 2 * pastSizes(config).attentions * heads * headDim * chunkFrames * guidanceRows(config) * config.steps;
  return Math.max(1, Math.min(MAX_DEFAULT_BLOCKS, Math.floor(CONTEXT_BYTES[cache] / (values * (cache === 'float32' ? 4 : 2)))));
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
  isSmall: (config) => config.flow.estimator.channels < NARROW,
  write(checkpoint, directory, precision) {
    const config = checkpoint.config.flow;
    const { format, cache } = FORMATS[precision];
    const options = { store: checkpoint.flow, config, format };
    const files: FlowFiles = { cache, pages: 1 + defaultLeftBlocks(config, cache), weightLevels: format === 'int8-column' ? exactWeightLevels() : 0 };
    writeModel(encoderGraph(options), join(directory, 'flow-encoder.onnx'));
    writeModels([1, ...SOLVE_BATCHES].map((members) => ({ graph: solveGraph({ ...options, ...files, members }), path: join(directory, solveFile(members)) })));
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

/** The whole solve. `cache`: type of keys and values that enter and leave; `pages`: how many contexts enter; `members`: requests. */
export function solveGraph({ store, config, format, cache, pages: pageCount, members = 1 }: FlowGraphOptions & Pick<FlowFiles, 'cache' | 'pages'> & { readonly members?: number }): Graph {
  const graph = new Graph('flow-solve');
  const weights = new Weights(graph, store, format);
  const { melBins } = config;
  const { attentions, convolutions } = pastSizes(config);
  const width = convolutions.reduce((sum, size) => sum + size, 0);
  const guided = guidanceRows(config);
  const each = Array.from({ length: members }, (_, member) => member);
  const together = (name: string, shape: readonly Dimension[]): Value => {
    const values = each.map((member) => graph.input(of(member, name), 'float32', shape));
    return values.length === 1 ? (values[0] ?? NONE) : graph.op('Concat', values, { axis: 0 });
  };
  const frames = [1, 'frames', melBins] as const;
  const condition = conditionRows(graph, together, projectSpeaker(graph, weights.wide(), together('embedding', [1, config.speakerDim])), { melBins, rows: guided });
  const noise = together('noise', frames);
  const time = graph.input('time', 'float32', ['steps']);
  const dt = graph.input('dt', 'float32', ['steps']);
  const guidance = graph.input('guidance', 'float32', []);
  const keep = graph.input('keep', 'int64', [1]);
  const tails = each.map((member) => graph.input(of(member, 'tails'), 'float32', ['steps', guided, 2, width]));
  const page = (length: Dimension): readonly Dimension[] => ['steps', guided, config.estimator.heads, length, config.estimator.headDim];
  const pages = each.flatMap((member) => pageNames(attentions, pageCount).map((name) => graph.input(of(member, name), cache, page(lengthOf(member, name)))));
  const keptFrom = graph.op('Sub', [graph.op('Shape', [noise], { start: 1, end: 2 }), keep]);

  const body = new Graph('step', graph);
  const x = body.input('step_x', 'float32', [members, 'frames', melBins]);
  const biases = body.input('step_biases', 'float32', ['biases']);
  const stepDt = body.input('step_dt', 'float32', []);
  const past = new CachedPast({ body, config, cache, type: weights.type, pageCount, keptFrom, members });
  const alike = body.op('Reshape', [body.op('Expand', [body.op('Unsqueeze', [x, graph.ints([1])]), graph.ints([1, guided, 1, 1])]), graph.ints([members * guided, -1, melBins])]);
  const input = cast(body, body.op('Concat', [guided === 1 ? x : alike, condition], { axis: 2 }), 'float32', weights.type);
  const resnets = body.ops('Split', [cast(body, biases, 'float32', weights.type)], config.estimator.midStages + 2, { axis: 0, num_outputs: config.estimator.midStages + 2 });
  const watch = new Watch(body, format);
  const rows = watch.over(cast(body, estimator(input, { graph: body, weights, config, batch: members * guided, past, timeBiases: resnets, watch }), weights.type, 'float32'));
  const velocity = guide(body, body.op('Reshape', [rows, graph.ints([members, guided, -1, melBins])]), { graph, guidance, guided });
  body.output('step_next', body.op('Add', [x, body.op('Mul', [velocity, stepDt])]), 'float32', [members, 'frames', melBins]);
  const states = past.outputs();

  const scanned = [timeBiases({ graph, weights: weights.wide(), config, time }), dt, ...tails, ...pages];
  const [mel = NONE, ...newStates] = graph.ops('Scan', [noise, ...scanned], 1 + states, { body, num_scan_inputs: scanned.length });
  graph.output('mel', mel, 'float32', [members, 'frames', melBins]);
  for (const member of each) graph.output(of(member, 'new_tails'), newStates[member] ?? NONE, 'float32', ['steps', guided, 2, width]);
  for (const [index, name] of newNames(attentions).entries()) {
    for (const member of each) graph.output(of(member, name), newStates[members * (1 + index) + member] ?? NONE, cache, page('kept'));
  }
  return graph;
}

/** Velocities (B, R, F, bins) → (B, F, bins): (1 + g) · conditioned − g · free, or the conditioned ones alone. */
function guide(body: Graph, velocity: Value, { graph, guidance, guided }: { readonly graph: Graph; readonly guidance: Value; readonly guided: number }): Value {
  const squeezed = (value: Value): Value => body.op('Squeeze', [value, graph.ints([1])]);
  if (guided === 1) return squeezed(velocity);
  const [conditioned = NONE, free = NONE] = body.ops('Split', [velocity], 2, { axis: 1, num_outputs: 2 });
  return squeezed(body.op('Sub', [body.op('Mul', [conditioned, body.op('Add', [guidance, graph.float(1)])]), body.op('Mul', [free, guidance])]));
}

/** Rows of the official estimator call. */
const BOTH = 2;

/** One call of the estimator on a batch of two, as the official code makes it; and the time embedding on its own. For tests. */
export function estimatorGraph({ store, config, format }: FlowGraphOptions): Graph {
  const graph = new Graph('flow-estimator');
  const weights = new Weights(graph, store, format);
  const x = graph.input('x', 'float32', [1, 'frames', config.melBins]);
  const condition = conditionRows(graph, (name, shape) => graph.input(name, 'float32', shape), graph.input('speaker', 'float32', [1, config.melBins]), { melBins: config.melBins, rows: BOTH });
  const time = graph.input('time', 'float32', ['times']);
  const bias = graph.input('bias', 'float32', [1, 1, 'queries', 'keys']);
  const tap = tapOutputs(graph);
  const biases = graph.op('Slice', [timeBiases({ graph, weights, config, time, tap }), graph.ints([0]), graph.ints([1]), graph.ints([0])]);
  const each = graph.ops('Split', [biases], config.estimator.midStages + 2, { axis: 1, num_outputs: config.estimator.midStages + 2 });
  const past: Past = {
    before: (frames, channels) => graph.op('Concat', [graph.floats(`zeros/${channels}`, [BOTH, 2, channels], () => new Float32Array(BOTH * 2 * channels)), frames], { axis: 1 }),
    attend: (queries, keys, values) => graph.op('MultiHeadAttention', [queries, keys, values, NONE, NONE, bias], { num_heads: config.estimator.heads }, { domain: MICROSOFT }),
  };
  const input = graph.op('Concat', [graph.op('Expand', [x, graph.ints([BOTH, 1, 1])]), condition], { axis: 2 });
  const velocity = estimator(input, { graph, weights, config, batch: BOTH, past, timeBiases: each, tap });
  graph.output('velocity', graph.op('Reshape', [velocity, graph.ints([BOTH, -1, config.melBins])]), 'float32', [BOTH, 'frames', config.melBins]);
  return graph;
}

/** embedding (1, speakerDim) → speaker (1, melBins). For tests; the solve has it inside. */
export function speakerGraph({ store, config, format }: FlowGraphOptions): Graph {
  const graph = new Graph('flow-speaker');
  const embedding = graph.input('embedding', 'float32', [1, config.speakerDim]);
  graph.output('speaker', projectSpeaker(graph, new Weights(graph, store, format), embedding), 'float32', [1, config.melBins]);
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

/** (B, speakerDim) of any length → (B, melBins): normalised to length 1 (0 stays 0), then linear. */
function projectSpeaker(graph: Graph, weights: Weights, embedding: Value): Value {
  return weights.linear(graph, graph.op('LpNormalization', [embedding], { axis: 1, p: 2 }), 'spk_embed_affine_layer', { exact: true });
}

/** [mu, speaker, condition] (B·rows, F, …): each request's own row and, when there are two, one of zeros. `speaker`: (B, melBins). */
function conditionRows(graph: Graph, input: (name: string, shape: readonly Dimension[]) => Value, speaker: Value, { melBins, rows }: { readonly melBins: number; readonly rows: number }): Value {
  const mu = input('mu', [1, 'frames', melBins]);
  const condition = input('condition', [1, 'frames', melBins]);
  const everywhere = graph.op('Expand', [graph.op('Unsqueeze', [speaker, graph.ints([1])]), graph.op('Shape', [mu])]);
  const conditioned = graph.op('Concat', [mu, everywhere, condition], { axis: 2 });
  if (rows === 1) return conditioned;
  const own = graph.op('Unsqueeze', [conditioned, graph.ints([1])]);
  const both = graph.op('Concat', [own, graph.op('Mul', [own, graph.float(0)])], { axis: 1 });
  const shape = graph.op('Concat', [graph.ints([-1]), graph.op('Shape', [conditioned], { start: 1, end: 3 })], { axis: 0 });
  return graph.op('Reshape', [both, shape]);
}

/** `value`, of type `from`, as type `to`. */
function cast(graph: Graph, value: Value, from: CacheType, to: CacheType): Value {
  return from === to ? value : graph.op('Cast', [value], { to: DATA_TYPE[to] });
}

/** Every page of every request has its own length. */
function lengthOf(member: number, name: string): Dimension {
  return of(member, `${name.split('_')[0]}_length`);
}

function tapOutputs(graph: Graph): Tap {
  return (name, rows) => graph.output(`tap_${name}`, rows, 'float32', [`${name}_rows`, `${name}_columns`]);
}

type CachedPastOptions = { readonly body: Graph; readonly config: FlowConfig; readonly cache: CacheType; readonly type: CacheType; readonly pageCount: number; readonly keptFrom: Value; readonly members: number };

/**
 * Reads one Euler step's state from the inputs of the step and declares the new state as its outputs. Convolutions go over
 * all requests at once; attention goes over each request's own keys, so that their lengths need not agree.
 */
class CachedPast implements Past {
  readonly #options: CachedPastOptions;
  readonly #rows: number;
  readonly #tails: Value[];
  readonly #pages: Map<string, Value>;
  readonly #newTails: Value[] = [];
  /** For each layer its keys, then its values, of all requests. */
  readonly #newPages: Value[] = [];

  constructor(options: CachedPastOptions) {
    const { body, config, cache, pageCount, type, members } = options;
    const { attentions, convolutions } = pastSizes(config);
    this.#options = options;
    this.#rows = guidanceRows(config);
    const each = Array.from({ length: members }, (_, member) => member);
    const tails = each.map((member) => body.input(of(member, 'step_tails'), 'float32', [this.#rows, 2, this.#width]));
    const all = members === 1 ? (tails[0] ?? NONE) : body.op('Concat', tails, { axis: 0 });
    this.#tails = body.ops('Split', [cast(body, all, 'float32', type), body.ints(convolutions)], convolutions.length, { axis: 2 });
    const shape = (member: number, name: string): readonly Dimension[] => [this.#rows, config.estimator.heads, lengthOf(member, name), config.estimator.headDim];
    this.#pages = new Map(each.flatMap((member) => pageNames(attentions, pageCount).map((name) => [of(member, name), body.input(of(member, `step_${name}`), cache, shape(member, name))] as const)));
  }

  before(frames: Value): Value {
    const { body } = this.#options;
    const joined = body.op('Concat', [this.#tails[this.#newTails.length] ?? NONE, frames], { axis: 1 });
    this.#newTails.push(body.op('Slice', [joined, body.ints([-2]), body.ints([LAST]), body.ints([1])]));
    return joined;
  }

  attend(queries: Value, keys: Value, values: Value): Value {
    const { body, config, keptFrom, cache, type, pageCount, members } = this.#options;
    const layer = this.#newPages.length / (2 * members);
    const [ownQueries, ownKeys, ownValues] = [queries, keys, values].map((value) => this.#split(value)) as [Value[], Value[], Value[]];
    const join = (own: Value, kind: 'k' | 'v', member: number): Value => {
      const kept = body.op('Slice', [own, keptFrom, body.ints([LAST]), body.ints([2])]);
      this.#newPages.push(cast(body, kept, type, cache));
      const earlier = Array.from({ length: pageCount }, (_, page) => this.#pages.get(of(member, `${kind}${page}_${layer}`)) ?? NONE);
      return body.op('Concat', [...earlier.map((page) => cast(body, page, cache, type)), own], { axis: 2 });
    };
    const allKeys = ownKeys.map((own, member) => join(own, 'k', member));
    const allValues = ownValues.map((own, member) => join(own, 'v', member));
    const mixed = ownQueries.map((own, member) => body.op('MultiHeadAttention', [own, allKeys[member] ?? NONE, allValues[member] ?? NONE], { num_heads: config.estimator.heads }, { domain: MICROSOFT }));
    return mixed.length === 1 ? (mixed[0] ?? NONE) : body.op('Concat', mixed, { axis: 0 });
  }

  /** Declares the outputs after `step_next`, each of all requests in turn, and returns how many they are. */
  outputs(): number {
    const { body, config, cache, type, members } = this.#options;
    const tails = this.#split(cast(body, body.op('Concat', this.#newTails, { axis: 2 }), type, 'float32'));
    for (const [member, value] of tails.entries()) body.output(of(member, 'step_new_tails'), value, 'float32', [this.#rows, 2, this.#width]);
    const shape = [this.#rows, config.estimator.heads, 'kept', config.estimator.headDim] as const;
    for (const [index, value] of this.#newPages.entries()) body.output(of(index % members, `step_new_${Math.floor(index / members)}`), value, cache, shape);
    return members + this.#newPages.length;
  }

  get #width(): number {
    return pastSizes(this.#options.config).convolutions.reduce((sum, size) => sum + size, 0);
  }

  /** (B·R, …) → B times (R, …). */
  #split(value: Value): Value[] {
    const { body, members } = this.#options;
    return members === 1 ? [value] : body.ops('Split', [value], members, { axis: 0, num_outputs: members });
  }
}
