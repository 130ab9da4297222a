import { expect, test } from 'vitest';
import { assessPrompt, requireUsable, resample } from '../../../gpu-node/voice/index.ts';
import { noise, speech } from './speech.ts';

const TRANSCRIPT = '收到朋友寄来的';

function assess(samples: Float32Array, transcript = TRANSCRIPT): ReturnType<typeof assessPrompt> & { codes: string[] } {
  const report = assessPrompt({ samples, sampleRateHz: 24000 }, transcript);
  return { ...report, codes: report.advice.map(({ code }) => code) };
}

function repeated(samples: Float32Array, times: number): Float32Array {
  const out = new Float32Array(samples.length * times);
  for (let i = 0; i < times; i++) out.set(samples, i * samples.length);
  return out;
}

test('clean speech of good length has nothing to be said against it', () => {
  const report = assess(repeated(speech(), 4), TRANSCRIPT.repeat(4));
  expect(report).toMatchObject({ advice: [], refusal: undefined, durationSeconds: 7.6 });
  expect(report.speechShare).toBeGreaterThan(0.8);
  expect(report.snrDb).toBeGreaterThan(40);
  expect(report.bandwidthHz).toBeGreaterThan(10_000);
  expect(report.pace).toBeGreaterThan(0.6);
  expect(report.pace).toBeLessThan(1.4);
  expect(() => requireUsable(report)).not.toThrow();
});

test.each([30, 20, 10])('noise %i dB below the voice is measured within 3 dB', (db) => {
  const clean = speech();
  const level = Math.sqrt((3 * clean.reduce((sum, value) => sum + value * value, 0)) / clean.length) * 10 ** (-db / 20);
  const hiss = noise(clean.length);
  const { snrDb, codes } = assess(clean.map((value, i) => value + level * (hiss[i] ?? 0)));
  expect(Math.abs(snrDb - db)).toBeLessThan(3);
  expect(codes.includes('noisy')).toBe(db < 20);
});

test.each([
  ['short', speech()],
  ['long', repeated(speech(), 9)],
  ['clipped', speech().map((value) => Math.max(-0.3, Math.min(0.3, value)))],
  ['clipped', speech().map((value) => Math.max(-1, Math.min(1, 4 * value)))],
  ['quiet', speech().map((value) => value / 50)],
  ['narrow', resample(speech(8000), 8000, 24000)],
  ['pauses', new Float32Array([...speech(), ...new Float32Array(48_000)])],
])('%s recordings are noticed', (code, samples) => {
  expect(assess(samples).codes).toContain(code);
});

test('advice about level and clipping is not given without cause', () => {
  const tone = Float32Array.from({ length: 48_000 }, (_, i) => 0.9 * Math.sin(i / 40));
  expect(assess(tone).clippedShare).toBe(0);
  expect(assess(speech()).clippedShare).toBe(0);
});

test.each([
  ['noise alone', noise(72_000).map((value) => value / 4), TRANSCRIPT, 'background'],
  ['a click in silence', Float32Array.from({ length: 72_000 }, (_, i) => (i === 40_000 ? 0.9 : 0)), TRANSCRIPT, 'speech'],
  ['another, longer transcript', speech(), 'A quick brown fox jumps over the lazy dog. '.repeat(5), 'too long'],
  ['another, shorter transcript', repeated(speech(), 4), 'Yes', 'too short'],
])('%s is refused', (_, samples, transcript, reason) => {
  const report = assess(samples, transcript);
  expect(report.refusal).toContain(reason);
  expect(() => requireUsable(report)).toThrowError(expect.objectContaining({ code: 'audio_unsuitable' }));
});

test.each([
  ['好好学习天天向上', 8],
  ['こんにちは', 5],
  ['안녕하세요', 5],
  ['Hello, world!', 10],
  ['café', 4],
  ['<strong>Hi</strong> [laughter]', 2],
])('the pace of %s counts %i characters', (transcript, count) => {
  const { charactersPerSecond, speechSeconds } = assess(speech(), transcript);
  expect(Math.round(charactersPerSecond * speechSeconds)).toBe(count);
});

test('nothing at all is refused, not divided by', () => {
  const report = assess(new Float32Array());
  expect(report.refusal).toBeDefined();
  expect(Object.values(report).some((value) => typeof value === 'number' && !Number.isFinite(value))).toBe(false);
});
