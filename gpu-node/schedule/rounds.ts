/**
 * How long it takes until everybody who is about to run dry has had a block of sound. Flow and vocoder work side by side, so
 * the slower of the two decides, and the faster one counts once.
 */

/** Weight of the newest run in the running means. */
const NEWEST = 0.2;

/** One answer for a listener: the blocks it took, the milliseconds of each stage, and what it sounds. */
export type Made = { readonly id: number; readonly blocks: number; readonly melMs: number; readonly waveMs: number; readonly soundMs: number; readonly deadlineMs: number; readonly last: boolean };

export class Rounds {
  readonly #now: () => number;
  /** When each listener has played what was made for it, milliseconds since the epoch; Infinity when all of it was made. */
  readonly #dryMs = new Map<number, number>();
  /** Of a block, lately. */
  #melMs = 0;
  #waveMs = 0;

  /** `now`: milliseconds since the epoch, for tests. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** A stream without any sound yet runs dry before all others. */
  open(id: number): void {
    this.#dryMs.set(id, 0);
  }

  /**
   * An estimate in milliseconds of the time until every stream that runs dry as soon as this one has had its next block, this
   * one among them.
   */
  made({ id, blocks, melMs, waveMs, soundMs, deadlineMs, last }: Made): number {
    if (blocks > 0) {
      this.#melMs = mean(this.#melMs, melMs / blocks);
      this.#waveMs = mean(this.#waveMs, waveMs / blocks);
    }
    const dryMs = last ? Infinity : Math.max(deadlineMs, this.#now()) + soundMs;
    this.#dryMs.set(id, dryMs);
    const waiting = [...this.#dryMs.values()].filter((other) => other <= dryMs).length;
    return waiting * Math.max(this.#melMs, this.#waveMs) + Math.min(this.#melMs, this.#waveMs);
  }

  close(id: number): void {
    this.#dryMs.delete(id);
  }
}

function mean(before: number, newest: number): number {
  return before === 0 ? newest : before + (newest - before) * NEWEST;
}
