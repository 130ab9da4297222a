/** The real Worker with keys on, in workerd, and a client for it. */
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';

export const ADMIN = 'operator-secret-of-this-test-0123456789';
export const TOKEN_KEYS = 't2:the-newer-secret-that-signs-client-tokens t1:the-older-secret-that-is-still-accepted';

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> & { readonly error?: { readonly code: string; readonly message: string } } };

export type Ask = (method: string, path: string, options?: { readonly key?: string | undefined; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }) => Promise<Answer>;

/** `bindings` beside admin and token keys. */
export async function startEdge(bindings: Readonly<Record<string, string>> = {}): Promise<LocalEdge & { readonly ask: Ask }> {
  const edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: 'http://127.0.0.1:9', NODE_KEYS: 'k:s', ADMIN_KEY: ADMIN, TOKEN_KEYS, ...bindings } });
  return {
    ...edge,
    async ask(method, path, { key, body, headers } = {}) {
      const response = await fetch(new URL(path, edge.url), {
        method,
        headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, headers: response.headers, body: (await response.json().catch(() => ({}))) as Answer['body'] };
    },
  };
}

/** A tenant and a key of it. */
export async function makeKey(ask: Ask, tenant: string, wanted: Record<string, unknown> = {}): Promise<{ readonly id: string; readonly key: string }> {
  const made = await ask('POST', '/v1/tenants', { key: ADMIN, body: { id: tenant } });
  if (made.status !== 201 && made.status !== 409) throw new Error(JSON.stringify(made.body));
  const { status, body } = await ask('POST', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': tenant }, body: { name: 'test', ...wanted } });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return { id: String(body['id']), key: String(body['key']) };
}
