import { describe, expect, it } from 'vitest';
import type { VocoderConfig } from '../../../gpu-node/checkpoint/types.ts';
import { HarmonicSource } from '../../../gpu-node/wave/index.ts';
import { fillNoise } from '../../../gpu-node/wave/noise.ts';
import { concatenate } from '../../../gpu-node/runtime/floats.ts';
import { largestDifference } from './narrow.ts';

const config = { sampleRateHz: 24_000, harmonics: 8, nsfAlpha: 0.1, nsfSigma: 0.003, voicedThresholdHz: 10, upsampleRates: [8, 5, 3], istft: { nFft: 16, hopLength: 4 } } as unknown as VocoderConfig;
const weights = { weight: [0.5, -0.4, 0.3, 0.2, -0.1, 0.1, 0.05, -0.05, 0.02], bias: 0.01 };
const silent = { values: new Float32Array(9 * 480 * 3000) };

describe('the harmonic source', () => {
  it('equals the plain formula sample by sample, also above half the sample rate', () => {
    const f0 = Float32Array.from({ length: 40 }, (_, k) => (k % 11 === 5 ? 3 : 90 + 80 * Math.sin(k)) * (k > 30 ? 20 : 1));
    const source = new HarmonicSource({ config, weights, noise: silent });
    expect(largestDifference(concatenate([source.push(f0), source.tail()]), plainSource(f0))).toBeLessThan(1e-6);
  });

  it('does not lose precision with length: after a minute it is still the plain sine', () => {
    const f0 = new Float32Array(3000).fill(200);
    const source = new HarmonicSource({ config, weights: { weight: [1, 0, 0, 0, 0, 0, 0, 0, 0], bias: 0 }, noise: silent });
    const out = source.push(f0);
    const expected = out.slice(-480).map((_, i) => Math.tanh(0.1 * Math.sin(2 * Math.PI * (200 / 24_000) * (out.length - 480 + i + 240.5))));
    // The phase begins at the first centre with one whole frame of turns, which is 4 turns of 200 Hz.
    expect(largestDifference(out.slice(-480), expected)).toBeLessThan(2e-7);
  });

  it('makes the same samples in pieces, with noise that belongs to the sample', () => {
    const f0 = Float32Array.from({ length: 30 }, (_, k) => 100 + k);
    const whole = new HarmonicSource({ config, weights, noise: { seed: 5 } });
    const pieces = new HarmonicSource({ config, weights, noise: { seed: 5 } });
    const out = [f0.subarray(0, 1), f0.subarray(1, 1), f0.subarray(1, 17), f0.subarray(17)].map((part) => {
      const samples = pieces.push(part);
      pieces.tail();
      return samples;
    });
    expect(concatenate(out)).toEqual(whole.push(f0));
  });
});

describe('the noise', () => {
  it('is normal, white, and another one for another seed', () => {
    const values = new Float64Array(200_000);
    fillNoise(values, 1, 0);
    const other = new Float64Array(values.length);
    fillNoise(other, 2, 0);
    const mean = (list: Float64Array, of: (value: number, i: number) => number) => list.reduce((sum, value, i) => sum + of(value, i), 0) / list.length;
    // Four standard errors.
    const bound = 4 / Math.sqrt(values.length);
    expect(Math.abs(mean(values, (value) => value))).toBeLessThan(bound);
    expect(Math.abs(mean(values, (value) => value * value) - 1)).toBeLessThan(bound * Math.SQRT2);
    expect(Math.abs(mean(values, (value) => value ** 4) - 3)).toBeLessThan(bound * Math.sqrt(96));
    for (const lag of [1, 2, 480]) expect(Math.abs(mean(values, (value, i) => value * (values[i - lag] ?? 0)))).toBeLessThan(bound);
    expect(Math.abs(mean(values, (value, i) => value * (other[i] as number)))).toBeLessThan(bound);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it('depends on the index alone, also beyond 32 bits', () => {
    const long = new Float64Array(100);
    fillNoise(long, 2 ** 40 + 3, 2 ** 33 - 50);
    const part = new Float64Array(20);
    fillNoise(part, 2 ** 40 + 3, 2 ** 33 - 10);
    expect([...part]).toEqual([...long.subarray(40, 60)]);
  });
});

/** MODEL.md 5.2 in double, written for whole utterances. */
function plainSource(f0: Float32Array): Float32Array {
  const phases = weights.weight.map((_, h) => {
    let sum = 0;
    return Float64Array.from(f0, (hertz) => (sum += ((hertz * (h + 1)) / 24_000) % 1) * 480);
  });
  return Float32Array.from({ length: f0.length * 480 }, (_, n) => {
    const position = Math.min(f0.length - 1, Math.max(0, (n + 0.5) / 480 - 0.5));
    const [low, part] = [Math.floor(position), position - Math.floor(position)];
    const voiced = (f0[Math.floor(n / 480)] as number) > 10 ? 0.1 : 0;
    return Math.tanh(
      weights.weight.reduce((sum, weight, h) => {
        const [from = 0, to = from] = (phases[h] as Float64Array).subarray(low, low + 2);
        return sum + weight * voiced * Math.sin(2 * Math.PI * (from + part * (to - from)));
      }, weights.bias),
    );
  });
}
