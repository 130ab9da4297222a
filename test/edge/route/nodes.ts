/** Nodes over real HTTP whose sound can be foretold: sample i of a seed is always the same, from whatever node, and a job goes on where it is told to. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Recent, startHeartbeats } from '../../../gpu-node/server/heartbeat.ts';
import type { Heartbeats, NodeState } from '../../../gpu-node/server/heartbeat.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { listen } from '../../../gpu-node/server/listen.ts';
import type { Listener } from '../../../gpu-node/server/listen.ts';
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { Frame } from '../../../shared/contract/frames.ts';
import type { Job } from '../../../shared/contract/job.ts';
import { resumePoint, sentenceEnd } from '../../../shared/contract/tokens.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';

export const KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };
export const RATE_HZ = 24_000;
/** Two blocks make a sentence. */
const BLOCK_SAMPLES = 4800;
const BLOCK_TOKENS = 5;
export const BLOCKS = 6;

/** What a test does to a node. `before`: awaited before each block is made; it may throw. */
export type Behaviour = { before?: (block: number, job: Job, signal: AbortSignal) => Promise<void> | void; health?: { status: 'ok' | 'draining' } };

export type TestNode = {
  readonly url: string;
  readonly jobs: Job[];
  /** Jobs whose signal fired. */
  readonly cancelled: Job[];
  behave: Behaviour;
  /** As a process that is gone: open connections break, new ones are refused; and as one that is started again. */
  readonly kill: () => Promise<void>;
  readonly revive: () => Promise<void>;
  readonly heartbeats: (edge: LocalEdge, state?: Partial<NodeState>, periodMs?: number) => Heartbeats;
};

export function sample(seed: number, i: number): number {
  return (Math.imul(i + 1, 2654435761) ^ Math.imul(seed + 7, 40503)) >> 16;
}

export function expected(seed: number, from = 0, to = BLOCKS * BLOCK_SAMPLES): Int16Array {
  return Int16Array.from({ length: to - from }, (_, i) => sample(seed, from + i));
}

export async function startNode(): Promise<TestNode> {
  const jobs: Job[] = [];
  const cancelled: Job[] = [];
  const recent = new Recent();
  const node = { jobs, cancelled, behave: {} as Behaviour };
  async function* run(job: Job, signal: AbortSignal): AsyncGenerator<Frame> {
    jobs.push(job);
    signal.addEventListener('abort', () => cancelled.push(job));
    const seed = job.seed ?? 77;
    const tokens = job.resume ? job.resume.tokens : [];
    const point = resumePoint(tokens);
    let heard = job.resume?.sampleOffset ?? 0;
    for (let block = 2 * point.sentences + Math.floor(point.tokens.length / BLOCK_TOKENS); block < BLOCKS; block++) {
      await node.behave.before?.(block, job, signal);
      const to = (block + 1) * BLOCK_SAMPLES;
      if (heard < to || block === BLOCKS - 1) {
        if (heard === (job.resume?.sampleOffset ?? 0)) yield { type: 'start', value: { sampleRateHz: RATE_HZ, contentType: job.format === 'wav' && !job.resume ? 'audio/wav' : 'audio/pcm', seed } };
        const sound = new Uint8Array(expected(seed, heard, Math.max(heard, to)).buffer);
        yield { type: 'audio', value: job.format === 'wav' && heard === 0 ? new Uint8Array([...new Uint8Array(44), ...sound]) : sound };
        heard = Math.max(heard, to);
      }
      const ids = Array.from({ length: BLOCK_TOKENS }, (_, i) => block * BLOCK_TOKENS + i);
      yield { type: 'tokens', value: Uint16Array.from(block % 2 === 1 ? [...ids, ...sentenceEnd(to)] : ids) };
      yield { type: 'mark', value: { samples: to } };
    }
    yield { type: 'end', value: { audioMs: 1, speechTokens: 1, timings: {} } };
  }
  const app = nodeApp(
    {
      run: (job, signal) => recent.watch(job, run(job, signal), { waitMs: 0, onNewVoice: () => {} }),
      voices: () => [{ name: 'a', language: undefined }],
      health: () => ({ status: node.behave.health?.status ?? 'ok', model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }),
      metrics: async () => '',
    },
    new SignatureVerifier([KEY]),
  );
  let listener: Listener | undefined = await listen(app, '127.0.0.1', 0);
  const { origin: url, port } = listener.url;
  return Object.assign(node, {
    url,
    async kill() {
      await listener?.close();
      listener = undefined;
    },
    async revive() {
      listener ??= await listen(app, '127.0.0.1', Number(port));
    },
    heartbeats: (edge: LocalEdge, state: Partial<NodeState> = {}, periodMs = 2000) =>
      startHeartbeats({
        edges: [edge.url.href],
        key: KEY,
        periodMs,
        describe: () => ({ node: new URL(url).host.replace(':', '-'), url, region: 'local', device: 'cpu', release: '0', models: ['m'], presets: [], running: 0, waiting: 0, capacity: 16, firstAudioMs: 0, warmVoices: recent.voices, state: 'ready', ...state }),
      }),
  });
}

/** An address that takes a connection and never says a word. */
export async function startMute(): Promise<{ readonly url: string; readonly close: () => void; readonly asked: () => number }> {
  let asked = 0;
  const server = createServer(() => void (asked += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export function startEdge(bindings: Record<string, string>): Promise<LocalEdge> {
  return startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { AUTH: 'off', REGION: 'local', NODE_KEYS: `${KEY.id}:${KEY.secret}`, ...bindings } });
}

export function speak(edge: LocalEdge, body: Record<string, unknown> = {}, init: RequestInit = {}): Promise<Response> {
  return fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', body: JSON.stringify({ input: 'Hello.', voice: 'a', response_format: 'pcm', seed: 5, cache: false, ...body }), ...init, headers: { 'content-type': 'application/json', ...init.headers } });
}

/** `whole`, or how the sound differs from that of the seed. `onBlock`: told how many blocks have come. */
export async function heard(response: Response, { seed = 5, skip = 0, onBlock = (_: number) => {} } = {}): Promise<string> {
  if (!response.ok) return `${response.status} ${await codeOf(response)}`;
  const pieces: Uint8Array[] = [];
  let size = -skip;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    size += piece.length;
    onBlock(Math.floor(size / (2 * BLOCK_SAMPLES)));
  }
  const sound = new Int16Array(new Uint8Array(Buffer.concat(pieces).subarray(skip)).buffer);
  const wanted = expected(seed);
  const differs = wanted.findIndex((value, i) => value !== sound[i]);
  return sound.length === wanted.length && differs < 0 ? 'whole' : `${sound.length} samples, wrong from ${differs}`;
}

export async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code;
}
