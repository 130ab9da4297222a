/**
 * Text ids and a voice's prompt in, speech tokens out, for many requests at once. Owns the key/value cache: each request is
 * a row in a slot, rows join and leave between steps, one `step` advances all of them by one token and feeds one bounded
 * piece of a joining row's prompt. Ids and logits are plain data; what they mean is the script's business (script.ts,
 * pieces.ts). No queueing, no deadlines, no audio here.
 *
 * A row computes with its own positions and cache only, and inputs are cut so that each id takes the same kernels whatever
 * the other rows do: prompts in pieces of two or more ids, drawn tokens one by one. On CPU the same request then gives the
 * same tokens alone, in any batch and after a resume; measured to the bit on x64 in fp32, int8 and int4; ONNX Runtime does
 * not promise it, so on other processors it may hold only up to rounding.
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import type { LanguageModelConfig } from '../checkpoint/types.ts';
import { LANGUAGE_MODEL_FILE, MAX_POSITIONS, isSmallModel } from '../graphs/language-model.ts';
import type { Precision } from '../graphs/network.ts';
import type { GraphSession, OpenGraph, SessionOptions, Tensor } from '../runtime/session.ts';
import { HeadChoice } from './alignment.ts';
import type { Alignment } from './alignment.ts';
import { AttentionRecord } from './attention.ts';
import { KeyValueCache } from './cache.ts';
import { GUARD_LIMITS, TokenGuard } from './guards.ts';
import type { GuardLimits } from './guards.ts';
import { DecodingLoop, DrawnIds } from './loop.ts';
import { PiecesScript } from './pieces.ts';
import { repetitionAwareSampler } from './sampler.ts';
import type { SamplingConfig } from './sampler.ts';
import { tokenLimits, wholeTextScript } from './script.ts';
import type { EndReason, Outcome, Replay, Script } from './script.ts';

/** Plain data: can be posted to a worker thread. Token ids as the tokenizer and the speech tokenizer give them. */
export type TokenRequest = {
  /** Text ids of the prompt's transcript or of the instruction. */
  readonly promptText: Int32Array;
  /** Speech tokens of the prompt. */
  readonly promptSpeech: Int32Array;
  /** Text ids to speak; with `pieces` those that are there already (may be none). */
  readonly text: Int32Array;
  /** More text follows through `push` until `endText`. */
  readonly pieces?: boolean;
  /** Integer 0 … 2^53−1. */
  readonly seed: number;
  /** What an earlier run of this request emitted (tokens, and fills of text in pieces): generation goes on behind it. */
  readonly previousTokens?: Int32Array;
  /** How `previousTokens` are fed: `exact` (one step each, the same continuation to the bit) or `fast` (with the prompt). */
  readonly replay?: Replay;
  /** Instead of the ratios of the checkpoint's configuration. */
  readonly minTokens?: number;
  readonly maxTokens?: number;
  readonly sampling?: Partial<SamplingConfig>;
  /** `false`: no guards. */
  readonly guards?: Partial<GuardLimits> | false;
  /** The `end` event says at which token each text id begins, if the model's attention tells. */
  readonly aligned?: boolean;
};

/**
 * `token`: a speech token. `fill`: bookkeeping that a resumed run needs back in `previousTokens`. `error` and `end` are a row's last.
 * `alignment` counts the speech tokens of an earlier run too.
 */
export type TokenEvent =
  | { readonly row: number; readonly kind: 'token' | 'fill'; readonly token: number }
  | { readonly row: number; readonly kind: 'end'; readonly reason: EndReason; readonly alignment?: Alignment }
  | { readonly row: number; readonly kind: 'error'; readonly error: CosyError };

export type LanguageModelLimits = {
  /** Rows that may be active at once. */
  readonly maxRows: number;
  readonly maxPositions: number;
  /** Prompt ids fed in one step while other rows decode, and while none does; 4 or more. */
  readonly pieceRows: number;
  readonly alonePieceRows: number;
  /** Tokens of a row that one run makes: 1, or more where a run's outputs have to leave a device (loop.ts). */
  readonly stepsPerRun: number;
};

