import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kernelWidth, reduceRates, resample } from '../../../gpu-node/voice/index.ts';
import { noise } from './speech.ts';
import { processorMs } from '../../processor-time.ts';

/** The published formula, tap for tap and without leaving anything out. */
function plain(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  const ratio = reduceRates(fromHz, toHz);
  const width = kernelWidth(ratio);
  const base = 0.99 * Math.min(ratio.from, ratio.to);
  return Float32Array.from({ length: Math.ceil((ratio.to * samples.length) / ratio.from) }, (_, at) => {
    const block = Math.floor(at / ratio.to);
    const phase = at % ratio.to;
    let sum = 0;
    for (let i = -width; i < width + ratio.from; i++) {
      const t = Math.max(-6, Math.min(6, base * (i / ratio.from - phase / ratio.to)));
      const tap = ((t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t)) * Math.cos((Math.PI * t) / 12) ** 2 * base) / ratio.from;
      sum += Math.fround(tap) * (samples[block * ratio.from + i] ?? 0);
    }
    return sum;
  });
}

test('any pair of rates gives what the formula gives', () => {
  fc.assert(
    fc.property(fc.constantFrom(16000, 22050, 24000, 44100, 48000, 96000), fc.constantFrom(16000, 24000), fc.integer({ min: 1, max: 700 }), (fromHz, toHz, count) => {
      const samples = noise(count, count);
      const [fast, slow] = [resample(samples, fromHz, toHz), fromHz === toHz ? samples : plain(samples, fromHz, toHz)];
      expect(fast.length).toBe(slow.length);
      expect(fast.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (slow[i] ?? 0))), 0)).toBeLessThan(1e-6);
    }),
    { numRuns: 60 },
  );
});

test('rates without a common divisor are cheap', async () => {
  const samples = noise(44_099);
  expect(await processorMs(() => expect(resample(samples, 44_099, 24_000).length).toBe(24_000))).toBeLessThan(3000);
});

/** One second of 440 Hz. */
function tone(rateHz: number): Float32Array {
  return Float32Array.from({ length: rateHz }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / rateHz));
}

test('a tone keeps its pitch and its level', () => {
  const expected = tone(16000);
  const worst = resample(tone(44100), 44100, 16000)
    .subarray(100, -100)
    .reduce((error, value, i) => Math.max(error, Math.abs(value - (expected[i + 100] ?? 0))), 0);
  expect(worst).toBeLessThan(2e-3);
});
