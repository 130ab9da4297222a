/**
 * The Worker of edge/ on this machine: bundled as wrangler would and run in workerd by Miniflare, with its stores in a
 * folder. The node knows it only as a program that gets bindings.
 */
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { CosyError } from '../../shared/errors/index.ts';

const ENTRY = new URL('../../edge/worker.ts', import.meta.url).pathname;
const MIGRATIONS = new URL('../../edge/migrations', import.meta.url).pathname;
/** The program that comes with Miniflare. */
const WORKERD = (createRequire(import.meta.resolve('miniflare'))('workerd') as { readonly default: string }).default;
/** As in wrangler.toml. */
const EVERY_MINUTE = '* * * * *';
/** Files of the documentation page. */
const DOCS = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist')));
const COMPATIBILITY_DATE = '2026-10-01';

export type LocalEdgeOptions = {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly bindings: Readonly<Record<string, string>>;
  /** Where its stores live; absent: in memory, gone with the process. */
  readonly dataDirectory?: string | undefined;
  /** The Worker's program, when it is made already; absent: it is made now. */
  readonly script?: string | undefined;
};

export type LocalEdge = { readonly url: URL; readonly close: () => Promise<void> };

/** The Worker as one module. */
export async function bundleEdge(): Promise<string> {
  const { outputFiles } = await build({ entryPoints: [ENTRY], bundle: true, write: false, format: 'esm', target: 'esnext', conditions: ['workerd', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'], logLevel: 'silent' });
  return outputFiles[0]?.text ?? '';
}

/** Resolves when the Worker answers. Throws `internal_error` when it cannot start (a port in use, say). */
export async function startLocalEdge({ host, port, bindings, dataDirectory, script }: LocalEdgeOptions): Promise<LocalEdge> {
  process.env['COSYVOICE_WORKERD'] = WORKERD;
  process.env['MINIFLARE_WORKERD_PATH'] = join(import.meta.dirname, 'workerd.sh');
  const keepSignals = withOwnSignals();
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'worker.js', contents: script ?? (await bundleEdge()) }],
      compatibilityDate: COMPATIBILITY_DATE,
      compatibilityFlags: ['nodejs_compat', 'enable_request_signal'],
      bindings: { ...bindings },
      d1Databases: ['DB'],
      kvNamespaces: ['HOT'],
      r2Buckets: ['PROMPTS', 'RESULTS', 'PROMPTS_EU', 'RESULTS_EU'],
      durableObjects: { TENANT: { className: 'TenantQuota', useSQLite: true }, REGISTRY: { className: 'NodeRegistry', useSQLite: true } },
      queueProducers: { JOBS: 'cosyvoice-jobs' },
      queueConsumers: { 'cosyvoice-jobs': { maxBatchSize: 4, maxBatchTimeout: 0, maxRetries: 100 } },
      // checked where the socket is opened, so a name that changes after it was looked at leads nowhere
      serviceBindings: { ASSETS: { disk: { path: DOCS, writable: false } }, OUTSIDE: { network: { allow: ['public'], tlsOptions: { trustBrowserCas: true } } } },
      host,
      port,
      cf: false,
    }),
    ...(dataDirectory === undefined ? {} : { resourcePersistencePath: dataDirectory }),
  });
  keepSignals();
  try {
    const url = await miniflare.ready;
    await migrate(await miniflare.getD1Database('DB'));
    const worker = await miniflare.getWorker();
    await worker.scheduled({ cron: 'start' });
    const clock = setInterval(() => void worker.scheduled({ cron: EVERY_MINUTE }).catch(() => {}), 60_000);
    clock.unref();
    return {
      url,
      async close() {
        clearInterval(clock);
        await miniflare.dispose();
      },
    };
  } catch (error) {
    await miniflare.dispose();
    const detail = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    throw new CosyError('internal_error', `The edge cannot start on ${host}:${port} (${detail}): is the port free?`, { cause: error });
  }
}

/** The body of a trigger has semicolons of its own. */
const STATEMENT = /\b(?:CREATE\s+TRIGGER\b[^]*?\bEND|[^;]+);/gi;

/** Applies what edge/migrations has and the database has not, in the order of the names, in the table that `wrangler d1 migrations apply` keeps. */
async function migrate(database: Awaited<ReturnType<Miniflare['getD1Database']>>): Promise<void> {
  await database.exec('CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)');
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const pending = (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.sql') && !applied.has(name)).toSorted();
  for (const name of pending) {
    const statements = (await readFile(join(MIGRATIONS, name), 'utf8')).replaceAll(/--.*$/gm, '').match(STATEMENT) ?? [];
    await database.batch([...statements.map((statement) => database.prepare(statement)), database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name)]);
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
