/** What is deleted is gone, in workerd with a real bucket. */
import { build } from 'esbuild';
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

describe('kept sounds of a voice that is deleted', () => {
  let miniflare: Miniflare;
  let url: URL;
  beforeAll(async () => {
    const bundle = await build({ entryPoints: [new URL('shelf-worker.ts', import.meta.url).pathname], bundle: true, write: false, format: 'esm', target: 'esnext', external: ['cloudflare:*'], logLevel: 'silent' });
    const script = bundle.outputFiles[0]?.text ?? '';
    miniflare = new Miniflare(convertV4MiniflareOptions({ modules: [{ type: 'ESModule', path: 'worker.js', contents: script }], compatibilityDate: '2026-10-01', r2Buckets: ['RESULTS'], port: 0, host: '127.0.0.1', cf: false }));
    url = await miniflare.ready;
  });
  afterAll(() => miniflare.dispose());

  async function ask(query: string): Promise<{ found: number | null; objects: number }> {
    return (await (await fetch(new URL(`/?${query}`, url))).json()) as { found: number | null; objects: number };
  }

  it('are gone with all their pieces, and those of other voices and tenants stay', async () => {
    expect(await ask('keep&tenant=a&voice=x')).toEqual({ found: 300_000, objects: 4 });
    await ask('keep&tenant=a&voice=y');
    expect((await ask('keep&tenant=b&voice=x')).objects).toBe(12);
    expect(await ask('forget&tenant=a&voice=x')).toEqual({ found: null, objects: 8 });
    expect((await ask('tenant=a&voice=y')).found).toBe(300_000);
    expect((await ask('tenant=b&voice=x')).found).toBe(300_000);
    expect(await ask('forget&everything&tenant=a&voice=y')).toEqual({ found: null, objects: 4 });
    expect(await ask('forget&everything&tenant=b&voice=x')).toEqual({ found: null, objects: 0 });
  });

  it('are not kept when it is deleted while they are made', async () => {
    expect(await ask('keep&forgetting&tenant=c')).toEqual({ found: null, objects: 0 });
    expect(await ask('keep&forgetting&everything&tenant=d')).toEqual({ found: null, objects: 0 });
  });
});
