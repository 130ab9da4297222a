/**
 * Silence in front and noise behind, removed while the samples stream. What a listener waits for is mostly leading
 * silence; and the vocoder tends to end with a short burst (official issue 1919: the last 40 ms of most sentences).
 * Levels are root mean squares of 10 ms windows. Only the ends are touched: a pause inside is held until it is known to be one.
 */
import { strict as assert } from 'node:assert';
import { concatenate } from '../runtime/floats.ts';

export type TrimOptions = {
  readonly sampleRateHz: number;
  /** Remove leading silence, and a quiet or noisy end. Both when absent. */
  readonly lead?: boolean;
  readonly tail?: boolean;
};

/** A window under this level is silence: −45 dBFS. Measured on the bundled voice: speech −40 … −18 dBFS, pauses −62. */
const SILENCE = 10 ** (-45 / 20);
const WINDOW_MS = 10;
/** Kept in front of the first loud window: the onset of a fricative is quieter than the threshold. */
const PRE_ROLL_MS = 40;
/** More silence than this is not removed: then it was meant. */
const MAX_LEAD_MS = 2000;
/** Kept behind the last loud window: the decay of the room and of final consonants. */
const POST_ROLL_MS = 120;
/** A quiet stretch is held back up to this length; what is longer is given out, so that a listener's player does not run dry. */
const MAX_HELD_MS = 2000;
/** A loud run that ends with the audio, is at most this long and stands alone behind this much quiet is noise, not speech. */
const BURST_MS = 60;
const BURST_QUIET_MS = 40;
const FADE_MS = 5;

export class Trimmer {
  readonly #window: number;
  readonly #options: Required<TrimOptions>;
  /** Samples not yet given out; whole windows of it are judged. */
  #held: Float32Array = new Float32Array(0);
  /** Judgements of the windows in `#held`. */
  #loud: boolean[] = [];
  #started: boolean;
  #dropped = 0;
  #cutBehind = 0;
  #given = 0;
  #ended = false;

  constructor(options: TrimOptions) {
    this.#options = { lead: true, tail: true, ...options };
    this.#window = Math.round((options.sampleRateHz * WINDOW_MS) / 1000);
    this.#started = !this.#options.lead;
  }

  /** Samples removed in front and behind so far. */
  get removed(): { readonly lead: number; readonly tail: number } {
    return { lead: this.#dropped, tail: this.#cutBehind };
  }

  /** (N,) → the samples that are certain to stay. */
  push(samples: Float32Array, { last = false } = {}): Float32Array {
    assert(!this.#ended, 'push after the last piece');
    this.#ended = last;
    this.#held = concatenate([this.#held, samples]);
    for (let at = this.#loud.length * this.#window; at + this.#window <= this.#held.length; at += this.#window) this.#loud.push(this.#isLoud(at));
    const rest = this.#loud.length * this.#window;
    if (last && rest < this.#held.length) this.#loud.push(this.#isLoud(rest));
    if (!this.#started) this.#dropLead();
    if (!this.#started) return last ? this.#dropAll() : new Float32Array(0);
    return this.#give(last ? this.#end() : this.#certain(), last);
  }

  #isLoud(at: number): boolean {
    const window = this.#held.subarray(at, at + this.#window);
    return Math.sqrt(window.reduce((sum, value) => sum + value * value, 0) / window.length) > SILENCE;
  }

  #dropLead(): void {
    const first = this.#loud.indexOf(true);
    const preRoll = PRE_ROLL_MS / WINDOW_MS;
    const silent = Math.max(0, (first < 0 ? this.#loud.length : first) - preRoll);
    const limit = Math.floor((this.#options.sampleRateHz * MAX_LEAD_MS) / 1000 / this.#window - this.#dropped / this.#window);
    const windows = Math.min(silent, limit);
    this.#started = first >= 0 || silent >= limit;
    this.#discard(windows);
    this.#dropped += windows * this.#window;
  }

  #dropAll(): Float32Array {
    this.#dropped += this.#held.length;
    return new Float32Array(0);
  }

  #discard(windows: number): void {
    this.#held = this.#held.slice(windows * this.#window);
    this.#loud.splice(0, windows);
  }

  /** Windows that stay whatever follows. */
  #certain(): number {
    if (!this.#options.tail) return this.#loud.length;
    const runs = this.#runs();
    const stays = runs.findLast(({ loud, length, quietBefore }) => loud && !this.#isBurst(length, quietBefore));
    const known = stays ? stays.end : 0;
    return Math.max(known, this.#loud.length - MAX_HELD_MS / WINDOW_MS);
  }

  /** Windows that stay at the end of the audio. */
  #end(): number {
    if (!this.#options.tail) return this.#loud.length;
    const runs = this.#runs();
    const final = runs.at(-1);
    // What is all the audio there is, is no noise behind it.
    const alone = this.#given === 0 && runs.filter(({ loud }) => loud).length === 1;
    const burst = final?.loud && !alone && this.#isBurst(final.length, final.quietBefore);
    const lastLoud = runs.findLast((run) => run.loud && !(burst && run === final));
    const end = Math.min((lastLoud?.end ?? 0) + POST_ROLL_MS / WINDOW_MS, burst ? this.#loud.length - final.length : this.#loud.length);
    // Smaller pieces would have given these out already.
    return Math.max(end, Math.floor(this.#held.length / this.#window) - MAX_HELD_MS / WINDOW_MS);
  }

  #isBurst(length: number, quietBefore: number): boolean {
    return length <= BURST_MS / WINDOW_MS && quietBefore >= BURST_QUIET_MS / WINDOW_MS;
  }

  #runs(): { loud: boolean; length: number; end: number; quietBefore: number }[] {
    const runs: { loud: boolean; length: number; end: number; quietBefore: number }[] = [];
    this.#loud.forEach((loud, i) => {
      const run = runs.at(-1);
      if (run?.loud === loud) {
        run.length++;
        run.end = i + 1;
      } else {
        runs.push({ loud, length: 1, end: i + 1, quietBefore: run && !run.loud ? run.length : 0 });
      }
    });
    return runs;
  }

  #give(windows: number, last: boolean): Float32Array {
    const out = this.#held.slice(0, windows * this.#window);
    const cut = last ? this.#held.length - out.length : 0;
    this.#cutBehind += cut;
    if (this.#given === 0 && this.#dropped > 0) fadeEnds(out, this.#fadeSamples, 0);
    if (cut > 0) fadeEnds(out, 0, this.#fadeSamples);
    this.#given += out.length;
    this.#discard(windows);
    return out;
  }

  get #fadeSamples(): number {
    return Math.round((this.#options.sampleRateHz * FADE_MS) / 1000);
  }
}

/** Raised-cosine fades over the first and the last samples, in place. */
export function fadeEnds(samples: Float32Array, fadeIn: number, fadeOut: number): void {
  for (let i = 0; i < Math.min(fadeIn, samples.length); i++) samples[i] = (samples[i] as number) * raisedCosine(i, fadeIn);
  for (let i = 0; i < Math.min(fadeOut, samples.length); i++) samples[samples.length - 1 - i] = (samples[samples.length - 1 - i] as number) * raisedCosine(i, fadeOut);
}

/** Weight of sample `i` of a fade over `length` samples; those of a fade-in and a fade-out add up to 1. */
export function raisedCosine(i: number, length: number): number {
  return 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / length);
}
