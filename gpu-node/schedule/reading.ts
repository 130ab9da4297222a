/** A sentence → its speech tokens from the tokens thread, read a second time with another seed when the first one went wrong. */
import { CosyError } from '../../shared/errors/index.ts';
import type { Trace } from '../metrics/trace.ts';
import type { Thread } from '../runtime/thread.ts';
import type { Alignment } from '../tokens/index.ts';
import type { Word } from './word-times.ts';
import type { GenerateRequest, TokenBatch, TokenMethods } from './tokens-thread.ts';

export type Reading = {
  /** Place in the request, from 0. */
  readonly index: number;
  readonly request: Omit<GenerateRequest, 'seed' | 'pieces'>;
  /** Text ids that still arrive, behind those of the request. */
  readonly pieces: AsyncIterable<readonly number[]> | undefined;
  /** A resumed sentence goes on as it was read. */
  readonly secondTry: boolean;
  /** Silence behind it that the text asks for. */
  readonly breakMs: number;
  /** Of its text; grows while `pieces` arrive. */
  readonly words: readonly Word[];
  /** Filled in with the last token: where the model's attention says that the text was said. */
  readonly said: { alignment?: Alignment | undefined };
};

/** `ended`: the sentence went wrong; the listener answers, once, whether it may be read again: only when nothing of it was sent. */
export type Read = { readonly tokens: readonly number[] } | { readonly ended: string; readonly again: (yes: boolean) => void };

export type ReadingContext = { readonly tokens: Thread<TokenMethods>; readonly seeds: Seeds; readonly trace: Trace; readonly signal: AbortSignal };

/** Seeds of a request. When its first sentence is read again, the whole request goes over to the second seed: that one alone then gives the same speech. */
export class Seeds {
  #base: number;
  readonly #second = new Set<number>();

  constructor(base: number) {
    this.#base = base;
  }

  get base(): number {
    return this.#base;
  }

  /** Each sentence draws its own random numbers; the first one the request's. */
  of(index: number): number {
    const seed = (this.#base + Math.imul(index, 0x9e37_79b1)) >>> 0;
    return this.#second.has(index) ? another(seed) : seed;
  }

  secondTry(index: number): void {
    if (index === 0) this.#base = another(this.#base);
    else this.#second.add(index);
  }

  /** Whether a node that goes on has to be told that the sentence was read again. */
  isSecond(index: number): boolean {
    return this.#second.has(index);
  }
}

/** Tokens as they are made. Throws `generation_failed` when there are none, after the second try too. */
export async function* read(reading: Reading, context: ReadingContext): AsyncGenerator<Read> {
  const { seeds, trace, signal } = context;
  const resumed = reading.request.previousTokens ?? [];
  if (reading.secondTry) seeds.secondTry(reading.index);
  let mayRepeat = !reading.secondTry && !reading.pieces && resumed.length === 0;
  for (;;) {
    let count = resumed.length;
    let end: string | undefined;
    for await (const batch of rowOf(reading, context)) {
      count += batch.tokens.length;
      end = batch.end;
      reading.said.alignment = batch.alignment;
      if (batch.tokens.length > 0) yield { tokens: batch.tokens };
    }
    const ended = count === 0 ? 'empty' : (end ?? 'stop');
    if (ended === 'stop') return;
    trace.guards.push(ended);
    if (mayRepeat) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      signal.addEventListener('abort', () => resolve(false), { once: true });
      const again = (yes: boolean): void => {
        // at once: the listener opens its stream with the new seed
        if (yes) seeds.secondTry(reading.index);
        resolve(yes);
      };
      yield { ended, again };
      mayRepeat = false;
      if (await promise) {
        trace.retries.push(ended);
        continue;
      }
    }
    if (count === 0) throw new CosyError('generation_failed', 'The language model made no speech for a sentence: try again with another seed.');
    return;
  }
}

function another(seed: number): number {
  return (seed ^ 0x5bd1_e995) >>> 0;
}

let nextPieces = 1;

/** One row of the language model; its text is sent as it arrives, and its source waits while much is unspoken. */
async function* rowOf({ request, pieces, index }: Reading, { tokens, seeds, trace, signal }: ReadingContext): AsyncGenerator<TokenBatch> {
  const own = new AbortController();
  const id = pieces ? nextPieces++ : undefined;
  const row = tokens.stream('generate', { ...request, seed: seeds.of(index), pieces: id }, AbortSignal.any([signal, own.signal]));
  let failure: { readonly error: unknown } | undefined;
  const startMs = performance.now();
  let begun = false;
  try {
    // the row is asked for first, so that its text finds it there
    let next = row.next();
    if (pieces && id !== undefined) {
      feed(pieces, id, tokens).catch((error: unknown) => {
        failure = { error };
        own.abort();
      });
    }
    for (let result = await next; !result.done; result = await next) {
      if (result.value.rows > 0) trace.batchRows.push(result.value.rows);
      if (!begun) {
        const ms = performance.now() - startMs;
        trace.prefillMs ??= ms;
        trace.add('prefill', ms);
        begun = true;
      }
      yield result.value;
      next = row.next();
    }
  } catch (error) {
    throw failure ? failure.error : error;
  } finally {
    own.abort();
    trace.add('tokens', performance.now() - startMs);
  }
}

async function feed(pieces: AsyncIterable<readonly number[]>, id: number, tokens: Thread<TokenMethods>): Promise<void> {
  for await (const ids of pieces) {
    if (!(await tokens.call('pushText', { pieces: id, textIds: ids }))) return; // the row is gone
  }
  await tokens.call('endText', { pieces: id });
}
