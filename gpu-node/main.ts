/**
 * `npm start`: the node, and in front of it the Worker.
 *
 *   settings → engine (checkpoint → graphs → threads → warm-up) → listen → edge → drain on SIGINT or SIGTERM
 */
import { randomBytes } from 'node:crypto';
import type { SigningKey } from '../shared/signing/index.ts';
import { SignatureVerifier } from '../shared/signing/index.ts';
import { openEngine } from './engine.ts';
import type { EngineSettings } from './engine.ts';
import { Admission } from './schedule/admission.ts';
import { exporterFromEnvironment, nodeMetrics } from './metrics/index.ts';
import { nodeApp } from './server/app.ts';
import { runJob } from './server/job.ts';
import { listen } from './server/listen.ts';
import { startLocalEdge } from './server/local-edge.ts';

export type ServeSettings = EngineSettings & {
  readonly host: string;
  /** 0 takes any free port. */
  readonly nodePort: number;
  /** Absent: only the node. */
  readonly edgePort: number | undefined;
  /** `id:secret`, one or two separated by a blank; the first signs, all verify. Absent: a random one for this process. */
  readonly nodeKeys: string | undefined;
  /** Bearer token that the edge asks for; absent: none, and `host` must be loopback. */
  readonly apiKey: string | undefined;
};

export type Running = { readonly nodeUrl: URL; readonly edgeUrl: URL | undefined; readonly close: () => Promise<void> };

/** Resolves when both answer. Closing waits for running jobs up to `drainMs`. */
export async function serve(settings: ServeSettings): Promise<Running> {
  const keys = signingKeys(settings.nodeKeys);
  const engine = await openEngine(settings);
  const metrics = nodeMetrics();
  const spans = exporterFromEnvironment(process.env);
  const admission = new Admission();
  const app = nodeApp(
    {
      run: (job, signal, traceparent) => runJob(job, engine, { signal, metrics, admission, spans, traceparent }),
      voices: () => engine.voices(),
      health: () => ({ status: admission.closed ? 'draining' : 'ok', model: engine.modelName, running: admission.running, waiting: admission.waiting, estimatedWaitMs: Math.round(admission.estimatedWaitMs) }),
      metrics: async () => metrics.text(await engine.stats(), spans?.dropped),
    },
    new SignatureVerifier(keys),
  );
  const node = await listen(app, settings.host, settings.nodePort);
  const edge =
    settings.edgePort === undefined
      ? undefined
      : await startLocalEdge({
          host: settings.host,
          port: settings.edgePort,
          bindings: { NODES: node.url.href, NODE_KEYS: `${keys[0]?.id}:${keys[0]?.secret}`, ...(settings.apiKey === undefined ? { AUTH: 'off' } : { ADMIN_KEY: settings.apiKey }) },
        });
  return {
    nodeUrl: node.url,
    edgeUrl: edge?.url,
    async close() {
      admission.close();
      for (let waitedMs = 0; admission.running > 0 && waitedMs < DRAIN_MS; waitedMs += 50) await new Promise((resolve) => setTimeout(resolve, 50));
      await edge?.close();
      await node.close();
      await engine.close();
      await spans?.flush();
    },
  };
}

/** How long running speech may take to finish after a stop signal. */
const DRAIN_MS = 10_000;

function signingKeys(text: string | undefined): [SigningKey, ...SigningKey[]] {
  const [first, ...rest] = (text ?? '').split(/\s+/).filter(Boolean).map((pair) => ({ id: pair.split(':')[0] ?? '', secret: pair.slice(pair.indexOf(':') + 1) }));
  return [first ?? { id: 'local', secret: randomBytes(32).toString('hex') }, ...rest];
}

if (import.meta.main) await (await import('./cli/serve.ts')).serveCommand({ port: 8787, nodePort: 8788, host: '127.0.0.1', edge: true });
