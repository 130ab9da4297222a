/** Admission in workerd, with real Durable Objects and a real D1. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PLANS } from '../../../shared/limits/plans.ts';
import { startQuotaEdge } from './quota-edge.ts';
import type { QuotaEdge } from './quota-edge.ts';

type Query = Readonly<Record<string, string | number>>;
type Answer = { readonly status: number; readonly code: string; readonly headers: Headers };

function url(edge: QuotaEdge, query: Query): URL {
  return new URL(`/?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`, edge.url);
}

async function ask(edge: QuotaEdge, query: Query): Promise<Answer> {
  const response = await fetch(url(edge, query));
  return { status: response.status, code: await response.text(), headers: response.headers };
}

/** Speech whose listener took the head, and no more than it asks for: `fetch` would take the body, to its end, while nobody reads it. */
async function listen(edge: QuotaEdge, query: Query): Promise<{ readonly status: number; readonly body: IncomingMessage; readonly leave: () => void }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = get(url(edge, { stream: 100, ...query }), { agent: false }, resolve).on('error', reject);
  const body = await promise;
  return { status: body.statusCode ?? 0, body: body.pause(), leave: () => void request.destroy() };
}

async function bytesOf(body: IncomingMessage): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += (chunk as Uint8Array).length;
  return bytes;
}

/** Streams that hold a place: now, and at most so far. */
async function speaking(edge: QuotaEdge, tenant: string): Promise<{ readonly now: number; readonly most: number }> {
  return (await (await fetch(url(edge, { tenant, speaking: 1 }))).json()) as { readonly now: number; readonly most: number };
}

type Used = { readonly key: string; readonly requests: number; readonly characters: number; readonly audioMs: number };
async function used(edge: QuotaEdge, tenant: string): Promise<Used[]> {
  return (await (await fetch(url(edge, { tenant, usage: 1 }))).json()) as Used[];
}

