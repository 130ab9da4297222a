/** Bad input and stores that fail, through the whole Worker with keys, in front of nodes over real HTTP. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { LocalEdge } from '../../gpu-node/server/local-edge.ts';
import { startLocalEdge } from '../../gpu-node/server/local-edge.ts';
import { jobSchema } from '../../shared/contract/job.ts';
import { SIGNATURE_HEADER, sign } from '../../shared/signing/index.ts';
import { KEY, heard, startNode } from './route/nodes.ts';
import type { TestNode } from './route/nodes.ts';

const ADMIN = 'operator-secret-of-this-test-0123456789';
const data = mkdtempSync(join(tmpdir(), 'faults-'));
let node: TestNode;
let edge: LocalEdge;
let key: { readonly id: string; readonly key: string };

beforeAll(async () => {
  node = await startNode();
});
afterAll(async () => {
  await node.kill();
  rmSync(data, { recursive: true, force: true });
});

function life(): void {
  beforeAll(async () => {
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, dataDirectory: data, bindings: { NODES: node.url, NODE_KEYS: `${KEY.id}:${KEY.secret}`, ADMIN_KEY: ADMIN, TOKEN_KEYS: 't:a-secret-that-signs-client-tokens-and-hooks', OUTSIDE_LOOPBACK: 'allow' } });
  });
  afterAll(() => edge.close());
}

type Init = { readonly key?: string; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> };
async function ask(method: string, path: string, { key: secret = key?.key ?? ADMIN, body, headers }: Init = {}): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> & { readonly error?: { readonly code: string } } }> {
  const response = await fetch(new URL(path, edge.url), { method, headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, headers: response.headers, body: (await response.json().catch(() => ({}))) as Record<string, unknown> };
}

const speak = (body: Record<string, unknown> = {}): Promise<Response> => fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' }, body: JSON.stringify({ input: 'Hello.', voice: 'a', response_format: 'pcm', seed: 5, ...body }) });

/** What a server says to bytes that no client would send. */
async function raw(text: string): Promise<{ readonly socket: Socket; readonly answer: Promise<string> }> {
  const socket = connect(Number(edge.url.port), '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket.on('data', (piece) => (answer += String(piece)));
  await once(socket, 'connect');
  socket.write(text, 'latin1');
  return { socket, answer: once(socket, 'close').then(() => answer) };
}

/** Every database of a store that has the table. */
function change(folder: string, table: string, sql: string): number {
  const root = join(data, folder);
  const files = existsSync(root) ? readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.sqlite')) : [];
  return files.filter((name) => {
    const database = new DatabaseSync(join(root, name));
    const has = database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table) !== undefined;
    if (has) database.exec(sql);
    database.close();
    return has;
  }).length;
}

