/**
 * What the Worker adds, beside the node called directly in the same run: time to the first byte of sound, streams at once,
 * memory and processor time of a stream, a hit of the result cache, bytes of the bundle, start of `npm start`. Prints a table
 * and JSON.
 *
 *   node test/bench/edge/bench.ts [--streams 300] [--seconds 10] [--calls 300] [--only first,kept,crowds,bundle,starts]
 *
 * Client, node and Worker share the machine's cores.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { Agent, request } from 'node:http';
import { sign } from '../../../shared/signing/index.ts';
import { hardware, measurementRows } from '../../../gpu-node/bench/measure.ts';
import type { Measurement } from '../../../gpu-node/bench/measure.ts';

const ROOT = join(import.meta.dirname, '../../..');
const { values } = parseArgs({ options: { streams: { type: 'string', default: '300' }, seconds: { type: 'string', default: '10' }, calls: { type: 'string', default: '300' }, only: { type: 'string' } } });
const [streams, seconds, calls] = [Number(values.streams), Number(values.seconds), Number(values.calls)];

/** 16-bit mono at 24 kHz. */
const BYTES_PER_MS = 48;
/** A player starts this long after the first byte. */
const PLAYER_MS = 200;

const key = { id: 'bench', secret: randomBytes(32).toString('hex') };
const admin = randomBytes(32).toString('base64url');
const data = mkdtempSync(join(tmpdir(), 'bench-edge-'));
const env = { ...process.env, NODE_KEYS: `${key.id}:${key.secret}`, TOKEN_KEYS: `t:${randomBytes(32).toString('hex')}`, ADMIN_KEY: admin, DATA: data };
const agent = new Agent({ keepAlive: true, maxSockets: 2000 });
const children: ChildProcess[] = [];

try {
  const node = await start(join(import.meta.dirname, 'node.ts'), env);
  const edge = await start(join(import.meta.dirname, 'worker.ts'), { ...env, NODES: node.url });
  await post(`${edge.url}v1/tenants`, admin, { id: 'bench', plan: 'unlimited' });
  const { key: apiKey } = JSON.parse((await post(`${edge.url}v1/keys`, admin, { name: 'bench' }, { 'x-tenant': 'bench' })).text) as { key: string };
  const rows: Measurement[] = [];

  for (const [name, part] of Object.entries({ first, kept, crowds, bundle, starts })) if (!values.only || values.only.split(',').includes(name)) rows.push(...(await part({ node, edge, apiKey })));

  for (const row of measurementRows(rows)) console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(46) : cell.padStart(10))).join(''));
  console.log(JSON.stringify({ hardware: hardware('cpu'), measurements: rows.map((row) => ({ ...row, samples: row.samples.map((value) => Number(value.toFixed(3))) })) }));
} finally {
  for (const child of children) child.kill('SIGTERM');
  agent.destroy();
  setTimeout(() => rmSync(data, { recursive: true, force: true }), 1000);
}

type Bench = { readonly node: Started; readonly edge: Started; readonly apiKey: string };

/** Turn by turn at the node and through the Worker. */
async function first({ node, edge, apiKey }: Bench): Promise<Measurement[]> {
  const direct: number[] = [];
  const through: number[] = [];
  for (let i = -20; i < calls; i++) {
    const a = await firstByteDirect(node.url);
    const b = await firstByte(edge.url, apiKey, { seed: 1, cache: false });
    if (i < 0) continue; // not warm yet
    direct.push(a);
    through.push(b);
  }
  const added = through.map((ms, i) => ms - (direct[i] ?? 0)).toSorted((a, b) => a - b);
  return [
    { name: 'first byte, node alone', unit: 'ms', samples: direct },
    { name: 'first byte, through the Worker', unit: 'ms', samples: through },
    { name: 'added, p50', unit: 'ms', samples: [quantile(added, 0.5)] },
    { name: 'added, p99', unit: 'ms', samples: [quantile(added, 0.99)] },
  ];
}

