/** Voices from upload to sound and back to nothing: the real Worker, its real stores, a real node. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STATEMENT, WORDS, clip, startEdge, startNode, wav } from './fleet.ts';
import type { Client, Edge, Node } from './fleet.ts';

describe('voices', () => {
  let node: Node;
  let edge: Edge;
  let anna: Client;
  let ben: Client;
  beforeAll(async () => {
    node = await startNode();
    edge = await startEdge(node.url, { bindings: { OUTSIDE_LOOPBACK: 'allow' } });
    anna = await edge.tenant('anna');
    ben = await edge.tenant('ben');
  });
  afterAll(async () => {
    await edge.close();
    await node.close();
  });

  const create = (client: Client, fields: Readonly<Record<string, string | Uint8Array>> = {}) => client.upload('/v1/audio/voices', { name: 'Mine', audio_sample: clip(), ref_text: WORDS, consent_statement: STATEMENT, ...fields });
  const lastVoice = () => node.jobs.at(-1)?.voice;

  it('are made from an upload, say how good it was, and speak', async () => {
    const { status, body } = await create(anna, { type: 'audio_sample', language: 'zh-CN', description: 'as I was' });
    expect(status, JSON.stringify(body)).toBe(201);
    expect(body).toMatchObject({ object: 'audio.voice', name: 'Mine', type: 'audio_sample', language: 'zh-CN', description: 'as I was', recording_kept: true, consent: expect.stringMatching(/^cons_/), quality: { verdict: expect.any(String), durationSeconds: expect.closeTo(1.9, 1) } });
    const spoken = await anna.speak({ voice: body.id });
    expect(spoken.status).toBe(200);
    expect(spoken.sound.length).toBeGreaterThan(10_000);
    expect(lastVoice()).toEqual({ kind: 'prompt', key: expect.stringMatching(/^anna\/v1-[0-9a-f]{64}$/) });
    // by the name its owner gave it, too
    expect((await anna.speak({ voice: 'Mine' })).sound).toEqual(spoken.sound);
    expect((await anna.ask('GET', `/v1/audio/voices/${body.id}`)).body).toEqual(body);
  });

  it('cost the node nothing when the clip was uploaded before, however it is sent', async () => {
    const before = node.made.count;
    const again = await anna.ask('POST', '/v1/audio/voices', { name: 'Again', audio: Buffer.from(clip()).toString('base64'), transcript: WORDS, consent_statement: STATEMENT });
    expect(again.status).toBe(201);
    expect(node.made.count).toBe(before);
  });

  it('are computed by the node once for twenty uploads of one clip at the same time', async () => {
    const before = node.made.count;
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => create(anna, { name: `Crowd ${i}`, audio_sample: clip(0.9) })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(20);
    expect(node.made.count).toBe(before + 1);
  });

  it('need the consent of the speaker', async () => {
    const none = await anna.upload('/v1/audio/voices', { name: 'No', audio_sample: clip() });
    expect([none.status, none.body.error.code]).toEqual([422, 'consent_required']);
    expect((await create(anna, { consent_statement: 'yes' })).status).toBe(422);
    expect((await create(anna, { consent: 'cons_unknown' })).status).toBe(404);
    const consent = await anna.upload('/v1/audio/voice_consents', { name: 'Anna', language: 'en', recording: clip() });
    expect(consent).toMatchObject({ status: 201, body: { object: 'audio.voice_consent', kind: 'recording', language: 'en' } });
    // of another tenant: as if it were not there
    expect((await create(ben, { consent: consent.body.id })).status).toBe(404);
    const voice = await create(anna, { consent: consent.body.id });
    expect(voice).toMatchObject({ status: 201, body: { consent: consent.body.id } });
    expect((await anna.ask('DELETE', `/v1/audio/voice_consents/${consent.body.id}`)).body.error.code).toBe('consent_in_use');
    await anna.ask('DELETE', `/v1/audio/voices/${voice.body.id}`);
    expect((await anna.ask('POST', `/v1/audio/voice_consents/${consent.body.id}`, { name: 'Anna M.' })).body).toMatchObject({ name: 'Anna M.' });
    expect((await anna.ask('DELETE', `/v1/audio/voice_consents/${consent.body.id}`)).body).toEqual({ id: consent.body.id, object: 'audio.voice_consent.deleted', deleted: true });
    expect((await anna.ask('GET', `/v1/audio/voice_consents/${consent.body.id}`)).status).toBe(404);
    const { body } = await anna.ask('GET', '/v1/audit?limit=100');
    const lines = (body['data'] as { what: string; subject: string }[]).filter(({ subject }) => subject === consent.body.id || subject === voice.body.id).map(({ what }) => what);
    expect(lines.toSorted()).toEqual(['consent.deleted', 'consent.given', 'voice.created', 'voice.deleted']);
  });

  it('pass every consent once when they are listed by cursor', async () => {
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.push((await ben.ask('POST', '/v1/audio/voice_consents', { name: `c${i}`, statement: STATEMENT })).body.id);
    const seen: string[] = [];
    for (let after = ''; ; ) {
      const { body } = await ben.ask('GET', `/v1/audio/voice_consents?limit=2${after && `&after=${after}`}`);
      const data = body['data'] as { id: string }[];
      seen.push(...data.map(({ id }) => id));
      after = data.at(-1)?.id ?? after;
      if (!body['has_more']) break;
    }
    expect(seen).toEqual(made.toReversed());
  });

  it('are their tenant’s alone, and equal clips of two tenants are two prompts', async () => {
    const { body } = await create(anna);
    for (const [method, change] of [['GET'], ['PATCH', { name: 'Theirs' }], ['DELETE']] as const) expect((await ben.ask(method, `/v1/audio/voices/${body.id}`, change)).status).toBe(404);
    expect((await ben.speak({ voice: body.id })).body.error.code).toBe('voice_not_found');
    expect((await ben.speak({ voice: 'Mine' })).body.error.code).toBe('voice_not_found');
    const before = node.made.count;
    const theirs = await create(ben);
    expect(theirs.status).toBe(201);
    expect(node.made.count).toBe(before + 1);
    await ben.speak({ voice: theirs.body.id });
    expect(lastVoice()).toMatchObject({ key: expect.stringMatching(/^ben\//) });
  });

  it('reach a node that does not hold them', async () => {
    const { body } = await create(anna);
    const { sound } = await anna.speak({ voice: body.id });
    const voice = lastVoice();
    if (voice?.kind !== 'prompt') throw new Error('a cloned voice is spoken by key');
    await node.engine.forgetVoice(voice.key);
    const before = node.made.count;
    const again = await anna.speak({ voice: body.id });
    expect(again.sound).toEqual(sound);
    expect(lastVoice()).toMatchObject({ key: voice.key, bytes: expect.any(String) });
    expect(node.made.count).toBe(before);
  });

  it('of one request are computed once, and cost nothing the second time', async () => {
    const before = node.made.count;
    const reference = { audio: `data:audio/wav;base64,${Buffer.from(clip(0.8)).toString('base64')}`, text: WORDS };
    const [first, second] = await Promise.all([anna.speak({ reference }), anna.speak({ reference })]);
    expect(first.status, JSON.stringify(first.body)).toBe(200);
    expect(second.sound).toEqual(first.sound);
    expect(node.made.count).toBe(before + 1);
    expect((await anna.speak({ reference })).sound).toEqual(first.sound);
    expect(node.made.count).toBe(before + 1);
  });

  it('of one request leave a line in the audit when they are made', async () => {
    await ben.speak({ reference: { audio: Buffer.from(clip(0.65)).toString('base64'), text: WORDS } });
    const voice = lastVoice();
    if (voice?.kind !== 'prompt') throw new Error('a clip is spoken by key');
    const { body } = await ben.ask('GET', '/v1/audit?limit=100');
    expect((body['data'] as { what: string; subject: string }[]).filter(({ subject }) => subject === voice.key).map(({ what }) => what)).toEqual(['voice.created']);
  });

  it('are renamed, and made anew with other words', async () => {
    const { body } = await create(ben, { name: 'Draft', audio_sample: clip(0.7), ref_text: '收到好友从远方' });
    expect((await ben.ask('PATCH', `/v1/audio/voices/${body.id}`, { name: 'Final', language: 'zh' })).body).toMatchObject({ id: body.id, name: 'Final', language: 'zh' });
    expect((await ben.speak({ voice: 'Draft' })).status).toBe(404);
    await ben.speak({ voice: body.id });
    const old = lastVoice();
    const changed = await ben.ask('PATCH', `/v1/audio/voices/${body.id}`, { ref_text: WORDS });
    expect(changed, JSON.stringify(changed.body)).toMatchObject({ status: 200, body: { name: 'Final' } });
    expect((await ben.speak({ voice: 'Final' })).status).toBe(200);
    expect(lastVoice()).not.toEqual(old);
    expect((await ben.ask('PATCH', `/v1/audio/voices/${body.id}`, { name: 'alloy' })).status).toBe(400);
  });

  it('are gone everywhere when they are deleted', async () => {
    const { body } = await create(anna, { audio_sample: clip(0.6) });
    await anna.speak({ voice: body.id, cache: true });
    const voice = lastVoice();
    if (voice?.kind !== 'prompt') throw new Error('a cloned voice is spoken by key');
    expect((await node.engine.stats()).acoustic.voices).toContain(voice.key);
    expect((await anna.ask('DELETE', `/v1/audio/voices/${body.id}`)).body).toEqual({ id: body.id, object: 'audio.voice.deleted', deleted: true });
    expect((await node.engine.stats()).acoustic.voices).not.toContain(voice.key);
    expect((await anna.ask('DELETE', `/v1/audio/voices/${body.id}`)).status).toBe(404);
    expect((await anna.ask('GET', `/v1/audio/voices/${body.id}`)).status).toBe(404);
    expect((await anna.speak({ voice: body.id, cache: true })).body.error.code).toBe('voice_not_found');
    // and the clip is unknown: a node computes it again
    const before = node.made.count;
    await anna.speak({ reference: { audio: Buffer.from(clip(0.6)).toString('base64'), text: WORDS } });
    expect(node.made.count).toBe(before + 1);
  });

  it('stay when another voice of the tenant has the same prompt', async () => {
    const [one, two] = [await create(anna, { name: 'One', audio_sample: clip(0.5) }), await create(anna, { name: 'Two', audio_sample: clip(0.5) })];
    const { sound } = await anna.speak({ voice: two.body.id });
    await anna.ask('DELETE', `/v1/audio/voices/${one.body.id}`);
    expect((await anna.speak({ voice: two.body.id })).sound).toEqual(sound);
  });

  it('of other services are the nearest speakers here, and say so when they are not near', async () => {
    for (const [alias, name] of [['中文女', 'zf_xiaoxiao'], ['中文男', 'zm_yunyang'], ['英文女', 'af_heart'], ['英文男', 'am_michael'], ['alloy', 'af_heart'], ['onyx', 'am_michael'], ['FunAudioLLM/CosyVoice2-0.5B:alex', 'zm_yunyang'], ['FunAudioLLM/CosyVoice2-0.5B:anna', 'zf_xiaoxiao']] as const) {
      const { status, headers } = await anna.speak({ voice: alias, input: 'Yes.' });
      expect([status, lastVoice(), headers.get('x-warnings')]).toEqual([200, { kind: 'preset', name }, null]);
    }
    const far = await anna.speak({ voice: '日语男', input: 'Yes.' });
    expect(lastVoice()).toEqual({ kind: 'preset', name: 'am_michael' });
    expect(far.headers.get('x-warnings')).toContain('language (ja)');
  });

  it('are listed behind the speakers of the model, for OpenAI’s clients and for older ones', async () => {
    const { body } = await anna.ask('GET', '/v1/audio/voices?limit=3');
    expect((body['data'] as { id: string }[]).map(({ id }) => id)).toEqual(['af_heart', 'am_michael', 'zf_xiaoxiao']);
    expect(body['has_more']).toBe(true);
    const next = await anna.ask('GET', `/v1/audio/voices?limit=2&after=${String(body['last_id'])}`);
    expect(next.body['voices']).toEqual([{ id: 'zm_yunyang', name: 'zm_yunyang' }, { id: expect.stringMatching(/^voice_/), name: expect.any(String) }]);
    expect((await anna.ask('GET', '/v1/audio/voices/af_heart')).body).toMatchObject({ id: 'af_heart', type: 'preset', language: 'en' });
    expect((await anna.ask('GET', '/v1/audio/voices?type=audio_sample&after=voice_0')).body).toMatchObject({ data: [], has_more: false });
  });

  it('may come from an address, which must be one of the public internet or allowed', async () => {
    const server = createServer((_, response) => response.end(clip(0.4))).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const ask = (audio_url: string) => anna.ask('POST', '/v1/audio/voices', { name: 'By address', audio_url, ref_text: WORDS, consent_statement: STATEMENT });
    expect((await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}/clip.wav`)).status).toBe(201);
    expect((await ask('https://169.254.169.254/clip.wav')).body.error.code).toBe('url_refused');
    server.closeAllConnections();
    server.close();
  });

  it('of a tenant in the EU speak by nodes of the EU, and by consent alone where the operator says so', async () => {
    const eu = await startEdge(`eu=${node.url}`, { bindings: { REFERENCE_CONSENT: 'required' } });
    try {
      const clara = await eu.tenant('clara', 'eu');
      const { status, body } = await create(clara);
      expect(status, JSON.stringify(body)).toBe(201);
      expect((await clara.speak({ voice: body.id })).status).toBe(200);
      const reference = { audio: Buffer.from(clip(0.8)).toString('base64'), text: WORDS };
      expect((await clara.speak({ reference })).body.error.code).toBe('consent_required');
      expect((await clara.speak({ reference: { ...reference, consent: 'cons_unknown' } })).status).toBe(404);
      expect((await clara.speak({ reference: { ...reference, consent: body['consent'] } })).status).toBe(200);
    } finally {
      await eu.close();
    }
  });

  describe('are refused with one clear line for', () => {
    it.each([
      ['silence', () => wav(new Float32Array(72_000)), 'audio_silent'],
      ['half a breath', () => wav(new Float32Array(2400).fill(0.1)), 'audio_too_short'],
      ['a minute of sound', () => wav(Float32Array.from({ length: 24_000 * 60 }, (_, i) => Math.sin(i / 9) / 2)), 'audio_too_long'],
      ['the telephone', () => wav(new Float32Array(16_000).fill(0.2), 8000), 'audio_sample_rate_too_low'],
      ['a tone', () => wav(Float32Array.from({ length: 72_000 }, (_, i) => Math.sin(i / 9) / 2)), 'audio_unsuitable'],
      ['a text', () => new TextEncoder().encode('this is no sound'.repeat(50)), 'audio_invalid'],
      ['nothing', () => new Uint8Array(), 'audio_invalid'],
    ])('%s', async (_, make, code) => {
      const { status, body } = await create(anna, { audio_sample: make() });
      expect([status, body.error?.code]).toEqual([400, code]);
      expect(body.error.message.split('\n')).toHaveLength(1);
    });

    it('words that cannot have been spoken in it', async () => {
      const { body } = await create(anna, { ref_text: WORDS.repeat(20) });
      expect(body.error.code).toBe('audio_unsuitable');
    });

    it('a clip that is refused, without asking the node again at once', async () => {
      const before = node.made.count;
      const bad = wav(new Float32Array(80_000));
      const answers = await Promise.all(Array.from({ length: 8 }, () => create(anna, { audio_sample: bad })));
      expect(new Set(answers.map(({ body }) => body.error.code))).toEqual(new Set(['audio_silent']));
      expect(node.made.count).toBe(before + 1);
    });

    it.each([
      ['no name', { audio_sample: clip(), consent_statement: STATEMENT }, 'name'],
      ['no recording', { name: 'x', consent_statement: STATEMENT }, 'audio_sample'],
      ['two recordings', { name: 'x', audio_sample: clip(), audio: clip(), consent_statement: STATEMENT }, 'audio_sample'],
      ['a description instead of a recording', { name: 'x', type: 'prompt', audio_sample: clip(), consent_statement: STATEMENT }, 'type'],
      ['a language that is none', { name: 'x', language: 'English please', audio_sample: clip(), consent_statement: STATEMENT }, 'language'],
      ['a name with a line break', { name: 'x\ny', audio_sample: clip(), consent_statement: STATEMENT }, 'name'],
      ['the name of a speaker', { name: 'af_heart', audio_sample: clip(), consent_statement: STATEMENT }, 'name'],
    ])('%s', async (_, fields, param) => {
      const { status, body } = await anna.upload('/v1/audio/voices', fields);
      expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_value', param]);
    });

    it.each([
      ['no boundary', 'multipart/form-data', 'x'],
      ['a body cut off', 'multipart/form-data; boundary=b', '--b\r\ncontent-disposition: form-data; name="name"\r\n\r\nx'],
      ['thousands of parts', 'multipart/form-data; boundary=b', `${'--b\r\ncontent-disposition: form-data; name="y"\r\n\r\nx\r\n'.repeat(5000)}--b--`],
    ])('a form with %s', async (_, type, body) => {
      const response = await fetch(new URL('/v1/audio/voices', edge.url), { method: 'POST', headers: { authorization: 'Bearer operator-secret-of-this-test-0123456789', 'content-type': type }, body });
      expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([400, 'multipart_invalid']);
    });
  });
});