export const LANGUAGE_MODEL_LIMITS: LanguageModelLimits = { maxRows: 16, maxPositions: MAX_POSITIONS, pieceRows: 64, alonePieceRows: 512, stepsPerRun: 1 };

/** Idle cache memory above this is given back when the last row leaves. */
const KEPT_BYTES = 128 << 20;

/** Positions by which the cache grows: few, and more where a run makes several tokens. */
const POSITION_STEP = 64;
const LOOP_POSITION_STEP = 256;

/** Threads for one operator: a step of a small model takes as long with one as with two (graphs/language-model.ts). */
export function operatorThreads(config: LanguageModelConfig, { device, threads }: SessionOptions): number {
  return device === 'cpu' && isSmallModel(config) ? 1 : threads;
}

export type RowOptions = {
  readonly guard?: TokenGuard | undefined;
  /** Called with each event of the row, in order, while `step` runs. */
  readonly onEvent?: ((event: TokenEvent) => void) | undefined;
  readonly record?: AttentionRecord | undefined;
  /** Ids for this row may be drawn in the graph. */
  readonly drawn?: DrawnIds | undefined;
};

type Row = RowOptions & {
  readonly id: number;
  readonly script: Script;
  /** Ids taken from the script and not fed yet. */
  queue: readonly number[];
  /** Positions in the cache. */
  fed: number;
  held: boolean;
  gone: boolean;
};

/** For scripts whose ids are drawn already. */
const NO_LOGITS = new Float32Array(0);

type RunOptions = { readonly ids: readonly number[]; readonly width: number; readonly lengths: readonly number[]; readonly start: number; readonly layers: readonly number[] };
type RunResult = { readonly logits: Float32Array; readonly queries: (layer: number, row: number) => ArrayLike<number> };

export class LanguageModel {
  readonly #session: GraphSession;
  readonly #config: LanguageModelConfig;
  readonly #limits: LanguageModelLimits;
  readonly #cache: KeyValueCache;
  /** Fetched on a processor in place of the whole cache: what a run adds to it (cache.ts). */
  readonly #added: Readonly<Record<string, null>>;
  readonly #heads: HeadChoice;
  readonly #loop: DecodingLoop | undefined;
  /** Index = slot of the cache. */
  #rows: Row[] = [];
  #nextId = 1;
  #stepping: Promise<readonly TokenEvent[]> | undefined;
  #wake: (() => void)[] = [];

  /** Opens the converted graph in `directory`. `precision` is the one it was converted to. */
  static async open(options: { readonly open: OpenGraph; readonly directory: string; readonly config: LanguageModelConfig; readonly precision: Precision; readonly limits?: Partial<LanguageModelLimits> }): Promise<LanguageModel> {
    const limits = { ...LANGUAGE_MODEL_LIMITS, ...options.limits };
    assert(limits.pieceRows >= 4 && limits.alonePieceRows >= 4);
    const loop = limits.stepsPerRun > 1 ? await DecodingLoop.open(options) : undefined;
    return new LanguageModel(await options.open(join(options.directory, LANGUAGE_MODEL_FILE)), { config: options.config, precision: options.precision, limits, loop });
  }

  private constructor(session: GraphSession, { config, precision, limits, loop }: { readonly config: LanguageModelConfig; readonly precision: Precision; readonly limits: LanguageModelLimits; readonly loop: DecodingLoop | undefined }) {
    this.#session = session;
    this.#config = config;
    this.#limits = limits;
    this.#heads = new HeadChoice(config);
    this.#loop = loop;
    this.#cache = new KeyValueCache({ layers: config.layers, kvHeads: config.kvHeads, headDim: config.headDim, type: precision === 'fp16' ? 'float16' : 'float32' }, limits.maxPositions, loop ? LOOP_POSITION_STEP : POSITION_STEP);
    this.#added = Object.fromEntries(this.#cache.parts.map((part) => [`new.${part}`, null]));
  }

