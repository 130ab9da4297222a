/**
 * Sample-rate conversion by a polyphase Kaiser-windowed sinc (Smith, "Digital Audio Resampling"; Kaiser 1974). Works on
 * pieces of any size and gives the same samples as on the whole; the length is exact after `flush`. Not the resampler of
 * the prompt features, whose kernel has to be the official one.
 */
import { strict as assert } from 'node:assert';
import { CosyError } from '../../shared/errors/index.ts';

export type ResamplerOptions = {
  /** Zero crossings of the sinc on each side; more is steeper and slower. */
  readonly zeroCrossings?: number;
  /** Attenuation of everything above the lower Nyquist frequency. */
  readonly stopbandDb?: number;
};

export interface Resampler {
  /** (N,) samples at the input rate → those output samples that need no later input. The input is not kept. */
  push(samples: Float32Array): Float32Array;
  /** The rest: all outputs together are ⌈N·to/from⌉. Nothing can be pushed afterwards. */
  flush(): Float32Array;
  /** Input samples an output has to wait for. */
  readonly lookaheadSamples: number;
}

const ZERO_CROSSINGS = 64;
const STOPBAND_DB = 110;
/** Above any rate a sound card or file has; bounds the filter's length (768 kHz → 4 kHz is 24,576 taps). */
const MAX_RATE_HZ = 768_000;
const MIN_RATE_HZ = 4_000;
/** Ratios with more phases than this interpolate between rows: linear, error (π/2048)²/8 = −131 dB. */
const MAX_EXACT_PHASES = 2048;

/** A streaming converter. Throws `invalid_value` for a rate that is not a whole number of Hz in 4,000…768,000. */
export function createResampler(fromHz: number, toHz: number, options: ResamplerOptions = {}): Resampler {
  for (const rate of [fromHz, toHz]) {
    if (!Number.isInteger(rate) || rate < MIN_RATE_HZ || rate > MAX_RATE_HZ) {
      throw new CosyError('invalid_value', `Sample rate ${rate} Hz is not supported: use a whole number from ${MIN_RATE_HZ} to ${MAX_RATE_HZ}.`, { param: 'sample_rate' });
    }
  }
  return fromHz === toHz ? new Identity() : new Polyphase(fromHz, toHz, options);
}

/** (N,) at `fromHz` → (⌈N·to/from⌉,) at `toHz`, newly allocated. Throws like `createResampler`. */
export function resample(samples: Float32Array, fromHz: number, toHz: number, options: ResamplerOptions = {}): Float32Array {
  const resampler = createResampler(fromHz, toHz, options);
  const head = resampler.push(samples);
  const tail = resampler.flush();
  const out = new Float32Array(head.length + tail.length);
  out.set(head);
  out.set(tail, head.length);
  return out;
}

class Identity implements Resampler {
  readonly lookaheadSamples = 0;

  push(samples: Float32Array): Float32Array {
    return samples.slice();
  }

  flush(): Float32Array {
    return new Float32Array(0);
  }
}

class Polyphase implements Resampler {
  /** Output n lies at input time n·step/phases. */
  readonly #phases: number;
  readonly #step: number;
  readonly #half: number;
  readonly #rows: FilterRows;
  /** Input from absolute index `#start` on; zeros stand before the first sample. */
  #input: Float32Array;
  #length: number;
  #start: number;
  #received = 0;
  #produced = 0;
  #flushed = false;

  constructor(fromHz: number, toHz: number, { zeroCrossings = ZERO_CROSSINGS, stopbandDb = STOPBAND_DB }: ResamplerOptions) {
    const divisor = gcd(fromHz, toHz);
    this.#phases = toHz / divisor;
    this.#step = fromHz / divisor;
    this.#half = Math.ceil(zeroCrossings * Math.max(1, fromHz / toHz));
    this.#rows = filterRows({ phases: this.#phases, half: this.#half, bandwidth: Math.min(1, toHz / fromHz), zeroCrossings, stopbandDb });
    this.#input = new Float32Array(4 * this.#half);
    this.#length = this.#half;
    this.#start = -this.#half;
  }

  get lookaheadSamples(): number {
    return this.#half;
  }

