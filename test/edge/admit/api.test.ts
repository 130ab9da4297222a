/** Limits, usage and idempotency keys through the whole Worker: real keys, a node's real HTTP side, sound of counted bytes. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Frame } from '../../../shared/contract/frames.ts';
import type { Job } from '../../../shared/contract/job.ts';
import { CosyError } from '../../../shared/errors/index.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { listen } from '../../../gpu-node/server/listen.ts';
import type { Listener } from '../../../gpu-node/server/listen.ts';
import { ADMIN, makeKey, startEdge } from '../auth/edge.ts';

const KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };

let made = 0;
let holding = Promise.withResolvers<void>();

/** One second of sound per piece; `endless` ones until somebody leaves, `held` ones when the test says so. */
async function* counted(job: Job, signal: AbortSignal): AsyncGenerator<Frame> {
  made += 1;
  if (job.text.includes('missing')) throw new CosyError('voice_not_found', 'There is no such voice.');
  yield { type: 'start', value: { sampleRateHz: 24_000, contentType: 'audio/pcm', seed: 1 } };
  const pieces = job.text.includes('endless') ? Infinity : 3;
  for (let i = 1; i <= pieces && !signal.aborted; i++) {
    yield { type: 'audio', value: new Uint8Array(48_000) };
    yield { type: 'mark', value: { samples: i * 24_000 } };
    if (job.text.includes('held') && i === 1) await Promise.race([holding.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield { type: 'end', value: { audioMs: 3000, speechTokens: 75, timings: {} } };
}

let node: Listener;
let edge: Awaited<ReturnType<typeof startEdge>>;
beforeAll(async () => {
  const synthesis = { run: counted, voices: () => [{ name: 'a', language: undefined }], health: () => ({ status: 'ok' as const, model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' };
  node = await listen(nodeApp(synthesis, new SignatureVerifier([KEY])), '127.0.0.1', 0);
  edge = await startEdge({ NODES: node.url.href, NODE_KEYS: `${KEY.id}:${KEY.secret}` });
});
afterAll(async () => {
  await edge.close();
  await node.close();
});

/** A key of a new tenant on that plan. */
async function onPlan(tenant: string, plan: string): Promise<{ readonly id: string; readonly key: string }> {
  await edge.ask('POST', '/v1/tenants', { key: ADMIN, body: { id: tenant, plan } });
  return makeKey(edge.ask, tenant);
}

function speak(key: string, body: Record<string, unknown>, init: RequestInit & { readonly headers?: Record<string, string> } = {}): Promise<Response> {
  return fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', body: JSON.stringify({ voice: 'a', response_format: 'pcm', cache: false, ...body }), ...init, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...init.headers } });
}

async function codeOf(response: Response): Promise<string | undefined> {
  return ((await response.json()) as { error?: { code?: string } }).error?.code;
}

async function total(key: string, query = ''): Promise<Record<string, unknown>> {
  return (await edge.ask('GET', `/v1/usage${query}`, { key })).body['total'] as Record<string, unknown>;
}

describe('limits of a tenant', () => {
  it('stand in answers, refusals and failures, and a refusal says when to come back', async () => {
    const { key } = await onPlan('small', 'free');
    const answer = await speak(key, { input: 'One two three.' });
    expect((await answer.arrayBuffer()).byteLength).toBe(3 * 48_000);
    expect(answer.headers.get('x-ratelimit-remaining-requests')).toBe('29');
    const failure = await speak(key, { input: 'missing' });
    expect([failure.status, failure.headers.get('x-ratelimit-limit-concurrency')]).toEqual([404, '2']);
    const stop = new AbortController();
    const endless = await Promise.all([1, 2].map(() => speak(key, { input: 'endless' }, { signal: stop.signal })));
    expect(endless.map(({ status }) => status)).toEqual([200, 200]);
    const refused = await speak(key, { input: 'Three at once.' });
    expect([refused.status, refused.headers.get('x-ratelimit-remaining-concurrency'), refused.headers.get('retry-after'), refused.headers.get('retry-after-ms'), refused.headers.get('x-should-retry')]).toEqual([429, '0', '1', '1000', 'true']);
    expect(await codeOf(refused)).toBe('concurrency_limit_exceeded');
    stop.abort();
    await vi.waitFor(async () => expect((await speak(key, { input: 'Free again.' })).status).toBe(200), { timeout: 5000 });
    const jobs = await edge.ask('GET', '/v1/audio/jobs', { key });
    expect([jobs.status, jobs.headers.get('x-ratelimit-limit-requests')]).toEqual([200, '30']);
  });

  it('end with the quota, and then a client need not try again', async () => {
    const { key } = await onPlan('spent', 'free');
    expect((await speak(key, { input: 'word '.repeat(3900), text_normalization: 'off' })).status).toBe(200);
    await vi.waitFor(async () => expect((await total(key))['requests']).toBe(1), { timeout: 5000 });
    const refused = await speak(key, { input: 'word '.repeat(300), text_normalization: 'off' });
    expect([refused.status, refused.headers.get('x-should-retry'), await codeOf(refused)]).toEqual([429, 'false', 'insufficient_quota']);
  });

  it('charge for what was heard, not for what failed or was kept', async () => {
    const { key } = await onPlan('fair', 'standard');
    const words = 'A text of its own that is spoken twice.';
    await (await speak(key, { input: words, cache: true, seed: 4 })).arrayBuffer();
    await speak(key, { input: 'missing' });
    await vi.waitFor(async () => expect(await total(key)).toEqual({ requests: 1, characters: words.length, audio_ms: 3000, cache_hits: 0 }), { timeout: 5000 });
    await vi.waitFor(async () => {
      const again = await speak(key, { input: words, cache: true, seed: 4 });
      await again.arrayBuffer();
      expect(again.headers.get('x-cache')).toBe('audio-hit');
    }, { timeout: 5000 });
    await vi.waitFor(async () => expect(await total(key)).toMatchObject({ characters: words.length, cache_hits: 1 }), { timeout: 5000 });
  });

  it('charge a listener who leaves for a part', async () => {
    const { key } = await onPlan('leaves', 'standard');
    const stop = new AbortController();
    const response = await speak(key, { input: `endless ${'and on '.repeat(2000)}` }, { signal: stop.signal });
    await response.body?.getReader().read();
    stop.abort();
    await vi.waitFor(async () => expect((await total(key))['requests']).toBe(1), { timeout: 5000 });
    const { characters, audio_ms } = (await total(key)) as { characters: number; audio_ms: number };
    expect(audio_ms).toBeGreaterThanOrEqual(1000);
    expect(characters).toBeGreaterThan(0);
    expect(characters).toBeLessThan(10_000);
  });
});

describe('GET /v1/usage', () => {
  it('shows a tenant its own keys by key and by day, and the operator any', async () => {
    const first = await onPlan('uses', 'standard');
    const second = await makeKey(edge.ask, 'uses');
    for (const { key } of [first, first, second]) await (await speak(key, { input: 'Ten chars.' })).arrayBuffer();
    await vi.waitFor(async () => expect((await total(first.key))['requests']).toBe(3), { timeout: 5000 });
    const byKey = (await edge.ask('GET', '/v1/usage?group=key', { key: second.key })).body['data'] as Record<string, unknown>[];
    expect(byKey.toSorted((a, b) => Number(b['requests']) - Number(a['requests']))).toEqual([
      { key: first.id, requests: 2, characters: 20, audio_ms: 6000, cache_hits: 0 },
      { key: second.id, requests: 1, characters: 10, audio_ms: 3000, cache_hits: 0 },
    ]);
    const day = new Date().toISOString().slice(0, 10);
    expect((await edge.ask('GET', `/v1/usage?group=day&from=${day}&to=${day}`, { key: ADMIN, headers: { 'x-tenant': 'uses' } })).body).toMatchObject({ tenant: 'uses', data: [{ day, requests: 3 }] });
    expect(await total(first.key, '?from=2020-01-01&to=2020-01-02')).toMatchObject({ requests: 0 });
    const other = await onPlan('other', 'standard');
    expect(await total(other.key)).toMatchObject({ requests: 0 });
    const mute = await makeKey(edge.ask, 'uses', { scopes: ['speech'] });
    expect((await edge.ask('GET', '/v1/usage', { key: mute.key })).body.error?.code).toBe('forbidden');
  });

  it.each(['?from=yesterday', '?from=2026-01-02&to=2026-01-01', '?from=2020-01-01&to=2026-01-01', '?group=tenant', '?from=2026-02-30'])('refuses %s in one line', async (query) => {
    const { status, body } = await edge.ask('GET', `/v1/usage${query}`, { key: ADMIN });
    expect([status, body.error?.code]).toEqual([400, 'invalid_value']);
  });
});

describe('Idempotency-Key', () => {
  it('gives the first answer again for the same request, and refuses another one', async () => {
    const { key } = await onPlan('idem', 'standard');
    const post = (body: unknown, name: string) => edge.ask('POST', '/v1/audio/jobs', { key, body, headers: { 'idempotency-key': name } });
    const job = { input: 'A long text.', voice: 'a' };
    const first = await post(job, 'one');
    expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([202, null]);
    const again = await post(job, 'one');
    expect([again.status, again.headers.get('idempotent-replayed'), again.body]).toEqual([202, 'true', first.body]);
    expect((await post({ ...job, input: 'Another.' }, 'one')).body.error?.code).toBe('idempotency_key_reused');
    expect((await post(job, 'two')).body['id']).not.toBe(first.body['id']);
    expect(((await edge.ask('GET', '/v1/audio/jobs', { key })).body['data'] as unknown[]).length).toBe(2);
    for (const name of ['x'.repeat(256), ' ']) expect((await post(job, name)).body.error?.code).toBe('invalid_value');
    const other = await onPlan('idem2', 'standard');
    const foreign = await edge.ask('POST', '/v1/audio/jobs', { key: other.key, body: job, headers: { 'idempotency-key': 'one' } });
    expect([foreign.status, foreign.headers.get('idempotent-replayed')]).toEqual([202, null]);
  });

  it('lets one of many at once through', async () => {
    const { key } = await onPlan('many', 'standard');
    const answers = await Promise.all(Array.from({ length: 8 }, () => edge.ask('POST', '/v1/audio/jobs', { key, body: { input: 'Once.', voice: 'a' }, headers: { 'idempotency-key': 'same' } })));
    const ids = new Set(answers.filter(({ status }) => status === 202).map(({ body }) => body['id']));
    expect(ids.size).toBe(1);
    for (const { status, body, headers } of answers) if (status !== 202) expect([body.error?.code, headers.get('retry-after-ms')]).toEqual(['idempotency_in_progress', '1000']);
    expect(((await edge.ask('GET', '/v1/audio/jobs', { key })).body['data'] as unknown[]).length).toBe(1);
  });

  it('keeps a refused request free to be made right', async () => {
    const { key } = await onPlan('wrong', 'standard');
    const post = (body: unknown) => edge.ask('POST', '/v1/audio/jobs', { key, body, headers: { 'idempotency-key': 'k' } });
    expect((await post({})).status).toBe(400);
    expect((await post({ input: 'Right.', voice: 'a' })).status).toBe(202);
  });

  it('holds a speech to one at a time, and forgets its sound', async () => {
    const { key } = await onPlan('speech', 'standard');
    holding = Promise.withResolvers();
    const headers = { 'idempotency-key': 'say' };
    const first = await speak(key, { input: 'held' }, { headers });
    const meanwhile = await speak(key, { input: 'held' }, { headers });
    expect([meanwhile.status, await codeOf(meanwhile)]).toEqual([409, 'idempotency_in_progress']);
    expect(await codeOf(await speak(key, { input: 'other' }, { headers }))).toBe('idempotency_key_reused');
    holding.resolve();
    expect((await first.arrayBuffer()).byteLength).toBe(3 * 48_000);
    const before = made;
    await vi.waitFor(async () => expect((await (await speak(key, { input: 'held' }, { headers })).arrayBuffer()).byteLength).toBe(3 * 48_000), { timeout: 5000 });
    expect(made).toBe(before + 1);
  });
});
