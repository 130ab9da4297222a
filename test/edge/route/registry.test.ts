/** Nodes that tell the edge about themselves, and what the edge makes of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';
import { HEARTBEAT_PATH } from '../../../shared/contract/heartbeat.ts';
import type { Heartbeat } from '../../../shared/contract/heartbeat.ts';
import { SIGNATURE_HEADER, sign } from '../../../shared/signing/index.ts';
import { KEY, codeOf, heard, speak, startEdge, startNode } from './nodes.ts';
import type { TestNode } from './nodes.ts';

const NEXT = { id: 'next', secret: 'the-key-that-comes-after-the-first-one-32' };

let count = 0;
const heartbeat = (facts: Partial<Heartbeat> = {}): Heartbeat => ({
  version: 1, node: 'n', instance: `instance-${count++}`, sequence: 0, url: `http://10.0.0.${count}:1`, region: 'sa', device: 'cpu', release: '0', models: [], presets: [],
  running: 0, waiting: 0, capacity: 1, firstAudioMs: 0, warmVoices: [], state: 'ready', periodMs: 2000, ...facts,
});

type Sending = { readonly key?: typeof KEY; readonly atMs?: number; readonly signature?: string };

async function send(edge: LocalEdge, value: unknown, { key = KEY, atMs = Date.now(), signature }: Sending = {}): Promise<{ readonly response: Response; readonly signature: string }> {
  const body = Uint8Array.from(new TextEncoder().encode(JSON.stringify(value)));
  const header = signature ?? (await sign({ method: 'POST', path: HEARTBEAT_PATH, body }, key, atMs));
  return { response: await fetch(new URL(HEARTBEAT_PATH, edge.url), { method: 'POST', body, headers: { [SIGNATURE_HEADER]: header } }), signature: header };
}

async function regions(edge: LocalEdge): Promise<Record<string, { nodes: number; ready: number }>> {
  const { data } = (await (await fetch(new URL('/v1/regions', edge.url))).json()) as { data: { id: string; nodes: number; ready: number }[] };
  return Object.fromEntries(data.map(({ id, nodes, ready }) => [id, { nodes, ready }]));
}

describe('heartbeats', () => {
  let edge: LocalEdge;
  beforeAll(async () => {
    edge = await startEdge({ NODE_KEYS: `${NEXT.id}:${NEXT.secret} ${KEY.id}:${KEY.secret}` });
  });
  afterAll(() => edge.close());

  it('make a node known, and a replay is refused and changes nothing', async () => {
    const first = heartbeat({ region: 'oc' });
    const { response, signature } = await send(edge, first);
    expect(response.status).toBe(200);
    expect((await send(edge, { ...first, sequence: 1, state: 'gone' })).response.status).toBe(200);
    const again = await send(edge, first, { signature });
    expect([again.response.status, await codeOf(again.response)]).toEqual([401, 'signature_invalid']);
    expect((await regions(edge))['oc']).toBeUndefined();
  });

  it('count with either key while keys change', async () => {
    for (const key of [KEY, NEXT]) expect((await send(edge, heartbeat({ region: 'af' }), { key })).response.status).toBe(200);
    expect((await regions(edge))['af']?.nodes).toBe(2);
  });

  it('come from clocks that are five minutes apart, and from no older ones', async () => {
    for (const skewMs of [-300_000, 300_000]) expect((await send(edge, heartbeat(), { atMs: Date.now() + skewMs })).response.status).toBe(200);
    for (const skewMs of [-400_000, 400_000]) expect((await send(edge, heartbeat(), { atMs: Date.now() + skewMs })).response.status).toBe(401);
  });

  it.each([
    ['an unknown key', heartbeat(), { key: { id: 'test', secret: 'not-the-secret' } }, 401],
    ['no signature', heartbeat(), { signature: '' }, 401],
    ['another form', { version: 2 }, {}, 400],
    ['an address that is no web address', heartbeat({ url: 'file:///etc/passwd' }), {}, 400],
    ['a region that does not exist', { ...heartbeat(), region: 'moon' }, {}, 400],
  ])('are refused with %s', async (_, value, sending, status) => {
    expect((await send(edge, value, sending)).response.status).toBe(status);
  });

  it('that come late do not change what a later one said', async () => {
    const node = heartbeat({ region: 'me', sequence: 5, state: 'draining' });
    await send(edge, node);
    await send(edge, { ...node, sequence: 4, state: 'ready' });
    expect((await regions(edge))['me']).toEqual({ nodes: 1, ready: 0 });
  });

  it('that stop make the node go after three periods, and of two processes at one address the newer counts', async () => {
    const url = 'http://10.1.1.1:1';
    await send(edge, heartbeat({ region: 'na-west', url, periodMs: 100, state: 'draining' }));
    await send(edge, heartbeat({ region: 'na-west', url, periodMs: 100 }));
    expect((await regions(edge))['na-west']).toEqual({ nodes: 1, ready: 1 });
    await expect.poll(async () => (await regions(edge))['na-west'], { timeout: 2000, interval: 50 }).toBeUndefined();
  });
});

describe('jobs and registered nodes', () => {
  let edge: LocalEdge;
  let nodes: { eu: TestNode; asia: TestNode };
  beforeAll(async () => {
    nodes = { eu: await startNode(), asia: await startNode() };
    edge = await startEdge({ REGION: 'asia', AUTH: 'on', ADMIN_KEY: 'operator' });
    await nodes.asia.heartbeats(edge, { region: 'asia' }, 10_000).now();
    await nodes.eu.heartbeats(edge, { region: 'eu' }, 10_000).now();
    const made = await fetch(new URL('/v1/tenants', edge.url), { method: 'POST', headers: { authorization: 'Bearer operator', 'content-type': 'application/json' }, body: '{"id":"berlin","residency":"eu"}' });
    expect(made.status).toBe(201);
  });
  afterAll(async () => {
    await edge.close();
    await Promise.all(Object.values(nodes).map(({ kill }) => kill()));
  });

  const ask = (tenant?: string) => speak(edge, {}, { headers: { authorization: 'Bearer operator', ...(tenant === undefined ? {} : { 'x-tenant': tenant }) } });

  it('go to the nearest region', async () => {
    const response = await ask();
    expect([await heard(response), response.headers.get('x-region')]).toEqual(['whole', 'asia']);
    expect(nodes.eu.jobs).toHaveLength(0);
  });

  it('of a tenant that is pinned stay in its region', async () => {
    const response = await ask('berlin');
    expect([await heard(response), response.headers.get('x-region')]).toEqual(['whole', 'eu']);
  });

  it('go to the next region when one is out, but never out of a pinned one', async () => {
    await nodes.asia.kill();
    const response = await ask();
    expect([await heard(response), response.headers.get('x-region')]).toEqual(['whole', 'eu']);
    await nodes.asia.revive();
    await nodes.eu.kill();
    const asked = nodes.asia.jobs.length;
    const refused = await ask('berlin');
    expect([refused.status, await codeOf(refused)]).toEqual([503, 'no_node_available']);
    expect(nodes.asia.jobs).toHaveLength(asked);
    expect(await heard(await ask())).toBe('whole');
  });

  it('are shown to the operator with what was measured, and to no one else', async () => {
    const list = await fetch(new URL('/v1/nodes', edge.url), { headers: { authorization: 'Bearer operator' } });
    const { data } = (await list.json()) as { data: { url: string; region: string; breaker: string; source: string }[] };
    expect(data.map(({ url, region, source }) => [url, region, source])).toEqual(expect.arrayContaining([[nodes.eu.url, 'eu', 'heartbeat'], [nodes.asia.url, 'asia', 'heartbeat']]));
    expect((await fetch(new URL('/v1/nodes', edge.url))).status).toBe(401);
  });
});
