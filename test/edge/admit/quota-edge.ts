/** Starts `quota-worker.ts` in workerd, with the bindings it needs. */
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';

export type QuotaEdge = { readonly url: URL; readonly miniflare: Miniflare; readonly close: () => Promise<void> };

/** `dataDirectory`: where the objects live; absent: in memory. */
export async function startQuotaEdge(dataDirectory?: string): Promise<QuotaEdge> {
  const entry = new URL('./quota-worker.ts', import.meta.url).pathname;
  const bundle = await build({ entryPoints: [entry], bundle: true, write: false, format: 'esm', target: 'esnext', conditions: ['workerd', 'worker', 'browser'], external: ['cloudflare:*', 'node:*'], logLevel: 'silent' });
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'worker.js', contents: bundle.outputFiles[0]?.text ?? '' }],
      compatibilityDate: '2026-10-01',
      compatibilityFlags: ['nodejs_compat'],
      d1Databases: ['DB'],
      durableObjects: { TENANT: { className: 'TenantQuota', useSQLite: true } },
      cf: false,
    }),
    ...(dataDirectory === undefined ? {} : { resourcePersistencePath: dataDirectory }),
  });
  const url = await miniflare.ready;
  const database = await miniflare.getD1Database('DB');
  const schema = (await readFile(new URL('../../../edge/migrations/0002_usage.sql', import.meta.url), 'utf8')).replaceAll(/--.*$/gm, '').replaceAll(/\s+/g, ' ').replace('CREATE TABLE', 'CREATE TABLE IF NOT EXISTS');
  await database.exec(schema);
  return { url, miniflare, close: () => miniflare.dispose() };
}
