import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_VOICE_PROMPT_BYTES, readVoicePrompt, readVoicePromptHeader, uploadKey, voiceKey, writeVoicePrompt } from '../../../shared/voice-prompt/index.ts';
import { fromHalf, toHalf } from '../../../shared/voice-prompt/half.ts';
import type { VoicePrompt } from '../../../shared/voice-prompt/index.ts';

const prompt: VoicePrompt = {
  transcript: '收到好友从远方寄来的生日礼物。 “Quotes” \\ and é',
  llmSpeechTokens: Int32Array.from({ length: 47 }, (_, i) => (i * 997) % 6561),
  flowSpeechTokens: Int32Array.from({ length: 25 }, (_, i) => ((i + 22) * 997) % 6561),
  mel: Float32Array.from({ length: 50 * 80 }, (_, i) => Math.sin(i) * 11),
  melBins: 80,
  embedding: Float32Array.from({ length: 192 }, (_, i) => Math.cos(i) * 3),
  sampleRateHz: 24000,
  modelRevision: '0123abcd',
};

test('a prompt comes back as it was', async () => {
  expect(await readVoicePrompt(await writeVoicePrompt(prompt))).toEqual(prompt);
  const silent = { ...prompt, transcript: '', llmSpeechTokens: new Int32Array(), flowSpeechTokens: new Int32Array(), mel: new Float32Array() };
  expect(await readVoicePrompt(await writeVoicePrompt(silent))).toEqual(silent);
});

test('a float16 mel is half as large and at most a two-thousandth off', async () => {
  const [full, half] = [await writeVoicePrompt(prompt), await writeVoicePrompt(prompt, { mel: 'float16' })];
  expect(full.length - half.length).toBe(2 * prompt.mel.length);
  const { mel, ...rest } = await readVoicePrompt(half);
  expect({ ...rest, mel: prompt.mel }).toEqual(prompt);
  expect(mel.every((value, i) => Math.abs(value - (prompt.mel[i] ?? 0)) <= Math.abs(prompt.mel[i] ?? 0) / 2048 + 2 ** -25)).toBe(true);
});

test('the header can be read from the first bytes alone', async () => {
  const file = await writeVoicePrompt(prompt);
  expect(readVoicePromptHeader(file.subarray(0, 1000))).toMatchObject({ transcript: prompt.transcript, modelRevision: '0123abcd' });
});

test('any changed byte is noticed', async () => {
  const file = await writeVoicePrompt(prompt);
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      await expect(readVoicePrompt(changed)).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
    }),
    { numRuns: 60 },
  );
});

test('a file that is cut off, too long, foreign or random is refused', async () => {
  const file = await writeVoicePrompt(prompt);
  const longer = new Uint8Array(file.length + 1);
  longer.set(file);
  for (const bytes of [new Uint8Array(), file.subarray(0, 20), file.subarray(0, -1), longer, new TextEncoder().encode('RIFF'.repeat(100))]) {
    await expect(readVoicePrompt(bytes)).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
  }
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
    await expect(readVoicePrompt(bytes)).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
  }), { numRuns: 50 });
});

/** Sets a field and makes the hash right again: a file that someone wrote on purpose. */
async function forged(change: (view: DataView, file: Uint8Array) => void): Promise<Uint8Array> {
  const file = await writeVoicePrompt(prompt);
  change(new DataView(file.buffer), file);
  const rest = new Uint8Array(Buffer.concat([file.subarray(0, 16), file.subarray(48)]));
  file.set(new Uint8Array(await crypto.subtle.digest('SHA-256', rest)), 16);
  return file;
}

function replaceInHeader(file: Uint8Array, from: string, to: string): void {
  const at = Buffer.from(file).indexOf(from);
  expect([at > 0, to.length]).toEqual([true, from.length]);
  new TextEncoder().encodeInto(to, file.subarray(at));
}

