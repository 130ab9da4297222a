/**
 * Who runs next on a thread that does one thing at a time: the caller whose listener runs dry first. A new request's
 * deadline is the moment it came, so its first chunk goes before a later chunk of a stream that still has sound to play.
 */
import { CosyError } from '../../shared/errors/index.ts';

type Waiting = { readonly deadlineMs: number; readonly start: () => void };

export class Turns {
  #waiting: Waiting[] = [];
  #busy = false;

  get queued(): number {
    return this.#waiting.length;
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

  #wait(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== place);
        reject(cancelled());
      };
      const place: Waiting = { deadlineMs, start: () => (signal?.removeEventListener('abort', leave), resolve()) };
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

function cancelled(): CosyError {
  return new CosyError('cancelled', 'The request was cancelled.');
}
