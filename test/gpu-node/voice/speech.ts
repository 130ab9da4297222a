/** The reference clip as samples, and a reproducible noise. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWav, resample } from '../../../gpu-node/voice/index.ts';
import { goldenDirectory } from '../../golden/index.ts';

/** 1.9 s of Mandarin at `sampleRateHz`. */
export function speech(sampleRateHz = 24000): Float32Array {
  return resample(readWav(readFileSync(join(goldenDirectory, 'cases/clip24k.wav'))).samples, 24000, sampleRateHz);
}

/** Uniform in ±1 (mulberry32). */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

/** Normalised correlation of `decoded`, `lag` samples late, with `original`; 1 is equal up to loudness. */
export function correlation(original: Float32Array, decoded: Float32Array, lag = 0): number {
  let [product, a, b] = [0, 0, 0];
  for (let i = 0; i < Math.min(original.length, decoded.length - lag); i++) {
    const x = original[i] ?? 0;
    const y = decoded[i + lag] ?? 0;
    product += x * y;
    a += x * x;
    b += y * y;
  }
  return product / Math.sqrt(a * b);
}
