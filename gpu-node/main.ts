/**
 * `npm start`: the node, and in front of it the Worker.
 *
 *   settings → engine (checkpoint → graphs → threads → warm-up) → listen → edge → heartbeats → drain on SIGINT or SIGTERM
 */
import { randomBytes } from 'node:crypto';
import type { Region } from '../shared/contract/heartbeat.ts';
import type { Job } from '../shared/contract/job.ts';
import type { SigningKey } from '../shared/signing/index.ts';
import { SignatureVerifier, parseKeys } from '../shared/signing/index.ts';
import packageFile from '../package.json' with { type: 'json' };
import { openEngine } from './engine.ts';
import type { EngineSettings } from './engine.ts';
import { ADMISSION_LIMITS, Admission } from './schedule/admission.ts';
import type { TextPiece } from './schedule/source.ts';
import { exporterFromEnvironment, nodeMetrics } from './metrics/index.ts';
import { nodeApp } from './server/app.ts';
import { Recent, startHeartbeats } from './server/heartbeat.ts';
import type { Heartbeats, NodeState } from './server/heartbeat.ts';
import { runJob } from './server/job.ts';
import { listen } from './server/listen.ts';
import type { LocalEdge, LocalEdgeOptions } from './server/local-edge.ts';

export type ServeSettings = EngineSettings & {
  readonly host: string;
  /** 0 takes any free port. */
  readonly nodePort: number;
  /** Absent: only the node. */
  readonly edgePort: number | undefined;
  /** `id:secret`, one or two separated by a blank; the first signs, all verify. Absent: a random one for this process. */
  readonly nodeKeys: string | undefined;
  /** Settings and secrets of the Worker, beside where the node is. */
  readonly edgeBindings: Readonly<Record<string, string>>;
  /** Stores of the Worker; absent: in memory. */
  readonly dataDirectory: string | undefined;
  /** Where this machine stands. */
  readonly region?: Region | undefined;
  /** Edges elsewhere that shall know of this node, and the address under which they reach it. Absent: only its own edge. */
  readonly register?: { readonly edges: readonly string[]; readonly publicUrl: string | undefined } | undefined;
  /** Name for people; absent: the address. */
  readonly name?: string | undefined;
  /** One line when an edge does not take heartbeats, or does again. */
  readonly onChange?: ((line: string) => void) | undefined;
};

export type Running = { readonly nodeUrl: URL; readonly edgeUrl: URL | undefined; readonly close: () => Promise<void> };

/** Resolves when both answer. Closing waits for running jobs up to `drainMs`. */
export async function serve(settings: ServeSettings): Promise<Running> {
  const keys = signingKeys(settings.nodeKeys);
  const opening = openEngine(settings);
  const edgeProgram = settings.edgePort === undefined ? undefined : loadEdge();
  edgeProgram?.catch(() => {}); // awaited when the node listens
  const engine = await opening;
  const metrics = nodeMetrics();
  const spans = exporterFromEnvironment(process.env);
  const admission = new Admission();
  const recent = new Recent();
  const beats: Heartbeats[] = [];
  const firstAudioMs = () => Math.round(admission.estimatedWaitMs + recent.firstMs);
  const run = (job: Job, signal: AbortSignal, traceparent?: string, pieces?: AsyncIterable<TextPiece>) =>
    // the first sound of text in pieces waits for its text, which says nothing about the node
    pieces ? runJob(job, engine, { signal, metrics, admission, spans, traceparent, pieces }) : recent.watch(job, runJob(job, engine, { signal, metrics, admission, spans, traceparent }), { waitMs: admission.estimatedWaitMs, onNewVoice: () => beats.forEach((beat) => beat.soon()) });
  const app = nodeApp(
    {
      run,
      voices: () => engine.voices(),
      health: () => ({ status: admission.closed ? 'draining' : 'ok', model: engine.modelName, modelRevision: engine.modelRevision, running: admission.running, waiting: admission.waiting, estimatedWaitMs: Math.round(admission.estimatedWaitMs), firstAudioMs: firstAudioMs() }),
      metrics: async () => metrics.text(await engine.stats(), spans?.dropped),
    },
    new SignatureVerifier(keys),
    engine,
  );
  const node = await listen(app, settings.host, settings.nodePort);
  const edge =
    settings.edgePort === undefined || !edgeProgram
      ? undefined
      : await (await edgeProgram)({
          host: settings.host,
          port: settings.edgePort,
          bindings: { NODES: node.url.href, REGION: settings.region ?? 'local', NODE_KEYS: keys.map(({ id, secret }) => `${id}:${secret}`).join(' '), ...settings.edgeBindings },
          dataDirectory: settings.dataDirectory,
        });
  const describe = (url: string): NodeState => ({
    node: (settings.name ?? new URL(url).host).replaceAll(/[^\w.-]/g, '_').slice(0, 64),
    url,
    region: settings.region ?? 'local',
    device: settings.device,
    release: packageFile.version,
    models: [engine.modelName],
    modelRevision: engine.modelRevision,
    presets: engine.voices().map(({ name }) => name).slice(0, 512),
    running: admission.running,
    waiting: admission.waiting,
    capacity: ADMISSION_LIMITS.maxRunning,
    firstAudioMs: firstAudioMs(),
    warmVoices: recent.voices,
    state: admission.closed ? 'draining' : 'ready',
  });
  const beat = (edges: readonly string[], url: string) => beats.push(startHeartbeats({ edges, key: keys[0], describe: () => describe(url), ...(settings.onChange && { onChange: settings.onChange }) }));
  if (edge) beat([edge.url.href], node.url.origin);
  if (settings.register) beat(settings.register.edges, settings.register.publicUrl ?? node.url.origin);
  await Promise.all(beats.map(({ now }) => now()));
  return {
    nodeUrl: node.url,
    edgeUrl: edge?.url,
    async close() {
      admission.close();
      // edges first, so that nothing new is sent here while the rest is said
      await Promise.all(beats.map(({ now }) => now()));
      for (let waitedMs = 0; admission.running > 0 && waitedMs < DRAIN_MS; waitedMs += 50) await new Promise((resolve) => setTimeout(resolve, 50));
      await Promise.all(beats.map(({ stop }) => stop()));
      await edge?.close();
      await node.close();
      await engine.close();
      await spans?.flush();
    },
  };
}

/** What the Worker runs in is large, and its program is made first: both while the engine's threads warm up. */
async function loadEdge(): Promise<(options: LocalEdgeOptions) => Promise<LocalEdge>> {
  const { bundleEdge, startLocalEdge } = await import('./server/local-edge.ts');
  const script = await bundleEdge();
  return (options) => startLocalEdge({ ...options, script });
}

/** How long running speech may take to finish after a stop signal. */
const DRAIN_MS = 10_000;

function signingKeys(text: string | undefined): [SigningKey, ...SigningKey[]] {
  const [first, ...rest] = parseKeys(text ?? '');
  return [first ?? { id: 'local', secret: randomBytes(32).toString('hex') }, ...rest];
}
