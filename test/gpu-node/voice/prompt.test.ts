import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { features, kaldiFilters, slaneyFilters } from '../../../gpu-node/graphs/features.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { makeVoicePrompt, melFrames, openVoiceSessions, speechTokens, whisperFrames } from '../../../gpu-node/voice/index.ts';
import type { VoiceSessions } from '../../../gpu-node/voice/index.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { noise, speech } from './speech.ts';

const directory = mkdtempSync(join(tmpdir(), 'voice-'));
let checkpoint: Checkpoint;
let sessions: VoiceSessions;

beforeAll(async () => {
  checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: directory });
  features.write(checkpoint, directory, 'fp32');
  sessions = await openVoiceSessions({ checkpoint, featuresDirectory: directory, open: graphOpener({ device: 'cpu', threads: 1 }) });
});

afterAll(async () => {
  await sessions.release();
  checkpoint.close();
  rmSync(directory, { recursive: true });
});

test('the flow has whole blocks and their look-ahead, and ends where the language model ends', async () => {
  const clip = { samples: new Float32Array([...speech(), ...speech(), ...speech()]), sampleRateHz: 24000 };
  const official = await makeVoicePrompt({ ...clip, transcript: 'Hello.', sessions, wholeBlocks: false });
  const prompt = await makeVoicePrompt({ ...clip, transcript: 'Hello.', sessions });
  expect(official.llmSpeechTokens.length).toBe(142);
  expect(official.flowSpeechTokens).toEqual(official.llmSpeechTokens);
  expect(prompt.llmSpeechTokens).toEqual(official.llmSpeechTokens);
  expect(prompt.flowSpeechTokens).toEqual(official.llmSpeechTokens.subarray(14));
  expect(prompt.flowSpeechTokens.length).toBe(5 * sessions.blockTokens + sessions.lookaheadTokens);
  expect(prompt.mel).toEqual(official.mel.subarray(2 * 14 * 80));
  expect(prompt).toMatchObject({ transcript: 'Hello.', melBins: 80, sampleRateHz: 24000, modelRevision: checkpoint.hash });
  expect(prompt.embedding).toEqual(official.embedding);
});

test('a clip shorter than a block is kept as it is', async () => {
  const prompt = await makeVoicePrompt({ samples: speech(16000).subarray(0, 12_000), sampleRateHz: 16000, transcript: '', sessions });
  expect(prompt.flowSpeechTokens.length).toBe(18);
  expect(prompt.mel.length).toBe(36 * 80);
});

function make(count: number, sampleRateHz: number): Promise<unknown> {
  return makeVoicePrompt({ samples: new Float32Array(count), sampleRateHz, transcript: '', sessions });
}

test('clips that cannot be a prompt are refused before any work', async () => {
  await expect(make(48_000, 15_999)).rejects.toMatchObject({ code: 'audio_sample_rate_too_low' });
  await expect(make(7_999, 16_000)).rejects.toMatchObject({ code: 'audio_too_short' });
  await expect(make(48_000 * 3600, 48_000)).rejects.toMatchObject({ code: 'audio_too_long' });
});

test('the source of a conversion has a token for every 40 ms', async () => {
  expect((await speechTokens(sessions, { samples: speech(48000), sampleRateHz: 48000 })).length).toBe(48);
});

/** Power of one frame by the definition of the Fourier sum, in double. */
function plainPower(frame: Float64Array, nFft: number): Float64Array {
  return Float64Array.from({ length: nFft / 2 + 1 }, (_, bin) => {
    let [re, im] = [0, 0];
    frame.forEach((value, n) => {
      re += value * Math.cos((2 * Math.PI * ((bin * n) % nFft)) / nFft);
      im -= value * Math.sin((2 * Math.PI * ((bin * n) % nFft)) / nFft);
    });
    return re * re + im * im;
  });
}

function filtered(filters: Float32Array | Float64Array, power: Float64Array, bands: number): number[] {
  const columns = filters.length / bands;
  return Array.from({ length: bands }, (_, band) => {
    let sum = 0;
    for (let bin = 0; bin < columns; bin++) sum += (filters[band * columns + bin] ?? 0) * (power[bin] ?? 0);
    return sum;
  });
}

function reflected(samples: Float32Array, index: number): number {
  const last = samples.length - 1;
  return samples[index < 0 ? -index : index > last ? 2 * last - index : index] ?? 0;
}

const periodicHann = (n: number, size: number): number => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size);

function close(actual: ArrayLike<number>, expected: readonly number[]): void {
  expected.forEach((value, i) => expect(Math.abs((actual[i] ?? NaN) - value)).toBeLessThan(2e-4));
}

test.each([0, 3, 11])('frame %i of each graph equals the plain formula', async (frame) => {
  const samples = noise(12 * 480 + 100, 5).map((value, i) => value * Math.sin(i / 700));
  const mel = await melFrames(sessions, samples);
  const melFrame = Float64Array.from({ length: 1920 }, (_, n) => periodicHann(n, 1920) * reflected(samples, frame * 480 + n - 720));
  const magnitude = plainPower(melFrame, 1920).map((power) => Math.sqrt(power + 1e-9));
  const melFilters = slaneyFilters({ sampleRateHz: 24000, nFft: 1920, bands: 80, fMinHz: 0, fMaxHz: 8000 });
  close(mel.subarray(frame * 80, (frame + 1) * 80), filtered(melFilters, magnitude, 80).map((value) => Math.log(Math.max(value, 1e-5))));

  const whisper = await whisperFrames(sessions, samples);
  const whisperFilters = slaneyFilters({ sampleRateHz: 16000, nFft: 400, bands: 128, fMinHz: 0, fMaxHz: 8000 });
  const count = whisper.dims[2] ?? 0;
  const log10 = (at: number): number[] => {
    const windowed = Float64Array.from({ length: 400 }, (_, n) => periodicHann(n, 400) * reflected(samples, at * 160 + n - 200));
    return filtered(whisperFilters, plainPower(windowed, 400), 128).map((value) => Math.log10(Math.max(value, 1e-10)));
  };
  const top = Array.from({ length: count }, (_, at) => Math.max(...log10(at))).reduce((a, b) => Math.max(a, b));
  const column = Array.from({ length: 128 }, (_, band) => Number(whisper.data[band * count + frame]));
  close(column, log10(frame).map((value) => (Math.max(value, top - 8) + 4) / 4));

  const { log = assert.fail() } = await sessions.fbank.run({ samples: { type: 'float32', dims: [1, samples.length], data: samples } }, ['log']);
  const cut = samples.slice(frame * 160, frame * 160 + 400);
  const mean = cut.reduce((sum, value) => sum + value, 0) / 400;
  const centred = Float64Array.from(cut, (value) => value - mean);
  const povey = centred.map((value, n) => (value - 0.97 * (centred[Math.max(0, n - 1)] ?? 0)) * (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / 399)) ** 0.85);
  close((log.data as Float32Array).subarray(frame * 80, (frame + 1) * 80), filtered(kaldiFilters(), plainPower(povey, 512).subarray(0, 256), 80).map((value) => Math.log(Math.max(value, 2 ** -23))));
});
