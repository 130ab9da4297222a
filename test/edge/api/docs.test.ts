/** The description of the API against the Worker that it describes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';

type Operation = { operationId: string; security?: unknown[]; responses: Record<string, unknown> };
type Description = { openapi: string; paths: Record<string, Record<string, Operation>> };

describe('/openapi.json and /docs', () => {
  let edge: LocalEdge;
  let description: Description;
  beforeAll(async () => {
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODE_KEYS: 'k:a-secret-of-this-test', TOKEN_KEYS: 't:another-secret', ADMIN_KEY: 'the-admin' } });
    description = (await (await fetch(new URL('/openapi.json', edge.url))).json()) as Description;
  });
  afterAll(() => edge.close());

  const operations = () => Object.entries(description.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));

  it('describes every resource once', () => {
    expect(description.openapi).toBe('3.1.0');
    const ids = operations().map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const path of ['/v1/audio/speech', '/v1/audio/voices', '/v1/audio/voice_consents', '/v1/audio/jobs', '/v1/text/normalize', '/v1/models', '/v1/usage', '/v1/keys', '/v1/tokens', '/v1/tenants', '/v1/audit', '/v1/regions']) expect(Object.keys(description.paths)).toContain(path);
  });

  it('describes nothing that is not there: every operation asks for a key, or answers', async () => {
    for (const { path, method, security } of operations()) {
      const response = await fetch(new URL(path.replaceAll(/\{\w+\}/g, 'x'), edge.url), { method, redirect: 'manual' });
      const { error } = (await response.clone().json().catch(() => ({}))) as { error?: { code: string; message: string } };
      const what = `${method} ${path}: ${response.status} ${error?.message ?? ''}`;
      if (security?.length === 0) expect(what).not.toMatch(/There is no (GET|POST|PUT|PATCH|DELETE) /);
      else expect([what, error?.code]).toEqual([what, 'invalid_api_key']);
      await response.body?.cancel();
    }
  });

  it('knows the operations that answer with the key of the operator', async () => {
    const unknown: string[] = [];
    for (const { path, method, security } of operations()) {
      if (security?.length === 0) continue;
      const response = await fetch(new URL(path.replaceAll(/\{\w+\}/g, 'x'), edge.url), { method, headers: { authorization: 'Bearer the-admin' } });
      if (/There is no (GET|POST|PUT|PATCH|DELETE) /.test(await response.text())) unknown.push(`${method} ${path}`);
    }
    expect(unknown).toEqual([]);
  });

  it('shows a page whose every file comes from here', async () => {
    const page = await fetch(new URL('/docs', edge.url));
    const html = await page.text();
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    for (const [, file] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const response = await fetch(new URL(file ?? '', edge.url));
      expect([file, response.status, response.headers.get('content-type')?.split(';')[0]]).toEqual([file, 200, expect.stringMatching(/css|javascript|png/)]);
      await response.arrayBuffer();
    }
    expect((await fetch(new URL('/docs/package.json', edge.url))).status).toBe(404);
  });
});