  push(samples: Float32Array): Float32Array {
    assert(!this.#flushed, 'push after flush');
    this.#append(samples.length).set(samples);
    this.#received += samples.length;
    // Output n reads input up to ⌊n·step/phases⌋ + half, which has to be known.
    return this.#produce(Math.max(0, Math.ceil(((this.#received - this.#half) * this.#phases) / this.#step)));
  }

  flush(): Float32Array {
    assert(!this.#flushed, 'flush after flush');
    this.#flushed = true;
    this.#append(this.#half + 1).fill(0);
    return this.#produce(Math.ceil((this.#received * this.#phases) / this.#step));
  }

  /** Room for `count` more values at the end, after dropping those that no output needs any more. */
  #append(count: number): Float32Array {
    const needed = Math.floor((this.#produced * this.#step) / this.#phases) - this.#half + 1;
    const drop = Math.min(this.#length, Math.max(0, needed - this.#start));
    const kept = this.#length - drop;
    if (kept + count > this.#input.length) {
      const larger = new Float32Array(2 * (kept + count));
      larger.set(this.#input.subarray(drop, this.#length));
      this.#input = larger;
    } else {
      this.#input.copyWithin(0, drop, this.#length);
    }
    this.#start += drop;
    this.#length = kept + count;
    return this.#input.subarray(kept, this.#length);
  }

  #produce(until: number): Float32Array {
    const out = new Float32Array(Math.max(0, until - this.#produced));
    for (let i = 0; i < out.length; i++) {
      const position = this.#produced * this.#step;
      const whole = Math.floor(position / this.#phases);
      out[i] = this.#rows.apply(this.#input, whole - this.#half + 1 - this.#start, position - whole * this.#phases);
      this.#produced++;
    }
    return out;
  }
}

/** `apply(input, at, phase)`: the filter of that phase times the inputs from index `at` on. */
type FilterRows = { readonly apply: (input: Float32Array, at: number, phase: number) => number };

function filterRows({ phases, half, bandwidth, zeroCrossings, stopbandDb }: { phases: number; half: number; bandwidth: number; zeroCrossings: number; stopbandDb: number }): FilterRows {
  const taps = 2 * half;
  // Kaiser's formulas: shape from attenuation, and the width of the transition, which ends at the lower Nyquist frequency.
  const beta = stopbandDb > 50 ? 0.1102 * (stopbandDb - 8.7) : 0.5842 * Math.max(0, stopbandDb - 21) ** 0.4 + 0.07886 * Math.max(0, stopbandDb - 21);
  const transition = (stopbandDb - 8) / (2.285 * 2 * zeroCrossings * Math.PI);
  const cutoff = bandwidth * (1 - transition / 2);
  const exact = phases <= MAX_EXACT_PHASES;
  const count = exact ? phases : MAX_EXACT_PHASES;
  const table = new Float32Array((count + 1) * taps);
  for (let row = 0; row <= count; row++) {
    let sum = 0;
    const values = Array.from({ length: taps }, (_, i) => {
      const t = i - half + 1 - row / count;
      const value = sinc(cutoff * t) * kaiser(t / half, beta);
      sum += value;
      return value;
    });
    // Unit gain at 0 Hz in every phase: no ripple at the phase rate on a constant.
    table.set(values.map((value) => value / sum), row * taps);
  }
  if (exact) return { apply: (input, at, phase) => dot(table, phase * taps, input, at, taps) };
  return {
    apply: (input, at, phase) => {
      const row = (phase / phases) * count;
      const whole = Math.floor(row);
      const low = dot(table, whole * taps, input, at, taps);
      return low + (row - whole) * (dot(table, (whole + 1) * taps, input, at, taps) - low);
    },
  };
}

function dot(table: Float32Array, row: number, input: Float32Array, at: number, taps: number): number {
  let even = 0;
  let odd = 0;
  for (let i = 0; i < taps; i += 2) {
    even += (table[row + i] as number) * (input[at + i] as number);
    odd += (table[row + i + 1] as number) * (input[at + i + 1] as number);
  }
  return even + odd;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x: number, beta: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)) / bessel(beta);
}

/** Modified Bessel function of order 0 by its power series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
