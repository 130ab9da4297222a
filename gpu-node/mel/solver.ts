/** The two graphs of the flow as functions: a run of tokens in, mel frames and the next state out. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { newNames } from '../graphs/flow.ts';
import { pastSizes } from '../graphs/layers/estimator.ts';
import { exactWeightLevels } from '../graphs/layers/vnni.ts';
import { ENCODER_STATES, PagePool, emptyState, pageFeeds } from './state.ts';
import { cosineSchedule } from './schedule.ts';
import { FixedNoise } from './noise.ts';
import type { FlowConfig } from '../checkpoint/types.ts';
import type { GraphSession, OpenGraph, Tensor } from '../runtime/session.ts';
import type { FlowFiles } from '../graphs/flow.ts';
import type { EncoderState, FlowState, Page } from './state.ts';

/** Consecutive tokens of one utterance that are computed together and see each other. */
export type Run = {
  readonly tokens: Int32Array;
  /** The next tokens, up to the config's look-ahead; fewer only where the utterance ends. */
  readonly ahead: Int32Array;
  /** (frames, melBins): prompt mel, zero where there is no prompt. */
  readonly condition: Float32Array;
  /** Speaker embedding (speakerDim). */
  readonly embedding: Float32Array;
};

export type Limits = {
  /** Tokens of encoder context to hand on. */
  readonly encoderTokens: number;
  /** Where the run's keys and values go; absent when nothing follows. */
  readonly page?: Page | undefined;
};

export class Solver {
  readonly config: FlowConfig;
  readonly #encoder: GraphSession;
  readonly #solve: GraphSession;
  readonly #noise: FixedNoise;
  /** Pages of the type that the graphs take. */
  readonly pool: PagePool;
  /** Page inputs of the graph. */
  readonly pageCount: number;

  static async open(directory: string, config: FlowConfig, open: OpenGraph): Promise<Solver> {
    const files = JSON.parse(readFileSync(join(directory, 'flow.json'), 'utf8')) as FlowFiles;
    if (files.weightLevels > exactWeightLevels()) throw new CosyError('checkpoint_invalid', 'The flow was converted on a machine with other arithmetic (VNNI): remove the converted graphs, they are made again for this one.');
    const [encoder, solve] = await Promise.all([open(join(directory, 'flow-encoder.onnx')), open(join(directory, 'flow-solve.onnx'))]);
    return new Solver(config, { encoder, solve }, files);
  }

  private constructor(config: FlowConfig, { encoder, solve }: { readonly encoder: GraphSession; readonly solve: GraphSession }, { cache, pages }: FlowFiles) {
    this.config = config;
    this.pool = new PagePool(config, cache);
    this.pageCount = pages;
    this.#encoder = encoder;
    this.#solve = solve;
    this.#noise = new FixedNoise(config.melBins);
  }

  /**
   * Computes one run after `state`. mel: (F, melBins) float32 with F = tokens · ratio. Throws `generation_failed` when the
   * network made something that is not a number.
   */
  async run(run: Run, state: FlowState, limits: Limits): Promise<{ readonly mel: Float32Array; readonly next: Omit<FlowState, 'pages' | 'pinned'> }> {
    const { mu, encoder } = await this.encode(run, state, limits.encoderTokens);
    const { config } = this;
    const steps = state.tails.dims[0] ?? config.steps;
    const frames = run.tokens.length * config.tokenMelRatio;
    const { time, dt } = cosineSchedule(steps);
    const shaped = (data: Float32Array): Tensor => ({ type: 'float32', dims: [1, frames, config.melBins], data });
    const names = newNames(pastSizes(config).attentions);
    const results = await this.#solve.run(
      {
        mu,
        condition: shaped(run.condition),
        noise: shaped(this.#noise.frames(state.tokens * config.tokenMelRatio, frames)),
        embedding: { type: 'float32', dims: [1, run.embedding.length], data: run.embedding },
        time: { type: 'float32', dims: [steps], data: time },
        dt: { type: 'float32', dims: [steps], data: dt },
        guidance: { type: 'float32', dims: [], data: Float32Array.of(config.inferenceCfgRate) },
        keep: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(limits.page?.frames ?? 0)) },
        tails: state.tails,
        ...pageFeeds(state.pages, config, { steps, type: this.pool.type, pageCount: this.pageCount }),
      },
      limits.page ? { mel: null, new_tails: null, ...Object.fromEntries(names.map((name, index) => [name, present(limits.page?.tensors[index])])) } : ['mel'],
    );
    const mel = floats(results['mel']);
    if (mel.some((value) => !Number.isFinite(value))) throw new CosyError('generation_failed', 'The flow made values that are not numbers: try again, with another seed or precision.');
    return { mel, next: { tokens: state.tokens + run.tokens.length, encoder, tails: results['new_tails'] ?? state.tails } };
  }

  /** The encoder alone. mu: (1, F, melBins). */
  async encode({ tokens, ahead }: Pick<Run, 'tokens' | 'ahead'>, state: FlowState, encoderTokens: number): Promise<{ readonly mu: Tensor; readonly encoder: FlowState['encoder'] }> {
    const length = tokens.length + this.config.preLookaheadTokens;
    const ids = new Int32Array(length);
    ids.set(tokens);
    ids.set(ahead, tokens.length);
    const results = await this.#encoder.run({
      tokens: { type: 'int32', dims: [1, length], data: ids },
      valid: { type: 'float32', dims: [1, length], data: Float32Array.from({ length }, (_, i) => (i < tokens.length + ahead.length ? 1 : 0)) },
      ...state.encoder,
      limit: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(encoderTokens)) },
    });
    const encoder = Object.fromEntries(ENCODER_STATES.map((name) => [name, present(results[`new_${name}`])])) as Record<EncoderState, Tensor>;
    return { mu: present(results['mu']), encoder };
  }

  empty(steps: number): FlowState {
    return emptyState(this.config, steps);
  }

  async release(): Promise<void> {
    await Promise.all([this.#encoder.release(), this.#solve.release()]);
  }
}

function present(tensor: Tensor | undefined): Tensor {
  if (tensor === undefined) throw new CosyError('internal_error', 'A flow graph lacks an output: convert the checkpoint again.');
  return tensor;
}

/** The values of a float32 tensor. */
export function floats(tensor: Tensor | undefined): Float32Array {
  const { data } = present(tensor);
  if (!(data instanceof Float32Array)) throw new CosyError('internal_error', 'A flow graph has an output of another type: convert the checkpoint again.');
  return data;
}
