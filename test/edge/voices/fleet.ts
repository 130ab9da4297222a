/** The real Worker with keys in front of a real node with the bundled voice, which counts what it was asked to make. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Job } from '../../../shared/contract/job.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { openEngine } from '../../../gpu-node/engine.ts';
import type { Engine } from '../../../gpu-node/engine.ts';
import { nodeMetrics } from '../../../gpu-node/metrics/index.ts';
import { Admission } from '../../../gpu-node/schedule/admission.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { runJob } from '../../../gpu-node/server/job.ts';
import { listen } from '../../../gpu-node/server/listen.ts';
import type { VoiceMaker } from '../../../gpu-node/server/voices.ts';
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import { wavFile } from '../../gpu-node/voice/files.ts';
import { speech } from '../../gpu-node/voice/speech.ts';

export const ADMIN = 'operator-secret-of-this-test-0123456789';
const NODE_KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };

export type Body = Record<string, unknown> & { readonly id: string; readonly error: { readonly code: string; readonly message: string; readonly param: string | null } };
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: Body };
export type Client = {
  readonly ask: (method: string, path: string, body?: unknown) => Promise<Answer>;
  readonly upload: (path: string, fields: Readonly<Record<string, string | Uint8Array>>) => Promise<Answer>;
  /** The whole sound of a speech request, or its error. */
  readonly speak: (body: object) => Promise<Answer & { readonly sound: Uint8Array }>;
};

export type Node = { readonly url: string; readonly engine: Engine; readonly made: { count: number }; readonly jobs: Job[]; readonly close: () => Promise<void> };

export async function startNode(model = BUNDLED_MODEL): Promise<Node> {
  const cacheDirectory = process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice');
  const engine = await openEngine({ model, cacheDirectory, device: 'cpu', threads: 1, precisions: {} });
  const made = { count: 0 };
  const jobs: Job[] = [];
  const metrics = nodeMetrics();
  const admission = new Admission();
  const maker: VoiceMaker = {
    modelRevision: engine.modelRevision,
    voices: () => engine.voices(),
    forgetVoice: (key) => engine.forgetVoice(key),
    makeVoice(recording, signal) {
      made.count += 1;
      return engine.makeVoice(recording, signal);
    },
  };
  const app = nodeApp(
    {
      run(job, signal) {
        jobs.push(job);
        return runJob(job, engine, { signal, metrics, admission });
      },
      voices: () => engine.voices(),
      health: () => ({ status: 'ok' as const, model: 'test', modelRevision: engine.modelRevision, running: 0, waiting: 0, estimatedWaitMs: 0 }),
      metrics: async () => '',
    },
    new SignatureVerifier([NODE_KEY]),
    maker,
  );
  const listener = await listen(app, '127.0.0.1', 0);
  return {
    url: listener.url.href,
    engine,
    made,
    jobs,
    async close() {
      await listener.close();
      await engine.close();
    },
  };
}

export type Edge = { readonly url: URL; readonly tenant: (id: string, residency?: 'eu') => Promise<Client>; readonly close: () => Promise<void> };

export async function startEdge(nodeUrl: string, { bindings = {}, dataDirectory }: { readonly bindings?: Readonly<Record<string, string>>; readonly dataDirectory?: string } = {}): Promise<Edge> {
  const edge = await startLocalEdge({ host: '127.0.0.1', port: 0, dataDirectory, bindings: { NODES: nodeUrl, NODE_KEYS: `${NODE_KEY.id}:${NODE_KEY.secret}`, ADMIN_KEY: ADMIN, ...bindings } });
  return {
    ...edge,
    async tenant(id, residency) {
      const client = clientOf(edge.url, { authorization: `Bearer ${ADMIN}`, 'x-tenant': id });
      const { status } = await clientOf(edge.url, { authorization: `Bearer ${ADMIN}` }).ask('POST', '/v1/tenants', { id, ...(residency && { residency }) });
      if (status !== 201 && status !== 409) throw new Error(`the tenant was not made: ${status}`);
      return client;
    },
  };
}

function clientOf(base: URL, headers: Readonly<Record<string, string>>): Client {
  const answerOf = async (response: Response): Promise<Answer> => ({ status: response.status, headers: response.headers, body: (await response.json().catch(() => ({}))) as Body });
  return {
    ask: async (method, path, body) => answerOf(await fetch(new URL(path, base), { method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })),
    async upload(path, fields) {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.set(name, typeof value === 'string' ? value : new File([new Uint8Array(value)], `${name}.wav`));
      return answerOf(await fetch(new URL(path, base), { method: 'POST', headers, body: form }));
    },
    async speak(body) {
      const response = await fetch(new URL('/v1/audio/speech', base), { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify({ input: 'Good morning.', response_format: 'pcm', seed: 3, cache: false, ...body }) });
      if (!response.ok) return { ...(await answerOf(response)), sound: new Uint8Array() };
      return { status: response.status, headers: response.headers, body: {} as Body, sound: new Uint8Array(await response.arrayBuffer()) };
    },
  };
}

/** What is said in `clip`, in the number of characters that its length takes. */
export const WORDS = '收到好友从远方寄来';

/** 1.9 s of speech; another `gain` is another recording. */
export function clip(gain = 1): Uint8Array {
  return wav(speech().map((value) => value * gain));
}

export function wav(samples: Float32Array, sampleRateHz = 24_000): Uint8Array {
  return wavFile({ code: 1, bits: 16, channels: 1, sampleRateHz }, samples, (view, at, value) => view.setInt16(at, Math.max(-1, Math.min(1, value)) * 32767, true));
}

export const STATEMENT = 'The speaker of this recording agreed to it.';
