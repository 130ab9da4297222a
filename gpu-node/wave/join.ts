/** Sentences one after the other without clicks: each one is faded in and out over a few milliseconds, with a pause between. */
import { fadeEnds, raisedCosine } from './trim.ts';
import { concatenate } from '../runtime/floats.ts';

export type JoinOptions = {
  readonly sampleRateHz: number;
  /** Silence between two segments. */
  readonly pauseMs?: number;
  readonly fadeMs?: number;
};

const PAUSE_MS = 80;
const FADE_MS = 5;

export class Joiner {
  readonly #pause: number;
  readonly #fade: number;
  /** End of the running segment, until it is known whether it is the end. */
  #held: Float32Array = new Float32Array(0);
  #fadedIn = 0;
  #segments = 0;
  #open = false;

  constructor({ sampleRateHz, pauseMs = PAUSE_MS, fadeMs = FADE_MS }: JoinOptions) {
    this.#pause = Math.round((sampleRateHz * pauseMs) / 1000);
    this.#fade = Math.round((sampleRateHz * fadeMs) / 1000);
  }

  /**
   * Samples of the running segment; `end` closes it. A segment of no samples leaves no pause. `pauseMs` of the options
   * stands between two segments; pauses that the text asks for are pushed as segments of zeros or with `silence`.
   */
  push(samples: Float32Array, { end = false } = {}): Float32Array {
    const pieces: Float32Array[] = [];
    if (!this.#open && samples.length > 0) {
      if (this.#segments++ > 0) pieces.push(new Float32Array(this.#pause));
      this.#open = true;
      this.#fadedIn = 0;
    }
    const all = concatenate([this.#held, samples]);
    this.#fadeIn(all);
    const keep = end ? all.length : Math.max(0, all.length - this.#fade);
    const out = all.slice(0, keep);
    this.#held = end ? new Float32Array(0) : all.slice(keep);
    if (end) {
      fadeEnds(out, 0, this.#fade);
      this.#open = false;
    }
    return concatenate([...pieces, out]);
  }

  /** The held-back samples are at most as many as the fade, so a fade that began goes on where it was. */
  #fadeIn(all: Float32Array): void {
    const held = this.#held.length;
    for (let i = held; i < all.length && this.#fadedIn < this.#fade; i++, this.#fadedIn++) {
      all[i] = (all[i] as number) * raisedCosine(this.#fadedIn, this.#fade);
    }
  }
}

/** (milliseconds) → zeros. */
export function silence(milliseconds: number, sampleRateHz: number): Float32Array {
  return new Float32Array(Math.round((milliseconds * sampleRateHz) / 1000));
}

/** Above this the limiter begins to bend; below, samples are exactly `gain` times themselves. */
const KNEE = 0.8;
const CEILING = 0.99;

/** Volume: samples times `gain`, in place, softly limited to ±0.99 instead of clipped. Without memory, so pieces do not matter. */
export function amplify(samples: Float32Array, gain: number): Float32Array {
  if (gain === 1) return samples;
  const room = CEILING - KNEE;
  for (let i = 0; i < samples.length; i++) {
    const value = (samples[i] as number) * gain;
    const size = Math.abs(value);
    samples[i] = size <= KNEE ? value : Math.sign(value) * (KNEE + room * Math.tanh((size - KNEE) / room));
  }
  return samples;
}
