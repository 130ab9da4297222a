import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createResampler, resample } from '../../../gpu-node/wave/resample.ts';

const RATES = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000];

describe('the streaming resampler', () => {
  it('keeps a tone of the pass band above 100 dB signal to error, at every output rate', () => {
    for (const rate of RATES) {
      for (const hz of [50, 440, 0.85 * Math.min(12_000, rate / 2)]) {
        expect(toneSnr(resample(tone(hz, 24_000, 24_000), 24_000, rate), hz, rate), `${hz} Hz at ${rate}`).toBeGreaterThan(100);
      }
    }
  });

  it('removes a tone above the new Nyquist frequency by 100 dB', () => {
    const out = resample(tone(5_000, 24_000, 24_000), 24_000, 8_000);
    expect(20 * Math.log10(rms(middle(out)) / Math.SQRT1_2)).toBeLessThan(-100);
  });

  it('gives the same samples in pieces of any size, with the exact length', () => {
    fc.assert(
      fc.property(fc.constantFrom(...RATES, 24_001), fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 12 }), (rate, sizes) => {
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const input = Float32Array.from({ length: total }, (_, i) => Math.sin(i * i * 0.001));
        const stream = createResampler(24_000, rate);
        const pieces: number[] = [];
        let at = 0;
        for (const size of sizes) {
          pieces.push(...stream.push(input.subarray(at, at + size)));
          at += size;
        }
        pieces.push(...stream.flush());
        expect(pieces.length).toBe(Math.ceil((total * rate) / 24_000));
        expect(Float32Array.from(pieces)).toEqual(resample(input, 24_000, rate));
      }),
      { numRuns: 30 },
    );
  });

  it('takes a rate without a common divisor, with interpolated phases, above 90 dB', () => {
    expect(toneSnr(resample(tone(1_000, 44_101, 44_101), 44_101, 24_000), 1_000, 24_000)).toBeGreaterThan(90);
  });

  it('passes samples through when the rates are equal, and refuses a rate that is none', () => {
    expect(resample(Float32Array.of(1, -1, 0.5), 24_000, 24_000)).toEqual(Float32Array.of(1, -1, 0.5));
    for (const rate of [0, -1, 1.5, Number.NaN, 1e9]) expect(() => createResampler(24_000, rate)).toThrow(/not supported/);
  });
});

function tone(hz: number, rate: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
}

function middle(samples: Float32Array): Float32Array {
  return samples.subarray(Math.floor(samples.length / 4), Math.floor((3 * samples.length) / 4));
}

function rms(samples: Float32Array): number {
  return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
}

/** Against the ideal tone at the output rate, in dB, away from the ends; a change of level counts as error too. */
function toneSnr(out: Float32Array, hz: number, rate: number): number {
  const ideal = tone(hz, rate, out.length);
  const error = out.map((value, i) => value - (ideal[i] ?? 0));
  return 20 * Math.log10(rms(middle(ideal)) / rms(middle(error)));
}
