/**
 * Watches the speech tokens of one row and says when they no longer can be speech: a phrase that repeats, one sound or
 * silence that does not end, far too few different tokens. Pure state over tokens; what to do about it (another seed, a
 * shorter sentence) is decided by the caller. That the token limit was reached is the script's own end (`length`).
 */

export type GuardReason = 'loop' | 'silence';

/** Lengths in tokens (25 a second at full size). */
export type GuardLimits = {
  /** The same token this often in a row is a held tone or silence; a long pause is 1 s. */
  readonly maxRun: number;
  /** Longest phrase whose repetition is looked for. */
  readonly maxPeriod: number;
  /** A phrase counts as looping when about this many tokens repeat what was one period earlier, and at least twice. */
  readonly loopTokens: number;
  /** Fewer than `minDistinct` different tokens among the last `window`: murmur, silence with noise, a loop that sampling varies. */
  readonly window: number;
  readonly minDistinct: number;
  /** Tokens that are known to be silence, when the model's are; a run of any of them longer than `maxSilence` ends the row. */
  readonly silentTokens: ReadonlySet<number>;
  readonly maxSilence: number;
};

export const GUARD_LIMITS: GuardLimits = { maxRun: 50, maxPeriod: 100, loopTokens: 75, window: 125, minDistinct: 8, silentTokens: new Set(), maxSilence: 75 };

/** A mismatch takes back this many matches: sampling breaks a loop now and then without ending it. */
const MISMATCH_COST = 4;

export class TokenGuard {
  readonly #limits: GuardLimits;
  readonly #tokens: number[] = [];
  /** Matches with the token one period earlier, by period. */
  readonly #matches: Int32Array;
  readonly #counts = new Map<number, number>();
  #run = 0;
  #silence = 0;

  constructor(limits: GuardLimits = GUARD_LIMITS) {
    this.#limits = limits;
    this.#matches = new Int32Array(limits.maxPeriod + 1);
  }

  /** The reason why generation should end with this token, or nothing. */
  accept(token: number): GuardReason | undefined {
    const limits = this.#limits;
    const tokens = this.#tokens;
    this.#run = token === tokens.at(-1) ? this.#run + 1 : 1;
    this.#silence = limits.silentTokens.has(token) ? this.#silence + 1 : 0;
    tokens.push(token);
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
    if (tokens.length > limits.window) this.#forget(tokens[tokens.length - 1 - limits.window]!);
    if (this.#run >= limits.maxRun || this.#silence > limits.maxSilence) return 'silence';
    if (this.#loops()) return 'loop';
    return tokens.length >= limits.window && this.#counts.size < limits.minDistinct ? 'loop' : undefined;
  }

  #forget(token: number): void {
    const left = this.#counts.get(token)! - 1;
    if (left === 0) this.#counts.delete(token);
    else this.#counts.set(token, left);
  }

  /**
   * A run longer than a period repeats it by itself: that is a held sound, left to `maxRun`, and says nothing of a loop; so
   * period 1 is not looked for. Every period is brought up to date, so there is no early return.
   */
  #loops(): boolean {
    const tokens = this.#tokens;
    const last = tokens.length - 1;
    let found = false;
    for (let period = Math.max(2, this.#run); period <= Math.min(this.#limits.maxPeriod, last); period += 1) {
      const same = tokens[last] === tokens[last - period];
      const matches = same ? this.#matches[period]! + 1 : Math.max(0, this.#matches[period]! - MISMATCH_COST);
      this.#matches[period] = matches;
      found ||= matches >= Math.max(this.#limits.loopTokens, 2 * period);
    }
    return found;
  }
}
