/** The real Worker in workerd in front of the node's real HTTP side; only the speech itself is made of counted bytes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame } from '../../shared/contract/frames.ts';
import type { Job } from '../../shared/contract/job.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { SignatureVerifier } from '../../shared/signing/index.ts';
import { nodeApp } from '../../gpu-node/server/app.ts';
import { listen } from '../../gpu-node/server/listen.ts';
import type { Listener } from '../../gpu-node/server/listen.ts';
import { startLocalEdge } from '../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../gpu-node/server/local-edge.ts';

const KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };
const CHUNK = 4800;

/** What the node saw, newest last. */
const jobs: Job[] = [];
const traces: (string | undefined)[] = [];
let cancelled: PromiseWithResolvers<void>;
let chunksMade = 0;

async function* counted(job: Job, signal: AbortSignal, traceparent?: string): AsyncGenerator<Frame> {
  jobs.push(job);
  traces.push(traceparent);
  if (job.text.includes('missing')) throw new CosyError('voice_not_found', 'There is no voice "x": this checkpoint has a, b.');
  signal.addEventListener('abort', () => cancelled.resolve());
  yield { type: 'start', value: { sampleRateHz: job.sampleRateHz, contentType: 'audio/pcm', seed: job.seed ?? 5 } };
  const chunks = job.text.includes('endless') ? Infinity : 3;
  for (let i = 0; i < chunks && !signal.aborted; i++) {
    yield { type: 'tokens', value: Uint16Array.of(i) };
    yield { type: 'audio', value: new Uint8Array(CHUNK).fill(i + 1) };
    chunksMade += 1;
    await new Promise((resolve) => setImmediate(resolve));
    if (job.text.includes('breaks') && i === 1) throw new CosyError('generation_failed', 'The speech broke off.');
  }
  yield { type: 'end', value: { audioMs: 300, speechTokens: 3, timings: {} } };
}

