/**
 * Thread of the language model: all requests decode together, one step serving every row; they join and leave between
 * steps. Messages are handled between steps, so a cancelled request frees its row within one.
 */
import type { LanguageModelConfig, ModelConfig } from '../checkpoint/types.ts';
import type { Precision, Stage } from '../graphs/network.ts';
import { graphOpener } from '../runtime/session.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { serveThread } from '../runtime/thread.ts';
import { LanguageModel, STEPS_PER_RUN, operatorThreads } from '../tokens/index.ts';
import type { Alignment, EndReason, TokenEvent, TokenRequest } from '../tokens/index.ts';

export type TokenThreadOptions = SessionOptions & {
  readonly config: ModelConfig;
  readonly directories: Readonly<Record<Stage, string>>;
  readonly precisions: Readonly<Record<Stage, Precision>>;
  /** Tokens of a row that one run of the graph makes; absent: as the device wants. */
  readonly stepsPerRun?: number | undefined;
};

export type GenerateRequest = {
  readonly promptTextIds: readonly number[];
  readonly promptSpeechTokens: readonly number[];
  readonly textIds: readonly number[];
  readonly seed: number;
  /** What an earlier run made of this sentence; this one goes on behind it. */
  readonly previousTokens?: readonly number[] | undefined;
  /** Set when more text follows: the name under which `pushText` sends it. */
  readonly pieces?: number | undefined;
};

/**
 * Tokens as they are made, and how many rows decoded together; the last batch says why the row ended, and where its text was
 * said if the model's attention tells.
 */
export type TokenBatch = { readonly tokens: readonly number[]; readonly rows: number; readonly end?: EndReason; readonly alignment?: Alignment };

export type TokenStats = { readonly rows: number; readonly waiting: number; readonly cacheBytes: number };

export type TokenMethods = {
  ready: (args: null) => Promise<void>;
  generate: (request: GenerateRequest, signal: AbortSignal) => AsyncGenerator<TokenBatch>;
  /** Resolves when the row wants more text; false when the row has gone. */
  pushText: (args: { readonly pieces: number; readonly textIds: readonly number[] }) => Promise<boolean>;
  endText: (args: { readonly pieces: number }) => void;
  /** Answered between two runs: what a cancelled row holds is gone at the third answer, as a step has two runs at most. */
  stats: (args: null) => Promise<TokenStats>;
};

/** Text ids that may wait unspoken before their source has to: a few blocks of 5. */
const MAX_WAITING_IDS = 40;

serveThread<TokenThreadOptions, TokenMethods>(async ({ config, directories, precisions, device, threads, stepsPerRun = STEPS_PER_RUN[device] }) => {
  const model = await LanguageModel.open({ open: graphOpener({ device, threads: operatorThreads(config.llm, { device, threads }) }), directory: directories.llm, config: config.llm, precision: precisions.llm, limits: { stepsPerRun } });
  await warmUp(model, config.llm);
  const rows = new Rows(model);
  return {
    ready: async () => {},
    generate: ({ promptTextIds, promptSpeechTokens, textIds, seed, previousTokens = [], pieces }, signal) =>
      rows.generate({ promptText: Int32Array.from(promptTextIds), promptSpeech: Int32Array.from(promptSpeechTokens), text: Int32Array.from(textIds), seed, previousTokens: Int32Array.from(previousTokens), pieces: pieces !== undefined, aligned: true }, { pieces, signal }),
    pushText: ({ pieces, textIds }) => rows.pushText(pieces, Int32Array.from(textIds)),
    endText: ({ pieces }) => rows.endText(pieces),
    stats: async () => {
      // several messages may be read between two runs
      await new Promise((resolve) => setImmediate(resolve));
      return rows.stats;
    },
  };
});

/** One prompt and a few steps: kernels pick their packed weights on first use. */
async function warmUp(model: LanguageModel, { textVocabSize }: LanguageModelConfig): Promise<void> {
  const row = model.add({ promptText: new Int32Array(0), promptSpeech: new Int32Array(0), text: Int32Array.of(0, Math.min(1, textVocabSize - 1)), seed: 0, guards: false });
  await model.step();
  await model.step();
  model.cancel(row);
}

type Listener = { readonly event: (event: TokenEvent) => void };
/** Text of a row that arrives in pieces; `row` is undefined while it waits for its place. */
type Pieces = { row: number | undefined; waiting: Int32Array[]; ended: boolean; wake: (() => void)[] };

