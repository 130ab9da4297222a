/** When a listener runs dry, when its first sound may leave, and how much is gathered for it. */
import { setTimeout } from 'node:timers/promises';
import { CosyError } from '../../shared/errors/index.ts';

/**
 * A first sound is held back until so long after the request came, and no longer: what a listener waits for is bounded, and
 * where every round takes longer than it sounds, waiting would not help.
 */
const LATEST_FIRST_MS = 500;
/** The second piece of a request, by the length of the first: the rest of a block, with more context taken off (`flow-streams.ts`). */
const SECOND_PIECE = 1.3;

/**
 * A listener's clock: what was sent plays from the moment its first sample left, and runs dry when all of it has played.
 * While many listen, the first sound is held back as long as the next ones would come too late for it (`released`).
 */
export class Playback {
  readonly #now: () => number;
  readonly #arrivedMs: number;
  readonly #sampleRateHz: number;
  #playsFromMs: number | undefined;
  /** A first sound that is there and was not sent. */
  #held: { readonly untilMs: number; readonly soundMs: number } | undefined;
  #sentSamples = 0;
  #underruns = 0;
  #underrunMs = 0;

  /** `now`: milliseconds since the epoch, for tests. */
  constructor(sampleRateHz: number, now: () => number = Date.now) {
    this.#now = now;
    this.#arrivedMs = now();
    this.#sampleRateHz = sampleRateHz;
  }

  /** Milliseconds since the epoch; before there is a first sound, the moment the request came. */
  get deadlineMs(): number {
    if (this.#playsFromMs !== undefined) return this.#playsFromMs + this.#durationMs;
    return this.#held ? this.#held.untilMs + this.#held.soundMs : this.#arrivedMs;
  }

  /** How long the first sound still has to stay; 0: it may leave. */
  get holdMs(): number {
    return this.#held === undefined ? 0 : Math.max(0, this.#held.untilMs - this.#now());
  }

  /**
   * The first sound is there, and a round of all who wait takes `roundMs`: the second piece comes after one and the third
   * after two. What is behind the third is several times as long as the first.
   */
  made(samples: number, roundMs: number): void {
    if (this.#playsFromMs !== undefined || this.#held !== undefined || samples === 0) return;
    const soundMs = (1000 * samples) / this.#sampleRateHz;
    const neededMs = Math.max(0, roundMs - soundMs, 2 * roundMs - (1 + SECOND_PIECE) * soundMs);
    const now = this.#now();
    this.#held = { untilMs: Math.max(now, Math.min(now + neededMs, this.#arrivedMs + LATEST_FIRST_MS)), soundMs };
  }

  /** Sound that was sent and has not been played. */
  get aheadMs(): number {
    return this.#playsFromMs === undefined ? 0 : Math.max(0, this.deadlineMs - this.#now());
  }

  /** Times the listener had nothing to play, and for how long. A run dry moves the clock: what follows plays later. */
  get underruns(): { readonly count: number; readonly ms: number } {
    return { count: this.#underruns, ms: this.#underrunMs };
  }

  sent(samples: number): void {
    if (samples === 0) return;
    this.#held = undefined;
    const now = this.#now();
    const lateMs = this.#playsFromMs === undefined ? 0 : now - this.deadlineMs;
    if (lateMs > 0) {
      this.#underruns += 1;
      this.#underrunMs += lateMs;
    }
    this.#playsFromMs = (this.#playsFromMs ?? now) + Math.max(0, lateMs);
    this.#sentSamples += samples;
  }

  get #durationMs(): number {
    return (1000 * this.#sentSamples) / this.#sampleRateHz;
  }
}

/** How many blocks to gather before the next run: more of them cost less each, as long as the listener has twice the time to play. */
export function blocksToGather({ aheadMs, msPerBlock }: { readonly aheadMs: number; readonly msPerBlock: number }): number {
  return [4, 2].find((blocks) => 2 * blocks * msPerBlock <= aheadMs) ?? 1;
}

/** `signal`: of the request. `wait` resolves after milliseconds or when its signal fires. */
export type Release = { readonly playback: Playback; readonly signal: AbortSignal; readonly wait?: (ms: number, stop: AbortSignal) => Promise<unknown> };

/**
 * Pieces as they come, but what `playback` holds back stays until its time or until the piece behind it is there, which is made
 * meanwhile. Throws `cancelled` when the signal has fired, also when a piece is there already.
 */
export async function* released<T>(pieces: AsyncGenerator<T>, { playback, signal, wait = sleep }: Release): AsyncGenerator<T> {
  let next: Promise<IteratorResult<T>> | undefined;
  try {
    for (;;) {
      const piece: IteratorResult<T> = await (next ?? pieces.next());
      next = undefined;
      if (piece.done) return;
      if (signal.aborted) throw new CosyError('cancelled', 'The request was cancelled.');
      const { holdMs } = playback;
      if (holdMs > 0) {
        const stop = new AbortController();
        next = pieces.next();
        await Promise.race([next, wait(holdMs, stop.signal)]).finally(() => stop.abort());
      }
      yield piece.value;
    }
  } finally {
    // a piece under way is given up by the signal of its request, and is not waited for
    next?.catch(() => {});
    const ended = pieces.return(undefined);
    if (next) ended.catch(() => {});
    else await ended;
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<unknown> {
  return setTimeout(ms, undefined, { signal }).catch(() => {});
}
