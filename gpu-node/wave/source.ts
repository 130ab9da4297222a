/**
 * The vocoder's excitation: harmonics of the pitch plus noise, merged by a learned layer (MODEL.md §5.2; official
 * cosyvoice/hifigan/generator.py SineGen2 and SourceModuleHnNSF). In goes the pitch per frame, out come samples; the phase
 * of each harmonic runs on in double, in turns modulo 1, so there is neither a seam between pieces nor a loss with length.
 */
import { strict as assert } from 'node:assert';
import type { VocoderConfig } from '../checkpoint/types.ts';
import { fillNoise } from './noise.ts';

/** The learned layer: one weight per harmonic, and a bias. */
export type SourceWeights = { readonly weight: readonly number[]; readonly bias: number };

/** Made from a seed, or given: (N, harmonics + 1) row-major, from sample 0 on. */
export type SourceNoise = { readonly seed: number } | { readonly values: Float32Array };

export type SourceOptions = {
  readonly config: VocoderConfig;
  readonly weights: SourceWeights;
  readonly noise: SourceNoise;
  /** Samples before this one are 0: only the phase is followed. */
  readonly startSample?: number;
  /** Receives the harmonics before they are merged: sample, harmonic, value (for the reference cases). */
  readonly onSine?: (sample: number, harmonic: number, value: number) => void;
};

