/** Addresses that callers name, in workerd: real sockets, a real DNS-over-HTTPS exchange with a server of this test. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const WORKER = `
import { fetchOutside } from './edge/outside.ts';
export default { async fetch(request, env) {
  const direct = request.headers.get('x-url');
  if (direct) return (request.url.endsWith('OUTSIDE') ? env.OUTSIDE.fetch(direct) : fetch(direct)).catch(() => new Response('not connected'));
  const { url, options, settings } = await request.json();
  try {
    const answer = await fetchOutside(url, { maxBytes: 1000, timeoutMs: 2000, ...options, env: settings });
    return Response.json({ status: answer.status, text: new TextDecoder().decode(answer.bytes) });
  } catch (error) {
    return Response.json({ code: error.code ?? String(error), message: error.message });
  }
} }`;

/** What the names of this test stand for. */
const NAMES: Record<string, readonly string[]> = {
  'public.example': ['93.184.215.14'],
  'private.example': ['192.168.1.7'],
  'both.example': ['93.184.215.14', '10.1.2.3'],
  'six.example': ['fd00::1'],
  'mapped.example': ['::ffff:127.0.0.1'],
};

type Answer = { readonly status?: number; readonly text?: string; readonly code?: string; readonly message?: string };

describe('an address that a caller named', () => {
  let worker: Miniflare;
  let server: Server;
  let base: string;
  const seen: string[] = [];

  beforeAll(async () => {
    server = createServer(answer).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const bundle = await build({ stdin: { contents: WORKER, resolveDir: new URL('../..', import.meta.url).pathname, loader: 'ts' }, bundle: true, write: false, format: 'esm', target: 'esnext' });
    worker = new Miniflare(
      convertV4MiniflareOptions({
        modules: [{ type: 'ESModule', path: 'worker.js', contents: bundle.outputFiles[0]?.text ?? '' }],
        compatibilityDate: '2026-10-01',
        cf: false,
        serviceBindings: { OUTSIDE: { network: { allow: ['public'] } } },
      }),
    );
    await worker.ready;
  });
  afterAll(async () => {
    await worker.dispose();
    server.closeAllConnections();
    server.close();
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', base);
    seen.push(url.pathname);
    if (url.pathname === '/dns') {
      const [name, type] = [url.searchParams.get('name') ?? '', url.searchParams.get('type')];
      const addresses = (NAMES[name] ?? []).filter((address) => address.includes(':') === (type === 'AAAA'));
      response.end(JSON.stringify({ Status: 0, Answer: addresses.map((data) => ({ name, type: type === 'AAAA' ? 28 : 1, data })) }));
    } else if (url.pathname === '/to') response.writeHead(302, { location: url.searchParams.get('url') ?? '' }).end();
    else if (url.pathname === '/again') response.writeHead(307, { location: '/again' }).end();
    else if (url.pathname === '/large') response.end('x'.repeat(1001));
    else if (url.pathname === '/endless') {
      response.write('x'.repeat(600));
      setImmediate(() => response.write('x'.repeat(600)));
    } else if (url.pathname === '/bomb') response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(2 ** 20)));
    else if (url.pathname === '/never') seen.push('held');
    else response.end(`${request.method} ${String(request.headers['x-secret'] ?? 'no secret')}`);
  }

  async function ask(url: string, { options = {}, settings = {} }: { options?: object; settings?: object } = {}): Promise<Answer> {
    const response = await worker.dispatchFetch('http://worker/', { method: 'POST', body: JSON.stringify({ url, options, settings: { DNS_RESOLVER: `${base}/dns`, ...settings } }) });
    return (await response.json()) as Answer;
  }
  const home = { settings: { OUTSIDE_LOOPBACK: 'allow' } };

  it.each([
    ['no URL', 'hello'],
    ['another scheme', 'file:///etc/hostname'],
    ['http', 'http://public.example/'],
    ['a password', 'https://me:secret@public.example/'],
    ['a port of another service', 'https://public.example:25/'],
    ['loopback', 'https://127.0.0.1/'],
    ['loopback as one number', 'https://2130706433/'],
    ['loopback in octal', 'https://0177.0.0.1/'],
    ['loopback in hexadecimal', 'https://0x7f.1/'],
    ['loopback, shortened', 'https://127.1/'],
    ['loopback by name', 'https://localhost/'],
    ['loopback by a name with a dot', 'https://LOCALHOST./'],
    ['this network', 'https://0.0.0.0/'],
    ['10/8', 'https://10.0.0.1/'],
    ['172.16/12', 'https://172.31.255.255/'],
    ['192.168/16', 'https://192.168.0.1/'],
    ['carrier-grade NAT', 'https://100.64.0.1/'],
    ['the metadata service', 'https://169.254.169.254/latest/meta-data'],
    ['multicast', 'https://224.0.0.1/'],
    ['IPv6 loopback', 'https://[::1]/'],
    ['IPv4 inside IPv6', 'https://[::ffff:10.0.0.1]/'],
    ['IPv4 inside 6to4', 'https://[2002:a00:1::]/'],
    ['IPv4 behind NAT64', 'https://[64:ff9b::a00:1]/'],
    ['link-local IPv6', 'https://[fe80::1]/'],
    ['unique local IPv6', 'https://[fd12::1]/'],
    ['a short name', 'https://intranet/'],
    ['an internal name', 'https://metadata.google.internal/'],
    ['a name that leads to a private address', 'https://private.example/'],
    ['a name with one private address among its own', 'https://both.example/'],
    ['a name with a private IPv6 address', 'https://six.example/'],
    ['a name with a mapped address', 'https://mapped.example/'],
    ['a name that nobody knows', 'https://unknown.example/'],
  ])('is refused when it is %s', async (_, url) => {
    const asked = seen.filter((path) => path !== '/dns').length;
    expect(await ask(url)).toMatchObject({ code: 'url_refused' });
    expect(seen.filter((path) => path !== '/dns')).toHaveLength(asked);
  });

  it('is fetched from this machine when the setting allows it, and nothing private beside it', async () => {
    expect(await ask(`${base}/hello`, home)).toEqual({ status: 200, text: 'GET no secret' });
    expect(await ask('http://10.0.0.1/', home)).toMatchObject({ code: 'url_refused' });
  });

  it.each(['https://169.254.169.254/', 'https://[::ffff:192.168.0.1]/', 'http://public.example/', 'https://private.example/', 'ftp://public.example/'])('is not followed to %s', async (to) => {
    expect(await ask(`${base}/to?url=${encodeURIComponent(to)}`, home)).toMatchObject({ code: 'url_refused' });
  });

  it('is followed three times and no more', async () => {
    const before = seen.length;
    expect(await ask(`${base}/again`, home)).toMatchObject({ code: 'download_failed' });
    expect(seen.slice(before)).toEqual(['/again', '/again', '/again', '/again']);
  });

  it('gets no header of the caller at another origin', async () => {
    const options = { headers: { 'x-secret': 'told' } };
    expect(await ask(`${base}/to?url=/here`, { ...home, options })).toMatchObject({ text: 'GET told' });
    const elsewhere = base.replace('127.0.0.1', 'localhost');
    expect(await ask(`${base}/to?url=${encodeURIComponent(`${elsewhere}/there`)}`, { ...home, options })).toMatchObject({ text: 'GET no secret' });
  });

  it('is not followed with a body', async () => {
    expect(await ask(`${base}/to?url=/here`, { ...home, options: { method: 'POST', body: '{}' } })).toMatchObject({ status: 302 });
  });

  it.each(['/large', '/endless', '/bomb'])('is left at the size limit (%s)', async (path) => {
    expect(await ask(base + path, home)).toMatchObject({ code: 'body_too_large' });
  });

  it('is left at the time limit', async () => {
    expect(await ask(`${base}/never`, { ...home, options: { timeoutMs: 100 } })).toMatchObject({ code: 'download_failed' });
  });

  it('reaches nothing here by a name that the system resolves, because the socket is checked too', async () => {
    // where DNS rebinding ends: every look-up before was passed, and the connection leads to this machine
    const direct = async (through: 'OUTSIDE' | 'fetch'): Promise<string> => (await worker.dispatchFetch(`http://worker/${through}`, { headers: { 'x-url': `${base.replace('127.0.0.1', 'localhost')}/rebound` } })).text();
    expect(await direct('fetch')).toBe('GET no secret');
    const before = seen.length;
    expect(await direct('OUTSIDE')).toBe('not connected');
    expect(seen).toHaveLength(before);
  });
});
