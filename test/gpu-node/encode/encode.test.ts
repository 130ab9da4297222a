import { expect, test } from 'vitest';
import { createEncoder, encodeFile } from '../../../gpu-node/encode/index.ts';
import { oggPayload } from '../../../gpu-node/voice/flac.ts';
import { decodePrompt, readWav } from '../../../gpu-node/voice/index.ts';
import { AUDIO_FORMATS } from '../../../shared/limits/index.ts';
import type { AudioFormat } from '../../../shared/limits/index.ts';
import { correlation, speech } from '../voice/speech.ts';

async function stream(format: AudioFormat, samples: Float32Array, { sampleRateHz = 24000, piece = 2400 } = {}): Promise<{ pieces: Uint8Array[]; bytes: Uint8Array; contentType: string }> {
  const encoder = await createEncoder(format, { sampleRateHz });
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < samples.length; at += piece) pieces.push(await encoder.push(samples.subarray(at, at + piece)));
  pieces.push(await encoder.end());
  return { pieces, bytes: new Uint8Array(Buffer.concat(pieces)), contentType: encoder.contentType };
}

function pcm(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
}

test.each(['wav', 'flac'] as const)('%s comes back sample for sample, streamed and as a file', async (format) => {
  const samples = speech();
  for (const bytes of [(await stream(format, samples)).bytes, await encodeFile(format, samples, { sampleRateHz: 24000 })]) {
    const clip = await decodePrompt(bytes);
    expect(clip.sampleRateHz).toBe(24000);
    expect(pcm(clip.samples)).toEqual(pcm(samples));
  }
});

test.each([
  ['opus', 24000, 0, 0.99],
  ['webm', 48000, 0, 0.99],
  ['opus', 16000, 0, 0.98],
  ['mp3', 24000, 1105, 0.999],
  ['mp3', 44100, 1105, 0.999],
] as const)('%s at %i Hz sounds like its input and starts where it should', async (format, sampleRateHz, delay, likeness) => {
  const samples = speech(sampleRateHz);
  const clip = await decodePrompt((await stream(format, samples, { sampleRateHz })).bytes);
  const original = speech(clip.sampleRateHz);
  expect(correlation(original, clip.samples, delay)).toBeGreaterThan(likeness);
  // Ogg and WebM state where the sound ends; MP3 is padded to its frames
  if (format !== 'mp3') expect(clip.samples.length).toBe(original.length);
});

test('AAC is a row of whole ADTS frames that cover the sound', async () => {
  const { bytes } = await stream('aac', speech());
  let frames = 0;
  for (let at = 0; at < bytes.length; frames++) {
    expect([bytes[at], (bytes[at + 1] ?? 0) & 0xf6]).toEqual([0xff, 0xf0]);
    at += (((bytes[at + 3] ?? 0) & 3) << 11) | ((bytes[at + 4] ?? 0) << 3) | ((bytes[at + 5] ?? 0) >> 5);
    expect(at).toBeLessThanOrEqual(bytes.length);
  }
  expect(frames * 1024).toBeGreaterThanOrEqual(speech().length);
});

test.each(['pcm', 'wav', 'flac', 'mulaw', 'alaw', 'opus', 'webm', 'mp3'] as const)('%s gives bytes for every tenth of a second, from the first', async (format) => {
  const { pieces } = await stream(format, speech());
  expect(pieces.slice(0, -1).filter(({ length }) => length === 0)).toEqual([]);
});

test.each(['pcm', 'wav', 'flac', 'mulaw', 'alaw', 'opus', 'mp3'] as const)('%s is the same file however the sound was cut', async (format) => {
  for (const [count, piece] of [[3000, 1], [40_000, 997], [40_000, 2400]] as const) {
    const samples = speech().subarray(5000, 5000 + count);
    const { bytes } = await stream(format, samples, { piece });
    const expected = (await stream(format, samples, { piece: count })).bytes;
    // pages of Ogg follow the pieces: what they hold is compared
    if (format === 'opus') expect(Buffer.compare(oggPayload(bytes), oggPayload(expected))).toBe(0);
    else expect(Buffer.compare(bytes, expected)).toBe(0);
  }
});

