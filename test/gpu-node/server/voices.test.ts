/** The node's HTTP side for voices with the bundled voice: recordings in, prompts out, hostile prompts refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../gpu-node/engine.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { enrolledSchema, readEnvelope, writeEnvelope } from '../../../shared/contract/voice.ts';
import { SIGNATURE_HEADER, SignatureVerifier, sign } from '../../../shared/signing/index.ts';
import { readVoicePrompt, writeVoicePrompt } from '../../../shared/voice-prompt/index.ts';
import type { VoicePrompt } from '../../../shared/voice-prompt/index.ts';
import { bundledEngine, heardFrom } from '../../e2e/engine.ts';
import { WORDS, clip } from '../../edge/voices/fleet.ts';

const KEY = { id: 'k', secret: 'a-secret-that-only-this-test-knows-32+' };

// `WORDS` are not what is said in the clip: behind it a single word may be taken for said already, and stay silent
const TEXT = 'The lake is calm today.';

describe('a node', () => {
  let engine: Engine;
  let app: ReturnType<typeof nodeApp>;
  beforeAll(async () => {
    engine = await bundledEngine();
    const speechless = { run: async function* () {}, voices: () => engine.voices(), health: () => ({ status: 'ok' as const, model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' };
    app = nodeApp(speechless, new SignatureVerifier([KEY]), engine);
  });
  afterAll(() => engine.close());

  async function ask(method: string, path: string, body = new Uint8Array(), signed = true): Promise<Response> {
    const signature = await sign({ method, path, body: new Uint8Array(body) }, KEY, Date.now());
    return app.request(path, { method, headers: signed ? { [SIGNATURE_HEADER]: signature } : {}, ...(method === 'GET' ? {} : { body: new Uint8Array(body) }) });
  }
  const enrol = (audio: Uint8Array, transcript = WORDS, tenant = 'anna') => ask('POST', '/v1/voices', writeEnvelope({ tenant, transcript }, audio));
  const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const speakWith = (key: string, bytes?: Uint8Array, tenant = 'anna') => heardFrom(engine, { text: TEXT, tenant, voice: { kind: 'prompt', key, ...(bytes && { bytes: base64(bytes) }) } });

  it('makes a prompt that any node of its model can speak with, and says what it heard', async () => {
    const response = await enrol(clip());
    expect(response.status).toBe(200);
    const { value, bytes } = readEnvelope(new Uint8Array(await response.arrayBuffer()), enrolledSchema);
    expect(value).toMatchObject({ modelRevision: engine.modelRevision, report: { durationSeconds: expect.closeTo(1.9, 1), advice: expect.any(Array) } });
    const prompt = await readVoicePrompt(bytes);
    expect(prompt).toMatchObject({ transcript: WORDS, modelRevision: engine.modelRevision });
    const { samples } = await speakWith(value.key);
    await engine.forgetVoice(value.key);
    await expect(speakWith(value.key)).rejects.toMatchObject({ code: 'voice_prompt_needed' });
    expect((await speakWith(value.key, bytes)).samples).toEqual(samples);
    // and from then on without
    expect((await speakWith(value.key)).samples).toEqual(samples);
    await expect(speakWith(value.key, undefined, 'ben')).rejects.toMatchObject({ code: 'voice_not_found' });
    expect((await ask('DELETE', `/v1/voices/${value.key}`)).status).toBe(200);
    expect((await engine.stats()).acoustic.voices).not.toContain(value.key);
  });

  it('sounds the same with a clip and with the prompt that was made of it', async () => {
    const { value, bytes } = readEnvelope(new Uint8Array(await (await enrol(clip(0.9))).arrayBuffer()), enrolledSchema);
    const stored = await speakWith(value.key, bytes);
    await engine.forgetVoice(value.key);
    const direct = await heardFrom(engine, { text: TEXT, tenant: 'anna', voice: { kind: 'clip', audio: base64(clip(0.9)), transcript: WORDS } });
    expect(direct.samples).toEqual(stored.samples);
  });

  it('makes nothing for who does not sign, and of nothing that is no message of the edge', async () => {
    expect(await codeOf(await ask('POST', '/v1/voices', writeEnvelope({ tenant: 'anna', transcript: '' }, clip()), false))).toBe('signature_invalid');
    for (const body of [new Uint8Array(), new Uint8Array(3), Uint8Array.of(255, 255, 255, 255, 1), Uint8Array.of(2, 0, 0, 0, 123), new TextEncoder().encode('\x02\0\0\0{}'), writeEnvelope({ tenant: '../x', transcript: '' }, clip())]) expect(await codeOf(await ask('POST', '/v1/voices', body))).toBe('invalid_value');
    expect((await ask('DELETE', '/v1/voices/anna/v1-short')).status).toBe(400);
  });

  it('refuses a stored prompt that is not one of its own model, whatever it says', async () => {
    const { bytes } = readEnvelope(new Uint8Array(await (await enrol(clip(0.8))).arrayBuffer()), enrolledSchema);
    const prompt = await readVoicePrompt(bytes);
    const key = (digit: number) => `anna/v1-${String(digit).repeat(64)}`;
    const altered: Partial<VoicePrompt>[] = [
      { modelRevision: 'another' },
      { embedding: prompt.embedding.slice(1) },
      { embedding: prompt.embedding.map(() => NaN) },
      { mel: prompt.mel.slice(prompt.melBins) },
      { mel: prompt.mel.map(() => Infinity) },
      { flowSpeechTokens: prompt.flowSpeechTokens.map(() => -1) },
      { llmSpeechTokens: prompt.llmSpeechTokens.map(() => 1 << 30) },
      { flowSpeechTokens: new Int32Array(), mel: new Float32Array() },
      { sampleRateHz: 8000 },
    ];
    for (const [i, change] of altered.entries()) await expect(speakWith(key(i), await writeVoicePrompt({ ...prompt, ...change }))).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
    const unknown = bytes.slice();
    unknown[4] = 9;
    for (const broken of [bytes.slice(0, 40), bytes.slice(0, -1), unknown, bytes.map((byte, i) => (i === 2000 ? byte ^ 1 : byte))]) await expect(speakWith(key(9), broken)).rejects.toMatchObject({ code: 'voice_prompt_invalid' });
    expect((await engine.stats()).acoustic.voices.filter((name) => /^anna\/v1-(\d)\1{63}$/.test(name))).toEqual([]);
  });
});