describe('requests that mean harm', () => {
  life();
  let stalled: Promise<{ readonly answer: string; readonly tookMs: number }>;
  beforeAll(async () => {
    await ask('POST', '/v1/tenants', { key: ADMIN, body: { id: 'anna', plan: 'pro' } });
    key = (await ask('POST', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': 'anna' }, body: { name: 'test' } })).body as unknown as typeof key;
    // a client that sends a part of its body and nothing more; awaited last
    const { answer } = await raw(`POST /v1/audio/speech HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer ${key.key}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"input":`);
    const startMs = performance.now();
    stalled = answer.then((text) => ({ answer: text, tookMs: performance.now() - startMs }));
  });

  it.each(['a b', 'x'.repeat(101), 'a\tb', '"><script>', 'é', 'a\u0000b'])('do not get their request id %j back', async (id) => {
    const { answer } = await raw(`GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-request-id: ${id}\r\n\r\n`);
    const text = await answer;
    expect(text).not.toContain(id);
    expect(text).toMatch(/^HTTP\/1\.1 (200[^]*x-request-id: [0-9a-f-]{36}\r\n|400)/i);
  });

  it('cannot write headers by names of fields and voices', async () => {
    const evil = 'a\r\nset-cookie: b=c\r\n\r\n<html>';
    const response = await speak({ [evil]: 1, [`声${evil}`]: 2 });
    expect(await heard(response)).toBe('whole');
    expect([response.headers.get('set-cookie'), response.headers.get('x-warnings')?.includes('\\r\\n')]).toEqual([null, true]);
    const missing = await speak({ voice: evil });
    expect([missing.status, missing.headers.get('set-cookie'), missing.headers.get('content-type')]).toEqual([404, null, 'application/problem+json']);
  });

  it('are refused in one line when the query is a book', async () => {
    const long = await ask('GET', `/v1/audio/speech?voice=a&input=${'word%20'.repeat(5000)}`);
    expect([long.status, long.body.error?.code]).toEqual([400, 'invalid_value']);
    const { answer } = await raw(`GET /v1/audio/speech?input=${'a'.repeat(2_000_000)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    expect((await answer).slice(0, 12)).toMatch(/^(HTTP\/1\.1 4\d\d)?$/);
    expect((await speak()).status).toBe(200);
  });

  it('are refused by the node when they are replayed, or older than clocks may differ', async () => {
    const body = new TextEncoder().encode(JSON.stringify(jobSchema.parse({ version: 1, id: 'j', text: 'Hello.', voice: { kind: 'preset', name: 'a' }, format: 'pcm', sampleRateHz: 24_000, speed: 1, volume: 1, seed: 5, streaming: true, tenant: 'anna' })));
    const send = async (signature: string) => {
      const response = await fetch(new URL('/v1/synthesize', node.url), { method: 'POST', body, headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature } });
      await response.arrayBuffer();
      return response.status;
    };
    const at = (minutes: number) => sign({ method: 'POST', path: '/v1/synthesize', body }, KEY, Date.now() + minutes * 60_000);
    const signature = await at(0);
    expect([await send(signature), await send(signature)]).toEqual([200, 401]);
    // the clock of one region is five minutes off
    for (const minutes of [-4.9, 4.9]) expect(await send(await at(minutes))).toBe(200);
    for (const minutes of [-30, 30]) expect(await send(await at(minutes))).toBe(401);
  });

  it('show a webhook its secret with each answer, and keep it with none', async () => {
    const job = { body: { input: 'Ring me.', voice: 'a', webhook_url: 'http://127.0.0.1:9/' }, headers: { 'idempotency-key': 'ring' } };
    const first = await ask('POST', '/v1/audio/jobs', job);
    const again = await ask('POST', '/v1/audio/jobs', job);
    expect([first.status, String(first.body['webhook_secret']).slice(0, 6), again.headers.get('idempotent-replayed')]).toEqual([202, 'whsec_', 'true']);
    expect(again.body).toEqual(first.body);
    const secret = String(first.body['webhook_secret']);
    const files = readdirSync(data, { recursive: true, encoding: 'utf8', withFileTypes: true }).filter((entry) => entry.isFile()).map(({ parentPath, name }) => readFileSync(join(parentPath, name)));
    expect(files.some((bytes) => bytes.includes('ring'))).toBe(true);
    expect(files.some((bytes) => bytes.includes(secret))).toBe(false);
  });

  it('begin nothing on an open socket once their key has ended', async () => {
    const spare = (await ask('POST', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': 'anna' }, body: { name: 'spare' } })).body as unknown as typeof key;
    const socket = new WebSocket(new URL('/v1/audio/speech/ws', edge.url.href.replace('http', 'ws')), { headers: { authorization: `Bearer ${spare.key}` } });
    const errors: string[] = [];
    socket.on('message', (message, isBinary) => {
      const { error } = isBinary ? {} : (JSON.parse(String(message)) as { error?: { code: string } });
      if (error) errors.push(error.code);
    });
    await once(socket, 'open');
    expect((await ask('DELETE', `/v1/keys/${spare.id}`, { key: ADMIN, headers: { 'x-tenant': 'anna' } })).status).toBe(200);
    socket.send(JSON.stringify({ type: 'context.create', context_id: 'c', voice: 'a' }));
    const [code] = (await once(socket, 'close')) as [number];
    expect([code, errors]).toEqual([1008, ['invalid_api_key']]);
  });

  it('end after ten seconds when their body stops coming, and nobody waits for them', async () => {
    expect(await heard(await speak())).toBe('whole');
    const { answer, tookMs } = await stalled;
    expect(answer).toMatch(/^HTTP\/1\.1 408[^]*body_too_slow/);
    expect(tookMs).toBeLessThan(16_000);
  }, 20_000);
});

describe('stores that fail', () => {
  beforeAll(() => {
    expect(change('d1', 'keys', 'DROP TABLE keys')).toBe(1);
    expect(change('r2', '_mf_objects', 'DROP TABLE _mf_objects; CREATE TABLE _mf_objects (key TEXT)')).toBeGreaterThan(0);
  });
  life();

  it('leave known keys, and their speech, which is then not kept', async () => {
    for (const seed of [5, 6]) {
      const response = await speak({ seed });
      expect([await heard(response, { seed }), response.headers.get('x-cache')]).toEqual(['whole', 'audio-miss']);
    }
  });

  it('are named in one line, with the time to wait, where nothing goes without them', async () => {
    const { status, headers, body } = await ask('POST', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': 'anna' }, body: { name: 'new' } });
    expect([status, body.error?.code, headers.get('retry-after')]).toEqual([503, 'store_unavailable', expect.any(String)]);
    expect(JSON.stringify(body)).not.toMatch(/SQLITE|D1_ERROR|no such table/);
  });
});

describe('an edge and nodes with different keys', () => {
  it('are an outage for callers, not a wrong key', async () => {
    const other = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: node.url, AUTH: 'off', NODE_KEYS: 'test:another-secret-than-the-node-has-32+' } });
    const response = await fetch(new URL('/v1/audio/speech', other.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ input: 'Hello.', voice: 'a' }) });
    const { error } = (await response.json()) as { error: { code: string } };
    expect([response.status, error.code, response.headers.get('retry-after')]).toEqual([503, 'no_node_available', '5']);
    await other.close();
  });
});
