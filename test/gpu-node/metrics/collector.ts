/** A trace collector on this machine: an HTTP server that keeps what is posted to it, or hangs, or refuses. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export type SeenSpan = { readonly traceId: string; readonly spanId: string; readonly parentSpanId?: string; readonly name: string; readonly startTimeUnixNano: string; readonly endTimeUnixNano: string; readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]; readonly status?: { readonly code: number } };
type Post = { readonly path: string; readonly headers: Readonly<Record<string, unknown>>; readonly body: { readonly resourceSpans: readonly { readonly resource: unknown; readonly scopeSpans: readonly { readonly spans: readonly SeenSpan[] }[] }[] } };

export type Collector = { readonly url: string; readonly posts: Post[]; readonly spans: () => SeenSpan[]; readonly close: () => void };

export async function collector(answer: 'ok' | 'never' | 'refuse' = 'ok'): Promise<Collector> {
  const posts: Post[] = [];
  const server = createServer(async (request, response) => {
    posts.push({ path: request.url ?? '', headers: request.headers, body: (await json(request)) as Post['body'] });
    if (answer !== 'never') response.writeHead(answer === 'ok' ? 200 : 503).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posts,
    spans: () => posts.flatMap(({ body }) => body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