describe('admission in workerd', () => {
  let edge: QuotaEdge;
  beforeAll(async () => {
    edge = await startQuotaEdge();
  });
  afterAll(() => edge.close());

  it('says in every answer what is left, as OpenAI and as the IETF have it', async () => {
    const { status, headers } = await ask(edge, { tenant: 'a', characters: 5000, ms: 1 });
    expect(status).toBe(200);
    expect(headers.get('x-ratelimit-limit-requests')).toBe('30');
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('29');
    expect(headers.get('x-ratelimit-reset-requests')).toBe('2s');
    expect(headers.get('x-ratelimit-remaining-characters')).toBe('15000');
    expect(headers.get('x-ratelimit-reset-characters')).toBe('15s');
    expect(headers.get('x-ratelimit-remaining-concurrency')).toBe('1');
    expect(headers.get('ratelimit-policy')).toMatch(/^"requests";q=30;w=60, "characters";q=20000;w=60;qu="characters", "concurrency";q=2;qu="concurrent-requests", "quota"/);
    expect(headers.get('ratelimit')).toMatch(/^"requests";r=29;t=2, "characters";r=15000;t=15, /);
  });

  it('refuses the tenant that spent its minute, and not its neighbour', async () => {
    const { requestsPerMinute } = PLANS.free;
    const startMs = performance.now();
    let admitted = 0;
    let last = await ask(edge, { tenant: 'b', characters: 1, ms: 1 });
    for (; last.status === 200; admitted++) last = await ask(edge, { tenant: 'b', characters: 1, ms: 1 });
    const risen = ((performance.now() - startMs) / 60_000) * requestsPerMinute;
    expect(admitted).toBeGreaterThanOrEqual(requestsPerMinute);
    expect(admitted).toBeLessThanOrEqual(requestsPerMinute + risen);
    const { status, code, headers } = last;
    expect([status, code]).toEqual([429, 'rate_limit_exceeded']);
    expect(Number(headers.get('retry-after-ms'))).toBeLessThanOrEqual(2000);
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect((await ask(edge, { tenant: 'b2', characters: 1 })).status).toBe(200);
  });

  it('admits exactly what the plan has when far more come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => listen(edge, { tenant: 'c', plan: 'standard', characters: 10, i })));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(60 - refused.length).toBe(PLANS.standard.streams);
    const codes = await Promise.all(refused.map(async ({ body }) => String(await body.toArray())));
    expect(new Set(codes)).toEqual(new Set(['concurrency_limit_exceeded']));
    expect(await speaking(edge, 'c')).toEqual({ now: 20, most: 20 });
    expect((await ask(edge, { tenant: 'c', plan: 'standard', characters: 10 })).code).toBe('concurrency_limit_exceeded');
    for (const { leave } of answers) leave();
    // their places are free as soon as the Worker saw them leave
    await vi.waitFor(async () => expect((await ask(edge, { tenant: 'c', plan: 'standard', characters: 10, ms: 1 })).status).toBe(200), { timeout: 5000 });
  });

  it('ends a quota without an invitation to try again soon', async () => {
    const minute = { tenant: 'd', characters: 20_000, ms: 1 };
    expect((await ask(edge, minute)).status).toBe(200);
    const { code, headers } = await ask(edge, { tenant: 'd', characters: 1 });
    expect(code).toBe('insufficient_quota');
    expect(Number(headers.get('retry-after-ms'))).toBeLessThanOrEqual(86_400_000);
  });

  it('charges what the listener took, once, however the stream ends', async () => {
    const whole = await listen(edge, { tenant: 'e', characters: 1000, stream: 4 });
    expect(await bytesOf(whole.body)).toBe(4 * 256 * 1024);
    await vi.waitFor(async () => expect(await used(edge, 'e')).toMatchObject([{ requests: 1, characters: 1000, audioMs: 4000 }]), { timeout: 5000 });
    const broken = await listen(edge, { tenant: 'e2', characters: 1000, stream: 100, breaks: 1 });
    await expect(bytesOf(broken.body)).rejects.toThrow();
    await vi.waitFor(async () => expect(await used(edge, 'e2')).toMatchObject([{ requests: 1, characters: 1000, audioMs: 100_000 }]), { timeout: 5000 });
    const left = await listen(edge, { tenant: 'e3', characters: 1000 });
    await once(left.body, 'readable');
    left.body.read();
    left.leave();
    await vi.waitFor(async () => expect(await used(edge, 'e3')).toHaveLength(1), { timeout: 5000 });
    const [part] = await used(edge, 'e3');
    // buffers on the way took some more than the listener, and far from all
    expect(part?.characters).toBeGreaterThanOrEqual(10);
    expect(part?.characters).toBeLessThan(800);
  });

  it('counts a settlement once, and a failure before the first sound not at all', async () => {
    await ask(edge, { tenant: 'f', characters: 100, ms: 1000, twice: 1 });
    await ask(edge, { tenant: 'f', characters: 100, ms: 0, fails: 1 });
    expect(await used(edge, 'f')).toMatchObject([{ key: 'k', requests: 1, characters: 100, audioMs: 1000 }]);
    expect((await ask(edge, { tenant: 'f', characters: 1, ms: 1 })).headers.get('x-ratelimit-remaining-requests')).toBe('28');
  });

  it('charges once, and frees the place, when the object of the tenant restarts in the middle of a stream', async () => {
    const listeners = await Promise.all([1, 2].map(() => listen(edge, { tenant: 'r', characters: 100, stream: 40 })));
    expect(listeners.map(({ status }) => status)).toEqual([200, 200]);
    await fetch(url(edge, { tenant: 'r', restart: 1 }));
    // its books are on disk: both still hold their places
    expect((await ask(edge, { tenant: 'r', characters: 1 })).code).toBe('concurrency_limit_exceeded');
    await fetch(url(edge, { tenant: 'r', restart: 1 }));
    for (const { body } of listeners) expect(await bytesOf(body)).toBe(40 * 256 * 1024);
    await vi.waitFor(async () => expect(await used(edge, 'r')).toMatchObject([{ requests: 2, characters: 200, audioMs: 80_000 }]), { timeout: 5000 });
    expect((await ask(edge, { tenant: 'r', characters: 1, ms: 1 })).status).toBe(200);
  });

  it('keeps two keys of a tenant apart in the usage, and adds up what a flood brings', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(edge, { tenant: 'g', plan: 'pro', key: `k${i % 2}`, characters: 7, ms: 10 })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
    await vi.waitFor(async () => expect(await used(edge, 'g')).toMatchObject([{ key: 'k0', requests: 50, characters: 350, audioMs: 500 }, { key: 'k1', requests: 50, characters: 350, audioMs: 500 }]), { timeout: 5000 });
  });

  it('serves a tenant that is bound to a place also where there is only one', async () => {
    expect((await ask(edge, { tenant: 'h', residency: 'eu', characters: 1 })).status).toBe(200);
  });

  it('asks for no permission where the plan has no limits, and counts all the same', async () => {
    const { status, headers } = await ask(edge, { tenant: 'i', plan: 'unlimited', characters: 1_000_000, ms: 5 });
    expect(status).toBe(200);
    expect([...headers.keys()].filter((name) => /ratelimit/.test(name))).toEqual([]);
    expect(await used(edge, 'i')).toMatchObject([{ requests: 1, characters: 1_000_000 }]);
  });

  it('writes the counts into the catalogue, and shows each once while it does', async () => {
    await ask(edge, { tenant: 'j', characters: 50, ms: 500 });
    const database = await edge.miniflare.getD1Database('DB');
    const row = () => database.prepare('SELECT requests, characters, version FROM usage WHERE tenant = ?').bind('j').first();
    await vi.waitFor(async () => expect(await row()).toEqual({ requests: 1, characters: 50, version: 1 }), { timeout: 15_000, interval: 250 });
    expect(await used(edge, 'j')).toMatchObject([{ requests: 1, characters: 50, audioMs: 500 }]);
    await ask(edge, { tenant: 'j', characters: 50, ms: 500 });
    expect(await used(edge, 'j')).toMatchObject([{ requests: 2, characters: 100, audioMs: 1000 }]);
    expect(await row()).toEqual({ requests: 1, characters: 50, version: 1 });
  });
});

describe('a process that ends in the middle of a stream', () => {
  it('has kept every settled count and knows who was speaking', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'quota-'));
    const before = await startQuotaEdge(folder);
    await ask(before, { tenant: 't', characters: 100, ms: 1000 });
    const listeners = await Promise.all([listen(before, { tenant: 't', characters: 200 }), listen(before, { tenant: 't', characters: 200 })]);
    expect(listeners.map(({ status }) => status)).toEqual([200, 200]);
    for (const { body } of listeners) body.on('error', () => {}); // it is broken off below
    await before.close();
    const after = await startQuotaEdge(folder);
    expect(await used(after, 't')).toMatchObject([{ requests: 1, characters: 100, audioMs: 1000 }]);
    // the books say that two still speak; nobody renews them, and ledger.test.ts shows when they are free
    expect((await ask(after, { tenant: 't', characters: 1 })).code).toBe('concurrency_limit_exceeded');
    await after.close();
    await rm(folder, { recursive: true });
  });
});
