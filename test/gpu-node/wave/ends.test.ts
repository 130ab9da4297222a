import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Joiner, TempoStretch, Trimmer, amplify, resizeMel } from '../../../gpu-node/wave/index.ts';
import { concatenate } from '../../../gpu-node/runtime/floats.ts';
import { largestDifference, wanderingMel } from './narrow.ts';

const RATE = 24_000;
const MS = RATE / 1000;

/** [level, milliseconds] stretches of a 300 Hz tone. */
function signal(...stretches: readonly (readonly [number, number])[]): Float32Array {
  const levels = stretches.flatMap(([level, ms]) => Array.from({ length: ms * MS }, () => level));
  return Float32Array.from(levels, (level, i) => level * Math.sin((2 * Math.PI * 300 * i) / RATE));
}

function trimmed(samples: Float32Array, sizes: readonly number[] = []): { out: Float32Array; trimmer: Trimmer } {
  const trimmer = new Trimmer({ sampleRateHz: RATE });
  const pieces: Float32Array[] = [];
  let at = 0;
  for (const size of sizes) pieces.push(trimmer.push(samples.subarray(at, (at = Math.min(samples.length, at + size)))));
  pieces.push(trimmer.push(samples.subarray(at), { last: true }));
  return { out: concatenate(pieces), trimmer };
}

describe('trimming of the ends', () => {
  it('keeps 40 ms in front of the sound and 120 ms behind it', () => {
    const { out, trimmer } = trimmed(signal([0.001, 500], [0.3, 400], [0.001, 700]));
    expect(out.length).toBe((40 + 400 + 120) * MS);
    expect(trimmer.removed).toEqual({ lead: 460 * MS, tail: 580 * MS });
  });

  it('drops a short burst that ends the audio behind a quiet stretch, but not a plosive with its decay', () => {
    expect(trimmed(signal([0.3, 400], [0.001, 80], [0.2, 40])).out.length).toBe(480 * MS);
    expect(trimmed(signal([0.3, 400], [0.001, 80], [0.2, 40], [0.001, 300])).out.length).toBe((400 + 80 + 40 + 120) * MS);
  });

  it('leaves pauses inside and sound to the very end alone', () => {
    const samples = signal([0.3, 200], [0, 1500], [0.3, 300]);
    expect(trimmed(samples).out).toEqual(samples);
  });

  it('removes at most two seconds of leading silence, and all of a silent utterance', () => {
    expect(trimmed(signal([0.001, 3000], [0.3, 200])).trimmer.removed.lead).toBe(2000 * MS);
    expect(trimmed(signal([0.001, 900])).out.length).toBe(0);
  });

  it('gives the same samples whatever the pieces', () => {
    const start = [[0.001, 300], [0.3, 200], [0.001, 2400], [0.2, 100]] as const;
    for (const end of [[[0.001, 90], [0.2, 30]], [[0.001, 2600]], [[0.001, 2500], [0.2, 25]], []] as const) {
      const samples = signal(...start, ...end);
      const { out } = trimmed(samples);
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 0, max: 15_000 }), { maxLength: 12 }), (sizes) => {
          expect(largestDifference(trimmed(samples, sizes).out, out)).toBe(0);
        }),
        { numRuns: 15 },
      );
    }
  });
});

describe('joining', () => {
  it('puts a pause between segments, none around, and starts and ends each at zero', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 6 }), (sizes) => {
        const joiner = new Joiner({ sampleRateHz: RATE, pauseMs: 50 });
        const one = new Float32Array(6000).fill(0.5);
        const pieces: Float32Array[] = [];
        for (let segment = 0; segment < 2; segment++) {
          let at = 0;
          for (const size of sizes) pieces.push(joiner.push(one.subarray(at, (at = Math.min(one.length, at + size)))));
          pieces.push(joiner.push(one.subarray(at), { end: true }));
        }
        const out = concatenate(pieces);
        expect(out.length).toBe(12_000 + 50 * MS);
        expect(Math.max(...out.map((value, i) => Math.abs(value - (out[i - 1] ?? 0))))).toBeLessThan(0.01);
        expect(out[3000]).toBe(0.5);
        expect(out[6000 + 25 * MS]).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('skips the pause for a segment of nothing', () => {
    const joiner = new Joiner({ sampleRateHz: RATE, pauseMs: 50 });
    const lengths = [joiner.push(new Float32Array(1000), { end: true }), joiner.push(new Float32Array(0), { end: true }), joiner.push(new Float32Array(1000), { end: true })].map(({ length }) => length);
    expect(lengths).toEqual([1000, 0, 1000 + 50 * MS]);
  });
});

describe('volume', () => {
  it('multiplies, and bends instead of clipping', () => {
    const out = amplify(Float32Array.of(0.1, -0.3, 0.5, 0.9, -1), 2);
    expect([...out.subarray(0, 2)]).toEqual([Math.fround(0.2), Math.fround(-0.6)]);
    expect(Math.max(...out.map(Math.abs))).toBeLessThanOrEqual(Math.fround(0.99));
    expect(out[2]).toBeLessThan(out[3] as number);
  });
});

describe('tempo', () => {
  it('gives the frames of the whole mel whatever the pieces, and their number is exact', () => {
    const mel = wanderingMel(90);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }), fc.double({ min: 0.5, max: 2, noNaN: true }), (sizes, speed) => {
        const whole = new TempoStretch(80, speed).push(mel, { last: true });
        expect(whole.length).toBe(Math.floor(90 / speed) * 80);
        const stretch = new TempoStretch(80, speed);
        const pieces: Float32Array[] = [];
        let at = 0;
        for (const size of sizes) pieces.push(stretch.push(mel.subarray(at * 80, (at = Math.min(90, at + size)) * 80)));
        pieces.push(stretch.push(mel.subarray(at * 80), { last: true }));
        expect(concatenate(pieces)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  it('agrees with the official resampling where the number of frames divides', () => {
    const mel = wanderingMel(80);
    expect(largestDifference(new TempoStretch(80, 0.8).push(mel, { last: true }), resizeMel(mel, 80, 0.8))).toBeLessThan(1e-6);
  });

  it('of one frame is at least one, of none is none', () => {
    expect(new TempoStretch(80, 2).push(wanderingMel(1), { last: true }).length).toBe(80);
    expect(new TempoStretch(80, 2).push(new Float32Array(0), { last: true }).length).toBe(0);
    expect(() => new TempoStretch(80, 2.1)).toThrow(/between/);
  });
});
