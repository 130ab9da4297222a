import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createEncoder, encodeFile } from '../../../gpu-node/encode/index.ts';
import { decodePrompt, readWav } from '../../../gpu-node/voice/index.ts';
import { mediabunnyFile, opusFile, vorbisFile, wavFile } from './files.ts';
import { correlation, noise, speech } from './speech.ts';
import { processorMs } from '../../processor-time.ts';

test.each([
  ['8-bit PCM', { code: 1, bits: 8 }, (view: DataView, at: number, value: number) => view.setUint8(at, 128 + Math.round(value * 127)), 8],
  ['16-bit PCM', { code: 1, bits: 16 }, (view: DataView, at: number, value: number) => view.setInt16(at, Math.round(value * 32767), true), 16],
  ['24-bit PCM', { code: 1, bits: 24 }, (view: DataView, at: number, value: number) => { const bits = Math.round(value * 8388607); view.setUint16(at, bits & 0xffff, true); view.setInt8(at + 2, bits >> 16); }, 24],
  ['32-bit PCM', { code: 1, bits: 32 }, (view: DataView, at: number, value: number) => view.setInt32(at, Math.round(value * 2147483647), true), 24],
  ['32-bit float', { code: 3, bits: 32 }, (view: DataView, at: number, value: number) => view.setFloat32(at, value, true), 24],
  ['64-bit float', { code: 3, bits: 64 }, (view: DataView, at: number, value: number) => view.setFloat64(at, value, true), 24],
] as const)('WAV with %s is read, plain and extensible, and two channels are averaged', (_, layout, write, precision) => {
  const samples = noise(2000);
  for (const extensible of [false, true]) {
    const clip = readWav(wavFile({ ...layout, channels: 2, sampleRateHz: 22050, extensible }, samples, write));
    expect(clip).toMatchObject({ sampleRateHz: 22050, channels: 2 });
    expect(clip.samples.length).toBe(1000);
    const error = clip.samples.reduce((worst, value, i) => Math.max(worst, Math.abs(value - ((samples[2 * i] ?? 0) + (samples[2 * i + 1] ?? 0)) / 2)), 0);
    // half a step of rounding, and one because the writer multiplied by one less than a power of two
    expect(error).toBeLessThanOrEqual(1.5 * 2 ** -(precision - 1));
  }
});

test('FLAC of another encoder, stereo, comes back within a rounding step', async () => {
  const left = speech();
  const right = left.map((value, i) => 0.5 * value + 0.1 * Math.sin(i / 50));
  const clip = await decodePrompt(await mediabunnyFile('flac', [left, right], 24000));
  expect(clip).toMatchObject({ format: 'flac', sampleRateHz: 24000, channels: 2 });
  expect(clip.samples.length).toBe(left.length);
  const error = clip.samples.reduce((worst, value, i) => Math.max(worst, Math.abs(value - ((left[i] ?? 0) + (right[i] ?? 0)) / 2)), 0);
  expect(error).toBeLessThan(2 / 32768);
});

test.each([['ogg', 'ogg-opus'], ['webm', 'webm'], ['mp4', 'mp4']] as const)('Opus in %s is decoded whatever the file is called', async (container, format) => {
  const samples = speech(48000);
  const clip = await decodePrompt(await opusFile(container, samples));
  expect(clip).toMatchObject({ format, sampleRateHz: 48000 });
  expect(correlation(samples, clip.samples)).toBeGreaterThan(0.98);
  expect(Math.abs(clip.samples.length - samples.length)).toBeLessThan(1300);
});

test('Vorbis at 44.1 kHz in stereo is decoded', async () => {
  const samples = speech(44100);
  const clip = await decodePrompt(await vorbisFile([samples, samples], 44100));
  expect(clip).toMatchObject({ format: 'ogg-vorbis', sampleRateHz: 44100, channels: 2 });
  expect(correlation(samples, clip.samples)).toBeGreaterThan(0.98);
});

test('MP3 behind an ID3 tag with a picture is found', async () => {
  const mp3 = await encodeFile('mp3', speech(), { sampleRateHz: 24000 });
  const picture = noise(5000).map((value) => value * 255);
  const tag = Uint8Array.of(...new TextEncoder().encode('ID3'), 4, 0, 0, 0, 0, 5000 >> 7, 5000 & 127, ...Uint8Array.from(picture, (value) => value & 0x7f));
  const clip = await decodePrompt(new Uint8Array(Buffer.concat([tag, mp3])));
  expect(clip).toMatchObject({ format: 'mp3', sampleRateHz: 24000 });
  expect(correlation(speech(), clip.samples, 1105)).toBeGreaterThan(0.999);
});

test('AAC in MP4 is refused with what to do', async () => {
  await expect(decodePrompt(await mediabunnyFile('aac', [speech()], 24000), { ffmpeg: '' })).rejects.toMatchObject({ code: 'unsupported_format', message: expect.stringContaining('ffmpeg') });
});

test('AAC with a program that is not there is an error, not a crash', async () => {
  await expect(decodePrompt(await encodeFile('aac', speech(), { sampleRateHz: 24000 }), { ffmpeg: '/nowhere/ffmpeg' })).rejects.toMatchObject({ code: 'audio_invalid' });
});

const FFMPEG = '/usr/bin/ffmpeg';