/** Of one sound that was made before. */
async function kept({ edge, apiKey }: Bench): Promise<Measurement[]> {
  await firstByte(edge.url, apiKey, { seed: 1, input: 'Kept.' });
  await settled();
  const hits: number[] = [];
  let misses = 0;
  for (let i = 0; i < calls; i++) hits.push(await firstByte(edge.url, apiKey, { seed: 1, input: 'Kept.' }, (headers) => (misses += headers['x-cache'] === 'audio-hit' ? 0 : 1)));
  return [
    { name: 'first byte of a kept result', unit: 'ms', samples: hits },
    { name: 'of these not kept', unit: '', samples: [misses] },
  ];
}

/** Two crowds, because freed memory is not given back at once: what a stream more costs is the slope between their peaks. */
async function crowds({ edge, apiKey }: Bench): Promise<Measurement[]> {
  const few = await crowd(edge, apiKey, Math.round(streams / 3));
  const { heard, peakBytes, processorS } = await crowd(edge, apiKey, streams);
  return [
    { name: `${streams} streams of ${seconds} s at once: complete`, unit: '', samples: [heard.filter(({ complete }) => complete).length] },
    { name: 'streams that ran dry', unit: '', samples: [heard.filter(({ dryMs }) => dryMs > 0).length] },
    { name: 'least sound in the buffer', unit: 'ms', samples: heard.map(({ leastMs }) => leastMs) },
    { name: 'first byte, all at once', unit: 'ms', samples: heard.map(({ firstMs }) => firstMs) },
    { name: 'memory of the Worker, all at once', unit: 'MB', samples: [peakBytes / 1e6] },
    { name: 'memory of a stream', unit: 'KB', samples: [(peakBytes - few.peakBytes) / (heard.length - few.heard.length) / 1e3] },
    { name: 'processor time of the Worker for a second of a stream', unit: 'ms', samples: [(1000 * processorS) / (heard.length * seconds)] },
  ];
}

async function bundle(): Promise<Measurement[]> {
  return [{ name: 'bundle, compressed', unit: 'KB', samples: [await bundleKb()] }];
}

async function starts(): Promise<Measurement[]> {
  return [{ name: 'npm start to the first answer', unit: 's', samples: [await startSeconds(), await startSeconds(), await startSeconds()] }];
}

/** Streams that begin together, the most memory the Worker had while they ran, and the processor time it took. */
async function crowd(edge: Started, apiKey: string, count: number): Promise<{ readonly heard: readonly Heard[]; readonly peakBytes: number; readonly processorS: number }> {
  let peakBytes = 0;
  const beforeS = workerProcessorS(edge.process);
  const watch = setInterval(() => (peakBytes = Math.max(peakBytes, workerMemory(edge.process))), 250);
  const heard = await Promise.all(Array.from({ length: count }, () => listenTo(edge.url, apiKey, seconds)));
  clearInterval(watch);
  return { heard, peakBytes, processorS: workerProcessorS(edge.process) - beforeS };
}

type Started = { readonly url: string; readonly process: ChildProcess };

/** A program of ours that prints its address first. */
async function start(path: string, environment: NodeJS.ProcessEnv): Promise<Started> {
  const child = spawn(process.execPath, [path], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await new Promise<Buffer>((resolve, reject) => child.stdout.once('data', resolve).once('end', () => reject(new Error(`${path} ended`))))).toString().split('\n');
  return { url: line ?? '', process: child };
}

type Asked = { readonly seed: number; readonly input?: string; readonly cache?: boolean };

/** Milliseconds until the first byte of sound; the rest is read. */
function firstByte(url: string, apiKey: string, { seed, input = 'Hello.', cache }: Asked, see: (headers: Record<string, string | string[] | undefined>) => void = () => {}): Promise<number> {
  const body = JSON.stringify({ input, voice: 'tone', response_format: 'pcm', seed, ...(cache === undefined ? {} : { cache }) });
  return timed(`${url}v1/audio/speech`, { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }, body, see);
}

async function firstByteDirect(url: string): Promise<number> {
  const job = { version: 1, id: 'bench', text: 'Hello.', voice: { kind: 'preset', name: 'tone' }, format: 'pcm', sampleRateHz: 24_000, speed: 1, volume: 1, seed: 1, streaming: true };
  const body = JSON.stringify(job);
  const startMs = performance.now();
  const signature = await sign({ method: 'POST', path: '/v1/synthesize', body: Uint8Array.from(new TextEncoder().encode(body)) }, key, Date.now());
  const signedMs = performance.now() - startMs;
  return signedMs + (await timed(`${url}v1/synthesize`, { 'content-type': 'application/json', 'x-cosyvoice-signature': signature }, body));
}

