import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { cpSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { pullCheckpoint } from '../../../gpu-node/checkpoint/download.ts';
import type { PullProgress } from '../../../gpu-node/checkpoint/download.ts';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { failure, temporaryDirectory } from './files.ts';

const golden = join(goldenDirectory, 'checkpoint');
const BREAK_AT = 100_000;

type Behaviour = {
  /** Says nothing more after `BREAK_AT` bytes of llm.pt, this often. */
  stalls?: number;
  sums?: string;
  /** Hugging Face's way: hashes on a redirect. */
  hub?: boolean;
  hubHash?: string;
  missing?: string;
  size?: number;
  noRanges?: boolean;
  version?: () => string;
  damage?: boolean;
};

/** `cut` breaks the connections that are open. */
type Served = { readonly base: string; readonly cut: () => void; readonly requests: { method: string; file: string; range: string | undefined; status: number }[] };

/** The reference checkpoint over HTTP on the loopback. */
async function serve(behaviour: Behaviour = {}): Promise<Served> {
  const requests: Served['requests'] = [];
  let stalls = behaviour.stalls ?? 0;
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const file = (request.url ?? '').replace(/^\/(?:repo|storage)\//, '');
    const { range } = request.headers;
    response.on('close', () => requests.push({ method: request.method ?? '', file, range, status: response.statusCode }));
    if (file === 'SHA256SUMS' && behaviour.sums !== undefined) return void response.end(behaviour.sums);
    const path = join(golden, file);
    if (!existsSync(path) || file === behaviour.missing) return void response.writeHead(404).end();
    const whole = readFileSync(path);
    const body = behaviour.damage === true && file === 'flow.pt' ? Buffer.concat([whole.subarray(0, -1), Buffer.of(1)]) : whole;
    const version = `"${behaviour.version?.() ?? 'one'}"`;
    if (behaviour.hub === true && request.url?.startsWith('/repo/') === true) {
      const isLarge = file.endsWith('.pt') || file.endsWith('.onnx');
      const blob = createHash('sha1').update(`blob ${whole.length}\0`).update(whole).digest('hex');
      const hashes = isLarge ? { 'x-linked-size': whole.length, 'x-linked-etag': `"${behaviour.hubHash ?? createHash('sha256').update(whole).digest('hex')}"` } : { etag: `"${blob}"` };
      return void response.writeHead(302, { location: `/storage/${file}`, 'x-repo-commit': 'c', ...hashes }).end();
    }
    const start = range === undefined || behaviour.noRanges === true || request.headers['if-range'] !== version ? 0 : Number(/^bytes=(\d+)-$/.exec(range)?.[1]);
    const headers = { etag: version, 'content-length': (behaviour.size ?? body.length) - start, ...(start > 0 ? { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` } : {}) };
    response.writeHead(start > 0 ? 206 : 200, headers);
    if (request.method === 'HEAD') return void response.end();
    const isLarge = file === 'llm.pt';
    if (isLarge && stalls-- > 0) return void response.write(body.subarray(start, start + BREAK_AT));
    response.end(body.subarray(start));
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}/repo/`, requests, cut: () => server.closeAllConnections() };
}

function sums(change: (hex: string, file: string) => string = (hex) => hex): string {
  const files = readdirSync(golden, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(golden, file)).isFile());
  return files.map((file) => `${change(createHash('sha256').update(readFileSync(join(golden, file))).digest('hex'), file)}  ./${file}\n`).join('');
}

function parts(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => file.includes('.part'));
}

test('a directory is filled, checked and can be opened; a second run fetches nothing', async () => {
  const { base, requests } = await serve({ sums: sums() });
  const directory = join(temporaryDirectory(), 'new/model');
  const seen: PullProgress[] = [];
  await pullCheckpoint({ source: base, directory, onProgress: (progress) => seen.push(progress) });
  const checkpoint = await openCheckpoint(directory);
  checkpoint.close();
  expect(parts(directory)).toEqual([]);
  expect(existsSync(join(directory, 'CosyVoice-BlankEN/model.safetensors'))).toBe(false);
  const last = seen.findLast(({ file }) => file === 'llm.pt');
  expect(last).toMatchObject({ done: statSync(join(golden, 'llm.pt')).size, total: statSync(join(golden, 'llm.pt')).size });
  requests.length = 0;
  await pullCheckpoint({ source: base.slice(0, -1), directory });
  expect(requests.filter(({ method, file }) => method === 'GET' && file !== 'SHA256SUMS')).toEqual([]);
});

test('a connection that breaks is resumed where it stopped', async () => {
  const { base, requests, cut } = await serve({ stalls: 2, sums: sums() });
  const directory = temporaryDirectory();
  await pullCheckpoint({ source: base, directory, onProgress: ({ file, done }) => file === 'llm.pt' && (done === BREAK_AT || done === 2 * BREAK_AT) && cut() });
  const ranges = requests.filter(({ method, file }) => method === 'GET' && file === 'llm.pt').map(({ range }) => range);
  expect(ranges).toEqual([undefined, `bytes=${BREAK_AT}-`, `bytes=${2 * BREAK_AT}-`]);
  expect(readFileSync(join(directory, 'llm.pt')).equals(readFileSync(join(golden, 'llm.pt')))).toBe(true);
});

test('a connection that says nothing is given up and resumed', async () => {
  const { base } = await serve({ stalls: 1 });
  const directory = temporaryDirectory();
  await pullCheckpoint({ source: base, directory, stallMs: 300 });
  expect(readFileSync(join(directory, 'llm.pt')).equals(readFileSync(join(golden, 'llm.pt')))).toBe(true);
});

test('a server that closes its connection after each answer, as HTTP/1.0 does, is read to the end', async () => {
  const server = createRawServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (request) => {
      const [, method = '', file = ''] = /^(\w+) \/(\S*)/.exec(request.toString('latin1')) ?? [];
      const path = join(golden, file);
      if (!existsSync(path)) return void socket.end('HTTP/1.0 404 Not Found\r\n\r\n');
      const body = readFileSync(path);
      socket.write(`HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.end(method === 'HEAD' ? '' : body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const directory = temporaryDirectory();
  await pullCheckpoint({ source: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, directory });
  for (const file of ['llm.pt', 'flow.pt', 'hift.pt', 'cosyvoice2.yaml']) expect(readFileSync(join(directory, file)).equals(readFileSync(join(golden, file)))).toBe(true);
});

test('a stop keeps what has arrived, and the next run goes on from there', async () => {
  const { base, requests } = await serve({ stalls: 1 });
  const directory = temporaryDirectory();
  const stop = new AbortController();
  const stopped = failure(() => pullCheckpoint({ source: base, directory, signal: stop.signal, onProgress: ({ file, done }) => file === 'llm.pt' && done >= BREAK_AT && stop.abort() }));
  expect(await stopped).toMatch(/^cancelled: .*Run it again to go on from here/);
  expect(parts(directory)).toContain('llm.pt.part');
  requests.length = 0;
  await pullCheckpoint({ source: base, directory });
  expect(requests.filter(({ method, range }) => method === 'GET' && range !== undefined)).toMatchObject([{ file: 'llm.pt', range: `bytes=${BREAK_AT}-`, status: 206 }]);
});

test('a file that changed meanwhile, or a server without ranges, starts that file again', async () => {
  for (const behaviour of [{ stalls: 1, noRanges: true }, { stalls: 1, version: (() => { let count = 0; return () => String(count++); })() }] satisfies Behaviour[]) {
    const { base, cut } = await serve(behaviour);
    const directory = temporaryDirectory();
    let cuts = 0;
    await pullCheckpoint({ source: base, directory, onProgress: ({ file, done }) => file === 'llm.pt' && done === BREAK_AT && cuts++ === 0 && cut() });
    expect(readFileSync(join(directory, 'llm.pt')).equals(readFileSync(join(golden, 'llm.pt')))).toBe(true);
  }
});

test('hashes of a hub are read from its redirects, for large and for small files', async () => {
  const directory = temporaryDirectory();
  await pullCheckpoint({ source: (await serve({ hub: true })).base, directory });
  (await openCheckpoint(directory)).close();
  const wrong = await serve({ hub: true, hubHash: '0'.repeat(64) });
  expect(await failure(() => pullCheckpoint({ source: wrong.base, directory: temporaryDirectory() }))).toMatch(/^hash_mismatch: campplus.onnx arrived damaged/);
});

test('a damaged file is removed and named; one that is here but wrong is fetched again', async () => {
  const { base } = await serve({ damage: true, sums: sums() });
  const directory = temporaryDirectory();
  expect(await failure(() => pullCheckpoint({ source: base, directory }))).toMatch(/^hash_mismatch: flow.pt arrived damaged or is another file than announced; it was removed/);
  expect(existsSync(join(directory, 'flow.pt'))).toBe(false);
  expect(parts(directory)).toEqual([]);
  const good = await serve({ sums: sums() });
  const hift = readFileSync(join(directory, 'hift.pt'));
  hift[1000] = (hift[1000] ?? 0) ^ 1;
  writeFileSync(join(directory, 'hift.pt'), hift);
  await pullCheckpoint({ source: good.base, directory });
  expect(readFileSync(join(directory, 'hift.pt')).equals(readFileSync(join(golden, 'hift.pt')))).toBe(true);
});

test('a missing file, a full disk, no server and no source are each one line', async () => {
  const directory = temporaryDirectory();
  const missing = await serve({ missing: 'flow.pt' });
  expect(await failure(() => pullCheckpoint({ source: missing.base, directory }))).toMatch(/^download_failed: 127.0.0.1:\d+ has no \/repo\/flow.pt/);
  const huge = await serve({ size: 2 ** 52 });
  expect(await failure(() => pullCheckpoint({ source: huge.base, directory }))).toMatch(/^disk_full: The checkpoint needs .* GB more and .* has .* GB free/);
  expect(readdirSync(directory)).toEqual([]);
  expect(await failure(() => pullCheckpoint({ source: 'http://127.0.0.1:9/', directory }))).toMatch(/^download_failed: 127.0.0.1:9 cannot be reached \(.*\)\. Check the connection/);
  expect(await failure(() => pullCheckpoint({ source: 'http://name.invalid/', directory }))).toMatch(/^download_failed: name.invalid cannot be reached \((?:ENOTFOUND|EAI_AGAIN)\)/);
  expect(await failure(() => pullCheckpoint({ source: 'hugging', directory }))).toMatch(/^invalid_value: "hugging" is no source: give huggingface, modelscope, or a URL/);
  expect(await failure(() => pullCheckpoint({ source: 'file:///etc', directory }))).toContain('is no source');
  cpSync(join(golden, 'cosyvoice2.yaml'), join(directory, 'file'));
  expect(await failure(() => pullCheckpoint({ source: missing.base, directory: join(directory, 'file/x') }))).toMatch(/^(?:download_failed|invalid_value): /);
});

test('a checkpoint without stored voices is complete', async () => {
  const { base } = await serve({ missing: 'spk2info.pt' });
  const directory = temporaryDirectory();
  await pullCheckpoint({ source: base, directory });
  const { speakers, close } = await openCheckpoint(directory);
  expect(speakers.size).toBe(0);
  close();
});