describe('POST /v1/audio/speech through the Worker', () => {
  let node: Listener;
  let edge: LocalEdge;
  beforeAll(async () => {
    const synthesis = { run: counted, voices: () => [{ name: 'a', language: undefined }], health: () => ({ status: 'ok' as const, model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' };
    node = await listen(nodeApp(synthesis, new SignatureVerifier([KEY])), '127.0.0.1', 0);
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: node.url.href, AUTH: 'off', NODE_KEYS: `${KEY.id}:${KEY.secret}` } });
  });
  afterAll(async () => {
    await edge.close();
    await node.close();
  });

  function speak(body: unknown, init: RequestInit = {}): Promise<Response> {
    cancelled = Promise.withResolvers();
    chunksMade = 0;
    return fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body), ...init });
  }

  it('streams the sound, reads the text for speaking, and passes the options on', async () => {
    const response = await speak({ input: 'I paid $5.', voice: 'a', response_format: 'pcm', speed: 1.5, seed: 9, unknown_field: 1 });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('audio/pcm');
    expect(response.headers.get('x-seed')).toBe('9');
    expect(response.headers.get('x-warnings')).toContain('unknown_field');
    expect(response.headers.get('x-request-id')).toBeTruthy();
    const sound = new Uint8Array(await response.arrayBuffer());
    expect(sound.length).toBe(3 * CHUNK);
    expect([sound[0], sound[CHUNK], sound.at(-1)]).toEqual([1, 2, 3]);
    expect(jobs.at(-1)).toMatchObject({ text: 'I paid five dollars.', speed: 1.5, voice: { kind: 'preset', name: 'a' } });
  });

  it('reads SSML: words, pronunciations and breaks; what it cannot do it says', async () => {
    const response = await speak({ input: '<speak>At <say-as interpret-as="digits">12</say-as>.<break time="1s"/> Then <prosody rate="fast">Rao</prosody>.</speak>', input_type: 'ssml', pronunciations: [{ text: 'Rao', reading: 'Row' }], voice: 'a', response_format: 'pcm' });
    expect(response.headers.get('x-warnings')).toMatch(/rate within the text has no effect/);
    await response.arrayBuffer();
    const job = jobs.at(-1);
    expect(job?.text).toMatch(/^At one two\.\s+Then Row\s*\.$/);
    expect(job?.breaks).toEqual([{ at: 'At one two.'.length, ms: 1000 }]);
  });

  it("passes the caller's trace on to the node, and nothing that is none", async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    for (const given of [traceparent, 'not a trace']) await (await speak({ input: `Traced ${given.length}.`, voice: 'a', response_format: 'pcm' }, { headers: { 'content-type': 'application/json', traceparent: given } })).arrayBuffer();
    expect(traces.slice(-2)).toEqual([traceparent, undefined]);
  });

  it('gives OpenAI events when asked to', async () => {
    const response = await speak({ input: 'Hello.', stream_format: 'sse', response_format: 'pcm' });
    const events = (await response.text()).trim().split('\n\n').map((line) => JSON.parse(line.replace('data: ', '')) as { type: string; audio?: string });
    expect(events.map(({ type }) => type)).toEqual(['speech.audio.delta', 'speech.audio.delta', 'speech.audio.delta', 'speech.audio.done']);
    expect(Buffer.from(events[1]?.audio ?? '', 'base64')).toEqual(Buffer.alloc(CHUNK, 2));
  });

  it('answers a refusal of the node with its status, before any sound', async () => {
    const response = await speak({ input: 'missing' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ status: 404, error: { code: 'voice_not_found', type: 'invalid_request_error' } });
  });

  it('aborts the body when the node fails in the middle, and never ends it normally', async () => {
    const response = await speak({ input: 'breaks', response_format: 'pcm' });
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  it('says so in the events when the node fails in the middle', async () => {
    const text = await (await speak({ input: 'breaks', stream_format: 'sse' })).text();
    expect(text).toContain('"type":"error"');
    expect(text).not.toContain('speech.audio.done');
  });

  it('stops the work at the node when the listener leaves', async () => {
    const stop = new AbortController();
    const response = await speak({ input: 'endless', response_format: 'pcm' }, { signal: stop.signal });
    await response.body?.getReader().read();
    stop.abort();
    await cancelled.promise;
  });

  it('does not run ahead of a listener who does not read', async () => {
    const stop = new AbortController();
    await speak({ input: 'endless', response_format: 'pcm' }, { signal: stop.signal });
    let made = -1;
    // the sound stops being made once the buffers between the two are full
    while (made !== chunksMade) {
      made = chunksMade;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(made * CHUNK).toBeLessThan(32 * 2 ** 20);
    stop.abort();
    await cancelled.promise;
  });

  it.each([
    ['not json', '{', 400, 'invalid_json'],
    ['no input', {}, 400, 'invalid_value'],
    ['empty input', { input: '  ' }, 400, 'input_empty'],
    ['only symbols', { input: '…!' }, 400, 'input_empty'],
    ['an unknown format', { input: 'hi', response_format: 'midi' }, 400, 'invalid_value'],
    ['a speed out of range', { input: 'hi', speed: 9 }, 400, 'invalid_value'],
    ['100,000 characters', { input: 'word '.repeat(20_000) }, 400, 'invalid_value'],
  ])('refuses %s with one clear line', async (_, body, status, code) => {
    const response = await speak(body);
    expect(response.status).toBe(status);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe(code);
    expect(error.message.split('\n')).toHaveLength(1);
  });

  it('refuses a body over the limit before reading it whole', async () => {
    const response = await speak(JSON.stringify({ input: 'x', reference: { audio: 'A'.repeat(13 * 2 ** 20) } }));
    expect(response.status).toBe(413);
  });

  it('says how a text will be spoken, with the trace, a lexicon and SSML', async () => {
    const ask = (body: unknown) => fetch(new URL('/v1/text/normalize', edge.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const result = (await (await ask({ text: 'Dr. Rao paid $5.', lexicon: [{ text: 'Rao', reading: 'Row' }] })).json()) as { text: string; spans: { source: string; class: string; start: number }[] };
    expect(result.text).toBe('Doctor Row paid five dollars.');
    expect(result.spans.map(({ source, class: kind }) => [source, kind])).toContainEqual(['$5', 'money']);
    const spoken = (await (await ask({ text: '<speak>At <say-as interpret-as="digits">12</say-as>.</speak>', input_type: 'ssml' })).json()) as { text: string };
    expect(spoken.text).toMatch(/one two/);
    expect((await ask({ text: '<speak>open', input_type: 'ssml' })).status).toBe(400);
    expect((await ask({ text: 5 })).status).toBe(400);
  });

  it('has a health page on both sides, and an answer for unknown paths', async () => {
    expect(await (await fetch(new URL('/healthz', edge.url))).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(new URL('/healthz', node.url))).json()).toMatchObject({ status: 'ok' });
    expect((await fetch(new URL('/nowhere', edge.url))).status).toBe(404);
  });

  it('keeps the node closed to anyone without its key', async () => {
    const response = await fetch(new URL('/v1/synthesize', node.url), { method: 'POST', body: '{}' });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'signature_invalid' } });
  });
});

describe('a Worker whose nodes are gone, or that has a key', () => {
  it('says when to try again', async () => {
    const edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: 'http://127.0.0.1:9', AUTH: 'off', NODE_KEYS: 'k:s' } });
    const response = await fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"input":"hi"}' });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    await edge.close();
  });

  it('asks for the key', async () => {
    const edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: '', NODE_KEYS: 'k:s', ADMIN_KEY: 'sk-1' } });
    const url = new URL('/v1/audio/voices', edge.url);
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: { authorization: 'Bearer sk-2' } })).status).toBe(401);
    expect((await fetch(url, { headers: { authorization: 'Bearer sk-1' } })).status).toBe(200);
    await edge.close();
  });
});
