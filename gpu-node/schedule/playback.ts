/** A listener's clock: what was sent plays from the moment its first sample left, and runs dry when all of it has played. */
export class Playback {
  readonly #now: () => number;
  readonly #arrivedMs: number;
  readonly #sampleRateHz: number;
  #playsFromMs: number | undefined;
  #sentSamples = 0;
  #underruns = 0;
  #underrunMs = 0;

  /** `now`: milliseconds since the epoch, for tests. */
  constructor(sampleRateHz: number, now: () => number = Date.now) {
    this.#now = now;
    this.#arrivedMs = now();
    this.#sampleRateHz = sampleRateHz;
  }

  /** Milliseconds since the epoch; before the first sound, the moment the request came. */
  get deadlineMs(): number {
    return this.#playsFromMs === undefined ? this.#arrivedMs : this.#playsFromMs + this.#durationMs;
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