test.each(['opus', 'webm', 'flac', 'mp3'] as const)('%s of the same sound is the same file each time', async (format) => {
  expect(Buffer.compare((await stream(format, speech())).bytes, (await stream(format, speech())).bytes)).toBe(0);
});

test('µ-law and A-law keep every 16-bit value within half a step', async () => {
  const every = Float32Array.from({ length: 65536 }, (_, i) => (i - 32768) / 32768);
  for (const [format, code] of [['mulaw', 7], ['alaw', 6]] as const) {
    const { bytes } = await stream(format, every);
    const wav = new Uint8Array(44 + bytes.length);
    wav.set(await encodeFile('wav', new Float32Array(), { sampleRateHz: 24000 }));
    const view = new DataView(wav.buffer);
    view.setUint16(20, code, true);
    view.setUint16(34, 8, true);
    view.setUint32(40, bytes.length, true);
    wav.set(bytes, 44);
    const decoded = readWav(wav).samples;
    const wrong = decoded.findIndex((value, i) => {
      const size = Math.abs((every[i] ?? 0) * 32768);
      const step = format === 'mulaw' ? 2 ** Math.max(3, Math.floor(Math.log2(Math.min(32635, size) + 132)) - 4) : 2 ** Math.max(4, Math.floor(Math.log2(Math.max(1, size))) - 4);
      return Math.abs(value - (every[i] ?? 0)) * 32768 > step / 2 + (size > 32635 ? 133 : 1);
    });
    expect(wrong).toBe(-1);
  }
});

test('too loud a sound saturates and NaN is silent, in every format', async () => {
  const samples = Float32Array.of(0, 2, -2, Infinity, -Infinity, NaN, 1, -1);
  expect(new Int16Array((await stream('pcm', samples)).bytes.buffer)).toEqual(Int16Array.of(0, 32767, -32768, 32767, -32768, 0, 32767, -32768));
  const loud = speech().map((value, i) => (i === 7000 ? NaN : value * 3));
  const saturated = loud.map((value) => Math.max(-1, Math.min(1, value || 0)));
  for (const [format, delay] of [['flac', 0], ['mp3', 1105]] as const) {
    const clip = await decodePrompt((await stream(format, loud)).bytes);
    expect(correlation(saturated, clip.samples, delay)).toBeGreaterThan(0.99);
  }
});

function sizes(wav: Uint8Array): number[] {
  return [4, 40].map((at) => new DataView(wav.buffer, wav.byteOffset).getUint32(at, true));
}

test('a streamed WAV has open sizes, a file exact ones', async () => {
  expect(sizes((await stream('wav', speech())).bytes)).toEqual([0xffffffff, 0xffffffff]);
  expect(sizes(await encodeFile('wav', new Float32Array(1000), { sampleRateHz: 24000 }))).toEqual([2036, 2000]);
});

test.each(AUDIO_FORMATS)('%s of no sound is a stream that ends', async (format) => {
  const { bytes } = await stream(format, new Float32Array());
  expect(bytes.length).toBeLessThan(1000);
});

test('a rate that a format cannot carry is refused by name', async () => {
  await expect(createEncoder('opus', { sampleRateHz: 44100 })).rejects.toMatchObject({ code: 'unsupported_format', message: expect.stringContaining('8000, 12000, 16000, 24000, 48000') });
});

test('AAC streams are limited, and one that is closed makes room', async () => {
  const open = await Promise.all(Array.from({ length: 16 }, () => createEncoder('aac', { sampleRateHz: 24000 })));
  await expect(createEncoder('aac', { sampleRateHz: 24000 })).rejects.toMatchObject({ code: 'overloaded' });
  open[0]?.close();
  open[0]?.close();
  const again = await createEncoder('aac', { sampleRateHz: 24000 });
  for (const encoder of [...open, again]) encoder.close();
  await (await createEncoder('aac', { sampleRateHz: 24000 })).end();
});
