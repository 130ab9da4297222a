/**
 * Who runs next on a thread that does one thing at a time: the caller whose listener runs dry first. A new request's
 * deadline is the moment it came, so its first chunk goes before a later chunk of a stream that still has sound to play.
 */
import { CosyError } from '../../shared/errors/index.ts';

/** Work that can be done for several callers in one go. */
export type Shared<T, R> = {
  /** How many at once, ascending, 1 among them. */
  readonly sizes: readonly number[];
  /** Items with the same key can be done together; asked when a turn begins. */
  readonly key: (item: T) => string;
  /** One result for each item: what fails for one does not fail the others. */
  readonly work: (items: readonly T[]) => Promise<readonly PromiseSettledResult<R>[]>;
};

/** `shared` and `item`: what it would do together with others, when it is that kind of work. `start` hands the turn over. */
type Waiting = { readonly deadlineMs: number; readonly start: () => void; readonly shared?: unknown; readonly item?: unknown; readonly settle?: (result: PromiseSettledResult<unknown>) => void };

export class Turns {
  #waiting: Waiting[] = [];
  #busy = false;
  #shared = { items: 0, turns: 0 };

  get queued(): number {
    return this.#waiting.length;
  }

  /** Items of shared work, and the turns that they took. */
  get shared(): { readonly items: number; readonly turns: number } {
    return this.#shared;
  }

  /**
   * Runs `work` when it is its turn. Equal deadlines keep their order. `deadlineMs`: milliseconds since the epoch, Infinity for
   * work nobody listens to. One whose `signal` fires while it waits gives its place up at once, with `cancelled`.
   */
  async run<T>(deadlineMs: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#busy) await this.#wait(deadlineMs, signal);
    else if (signal?.aborted) throw cancelled();
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.#next();
    }
  }

  /**
   * As `run`, for work that others may share: when a turn begins, those who wait with the same key go along, nearest
   * deadlines first, as many as one of the sizes. Nobody is waited for, but what has arrived by then is seen.
   */
  async share<T, R>(deadlineMs: number, { shared, item, signal }: { readonly shared: Shared<T, R>; readonly item: T; readonly signal?: AbortSignal | undefined }): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const settle = (result: PromiseSettledResult<unknown>): void => (result.status === 'fulfilled' ? resolve(result.value as R) : reject(result.reason));
    // one who waits is either started or taken along
    const turn = this.#busy ? await Promise.race([this.#wait(deadlineMs, signal, { shared, item, settle }), promise.then(() => 'taken' as const)]) : 'own';
    if (turn === 'taken') return promise;
    if (turn === 'own' && signal?.aborted) throw cancelled();
    this.#busy = true;
    try {
      // messages that are here already become waiting places
      await new Promise((go) => setImmediate(go));
      const others = this.#companions(shared, item);
      this.#shared = { items: this.#shared.items + 1 + others.length, turns: this.#shared.turns + 1 };
      const results = await settledAll(shared, [item, ...others.map((other) => other.item as T)]);
      for (const [index, other] of others.entries()) other.settle?.(results[index + 1] ?? NO_RESULT);
      settle(results[0] ?? NO_RESULT);
      return await promise;
    } finally {
      this.#busy = false;
      this.#next();
    }
  }

  /** Takes from those who wait the ones that go along with `item`. */
  #companions<T, R>(shared: Shared<T, R>, item: T): Waiting[] {
    const key = shared.key(item);
    const fitting = this.#waiting.filter((other) => other.shared === shared && shared.key(other.item as T) === key).toSorted((a, b) => a.deadlineMs - b.deadlineMs);
    const size = shared.sizes.findLast((count) => count <= fitting.length + 1) ?? 1;
    const taken = fitting.slice(0, size - 1);
    this.#waiting = this.#waiting.filter((other) => !taken.includes(other));
    return taken;
  }

  #wait(deadlineMs: number, signal: AbortSignal | undefined, sharing: Pick<Waiting, 'shared' | 'item' | 'settle'> = {}): Promise<'started'> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== place);
        reject(cancelled());
      };
      const stay = () => signal?.removeEventListener('abort', leave);
      const { settle } = sharing;
      const place: Waiting = { deadlineMs, ...sharing, start: () => (stay(), resolve('started')), ...(settle && { settle: (result) => (stay(), settle(result)) }) };
      if (signal?.aborted) return leave();
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(place);
    });
  }

  #next(): void {
    let first = 0;
    for (let i = 1; i < this.#waiting.length; i++) if ((this.#waiting[i]?.deadlineMs ?? 0) < (this.#waiting[first]?.deadlineMs ?? 0)) first = i;
    const [next] = this.#waiting.splice(first, 1);
    if (!next) return;
    this.#busy = true;
    next.start();
  }
}

const NO_RESULT: PromiseRejectedResult = { status: 'rejected', reason: new CosyError('internal_error', 'Shared work gave no result.') };

async function settledAll<T, R>({ work }: Shared<T, R>, items: readonly T[]): Promise<readonly PromiseSettledResult<R>[]> {
  try {
    return await work(items);
  } catch (reason) {
    return items.map(() => ({ status: 'rejected', reason }));
  }
}

function cancelled(): CosyError {
  return new CosyError('cancelled', 'The request was cancelled.');
}