test.skipIf(!existsSync(FFMPEG))('AAC, in MP4 and bare, is decoded by the ffmpeg that was named', async () => {
  for (const file of [await mediabunnyFile('aac', [speech()], 24000), await encodeFile('aac', speech(), { sampleRateHz: 24000 })]) {
    const clip = await decodePrompt(file, { ffmpeg: FFMPEG });
    expect(correlation(speech(), clip.samples, 1024)).toBeGreaterThan(0.99);
  }
  const long = await encodeFile('aac', noise(31 * 16000), { sampleRateHz: 16000 });
  await expect(decodePrompt(long, { ffmpeg: FFMPEG })).rejects.toMatchObject({ code: 'audio_too_long' });
});

test.each([
  ['nothing', new Uint8Array(), 'audio_invalid'],
  ['text', new TextEncoder().encode('This is not a recording. '.repeat(100)), 'audio_invalid'],
  ['random bytes', Uint8Array.from(noise(20_000), (value) => value * 127), 'audio_invalid'],
  ['a FLAC header and random bytes', Uint8Array.from([...new TextEncoder().encode('fLaC'), ...noise(20_000).map((value) => value * 127)]), 'audio_invalid'],
  ['a WAV header alone', new TextEncoder().encode('RIFF....WAVEfmt '), 'audio_invalid'],
  ['a file that is too big', new Uint8Array(25 * 2 ** 20), 'body_too_large'],
])('%s is refused', async (_, bytes, code) => {
  await expect(decodePrompt(bytes)).rejects.toMatchObject({ code, message: expect.not.stringContaining('\n') });
});

function wav(samples: Float32Array, sampleRateHz: number): Promise<Uint8Array> {
  return encodeFile('wav', samples, { sampleRateHz });
}

test('a clip that is too short, too slow in samples, or silent is told so', async () => {
  await expect(decodePrompt(await wav(speech().subarray(0, 11_000), 24000))).rejects.toMatchObject({ code: 'audio_too_short' });
  await expect(decodePrompt(await wav(speech(8000), 8000))).rejects.toMatchObject({ code: 'audio_sample_rate_too_low' });
  await expect(decodePrompt(await wav(new Float32Array(48_000), 24000))).rejects.toMatchObject({ code: 'audio_silent' });
});

test('thirty seconds are accepted, one sample more is not', async () => {
  const samples = noise(30 * 16000 + 1);
  await expect(decodePrompt(await encodeFile('wav', samples, { sampleRateHz: 16000 }))).rejects.toMatchObject({ code: 'audio_too_long' });
  expect((await decodePrompt(await encodeFile('wav', samples.subarray(1), { sampleRateHz: 16000 }))).samples.length).toBe(480_000);
});

test('every file that is cut off gives its beginning or a clear error', async () => {
  const files = [
    await encodeFile('flac', speech(), { sampleRateHz: 24000 }),
    await encodeFile('mp3', speech(), { sampleRateHz: 24000 }),
    await encodeFile('opus', speech(), { sampleRateHz: 24000 }),
    await encodeFile('webm', speech(), { sampleRateHz: 24000 }),
    await vorbisFile([speech()], 24000),
    await opusFile('mp4', speech(48000)),
  ];
  for (const file of files) {
    for (const share of [0.01, 0.6]) {
      const answer = await decodePrompt(file.subarray(0, Math.floor(share * file.length)), { minSeconds: 0 }).catch((error: unknown) => error);
      if (answer instanceof Error) expect(['audio_invalid', 'unsupported_format']).toContain((answer as { code?: string }).code);
      else expect((answer as { samples: Float32Array }).samples.length).toBeLessThan(48_000 * 1.9);
    }
  }
});

test('an hour of silence in a small FLAC is refused at the first half minute, without the memory for more', async () => {
  const encoder = await createEncoder('flac', { sampleRateHz: 48000 });
  const first = await encoder.push(new Float32Array(1152));
  const frame = first.subarray(42);
  const hour = new Uint8Array(first.length + frame.length * 150_000);
  hour.set(first);
  for (let at = first.length; at < hour.length; at += frame.length) hour.set(frame, at);
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
  const spentMs = await processorMs(() => expect(decodePrompt(hour)).rejects.toMatchObject({ code: 'audio_too_long' }));
  clearInterval(watch);
  expect(spentMs).toBeLessThan(8000);
  expect((peak - before) / 2 ** 20).toBeLessThan(200);
});

test('a header that promises an hour is believed at once', async () => {
  const file = await encodeFile('flac', speech(), { sampleRateHz: 24000 });
  new DataView(file.buffer).setUint32(22, 24000 * 3600);
  await expect(decodePrompt(file)).rejects.toMatchObject({ code: 'audio_too_long', message: expect.stringContaining('3600') });
});

test('decoding is given up at its deadline', async () => {
  const file = await encodeFile('webm', speech(), { sampleRateHz: 24000 });
  await expect(decodePrompt(file, { deadlineMs: 1 })).rejects.toMatchObject({ code: 'audio_invalid', message: expect.stringContaining('within') });
});

test('a container whose clusters are noise is refused', async () => {
  const webm = await encodeFile('webm', speech(), { sampleRateHz: 24000 });
  const file = new Uint8Array(Buffer.concat([webm.subarray(0, 400), Uint8Array.from(noise(200_000, 7), (value) => value * 127)]));
  await expect(decodePrompt(file)).rejects.toMatchObject({ code: 'audio_invalid' });
});

test('a caller that leaves ends the decoding', async () => {
  const file = await encodeFile('mp3', speech(), { sampleRateHz: 24000 });
  await expect(decodePrompt(file, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
});
