/**
 * The door of a node: so many requests run, so many wait, and one that could not start its sound in time is refused at once
 * with the time after which it could. The estimate comes from how long requests have taken lately.
 */
import { CosyError } from '../../shared/errors/index.ts';

export type AdmissionLimits = {
  /** Requests that are spoken at once. */
  readonly maxRunning: number;
  readonly maxWaiting: number;
  /** A request that would wait longer than this for its turn is refused. */
  readonly maxWaitMs: number;
};

export const ADMISSION_LIMITS: AdmissionLimits = { maxRunning: 16, maxWaiting: 64, maxWaitMs: 10_000 };

/** Weight of the newest request in the running mean of durations. */
const NEWEST = 0.2;

type Place = { readonly start: () => void; readonly fail: (error: Error) => void };

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #now: () => number;
  #running = 0;
  #waiting: Place[] = [];
  #meanMs = 0;
  #closed = false;

  /** `now`: milliseconds, for tests. */
  constructor(limits: AdmissionLimits = ADMISSION_LIMITS, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** How long a request that came now would wait for its turn. */
  get estimatedWaitMs(): number {
    if (this.#running < this.#limits.maxRunning) return 0;
    return (this.#meanMs * (this.#waiting.length + 1)) / this.#limits.maxRunning;
  }

  /**
   * Resolves when the request may run; call the answer exactly once when it is done. Throws `overloaded` with
   * `retryAfterMs`, `draining` after `close`, `cancelled` when the signal fires while it waits.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#closed) throw draining();
    if (this.#running >= this.#limits.maxRunning) await this.#wait(signal);
    else this.#running += 1;
    const startMs = this.#now();
    return () => {
      const tookMs = this.#now() - startMs;
      this.#meanMs = this.#meanMs === 0 ? tookMs : this.#meanMs * (1 - NEWEST) + tookMs * NEWEST;
      const next = this.#waiting.shift();
      if (next) next.start();
      else this.#running -= 1;
    };
  }

  /** Nobody new comes in, and those who wait are sent away. */
  close(): void {
    this.#closed = true;
    for (const place of this.#waiting.splice(0)) place.fail(draining());
  }

  #wait(signal: AbortSignal): Promise<void> {
    const waitMs = this.estimatedWaitMs;
    if (this.#waiting.length >= this.#limits.maxWaiting || waitMs > this.#limits.maxWaitMs) {
      const retryAfterMs = Math.max(1000, Math.round(waitMs));
      throw new CosyError('overloaded', `This node is busy: try again in ${Math.ceil(retryAfterMs / 1000)} s.`, { retryAfterMs });
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== place);
        reject(new CosyError('cancelled', 'The request was cancelled.'));
      };
      const place: Place = {
        start: () => (signal.removeEventListener('abort', leave), resolve()),
        fail: (error) => (signal.removeEventListener('abort', leave), reject(error)),
      };
      if (signal.aborted) return leave();
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(place);
    });
  }
}

function draining(): CosyError {
  return new CosyError('draining', 'This node is shutting down: use another one.', { retryAfterMs: 1000 });
}
