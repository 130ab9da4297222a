/** Kept sounds through the real Worker with its real stores; the node's speech is counted bytes. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Frame } from '../../../shared/contract/frames.ts';
import type { Job } from '../../../shared/contract/job.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { listen } from '../../../gpu-node/server/listen.ts';
import type { Listener } from '../../../gpu-node/server/listen.ts';
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';

const KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };
const CHUNK = 4800;
/** Several pieces of the store. */
const LONG_CHUNKS = 90;

let jobs: Job[] = [];
/** Resolves when the node may go on behind the second chunk. */
let gate: Promise<void> = Promise.resolve();

async function* counted(job: Job, signal: AbortSignal): AsyncGenerator<Frame> {
  jobs.push(job);
  yield { type: 'start', value: { sampleRateHz: 24000, contentType: 'audio/pcm', seed: job.seed ?? 77 } };
  const chunks = job.text.includes('long') ? LONG_CHUNKS : 3;
  for (let i = 0; i < chunks && !signal.aborted; i++) {
    yield { type: 'audio', value: Uint8Array.from({ length: CHUNK }, (_, at) => (i * 31 + at + (job.seed ?? 0)) & 0xff) };
    if (i === 1) await gate;
    if (job.text.includes('breaks') && i === 1) throw new Error('gone');
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield { type: 'mark', value: { samples: 7200, words: [{ text: 'Hello', startMs: 10, endMs: 250 }], wordSource: 'attention' } };
  yield { type: 'end', value: { audioMs: 300, speechTokens: 8, timings: {} } };
}

describe('a sound that was made before', () => {
  let node: Listener;
  let edge: LocalEdge;
  beforeAll(async () => {
    const synthesis = { run: counted, voices: () => [{ name: 'a', language: undefined }, { name: 'b', language: undefined }], health: () => ({ status: 'ok' as const, model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' };
    node = await listen(nodeApp(synthesis, new SignatureVerifier([KEY])), '127.0.0.1', 0);
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: node.url.href, NODE_KEYS: `${KEY.id}:${KEY.secret}`, AUTH: 'off' } });
  });
  afterAll(async () => {
    await edge.close();
    await node.close();
  });
  beforeEach(() => {
    jobs = [];
    gate = Promise.resolve();
  });

  type Heard = { readonly response: Response; readonly sound: Buffer };

  async function speak(body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Heard> {
    const response = await fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ response_format: 'pcm', ...body }) });
    return { response, sound: Buffer.from(await response.arrayBuffer()) };
  }

  function play(query: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(new URL(`/v1/audio/speech?${new URLSearchParams({ response_format: 'pcm', ...query })}`, edge.url), { headers });
  }

  /** The store is written behind the listener's back. */
  function untilKept(body: Record<string, unknown>): Promise<void> {
    return expect.poll(async () => (await speak(body)).response.headers.get('x-cache'), { timeout: 10_000, interval: 20 }).toBe('audio-hit');
  }

  it('is not made again, byte for byte, and says so', async () => {
    const made = await speak({ input: 'Hello.' });
    expect(made.response.headers.get('x-cache')).toBe('audio-miss');
    await untilKept({ input: 'Hello.' });
    const asked = jobs.length;
    const kept = await speak({ input: 'Hello.' });
    expect(jobs).toHaveLength(asked);
    expect(kept.sound.equals(made.sound)).toBe(true);
    for (const name of ['content-type', 'x-seed', 'x-audio-sample-rate']) expect(kept.response.headers.get(name)).toBe(made.response.headers.get(name));
    expect(kept.response.headers.get('cache-control')).toMatch(/^private/);
    expect(kept.response.headers.get('server-timing')).toMatch(/edge;dur=\d/);
  });

  it('is the same sound however its numbers are written, and another one for every other wish', async () => {
    await speak({ input: 'I paid $5.' });
    await untilKept({ input: 'I paid five dollars.' });
    for (const other of [{ speed: 1.5 }, { volume: 0.5 }, { sample_rate: 16000 }, { voice: 'b' }, { seed: 9 }, { stream: false }, { instructions: 'Softly.' }, { response_format: 'wav' }, { language: 'de' }, { mode: 'sft' }]) {
      expect((await speak({ input: 'I paid $5.', ...other })).response.headers.get('x-cache'), JSON.stringify(other)).toBe('audio-miss');
    }
  });

  it('has one seed for equal requests, also where nothing is kept of them', async () => {
    for (const input of ['This breaks.', 'This breaks.', 'That breaks.']) await expect(speak({ input })).rejects.toThrow();
    const seedsOf = (text: string) => [...new Set(jobs.filter((job) => job.text === text).map(({ seed }) => seed))];
    expect(seedsOf('This breaks.')).toEqual([expect.any(Number)]);
    expect(seedsOf('That breaks.')).toEqual([expect.any(Number)]);
    expect(seedsOf('That breaks.')).not.toEqual(seedsOf('This breaks.'));
  });

  it.each([
    ['cache: false', { cache: false }, {}],
    ['cache-control: no-store', {}, { 'cache-control': 'no-store' }],
  ])('is neither looked for nor kept with %s', async (name, wish, headers) => {
    const input = `Not this one, ${name}.`;
    const first = await speak({ input, ...wish }, headers);
    expect(first.response.headers.get('cache-control')).toBe('no-store');
    expect(first.response.headers.get('etag')).toBeNull();
    expect((await speak({ input })).response.headers.get('x-cache')).toBe('audio-miss');
    await untilKept({ input });
    await speak({ input, ...wish }, headers);
    expect(jobs.at(-1)?.seed).toBeUndefined();
  });

  it('is read in any range once it is finished, also across the pieces of the store', async () => {
    const query = { input: 'A long one.' };
    const whole = Buffer.from(await (await play(query)).arrayBuffer());
    expect(whole).toHaveLength(LONG_CHUNKS * CHUNK);
    await expect.poll(async () => (await play(query)).headers.get('accept-ranges'), { interval: 20 }).toBe('bytes');
    const kept = await play(query);
    expect(kept.headers.get('content-length')).toBe(String(whole.length));
    expect(Buffer.from(await kept.arrayBuffer()).equals(whole)).toBe(true);
    for (const [from, to] of [[0, 1], [0, whole.length - 1], [98_000, 99_000], [98_303, 98_304], [196_000, 300_001], [whole.length - 1, whole.length - 1]] as const) {
      const part = await play(query, { range: `bytes=${from}-${to}` });
      expect(part.status).toBe(206);
      expect(part.headers.get('content-range')).toBe(`bytes ${from}-${to}/${whole.length}`);
      expect(Buffer.from(await part.arrayBuffer()).equals(whole.subarray(from, to + 1))).toBe(true);
    }
    const tail = await play(query, { range: 'bytes=-10' });
    expect(Buffer.from(await tail.arrayBuffer()).equals(whole.subarray(-10))).toBe(true);
    const beyond = await play(query, { range: `bytes=${whole.length}-` });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${whole.length}`]);
    for (const range of ['bytes=5-2', 'bytes=0-1,4-5', 'lines=1-2', 'bytes=-']) expect((await play(query, { range })).status, range).toBe(200);
  });

  it('is not sent again to who has it, and a range of another version is the whole', async () => {
    await speak({ input: 'Have it.' });
    await untilKept({ input: 'Have it.' });
    const first = await play({ input: 'Have it.' });
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]+"$/);
    const again = await play({ input: 'Have it.' }, { 'if-none-match': `"other", ${etag}` });
    expect([again.status, (await again.arrayBuffer()).byteLength]).toEqual([304, 0]);
    expect((await play({ input: 'Have it.' }, { 'if-none-match': '"other"' })).status).toBe(200);
    expect((await play({ input: 'Have it.' }, { range: 'bytes=0-9', 'if-range': etag })).status).toBe(206);
    expect((await play({ input: 'Have it.' }, { range: 'bytes=0-9', 'if-range': '"other"' })).status).toBe(200);
  });

  it('has the tag under which it was made', async () => {
    const made = await speak({ input: 'Tagged.' });
    await untilKept({ input: 'Tagged.' });
    expect((await play({ input: 'Tagged.' })).headers.get('etag')).toBe(made.response.headers.get('etag'));
  });

  it('comes as events too, each decoding by itself, with the word times of the first time', async () => {
    const ask = async () => (await speak({ input: 'Hello events.', stream_format: 'sse', timestamps: 'word' })).sound.toString().trim().split('\n\n').map((line) => JSON.parse(line.replace('data: ', '')) as { type: string; audio?: string });
    const made = await ask();
    expect(made.map(({ type }) => type)).toEqual(['speech.audio.delta', 'speech.audio.delta', 'speech.audio.delta', 'speech.audio.timestamps', 'speech.audio.done']);
    expect(made.at(-2)).toMatchObject({ words: [{ text: 'Hello', start_ms: 10, end_ms: 250 }], source: 'attention' });
    expect(made.at(-1)).toMatchObject({ usage: { input_tokens: 13, output_tokens: 8, total_tokens: 21, input_characters: 13, audio_seconds: 0.3 } });
    await untilKept({ input: 'Hello events.' });
    const asked = jobs.length;
    const kept = await ask();
    expect(jobs).toHaveLength(asked);
    const joined = (events: typeof made) => Buffer.concat(events.map(({ audio }) => Buffer.from(audio ?? '', 'base64')));
    expect(joined(kept).equals(joined(made))).toBe(true);
    expect(kept.slice(-2)).toEqual(made.slice(-2));
  });

  it('is never one that broke off, or that its listener left', async () => {
    await expect(speak({ input: 'This breaks.' })).rejects.toThrow();
    await expect(speak({ input: 'This breaks.' })).rejects.toThrow();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const stop = new AbortController();
    const body = JSON.stringify({ input: 'Left alone.', response_format: 'pcm' });
    const response = await fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal: stop.signal });
    await response.body?.getReader().read();
    stop.abort();
    resolve();
    expect((await speak({ input: 'Left alone.' })).response.headers.get('x-cache')).toBe('audio-miss');
  });

  it('answers a HEAD without making anything', async () => {
    const head = await fetch(new URL('/v1/audio/speech?input=Head.', edge.url), { method: 'HEAD' });
    expect(head.status).toBe(405);
    expect(jobs).toHaveLength(0);
  });

  it('takes numbers and switches from a query, and refuses what is neither', async () => {
    const response = await play({ input: 'Query.', speed: '1.5', seed: '3', cache: 'false', access_token: 'x' });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    expect(jobs.at(-1)).toMatchObject({ speed: 1.5, seed: 3 });
    const refused = await play({ input: 'Query.', speed: 'fast' });
    expect(await refused.json()).toMatchObject({ status: 400, error: { param: 'speed' } });
  });

  // last: for a minute after it nothing of the tenant is kept
  it('is forgotten with all the others when its tenant asks', async () => {
    await untilKept({ input: 'Not for long.' });
    const forgotten = await fetch(new URL('/v1/audio/results', edge.url), { method: 'DELETE' });
    expect(await forgotten.json()).toEqual({ object: 'audio.results.deleted', deleted: true });
    expect((await speak({ input: 'Not for long.' })).response.headers.get('x-cache')).toBe('audio-miss');
  });
});

describe('sounds of several tenants', () => {
  let node: Listener;
  let edge: LocalEdge;
  beforeAll(async () => {
    const synthesis = { run: counted, voices: () => [{ name: 'a', language: undefined }], health: () => ({ status: 'ok' as const, model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' };
    node = await listen(nodeApp(synthesis, new SignatureVerifier([KEY])), '127.0.0.1', 0);
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: `eu=${node.url.href} ${node.url.href}`, NODE_KEYS: `${KEY.id}:${KEY.secret}`, ADMIN_KEY: 'sk-operator' } });
    for (const tenant of [{ id: 'one' }, { id: 'two' }, { id: 'pinned', residency: 'eu' }]) await fetch(new URL('/v1/tenants', edge.url), { method: 'POST', headers: { authorization: 'Bearer sk-operator', 'content-type': 'application/json' }, body: JSON.stringify(tenant) });
  });
  afterAll(async () => {
    await edge.close();
    await node.close();
  });

  async function cacheOf(tenant: string, input: string): Promise<string | null> {
    const response = await fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { authorization: 'Bearer sk-operator', 'x-tenant': tenant, 'content-type': 'application/json' }, body: JSON.stringify({ input, response_format: 'pcm' }) });
    await response.arrayBuffer();
    return response.headers.get('x-cache');
  }

  it('are never shared, and those of a tenant in the EU are kept too', async () => {
    for (const tenant of ['one', 'two', 'pinned']) {
      expect(await cacheOf(tenant, 'Ours alone.')).toBe('audio-miss');
      await expect.poll(() => cacheOf(tenant, 'Ours alone.'), { interval: 20 }).toBe('audio-hit');
    }
  });
});