test.each([
  ['a version of the future', (view: DataView) => view.setUint32(4, 2, true), 'version 2'],
  ['a header of four gigabytes', (view: DataView) => view.setUint32(8, 0xfffffff8, true), 'header'],
  ['a body of four gigabytes', (view: DataView) => view.setUint32(12, 0xffffffff, true), 'numbers'],
  ['an unknown field', (_: DataView, file: Uint8Array) => replaceInHeader(file, '"melBins"', '"mulBins"'), 'header'],
  ['an unknown number type', (_: DataView, file: Uint8Array) => replaceInHeader(file, '"float32"', '"float99"'), 'header'],
  ['a section outside of the body', (_: DataView, file: Uint8Array) => replaceInHeader(file, '"length":4000', '"length":9000'), 'outside'],
  ['a mel of broken frames', (_: DataView, file: Uint8Array) => replaceInHeader(file, '"length":4000', '"length":3999'), 'frames'],
  ['tokens that are fractions', (_: DataView, file: Uint8Array) => replaceInHeader(file, '"int32","offset":0', '"float32","offset"'), 'header'],
])('%s is refused even with the right hash', async (_, change, reason) => {
  await expect(readVoicePrompt(await forged(change))).rejects.toMatchObject({ code: 'voice_prompt_invalid', message: expect.stringContaining(reason) });
});

test('a prompt over the limits is not written', async () => {
  await expect(writeVoicePrompt({ ...prompt, mel: new Float32Array(MAX_VOICE_PROMPT_BYTES / 4) })).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
  await expect(writeVoicePrompt({ ...prompt, transcript: 'x'.repeat(5000) })).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
});

test('half precision equals the machine’s own for every value', () => {
  const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
  expect(fromHalf(every)).toEqual(Float32Array.from(new Float16Array(every.buffer)));
  fc.assert(
    fc.property(fc.float({ noDefaultInfinity: false }), (value) => {
      const bits = new Uint16Array(Float16Array.of(value).buffer);
      if (!Number.isNaN(value)) expect(toHalf(Float32Array.of(value))).toEqual(bits);
    }),
    { numRuns: 3000, examples: [[65504], [65519.996], [65520], [2 ** -14], [2 ** -25], [2 ** -25 * 1.0001], [1 - 2 ** -12]].map(([value = 0]) => [Math.fround(value)]) },
  );
  expect(Number.isNaN(fromHalf(toHalf(Float32Array.of(NaN)))[0])).toBe(true);
});

const identity = { tenant: 'acme', modelRevision: 'r1', transcript: 'Hello.' };
const audio = { samples: Float32Array.of(0.1, 0.2, 0.3), sampleRateHz: 24000 };

test('a key changes with everything that makes the voice, and with nothing else', async () => {
  const key = await voiceKey(identity, audio);
  expect(key).toMatch(/^acme\/v1-[0-9a-f]{64}$/);
  expect(await voiceKey({ ...identity, transcript: ' Hello. ' }, { ...audio, samples: audio.samples.slice() })).toBe(key);
  const others = await Promise.all([
    voiceKey({ ...identity, tenant: 'other' }, audio),
    voiceKey({ ...identity, modelRevision: 'r2' }, audio),
    voiceKey({ ...identity, transcript: 'Hello' }, audio),
    voiceKey(identity, { ...audio, sampleRateHz: 16000 }),
    voiceKey(identity, { ...audio, samples: Float32Array.of(0.1, 0.2, 0.30001) }),
    uploadKey(identity, new Uint8Array(audio.samples.buffer)),
    // the border between two fields cannot be moved
    voiceKey({ ...identity, modelRevision: 'r1H', transcript: 'ello.' }, audio),
  ]);
  expect(new Set([key, ...others.map((other) => other.replace('other/', 'acme/'))]).size).toBe(8);
});

test('composed and decomposed accents are the same transcript', async () => {
  expect(await uploadKey({ ...identity, transcript: 'caf\u00e9' }, new Uint8Array(3))).toBe(await uploadKey({ ...identity, transcript: 'cafe\u0301' }, new Uint8Array(3)));
});

test.each(['', 'a/b', '..', 'x'.repeat(65), 'a b'])('the tenant "%s" is refused', async (tenant) => {
  await expect(voiceKey({ ...identity, tenant }, audio)).rejects.toMatchObject({ code: 'invalid_value', param: 'tenant' });
});
