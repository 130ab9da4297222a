/**
 * Several decoding steps in one run: sampling happens in the graph (graphs/language-model-loop.ts), with random numbers made
 * here, and the scripts are told afterwards which ids were drawn. Every token still passes script, guard and record one by
 * one, and is the one that a step per run would have given. Rows join and leave between runs.
 */
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import type { LanguageModelConfig } from '../checkpoint/types.ts';
import { BROKEN, DECODING_LOOP_FILE, NOTHING } from '../graphs/language-model-loop.ts';
import type { Device, GraphSession, OpenGraph, Tensor } from '../runtime/session.ts';
import { uniformPair } from './random.ts';
import type { Sampler } from './sampler.ts';
import type { Foresight } from './script.ts';

/**
 * Tokens of a row in one run. On a GPU a run takes the cache along and brings its outputs back, and nobody joins while it runs:
 * eight steps are 320 ms of speech. On a processor the cache stays where it is.
 */
export const STEPS_PER_RUN: Readonly<Record<Device, number>> = { cpu: 1, cuda: 8, tensorrt: 8 };

/** A sampler that gives what a graph has drawn, while `take` runs, and else draws itself. */
export class DrawnIds {
  readonly seed: number;
  readonly sampler: Sampler;
  #id: number | undefined;

  constructor(sampler: Sampler, seed: number) {
    this.seed = seed;
    this.sampler = (draw) => {
      if (this.#id === BROKEN) throw new CosyError('generation_failed', 'The language model returned values that are not numbers: try again with another seed.');
      return this.#id ?? sampler(draw);
    };
  }

  /** Runs `accept` with `id` for the draw, if it makes one. */
  take<T>(id: number, accept: () => T): T {
    this.#id = id;
    try {
      return accept();
    } finally {
      this.#id = undefined;
    }
  }
}

/** A row before the run: the id it feeds, the positions it has, and what comes. */
export type AheadRow = { readonly id: number; readonly fed: number; readonly seed: number; readonly foresight: Foresight };

/** `total`: positions that no row passes; `past`: the cache of the rows; `layers`: whose queries are wanted. */
export type LoopOptions = { readonly steps: number; readonly total: number; readonly past: Readonly<Record<string, Tensor>>; readonly layers: readonly number[] };

type Values = Float32Array | Float16Array;

export type LoopRun = {
  /** Drawn in this step; undefined when the row had stopped. */
  readonly id: (step: number, row: number) => number | undefined;
  /** New keys or values (rows, kvHeads, steps, headDim) of `L.key` or `L.value`. */
  readonly values: (name: string) => Values;
  /** Queries of the step before rotation. */
  readonly queries: (layer: number, step: number, row: number) => ArrayLike<number>;
};

export class DecodingLoop {
  readonly #session: GraphSession;
  readonly #config: LanguageModelConfig;

  static async open({ open, directory, config }: { readonly open: OpenGraph; readonly directory: string; readonly config: LanguageModelConfig }): Promise<DecodingLoop> {
    return new DecodingLoop(await open(join(directory, DECODING_LOOP_FILE)), config);
  }

  private constructor(session: GraphSession, config: LanguageModelConfig) {
    this.#session = session;
    this.#config = config;
  }

  async run(rows: readonly AheadRow[], { steps, total, past, layers }: LoopOptions): Promise<LoopRun> {
    const parts = Object.keys(past).map((name) => name.replace('past.', 'new.'));
    const results = await this.#session.run({ ...past, ...this.#inputs(rows, steps, total) }, ['tokens', ...parts, ...layers.map((layer) => `queries.${layer}`)]);
    const tokens = results['tokens'];
    if (tokens?.type !== 'int64') throw new CosyError('internal_error', 'The decoding graph has no int64 output called tokens: convert the checkpoint again.');
    const { heads, kvHeads, headDim } = this.#config;
    const width = (heads + 2 * kvHeads) * headDim;
    return {
      id: (step, row) => {
        const id = Number(tokens.data[step * rows.length + row]);
        return id === NOTHING ? undefined : id;
      },
      values: (name) => floats(results, `new.${name}`),
      queries: (layer, step, row) => floats(results, `queries.${layer}`).subarray((step * rows.length + row) * width, (step * rows.length + row + 1) * width),
    };
  }

  #inputs(rows: readonly AheadRow[], steps: number, total: number): Record<string, Tensor> {
    const { winSize } = this.#config.sampling;
    const count = rows.length;
    const uniforms = new Float64Array(steps * count * 2);
    const forced = new BigInt64Array(steps * count).fill(-1n);
    for (const [index, { seed, foresight }] of rows.entries()) {
      for (let step = 0; step < Math.min(steps, foresight.steps); step += 1) {
        uniforms.set(uniformPair(seed, foresight.history.length + step), (step * count + index) * 2);
        forced[step * count + index] = BigInt(foresight.forced[step] ?? -1);
      }
    }
    const integers = (width: number, of: (row: AheadRow, column: number) => number): Tensor => ({
      type: 'int64',
      dims: [count, width],
      data: BigInt64Array.from({ length: count * width }, (_, i) => BigInt(of(rows[Math.floor(i / width)]!, i % width))),
    });
    return {
      steps: { type: 'int64', dims: [], data: BigInt64Array.of(BigInt(steps)) },
      ids: integers(1, ({ id }) => id),
      seqlens_k: { type: 'int32', dims: [count], data: Int32Array.from(rows, ({ fed }) => fed) },
      total_length: { type: 'int32', dims: [], data: Int32Array.of(total) },
      left: integers(1, ({ foresight }) => Math.min(steps, foresight.steps)),
      masked: integers(rows[0]!.foresight.masked.length, ({ foresight }, stop) => Math.min(steps, foresight.masked[stop]!)),
      recent: integers(winSize, ({ foresight: { history } }, place) => history[history.length - winSize + place] ?? -1),
      uniforms: { type: 'float64', dims: [steps, count, 2], data: uniforms },
      forced: { type: 'int64', dims: [steps, count], data: forced },
      positions: integers(steps, ({ fed }, step) => fed + step),
    };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function floats(results: Readonly<Record<string, Tensor>>, name: string): Values {
  const tensor = results[name];
  if (tensor?.type !== 'float32' && tensor?.type !== 'float16') throw new CosyError('internal_error', `The decoding graph has no output called ${name}: convert the checkpoint again.`);
  return tensor.data;
}
