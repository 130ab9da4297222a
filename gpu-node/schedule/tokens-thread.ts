/**
 * Thread of the language model: all requests decode together, one step serving every row; they join and leave between
 * steps. Messages are handled between steps, so a cancelled request frees its row within one.
 */
import type { LanguageModelConfig, ModelConfig } from '../checkpoint/types.ts';
import type { Precision, Stage } from '../graphs/network.ts';
import { graphOpener } from '../runtime/session.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { serveThread } from '../runtime/thread.ts';
import { LanguageModel } from '../tokens/index.ts';
import type { EndReason, TokenEvent, TokenRequest } from '../tokens/index.ts';

export type TokenThreadOptions = SessionOptions & {
  readonly config: ModelConfig;
  readonly directories: Readonly<Record<Stage, string>>;
  readonly precisions: Readonly<Record<Stage, Precision>>;
};

export type GenerateRequest = {
  readonly promptTextIds: readonly number[];
  readonly promptSpeechTokens: readonly number[];
  readonly textIds: readonly number[];
  readonly seed: number;
};

/** Tokens as they are made; the last batch says why the row ended. */
export type TokenBatch = { readonly tokens: readonly number[]; readonly end?: EndReason };

export type TokenMethods = {
  ready: (args: null) => Promise<void>;
  generate: (request: GenerateRequest, signal: AbortSignal) => AsyncGenerator<TokenBatch>;
};

serveThread<TokenThreadOptions, TokenMethods>(async ({ config, directories, precisions, device, threads }) => {
  const model = await LanguageModel.open({ open: graphOpener({ device, threads }), directory: directories.llm, config: config.llm, precision: precisions.llm });
  await warmUp(model, config.llm);
  const rows = new Rows(model);
  return {
    ready: async () => {},
    generate: ({ promptTextIds, promptSpeechTokens, textIds, seed }, signal) =>
      rows.generate({ promptText: Int32Array.from(promptTextIds), promptSpeech: Int32Array.from(promptSpeechTokens), text: Int32Array.from(textIds), seed }, signal),
  };
});

/** One prompt and a few steps: kernels pick their packed weights on first use. */
async function warmUp(model: LanguageModel, { textVocabSize }: LanguageModelConfig): Promise<void> {
  const row = model.add({ promptText: new Int32Array(0), promptSpeech: new Int32Array(0), text: Int32Array.of(0, Math.min(1, textVocabSize - 1)), seed: 0, guards: false });
  await model.step();
  await model.step();
  model.cancel(row);
}

type Listener = (event: TokenEvent) => void;

/** Steps the model while anyone listens, and hands each event to its row's listener. */
class Rows {
  readonly #model: LanguageModel;
  readonly #listeners = new Map<number, Listener>();
  /** Requests that wait for a free row, first come first served. */
  readonly #waiting: (() => void)[] = [];
  #stepping = false;

  constructor(model: LanguageModel) {
    this.#model = model;
  }

  async *generate(request: TokenRequest, signal: AbortSignal): AsyncGenerator<TokenBatch> {
    while (this.#model.freeRows === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (signal.aborted) return this.#next();
    const row = this.#model.add(request);
    const events: TokenEvent[] = [];
    let wake = () => {};
    const cancel = () => {
      this.#model.cancel(row);
      wake();
    };
    this.#listeners.set(row, (event) => (events.push(event), wake()));
    signal.addEventListener('abort', cancel, { once: true });
    void this.#step();
    try {
      while (!signal.aborted) {
        const batch = events.splice(0);
        const failure = batch.find((event) => event.kind === 'error');
        if (failure) throw failure.error;
        const end = batch.find((event) => event.kind === 'end');
        const tokens = batch.flatMap((event) => (event.kind === 'token' ? [event.token] : []));
        if (end || tokens.length > 0) yield end ? { tokens, end: end.reason } : { tokens };
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

  async #step(): Promise<void> {
    if (this.#stepping) return;
    this.#stepping = true;
    while (this.#listeners.size > 0) {
      for (const event of await this.#model.step()) this.#listeners.get(event.row)?.(event);
      // lets joins and cancels in between two steps
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#stepping = false;
  }

  #next(): void {
    this.#waiting.shift()?.();
  }
}