  /** Rows that are active, waiting for text included. */
  get rows(): number {
    return this.#rows.length;
  }

  get freeRows(): number {
    return this.#limits.maxRows - this.#rows.length;
  }

  /** Bytes reserved for keys and values. */
  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  /**
   * Joins a request; its prompt is fed by the next steps. Returns the row's id. Throws `invalid_value` for ids outside the
   * vocabularies, `input_empty`, `input_too_long` for more positions than the cache may have, `overloaded` when full.
   */
  add(request: TokenRequest, onEvent?: (event: TokenEvent) => void): number {
    checkRequest(request, this.#config);
    const drawn = new DrawnIds(repetitionAwareSampler({ ...this.#config.sampling, ...request.sampling }, request.seed), request.seed);
    const shared = { config: this.#config, sampler: drawn.sampler, promptText: [...request.promptText], promptSpeech: [...request.promptSpeech], previous: [...(request.previousTokens ?? [])], replay: request.replay, minTokens: request.minTokens, maxTokens: request.maxTokens };
    if (!request.pieces && tokenLimits(shared, request.text.length).maxTokens === 0) throw new CosyError('input_empty', 'There is no text to speak: send at least one word.');
    const script = request.pieces ? new PiecesScript(shared) : wholeTextScript({ ...shared, text: [...request.text] });
    if (script instanceof PiecesScript) script.push([...request.text]);
    const guard = request.guards === false ? undefined : new TokenGuard({ ...GUARD_LIMITS, ...request.guards });
    for (const token of request.previousTokens ?? []) guard?.accept(token);
    const positions = request.promptText.length + request.text.length + request.promptSpeech.length + (request.previousTokens?.length ?? 0) + 2;
    if (positions >= this.#limits.maxPositions) throw new CosyError('input_too_long', `Text and voice prompt need ${positions} positions and the language model has ${this.#limits.maxPositions}: shorten or split the text.`);
    const record = request.aligned && this.#heads.heads.length > 0 ? new AttentionRecord(this.#config, this.#heads.heads, request.promptText.length) : undefined;
    // the graph samples as the checkpoint says
    return this.addScript(script, { guard, onEvent, record, drawn: request.sampling ? undefined : drawn });
  }

  /** Joins a row with a script of the caller's, as parity runs with scripted tokens do. */
  addScript(script: Script, options: RowOptions = {}): number {
    if (this.freeRows <= 0) throw new CosyError('overloaded', `All ${this.#limits.maxRows} places of the language model are taken: try again in a moment.`);
    const row: Row = { ...options, id: this.#nextId, script, queue: [], fed: 0, held: false, gone: false };
    this.#nextId += 1;
    this.#rows.push(row);
    this.#notify();
    return row.id;
  }

  /** Text ids for a row with `pieces`. Returns how many wait unspoken; a source should pause when that grows. */
  push(id: number, textIds: Int32Array): number {
    const script = this.#pieces(id);
    if (!script) return 0;
    checkIds('text', textIds, this.#config.textVocabSize);
    script.push([...textIds]);
    this.#notify();
    return script.bufferedText;
  }

  /** The text of a row with `pieces` is complete. */
  endText(id: number): void {
    this.#pieces(id)?.end();
    this.#notify();
  }

  /** A held row keeps its slot and is not advanced: for rows that are far ahead of their listener. */
  hold(id: number, held: boolean): void {
    const row = this.#rows.find((candidate) => candidate.id === id);
    if (row) row.held = held;
    this.#notify();
  }

  /** Ends a row without an event. Its slot is free at once, or after the step that is under way. Unknown ids are ignored. */
  cancel(id: number): void {
    const row = this.#rows.find((candidate) => candidate.id === id);
    if (row) row.gone = true;
    if (!this.#stepping) this.#sweep();
  }

  /** Whether a step would do something; false when there are no rows or all of them wait. */
  get busy(): boolean {
    return this.#rows.some((row) => this.#refill(row));
  }

  /** Resolves when a step would do something. */
  async ready(): Promise<void> {
    while (!this.busy) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** Advances every row that can be. Callers that come while a step runs share it. An empty answer means all rows wait. */
  step(): Promise<readonly TokenEvent[]> {
    this.#stepping ??= this.#step().finally(() => {
      this.#stepping = undefined;
      this.#sweep();
    });
    return this.#stepping;
  }

  async close(): Promise<void> {
    await this.#stepping;
    this.#rows = [];
    this.#cache.release();
    await this.#loop?.release();
    await this.#session.release();
  }

  async #step(): Promise<readonly TokenEvent[]> {
    this.#sweep();
    const events: TokenEvent[] = [];
    const able = this.#rows.filter((row) => this.#refill(row));
    const decoding = able.filter(({ queue }) => queue.length === 1);
    const joining = able.filter(({ queue }) => queue.length > 1).toSorted((a, b) => a.id - b.id)[0];
    for (const row of able) if (row.queue.length === 0) this.#finish(row, { end: row.script.ended ?? 'stop' }, events);

    if (joining) await this.#feed([joining], decoding.length > 0 && !this.#loop ? this.#limits.pieceRows : this.#limits.alonePieceRows, events);
    const looped = this.#loop ? decoding.filter((row) => this.#foreseen(row) > 0) : [];
    const single = decoding.filter((row) => !looped.includes(row));
    if (this.#loop && looped.length > 0) await this.#feedLoop(this.#loop, looped, events);
    if (single.length > 0) await this.#feed(single, 1, events);
    return events;
  }

  /** Whether the row has ids to feed, or has ended without any. */
  #refill(row: Row): boolean {
    if (row.held || row.gone) return false;
    if (row.queue.length === 0) row.queue = row.script.take() ?? [];
    return row.queue.length > 0 || row.script.ended !== undefined;
  }

  /** Runs the graph: the next `count` ids of one row, or one id of each of several. */
  async #feed(rows: readonly Row[], count: number, events: TokenEvent[]): Promise<void> {
    const fitting = rows.filter((row) => {
      const fits = row.fed + Math.min(count, row.queue.length) <= this.#limits.maxPositions;
      if (!fits) this.#finish(row, { end: 'positions' }, events);
      return fits && !row.gone;
    });
    const [first] = fitting;
    if (!first) return;
    const width = rows.length === 1 ? pieceOf(first.queue.length, count) : 1;
    const start = this.#gather(fitting);
    this.#cache.reserve(this.#rows.length, Math.max(...fitting.map(({ fed }) => fed + width)), this.#rows.map(({ fed }) => fed));
    const ids = fitting.flatMap(({ queue }) => queue.slice(0, width));
    const lengths = fitting.map(({ fed }) => fed + width);
    try {
      const { logits, queries } = await this.#run({ ids, width, lengths, start, layers: this.#recorded(fitting, width) });
      for (const [index, row] of fitting.entries()) {
        row.record?.fed(row.queue.slice(0, width), row.fed);
        row.fed += width;
        row.queue = row.queue.slice(width);
        if (row.queue.length > 0 || row.gone) continue;
        const outcome = this.#accept(row, logits.subarray(index * this.#config.speechVocabSize, (index + 1) * this.#config.speechVocabSize), events);
        if (outcome && isSpoken(outcome)) row.record?.note(row.fed - 1, (layer) => queries(layer, index), (layer, kvHead) => this.#cache.keys(start + index, layer, kvHead));
        if (outcome) this.#finish(row, outcome, events);
      }
    } catch (error) {
      for (const row of fitting) this.#fail(row, error, events);
    }
  }

  /** Steps of a row that can be one run: its script knows what they feed, and the row that has stopped finds a place to write. */
  #foreseen(row: Row): number {
    return row.gone || !row.drawn ? 0 : Math.min(row.script.foresee?.()?.steps ?? 0, this.#limits.maxPositions - 1 - row.fed, this.#limits.stepsPerRun);
  }

  /** Runs several steps of rows that have one id to feed. */
  async #feedLoop(loop: DecodingLoop, rows: readonly Row[], events: TokenEvent[]): Promise<void> {
    const steps = Math.min(Math.max(...rows.map((row) => this.#foreseen(row))), ...rows.map(({ fed }) => this.#limits.maxPositions - 1 - fed));
    const start = this.#gather(rows);
    const positions = Math.max(...rows.map(({ fed }) => fed)) + steps + 1;
    this.#cache.reserve(this.#rows.length, positions, this.#rows.map(({ fed }) => fed));
    try {
      const ahead = rows.map((row) => ({ id: row.queue[0]!, fed: row.fed, seed: row.drawn!.seed, foresight: row.script.foresee!()! }));
      const run = await loop.run(ahead, { steps, total: positions, past: this.#cache.bind(start, rows.length).feeds, layers: this.#recorded(rows, 1) });
      for (const [index, row] of rows.entries()) {
        this.#cache.write(start + index, { first: row.fed, count: steps, row: index, width: steps, values: run.values });
        for (let step = 0; step < steps && !row.gone && row.queue.length === 1; step += 1) {
          const id = run.id(step, index);
          if (id === undefined) break;
          row.record?.fed(row.queue, row.fed);
          row.fed += 1;
          const outcome = row.drawn!.take(id, () => this.#accept(row, NO_LOGITS, events));
          if (outcome && isSpoken(outcome)) row.record?.note(row.fed - 1, (layer) => run.queries(layer, step, index), (layer, kvHead) => this.#cache.keys(start + index, layer, kvHead));
          if (outcome) this.#finish(row, outcome, events);
          row.queue = row.gone ? [] : (row.script.take() ?? []);
        }
      }
    } catch (error) {
      for (const row of rows) this.#fail(row, error, events);
    }
  }

  async #run({ ids, width, lengths, start, layers }: RunOptions): Promise<RunResult> {
    const { feeds, fetches } = this.#cache.bind(start, lengths.length);
    const first = (row: number): number => lengths[row]! - width;
    const { logits, ...rest } = await this.#session.run(
      {
        ...feeds,
        ids: { type: 'int64', dims: [lengths.length, width], data: BigInt64Array.from(ids, BigInt) },
        positions: { type: 'int64', dims: [lengths.length, width], data: BigInt64Array.from(ids, (_, i) => BigInt(first(Math.floor(i / width)) + (i % width))) },
        seqlens_k: { type: 'int32', dims: [lengths.length], data: Int32Array.from(lengths, (length) => length - 1) },
        total_length: { type: 'int32', dims: [], data: Int32Array.of(Math.max(...lengths)) },
      },
      { ...(this.#loop ? fetches : this.#added), logits: null, ...Object.fromEntries(layers.map((layer) => [`queries.${layer}`, null])) } satisfies Record<string, Tensor | null>,
    );
    if (logits?.type !== 'float32') throw new CosyError('internal_error', 'The language model graph has no float32 output called logits: convert the checkpoint again.');
    const values = (name: string): Float32Array | Float16Array => {
      const data = rest[name]?.data;
      assert(data instanceof Float32Array || data instanceof Float16Array);
      return data;
    };
    if (!this.#loop) for (const row of lengths.keys()) this.#cache.write(start + row, { first: first(row), count: width, row, width, values: (part) => values(`new.${part}`) });
    const { heads, kvHeads, headDim } = this.#config;
    const size = (heads + 2 * kvHeads) * headDim;
    return { logits: logits.data, queries: (layer, row) => values(`queries.${layer}`).subarray(row * size, (row + 1) * size) };
  }

  /** Brings rows into neighbouring slots (one row stays where it is) and returns the first slot. */
  #gather(rows: readonly Row[]): number {
    if (rows.length === 1) return this.#rows.indexOf(rows[0]!);
    for (const [target, row] of rows.entries()) {
      const slot = this.#rows.indexOf(row);
      if (slot === target) continue;
      const other = this.#rows[target]!;
      this.#cache.swap(slot, target, Math.max(row.fed, other.fed));
      [this.#rows[target], this.#rows[slot]] = [row, other];
    }
    return 0;
  }

  #accept(row: Row, logits: Float32Array, events: TokenEvent[]): Outcome | undefined {
    try {
      return row.script.accept(logits);
    } catch (error) {
      this.#fail(row, error, events);
      return undefined;
    }
  }

  /** Layers whose queries are wanted from this run; none while a prompt is only begun. */
  #recorded(rows: readonly Row[], width: number): readonly number[] {
    const layers = rows.flatMap(({ record, queue }) => (queue.length === width ? (record?.heads.map(({ layer }) => layer) ?? []) : []));
    return [...new Set(layers)];
  }

  #finish(row: Row, { token, fill, end }: Outcome, events: TokenEvent[]): void {
    if (fill !== undefined) emit(row, { row: row.id, kind: 'fill', token: fill }, events);
    if (token !== undefined) emit(row, { row: row.id, kind: 'token', token }, events);
    const reason = end ?? (token === undefined ? undefined : row.guard?.accept(token));
    if (reason === undefined) return;
    row.gone = true;
    const alignment = row.record && this.#heads.align(row.record);
    emit(row, { row: row.id, kind: 'end', reason, ...(alignment && { alignment }) }, events);
  }

  #fail(row: Row, error: unknown, events: TokenEvent[]): void {
    if (row.gone) return;
    row.gone = true;
    emit(row, { row: row.id, kind: 'error', error: isCosyError(error) ? error : new CosyError('internal_error', 'The language model failed in this step: try again.', { cause: error }) }, events);
  }

  /** Takes rows that are gone out of their slots; the last row moves into each hole. */
  #sweep(): void {
    for (let slot = this.#rows.length - 1; slot >= 0; slot -= 1) {
      if (!this.#rows[slot]!.gone) continue;
      const last = this.#rows.pop()!;
      if (slot === this.#rows.length) continue;
      this.#cache.copy(this.#rows.length, slot, last.fed);
      this.#rows[slot] = last;
    }
    if (this.#rows.length === 0 && this.#cache.bytes > KEPT_BYTES) this.#cache.release();
  }

  #pieces(id: number): PiecesScript | undefined {
    const row = this.#rows.find((candidate) => candidate.id === id);
    return row?.script instanceof PiecesScript ? row.script : undefined;
  }

  #notify(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }
}

/** Whether a step made a speech token, or replayed one. */
function isSpoken({ token, fill, end }: Outcome): boolean {
  return token !== undefined || (fill === undefined && end === undefined);
}

/** At most `count` of `length` ids, leaving no single id behind: alone it would take the kernels of decoding. */
function pieceOf(length: number, count: number): number {
  if (length <= count) return length;
  return length - count === 1 ? count - 1 : count;
}

function emit(row: Row, event: TokenEvent, events: TokenEvent[]): void {
  events.push(event);
  row.onEvent?.(event);
}

function checkRequest(request: TokenRequest, config: LanguageModelConfig): void {
  checkIds('text', request.text, config.textVocabSize);
  checkIds('promptText', request.promptText, config.textVocabSize);
  checkIds('promptSpeech', request.promptSpeech, config.speechTokenSize);
  checkIds('previousTokens', request.previousTokens ?? new Int32Array(), config.speechVocabSize);
  for (const param of ['minTokens', 'maxTokens'] as const) {
    const count = request[param];
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) throw new CosyError('invalid_value', `${param} must be a whole number of 0 or more.`, { param });
  }
  if (!Number.isSafeInteger(request.seed) || request.seed < 0) throw new CosyError('invalid_value', 'The seed must be a whole number from 0 to 9007199254740991.', { param: 'seed' });
}

function checkIds(param: string, ids: Int32Array, count: number): void {
  for (const id of ids) if (id < 0 || id >= count) throw new CosyError('invalid_value', `An id in ${param} is ${id}; this model has ids 0 to ${count - 1}. Was it made for another checkpoint?`, { param });
}
