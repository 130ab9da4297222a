/** infra/edge/setup.ts as a program against a Cloudflare API that remembers, run twice. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** What the account holds, by kind. */
const held = { d1: [] as { name: string; uuid: string }[], kv: [] as { title: string; id: string }[], r2: [] as { name: string; jurisdiction: string | undefined }[], queues: [] as { queue_name: string }[], lifecycles: [] as string[] };

const api = createServer((request, response) => {
  let text = '';
  request.on('data', (piece: Buffer) => (text += piece.toString()));
  request.on('end', () => {
    const jurisdiction = request.headers['cf-r2-jurisdiction'] as string | undefined;
    const path = (request.url ?? '').replace('/accounts/acc', '').split('?')[0] ?? '';
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, string>);
    const key = `${request.method} ${path.replace(/\/r2\/buckets\/.+/, '/r2/buckets/NAME/lifecycle')}`;
    const answers: Record<string, () => unknown> = {
      'GET /d1/database': () => held.d1,
      'POST /d1/database': () => added(held.d1, { name: body['name'] ?? '', uuid: `uuid-${held.d1.length}` }),
      'GET /storage/kv/namespaces': () => held.kv,
      'POST /storage/kv/namespaces': () => added(held.kv, { title: body['title'] ?? '', id: `kv-${held.kv.length}` }),
      'GET /r2/buckets': () => ({ buckets: held.r2.filter((bucket) => bucket.jurisdiction === jurisdiction) }),
      'POST /r2/buckets': () => added(held.r2, { name: body['name'] ?? '', jurisdiction }),
      'PUT /r2/buckets/NAME/lifecycle': () => added(held.lifecycles, path),
      'GET /queues': () => held.queues,
      'POST /queues': () => added(held.queues, { queue_name: body['queue_name'] ?? '' }),
    };
    const answer = request.headers.authorization === 'Bearer tok' ? answers[key] : undefined;
    response.writeHead(answer ? 200 : 403, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ? { success: true, result: answer() } : { success: false, errors: [{ message: 'not authorised' }] }));
  });
});

function added<T>(to: T[], value: T): T {
  to.push(value);
  return value;
}

describe('infra/edge/setup.ts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'setup-'));
  const toml = join(folder, 'wrangler.toml');
  beforeAll(async () => {
    copyFileSync(join(ROOT, 'wrangler.toml'), toml);
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    api.close();
    rmSync(folder, { recursive: true });
  });

  function setup(token = 'tok'): Promise<{ stdout: string; stderr: string }> {
    const { port } = api.address() as AddressInfo;
    const env = { ...process.env, CLOUDFLARE_ACCOUNT_ID: 'acc', CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}`, WRANGLER_TOML: toml, SECRETS_DIRECTORY: folder };
    return run(process.execPath, [join(ROOT, 'infra/edge/setup.ts'), 'staging'], { env });
  }

  it('creates everything once, keeps it the second time, and writes the ids into the section of its environment', async () => {
    const first = await setup();
    expect(first.stdout.match(/^created {2}/gm)).toHaveLength(8);
    expect(first.stdout).not.toContain('kept');
    expect(held.r2.filter(({ jurisdiction }) => jurisdiction === 'eu').map(({ name }) => name)).toEqual(['cosyvoice-prompts-eu-staging', 'cosyvoice-results-eu-staging']);
    const written = readFileSync(toml, 'utf8');
    expect(written).toContain('database_name = "cosyvoice-staging"\ndatabase_id = "uuid-0"');
    expect(written).toMatch(/\[\[env\.staging\.kv_namespaces\]\]\nbinding = "HOT"\nid = "kv-0"/);
    expect(written).toContain('database_name = "cosyvoice-production"\ndatabase_id = "0000');
    const secrets = readFileSync(join(folder, 'secrets.staging.json'), 'utf8');

    const second = await setup();
    expect(second.stdout).not.toContain('created');
    expect(second.stdout.match(/^kept/gm)).toHaveLength(8);
    expect(readFileSync(toml, 'utf8')).toBe(written);
    expect(readFileSync(join(folder, 'secrets.staging.json'), 'utf8')).toBe(secrets);
    expect([held.d1, held.kv, held.r2, held.queues].map(({ length }) => length)).toEqual([1, 1, 4, 1]);
  });

  it('shows no secret and says in one line what is wrong', async () => {
    expect((await setup()).stdout).not.toContain(JSON.parse(readFileSync(join(folder, 'secrets.staging.json'), 'utf8')).ADMIN_KEY);
    const error = await setup('wrong').then(() => undefined, (reason: { stderr: string }) => reason.stderr);
    expect(error?.trim()).toBe('setup: GET /d1/database answered 403: not authorised.');
  });
});