/** Steps the model while anyone listens, and hands each event to its row's listener. */
class Rows {
  readonly #model: LanguageModel;
  readonly #listeners = new Map<number, Listener>();
  readonly #pieces = new Map<number, Pieces>();
  /** Requests that wait for a free row, first come first served. */
  readonly #waiting: (() => void)[] = [];
  #stepping = false;

  constructor(model: LanguageModel) {
    this.#model = model;
  }

  get stats(): TokenStats {
    return { rows: this.#model.rows, waiting: this.#waiting.length, cacheBytes: this.#model.cacheBytes };
  }

  async *generate(request: TokenRequest, { pieces, signal }: { readonly pieces: number | undefined; readonly signal: AbortSignal }): AsyncGenerator<TokenBatch> {
    const text: Pieces | undefined = pieces === undefined ? undefined : { row: undefined, waiting: [], ended: false, wake: [] };
    if (pieces !== undefined && text) this.#pieces.set(pieces, text);
    try {
      yield* this.#row(request, text, signal);
    } finally {
      if (pieces !== undefined) this.#pieces.delete(pieces);
      for (const wake of text?.wake.splice(0) ?? []) wake();
    }
  }

  async pushText(pieces: number, ids: Int32Array): Promise<boolean> {
    const text = this.#pieces.get(pieces);
    if (!text) return false;
    if (text.row === undefined) text.waiting.push(ids);
    else this.#model.push(text.row, ids);
    while (this.#pieces.get(pieces) === text && this.#unspoken(text) > MAX_WAITING_IDS) await new Promise<void>((resolve) => text.wake.push(resolve));
    return this.#pieces.get(pieces) === text;
  }

  endText(pieces: number): void {
    const text = this.#pieces.get(pieces);
    if (!text) return;
    text.ended = true;
    if (text.row !== undefined) this.#model.endText(text.row);
  }

  #unspoken({ row, waiting }: Pieces): number {
    return row === undefined ? waiting.reduce((count, ids) => count + ids.length, 0) : this.#model.push(row, new Int32Array(0));
  }

  async *#row(request: TokenRequest, text: Pieces | undefined, signal: AbortSignal): AsyncGenerator<TokenBatch> {
    await this.#place(signal);
    if (signal.aborted) return this.#next();
    const row = this.#model.add(request);
    const events: TokenEvent[] = [];
    let rows = 0;
    let wake = () => {};
    const cancel = () => {
      this.#model.cancel(row);
      wake();
    };
    this.#listeners.set(row, {
      event: (event) => {
        rows = this.#listeners.size;
        events.push(event);
        wake();
      },
    });
    signal.addEventListener('abort', cancel, { once: true });
    if (text) this.#join(row, text);
    void this.#step();
    try {
      while (!signal.aborted) {
        const batch = events.splice(0);
        const failure = batch.find((event) => event.kind === 'error');
        if (failure) throw failure.error;
        const end = batch.find((event) => event.kind === 'end');
        const tokens = batch.flatMap((event) => (event.kind === 'token' ? [event.token] : []));
        if (end || tokens.length > 0) yield { tokens, rows, ...(end && { end: end.reason, ...(end.alignment && { alignment: end.alignment }) }) };
        if (end) return;
        if (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      this.#listeners.delete(row);
      this.#model.cancel(row);
      this.#next();
    }
  }

  #join(row: number, text: Pieces): void {
    text.row = row;
    for (const ids of text.waiting.splice(0)) this.#model.push(row, ids);
    if (text.ended) this.#model.endText(row);
    for (const wake of text.wake.splice(0)) wake();
  }

  /** Waits for a free row; who is cancelled gives its place in the queue up. */
  async #place(signal: AbortSignal): Promise<void> {
    while (this.#model.freeRows === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const leave = () => {
          const at = this.#waiting.indexOf(start);
          if (at >= 0) this.#waiting.splice(at, 1);
          resolve();
        };
        const start = () => (signal.removeEventListener('abort', leave), resolve());
        signal.addEventListener('abort', leave, { once: true });
        this.#waiting.push(start);
      });
    }
  }

  async #step(): Promise<void> {
    if (this.#stepping) return;
    this.#stepping = true;
    while (this.#listeners.size > 0) {
      await this.#model.ready();
      for (const event of await this.#model.step()) this.#listeners.get(event.row)?.event(event);
      for (const text of this.#pieces.values()) for (const wake of text.wake.splice(0)) wake();
      // lets joins and cancels in between two steps
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#stepping = false;
  }

  #next(): void {
    this.#waiting.shift()?.();
  }
}
