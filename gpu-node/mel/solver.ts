/** The two graphs of the flow as functions: a run of tokens in, mel frames and the next state out. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { SOLVE_BATCHES, newNames, of, solveFile } from '../graphs/flow.ts';
import { pastSizes } from '../graphs/layers/estimator.ts';
import { exactWeightLevels } from '../graphs/layers/vnni.ts';
import { ENCODER_STATES, PagePool, emptyState, pageFeeds } from './state.ts';
import { scheduleOf } from './schedule.ts';
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

/** One request's block: what is computed, behind which state, and what becomes of it. */
export type Job = {
  readonly run: Run;
  readonly state: FlowState;
  /** Tokens of encoder context to hand on. */
  readonly encoderTokens: number;
  /** Where the run's keys and values go; absent when nothing follows. */
  readonly page?: Page | undefined;
};

/** mel: (F, melBins) float32 with F = tokens · ratio; and the state behind it, without the pages. */
export type Solved = { readonly mel: Float32Array; readonly next: Omit<FlowState, 'pages' | 'pinned'> };

export class Solver {
  readonly config: FlowConfig;
  readonly #encoder: GraphSession;
  /** By the number of requests that one run serves. */
  readonly #solves = new Map<number, GraphSession>();
  readonly #noise: FixedNoise;
  readonly #files: { readonly directory: string; readonly open: OpenGraph };
  /** Pages of the type that the graphs take. */
  readonly pool: PagePool;
  /** Page inputs of the graph. */
  readonly pageCount: number;
  /** No request's values enter another one's. 8-bit products have one scale for all rows of a run. */
  readonly rowsAreApart: boolean;

  static async open(directory: string, config: FlowConfig, open: OpenGraph): Promise<Solver> {
    const files = JSON.parse(readFileSync(join(directory, 'flow.json'), 'utf8')) as FlowFiles;
    if (files.weightLevels > exactWeightLevels()) throw new CosyError('checkpoint_invalid', 'The flow was converted on a machine with other arithmetic (VNNI): remove the converted graphs, they are made again for this one.');
    const [encoder, solve] = await Promise.all([open(join(directory, 'flow-encoder.onnx')), open(join(directory, solveFile(1)))]);
    return new Solver(config, { encoder, solve, directory, open }, files);
  }

  private constructor(config: FlowConfig, { encoder, solve, directory, open }: { readonly encoder: GraphSession; readonly solve: GraphSession; readonly directory: string; readonly open: OpenGraph }, { cache, pages, weightLevels }: FlowFiles) {
    this.config = config;
    this.rowsAreApart = weightLevels === 0;
    this.pool = new PagePool(config, cache);
    this.pageCount = pages;
    this.#encoder = encoder;
    this.#solves.set(1, solve);
    this.#files = { directory, open };
    this.#noise = new FixedNoise(config.melBins);
  }

  /** Opens the graphs for several requests in one run; until then every request is run alone. */
  async openBatches(): Promise<void> {
    for (const members of SOLVE_BATCHES) this.#solves.set(members, await this.#files.open(join(this.#files.directory, solveFile(members))));
  }

  /** Requests that one run can serve. */
  get batches(): readonly number[] {
    return [...this.#solves.keys()];
  }

  /** One block behind its state. Throws `generation_failed` when the network made something that is not a number. */
  async run(job: Job): Promise<Solved> {
    const [solved] = await this.#together([job]);
    if (!solved) throw new CosyError('generation_failed', 'The flow made values that are not numbers: try again, with another seed or precision.');
    return solved;
  }

  /**
   * Blocks of several requests, equally long, with the same number of steps, all of them followed by something or none; as
   * many as one of `batches`. Those of a batch in which one fails are run again alone, so that nothing of it is in theirs.
   */
  async runEach(jobs: readonly Job[]): Promise<PromiseSettledResult<Solved>[]> {
    const batch = jobs.length > 1 ? await settled(this.#together(jobs)) : undefined;
    if (batch?.status === 'fulfilled' && batch.value.every((solved) => solved !== undefined)) return batch.value.map((value) => ({ status: 'fulfilled', value: value as Solved }));
    const results: PromiseSettledResult<Solved>[] = [];
    for (const job of jobs) results.push(await settled(this.run(job)));
    return results;
  }

  /** undefined: not a number. */
  async #together(jobs: readonly Job[]): Promise<(Solved | undefined)[]> {
    const { config } = this;
    const [first] = jobs;
    const solve = this.#solves.get(jobs.length);
    assert(first && solve, 'a batch of a size that has a graph');
    const steps = first.state.tails.dims[0] ?? config.steps;
    const { time, dt } = scheduleOf(config, steps);
    const encoded: Awaited<ReturnType<Solver['encode']>>[] = [];
    for (const { run, state, encoderTokens } of jobs) encoded.push(await this.encode(run, state, encoderTokens));
    const names = newNames(pastSizes(config).attentions);
    const results = await solve.run(
      {
        ...Object.assign({}, ...jobs.map((job, member) => this.#feeds(job, member, encoded[member]?.mu))),
        time: { type: 'float32', dims: [steps], data: time },
        dt: { type: 'float32', dims: [steps], data: dt },
        guidance: { type: 'float32', dims: [], data: Float32Array.of(config.inferenceCfgRate) },
        keep: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(first.page?.frames ?? 0)) },
      },
      first.page ? { mel: null, ...Object.assign({}, ...jobs.map(({ page }, member) => ({ [of(member, 'new_tails')]: null, ...Object.fromEntries(names.map((name, index) => [of(member, name), present(page?.tensors[index])])) }))) } : ['mel'],
    );
    const mels = floats(results['mel']);
    const size = mels.length / jobs.length;
    return jobs.map(({ run, state }, member) => {
      const mel = mels.slice(member * size, (member + 1) * size);
      // 8-bit products take what is no number for an ordinary one, so mu is looked at as well
      if (!mel.every(Number.isFinite) || !floats(encoded[member]?.mu).every(Number.isFinite)) return undefined;
      return { mel, next: { tokens: state.tokens + run.tokens.length, encoder: encoded[member]?.encoder ?? state.encoder, tails: results[of(member, 'new_tails')] ?? state.tails } };
    });
  }

  #feeds({ run, state }: Job, member: number, mu: Tensor | undefined): Record<string, Tensor> {
    const { config } = this;
    const frames = run.tokens.length * config.tokenMelRatio;
    const shaped = (data: Float32Array): Tensor => ({ type: 'float32', dims: [1, frames, config.melBins], data });
    const feeds: Record<string, Tensor> = {
      mu: present(mu),
      condition: shaped(run.condition),
      noise: shaped(this.#noise.frames(state.tokens * config.tokenMelRatio, frames)),
      embedding: { type: 'float32', dims: [1, run.embedding.length], data: run.embedding },
      tails: state.tails,
      ...pageFeeds(state.pages, config, { steps: state.tails.dims[0] ?? config.steps, type: this.pool.type, pageCount: this.pageCount }),
    };
    return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [of(member, name), tensor]));
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
    await Promise.all([this.#encoder, ...this.#solves.values()].map((session) => session.release()));
  }
}

async function settled<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  return (await Promise.allSettled([work]))[0];
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
