import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVocoder } from '../../../gpu-node/wave/index.ts';
import type { StreamOptions, Vocoder } from '../../../gpu-node/wave/index.ts';
import { concatenate } from '../../../gpu-node/runtime/floats.ts';
import { largestDifference, openNarrow, rootMeanSquare, wanderingMel } from './narrow.ts';
import type { Narrow } from './narrow.ts';

const NOISE = { seed: 7 };
/** Float rounding of other window shapes, amplified by the decoder; the level of the wave is about 0.1. */
const SAME = 5e-5;

let narrow: Narrow;
let vocoder: Vocoder;
beforeAll(async () => {
  narrow = await openNarrow();
  vocoder = await openVocoder({ directory: narrow.directory, config: narrow.checkpoint.config.hift, open: narrow.context.open });
});
afterAll(async () => {
  await vocoder.release();
  narrow.close();
});

async function streamed(mel: Float32Array, sizes: readonly number[], options: StreamOptions = { noise: NOISE }): Promise<Float32Array[]> {
  const stream = vocoder.stream(options);
  const pieces: Float32Array[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(await stream.push(mel.subarray(at * 80, (at + size) * 80)));
    at += size;
  }
  pieces.push(await stream.push(mel.subarray(at * 80), { last: true }));
  return pieces;
}