export class HarmonicSource {
  readonly #options: SourceOptions;
  readonly #hop: number;
  readonly #harmonics: number;
  /** Turns at the centre of the last frame. */
  readonly #phase: Float64Array;
  readonly #noise: (first: number, count: number) => Noise;
  #voiced = false;
  #frames = 0;
  #samples = 0;

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#hop = samplesPerFrame(options.config);
    this.#harmonics = options.config.harmonics + 1;
    this.#phase = new Float64Array(this.#harmonics);
    this.#noise = noiseReader(options);
  }

  /** Samples made so far, without those of `tail`. */
  get samples(): number {
    return this.#samples;
  }

  /**
   * (F,) pitch in Hz → the samples up to the centre of the last of these frames. The value between two centres is known
   * only when both pitches are, since the phase is interpolated.
   */
  push(f0: Float32Array): Float32Array {
    const half = this.#hop / 2;
    const out = new Float32Array(f0.length * this.#hop - (this.#frames === 0 && f0.length > 0 ? half : 0));
    let at = 0;
    for (const hertz of f0) {
      const voiced = hertz > this.#options.config.voicedThresholdHz;
      const steps = Float64Array.from({ length: this.#harmonics }, (_, h) => ((hertz * (h + 1)) / this.#options.config.sampleRateHz) % 1);
      if (this.#frames === 0) {
        this.#advance(steps);
        this.#render(out.subarray(at, (at += half)), { voiced, start: this.#phase, steps: undefined });
      } else {
        const start = this.#phase.slice();
        this.#render(out.subarray(at, (at += half)), { voiced: this.#voiced, start, steps, offset: 0 });
        this.#render(out.subarray(at, (at += half)), { voiced, start, steps, offset: half });
        this.#advance(steps);
      }
      this.#voiced = voiced;
      this.#frames++;
    }
    return out;
  }

  /** The half frame behind the last centre as it is when nothing follows: the phase stands still. Changes no state. */
  tail(): Float32Array {
    const samples = this.#samples;
    const out = new Float32Array(this.#frames === 0 ? 0 : this.#hop / 2);
    this.#render(out, { voiced: this.#voiced, start: this.#phase, steps: undefined });
    this.#samples = samples;
    return out;
  }

  #advance(steps: Float64Array): void {
    for (let h = 0; h < this.#harmonics; h++) this.#phase[h] = ((this.#phase[h] as number) + (steps[h] as number) * this.#hop) % 1;
  }

  /** `steps`: turns per sample, standing still when absent; the first sample lies half a step after `offset`. */
  #render(out: Float32Array, { voiced, start, steps, offset = 0 }: { voiced: boolean; start: Float64Array; steps: Float64Array | undefined; offset?: number }): void {
    const { config, weights, onSine, startSample = 0 } = this.#options;
    const count = out.length;
    if (this.#samples + count <= startSample) {
      this.#samples += count;
      return;
    }
    const sum = new Float64Array(count).fill(weights.bias);
    const noise = this.#noise(this.#samples, count);
    const level = voiced ? config.nsfSigma : config.nsfAlpha / 3;
    for (let i = 0; i < count; i++) sum[i] = (sum[i] as number) + level * noise.merged(i);
    if (voiced) {
      weights.weight.forEach((weight, h) => {
        const step = steps?.[h] ?? 0;
        addSine({ sum, start: (start[h] as number) + step * (offset + 0.5), step, gain: config.nsfAlpha * weight });
      });
    }
    if (onSine) this.#reportSines({ count, voiced, level, start, steps, offset, noise });
    for (let i = 0; i < count; i++) out[i] = Math.tanh(sum[i] as number);
    this.#samples += count;
  }

  #reportSines({ count, voiced, level, start, steps, offset, noise }: { count: number; voiced: boolean; level: number; start: Float64Array; steps: Float64Array | undefined; offset: number; noise: Noise }): void {
    for (let h = 0; h < this.#harmonics; h++) {
      for (let i = 0; i < count; i++) {
        const turns = (start[h] as number) + (steps?.[h] ?? 0) * (offset + i + 0.5);
        this.#options.onSine?.(this.#samples + i, h, (voiced ? this.#options.config.nsfAlpha * Math.sin(2 * Math.PI * turns) : 0) + level * noise.single(i, h));
      }
    }
  }
}

/** Samples per mel frame: 480 at full size. */
export function samplesPerFrame(config: VocoderConfig): number {
  return config.upsampleRates.reduce((a, b) => a * b) * config.istft.hopLength;
}

/** sum[i] += gain · sin(2π(start + i·step)), by rotation; over half a frame the error stays under 1e-13. */
function addSine({ sum, start, step, gain }: { sum: Float64Array; start: number; step: number; gain: number }): void {
  const turnCos = Math.cos(2 * Math.PI * step);
  const turnSin = Math.sin(2 * Math.PI * step);
  let cos = Math.cos(2 * Math.PI * start) * gain;
  let sin = Math.sin(2 * Math.PI * start) * gain;
  for (let i = 0; i < sum.length; i++) {
    sum[i] = (sum[i] as number) + sin;
    const next = cos * turnCos - sin * turnSin;
    sin = sin * turnCos + cos * turnSin;
    cos = next;
  }
}

/** `merged`: noise of all harmonics times their weights; `single`: of one harmonic. */
type Noise = { readonly merged: (i: number) => number; readonly single: (i: number, harmonic: number) => number };

function noiseReader({ noise, weights, config }: SourceOptions): (first: number, count: number) => Noise {
  const harmonics = config.harmonics + 1;
  if ('seed' in noise) {
    // A weighted sum of independent normal values is one normal value with the root of the summed squares.
    const norm = Math.hypot(...weights.weight);
    return (first, count) => {
      const values = new Float64Array(count);
      fillNoise(values, noise.seed, first);
      return { merged: (i) => norm * (values[i] as number), single: (i, harmonic) => (harmonic === 0 ? (values[i] as number) : 0) };
    };
  }
  const { values } = noise;
  return (first, count) => {
    assert((first + count) * harmonics <= values.length, 'explicit noise for every sample');
    const single = (i: number, harmonic: number) => values[(first + i) * harmonics + harmonic] as number;
    return {
      single,
      merged: (i) => {
        let sum = 0;
        for (let h = 0; h < harmonics; h++) sum += (weights.weight[h] as number) * single(i, h);
        return sum;
      },
    };
  };
}