function timed(url: string, headers: Record<string, string>, body: string, see: (headers: Record<string, string | string[] | undefined>) => void = () => {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const call = request(url, { method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`));
      see(response.headers);
      let firstMs: number | undefined;
      response.on('data', () => (firstMs ??= performance.now() - startMs));
      response.on('end', () => resolve(firstMs ?? NaN));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

type Heard = { readonly complete: boolean; readonly dryMs: number; readonly leastMs: number; readonly firstMs: number };

/** One listener with a player's buffer: what is in it at every arrival, before the new bytes. */
function listenTo(url: string, apiKey: string, lengthS: number): Promise<Heard> {
  const body = JSON.stringify({ input: 'Hello.', voice: 'tone', response_format: 'pcm', seed: lengthS, cache: false });
  return new Promise((resolve) => {
    const startMs = performance.now();
    let firstMs: number | undefined;
    let received = 0;
    let leastMs = Infinity;
    const call = request(`${url}v1/audio/speech`, { method: 'POST', agent, headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
      response.on('data', (bytes: Buffer) => {
        const nowMs = performance.now();
        if (firstMs !== undefined) leastMs = Math.min(leastMs, received / BYTES_PER_MS + PLAYER_MS - (nowMs - startMs - firstMs));
        firstMs ??= nowMs - startMs;
        received += bytes.length;
      });
      response.on('close', () => resolve({ complete: response.complete && received === lengthS * 1000 * BYTES_PER_MS, dryMs: Math.max(0, -leastMs), leastMs, firstMs: firstMs ?? NaN }));
    });
    call.on('error', () => resolve({ complete: false, dryMs: 0, leastMs: NaN, firstMs: NaN }));
    call.end(body);
  });
}

/** Resident bytes of workerd below this process. */
function workerMemory(from: ChildProcess): number {
  return Number(readFileSync(`/proc/${workerdOf(from)}/statm`, 'utf8').split(' ')[1]) * 4096;
}

/** Seconds that workerd below this process computed so far, in user and system mode; clock ticks are hundredths. */
function workerProcessorS(from: ChildProcess): number {
  const [user, system] = readFileSync(`/proc/${workerdOf(from)}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13) ?? [];
  return (Number(user) + Number(system)) / 100;
}

function workerdOf({ pid = 0 }: ChildProcess): number {
  const workerd = descendants(pid).find((each) => readFileSync(`/proc/${each}/comm`, 'utf8').trim() === 'workerd');
  if (workerd === undefined) throw new Error('workerd is gone');
  return workerd;
}

function descendants(pid: number): number[] {
  const own = readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number));
  return own.flatMap((child) => [child, ...descendants(child)]);
}

async function bundleKb(): Promise<number> {
  const { outputFiles } = await build({ entryPoints: [join(ROOT, 'edge/worker.ts')], bundle: true, write: false, minify: false, format: 'esm', target: 'esnext', conditions: ['workerd', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'], logLevel: 'silent' });
  return gzipSync(outputFiles[0]?.contents ?? '').length / 1e3;
}

/** From the start of the program to the last byte of a first sentence, with the bundled voice and an empty data folder. */
async function startSeconds(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-start-'));
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const startMs = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'gpu-node/cli/main.ts'), 'serve'], { env: { ...process.env, PORT: String(port), COSYVOICE_DATA: folder, COSYVOICE_AUTH: 'off' }, stdio: 'ignore' });
  children.push(child);
  for (;;) {
    const answered = await post(`http://127.0.0.1:${port}/v1/audio/speech`, '', { input: 'Hello.' }).catch(() => undefined);
    if (answered?.status === 200) break;
    if (performance.now() - startMs > 60_000) throw new Error('npm start did not answer within a minute');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const tookS = (performance.now() - startMs) / 1000;
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  rmSync(folder, { recursive: true, force: true });
  return tookS;
}

async function post(url: string, bearer: string, body: unknown, headers: Record<string, string> = {}): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

/** A result is written behind the answer. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 500));
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}
