/**
 * The Worker of edge/ on this machine: bundled as wrangler would and run in workerd by Miniflare, with its stores in a
 * folder. The node knows it only as a program that gets bindings.
 */
import { build } from 'esbuild';
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { CosyError } from '../../shared/errors/index.ts';

const ENTRY = new URL('../../edge/worker.ts', import.meta.url).pathname;
const COMPATIBILITY_DATE = '2026-10-01';

export type LocalEdgeOptions = {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly bindings: Readonly<Record<string, string>>;
};

export type LocalEdge = { readonly url: URL; readonly close: () => Promise<void> };

/** Resolves when the Worker answers. Throws `internal_error` when it cannot start (a port in use, say). */
export async function startLocalEdge({ host, port, bindings }: LocalEdgeOptions): Promise<LocalEdge> {
  const bundle = await build({ entryPoints: [ENTRY], bundle: true, write: false, format: 'esm', target: 'esnext', conditions: ['workerd', 'worker', 'browser'], logLevel: 'silent' });
  const script = bundle.outputFiles[0]?.text ?? '';
  const keepSignals = withOwnSignals();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'worker.js', contents: script }],
      compatibilityDate: COMPATIBILITY_DATE,
      bindings: { ...bindings },
      host,
      port,
      cf: false,
    }),
  );
  keepSignals();
  try {
    const url = await miniflare.ready;
    return { url, close: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    const detail = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    throw new CosyError('internal_error', `The edge cannot start on ${host}:${port} (${detail}): is the port free?`, { cause: error });
  }
}

/** Miniflare ends the process on a stop signal; here the node drains first and closes the Worker itself. */
function withOwnSignals(): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const before = signals.map((signal) => new Set(process.listeners(signal)));
  return () => {
    signals.forEach((signal, i) => {
      for (const listener of process.listeners(signal)) if (!before[i]?.has(listener)) process.removeListener(signal, listener);
    });
  };
}