describe('the streaming vocoder', () => {
  it('gives the samples of the whole utterance, whatever the pieces', async () => {
    const mel = wanderingMel(150);
    const whole = await vocoder.offline(mel, { noise: NOISE });
    expect(whole.length).toBe(150 * 480);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 5 }), fc.integer({ min: 7, max: 90 }), async (sizes, tileFrames) => {
        const all = concatenate(await streamed(mel, sizes, { noise: NOISE, tileFrames }));
        expect(largestDifference(all, whole)).toBeLessThan(SAME);
      }),
      { numRuns: 8 },
    );
  });

  it('lags 20 frames behind its mel', async () => {
    const [first] = await streamed(wanderingMel(90), [50, 40]);
    expect(first?.length).toBe((50 - vocoder.lookaheadFrames) * 480);
    expect(vocoder.lookaheadFrames).toBe(20);
  });

  it('goes on at any sample after a break', async () => {
    const mel = wanderingMel(100);
    const whole = await vocoder.offline(mel, { noise: NOISE });
    for (const startSample of [1, 480, 12_345, 100 * 480]) {
      const rest = concatenate(await streamed(mel, [40, 30], { noise: NOISE, startSample }));
      expect(largestDifference(rest, whole.subarray(startSample))).toBeLessThan(SAME);
    }
  });

  it('is made in parts side by side: one behind the other they are the whole, at any speed, and a short one is the first part', async () => {
    for (const [frames, speed, of] of [[60, 1, 2], [61, 1, 2], [150, 1, 2], [200, 1, 3], [150, 1.3, 2], [90, 0.7, 2]] as const) {
      const mel = wanderingMel(frames);
      const whole = await vocoder.offline(mel, { noise: NOISE, speed });
      const parts = await Promise.all(Array.from({ length: of }, (_, index) => vocoder.offline(mel, { noise: NOISE, speed, part: { index, of } })));
      expect(largestDifference(concatenate(parts), whole)).toBeLessThan(SAME);
      const sizes = parts.map(({ length }) => length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(480);
    }
    for (const frames of [0, 1, 59]) {
      const mel = wanderingMel(frames);
      const parts = [0, 1].map((index) => vocoder.offline(mel, { noise: NOISE, part: { index, of: 2 } }));
      expect((await Promise.all(parts)).map(({ length }) => length)).toEqual([frames * 480, 0]);
    }
  });

  it('has no step at the seams: the second difference there is not above that of the 20 ms around', async () => {
    const mel = wanderingMel(200);
    for (const contextFrames of [15, 6]) {
      const pieces = await streamed(mel, [50, 50, 50], { noise: NOISE, contextFrames });
      const seams = pieces.slice(0, -1).reduce<number[]>((at, piece) => [...at, (at.at(-1) ?? 0) + piece.length], []);
      for (const seam of seams) expect(stepRatio(concatenate(pieces), seam)).toBeLessThan(1);
    }
  });

  it('with less context sounds earlier, and its fades keep it near the exact samples', async () => {
    const mel = wanderingMel(200);
    const whole = await vocoder.offline(mel, { noise: NOISE });
    const errors: number[] = [];
    for (const contextFrames of [2, 6, 10]) {
      const pieces = await streamed(mel, [50, 50, 50], { noise: NOISE, contextFrames });
      expect(pieces[0]?.length).toBe((50 - 5 - contextFrames - 1) * 480);
      const all = concatenate(pieces);
      errors.push(rootMeanSquare(all.map((value, i) => value - (whole[i] as number))) / rootMeanSquare(whole));
    }
    expect(errors[0]).toBeLessThan(0.1);
    expect(errors[1]).toBeLessThan(errors[0] as number);
    expect(errors[2]).toBeLessThan(2e-4);
  });

  it('sounds earlier where a piece is given less context, without a step, and is exact again behind the fade', async () => {
    const mel = wanderingMel(150);
    const whole = await vocoder.offline(mel, { noise: NOISE });
    const stream = vocoder.stream({ noise: NOISE });
    const early = await stream.push(mel.subarray(0, 20 * 80), { contextFrames: 4 });
    expect(early.length).toBe((20 - 5 - 4 - 1) * 480);
    const all = concatenate([early, await stream.push(mel.subarray(20 * 80, 21 * 80)), await stream.push(mel.subarray(21 * 80, 60 * 80)), await stream.push(mel.subarray(60 * 80), { last: true })]);
    expect(all.length).toBe(whole.length);
    expect(stepRatio(all, early.length)).toBeLessThan(1);
    // one frame is faded
    expect(largestDifference(all.subarray(early.length + 480), whole.subarray(early.length + 480))).toBeLessThan(SAME);
    expect(rootMeanSquare(all.map((value, i) => value - (whole[i] as number))) / rootMeanSquare(whole)).toBeLessThan(0.02);
  });

  it('gives nothing for no frames, and says so when the mel holds no numbers', async () => {
    expect((await vocoder.offline(new Float32Array(0), { noise: NOISE })).length).toBe(0);
    expect((await vocoder.inference(new Float32Array(0), { noise: NOISE })).samples.length).toBe(0);
    const mel = wanderingMel(30);
    mel[1000] = Number.NaN;
    await expect(vocoder.offline(mel, { noise: NOISE })).rejects.toMatchObject({ code: 'generation_failed' });
  });

  it('has the same samples for the same seed and others for another', async () => {
    const mel = wanderingMel(12);
    const once = await vocoder.offline(mel, { noise: NOISE });
    expect(await vocoder.offline(mel, { noise: NOISE })).toEqual(once);
    expect(largestDifference(await vocoder.offline(mel, { noise: { seed: 8 } }), once)).toBeGreaterThan(1e-4);
  });

  it('resamples the mel for a speed and refuses one out of range', async () => {
    const mel = wanderingMel(80);
    expect((await vocoder.offline(mel, { noise: NOISE, speed: 0.8 })).length).toBe(100 * 480);
    expect((await vocoder.offline(mel, { noise: NOISE, speed: 1.3 })).length).toBe(61 * 480);
    expect(() => vocoder.offline(mel, { noise: NOISE, speed: 3 })).toThrow(/between 0.5 and 2/);
  });
});

describe('the official way of streaming', () => {
  it('sends as many samples as the official loop and holds 3840 back', async () => {
    const mel = wanderingMel(92);
    const stream = vocoder.officialStream(NOISE);
    expect((await stream.push(mel.subarray(0, 56 * 80))).samples.length).toBe(56 * 480 - 3840);
    const last = await stream.push(mel.subarray(56 * 80), { last: true });
    expect(last.samples.length).toBe((36 + 8) * 480);
    expect(last.mel.length).toBe((36 + 8) * 80);
  });
});

/** Largest |second difference| at the seam over the largest within 10 ms of it. */
function stepRatio(samples: Float32Array, seam: number): number {
  let at = 0;
  let around = 0;
  for (let i = Math.max(1, seam - 240); i < Math.min(samples.length - 1, seam + 240); i++) {
    const bend = Math.abs((samples[i - 1] as number) - 2 * (samples[i] as number) + (samples[i + 1] as number));
    if (Math.abs(i - seam) <= 1) at = Math.max(at, bend);
    else around = Math.max(around, bend);
  }
  return at / around;
}
