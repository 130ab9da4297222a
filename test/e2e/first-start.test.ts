/** The first start on one machine, and starts after it that ended badly: real processes, real stores. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { cosyvoice, scratch } from './command.ts';

const MAIN = join(import.meta.dirname, '../../gpu-node/cli/main.ts');

type Started = { readonly process: ChildProcess; readonly edge: string; readonly key: string | undefined; readonly lines: readonly string[] };

const started: ChildProcess[] = [];
afterEach(async () => {
  for (const child of started.splice(0)) await killed(child);
});

/** Resolves when a line matches `until`; the process goes on. */
async function start(data: string, { args = [], env = {}, until = /curl/ }: { args?: readonly string[]; env?: Record<string, string>; until?: RegExp } = {}): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--node-port', '0', '--data', data, ...args], { stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, ...env } });
  started.push(child);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr ?? process.stdin })) {
    lines.push(line);
    if (until.test(line)) break;
  }
  const find = (pattern: RegExp) => lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);
  return { process: child, edge: find(/Listening on (http:\S+)/) ?? '', key: find(/^ {2}(cv_\w+)$/), lines };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function get(edge: string, path: string, key?: string): Promise<Response> {
  return fetch(edge + path, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } });
}

describe('the first start', () => {
  const data = scratch();
  let key: string;

  it('makes a key, prints it once with a line to try, and asks for it', async () => {
    const server = await start(data);
    key = server.key ?? '';
    expect(key).toMatch(/^cv_/);
    expect(server.lines.at(-1)).toContain(`Bearer ${key}`);
    expect((await get(server.edge, '/v1/models')).status).toBe(401);
    expect((await get(server.edge, '/v1/models', key)).status).toBe(200);
  });

  it('keeps the key nowhere but as its hash, and its secrets to its owner', () => {
    expect(statSync(join(data, 'secrets.json')).mode & 0o777).toBe(0o600);
    const secret = key.slice(-49);
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(3);
    for (const { parentPath, name } of files) expect([name, readFileSync(join(parentPath, name)).includes(secret)]).toEqual([name, false]);
  });

  it('is followed by starts that know the key after kill -9, print none, and take the client tokens of before', async () => {
    const second = await start(data);
    expect(second.key).toBeUndefined();
    expect(second.lines.join('\n')).not.toContain('cv_');
    const minted = await fetch(`${second.edge}/v1/tokens`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: '{}' });
    const { token } = (await minted.json()) as { token: string };
    await killed(second.process);
    const third = await start(data, { args: ['--new-key'] });
    for (const credential of [key, token, third.key]) expect((await get(third.edge, '/v1/models', credential)).status).toBe(200);
    expect(third.key).not.toBe(key);
  });

  it('keeps an audit that its database lets nobody change', () => {
    const [file] = readdirSync(join(data, 'edge'), { recursive: true, encoding: 'utf8' }).filter((name) => /d1.*\.sqlite$/.test(name) && !name.endsWith('metadata.sqlite'));
    const database = new DatabaseSync(join(data, 'edge', file ?? ''));
    const what = database.prepare('SELECT what FROM audit ORDER BY id').all().map((row) => row['what']);
    expect(what).toEqual(['tenant.created', 'key.created', 'token.minted', 'key.created']);
    for (const change of ["UPDATE audit SET actor = 'nobody'", 'DELETE FROM audit']) expect(() => database.exec(change)).toThrow('only appended');
    database.close();
  });

  it('loses no key that was printed, though it is killed the moment after', async () => {
    const fresh = scratchNow();
    const first = await start(fresh, { until: /^ {2}cv_/ });
    await killed(first.process);
    const second = await start(fresh);
    expect(second.key).toBeUndefined();
    expect((await get(second.edge, '/v1/models', first.key)).status).toBe(200);
  });
});

describe('without keys', () => {
  it('serves on loopback only', async () => {
    const data = scratchNow();
    const refused = await cosyvoice(['serve', '--host', '0.0.0.0', '--data', data], { cwd: data, env: { COSYVOICE_AUTH: 'off' } });
    expect(refused.code).toBe(2);
    expect(refused.err.trim().split('\n')).toHaveLength(1);
    expect(refused.err).toContain('COSYVOICE_AUTH=off');
    const server = await start(data, { env: { COSYVOICE_AUTH: 'off' } });
    expect(server.lines.join('\n')).not.toContain('cv_');
    expect((await get(server.edge, '/v1/models')).status).toBe(200);
  });
});

describe('a data directory that cannot be used', () => {
  it('is one line that says so', async () => {
    const data = scratchNow();
    writeFileSync(join(data, 'secrets.json'), '{"adminKey":');
    for (const folder of [data, join(data, 'secrets.json', 'x')]) {
      const { code, err } = await cosyvoice(['serve', '--port', '0', '--node-port', '0', '--data', folder], { cwd: data });
      expect([code, err.trim().split('\n').length]).toEqual([2, 1]);
    }
  });
});

/** Inside a test, where no hook can be registered: below the file's scratch folder. */
function scratchNow(): string {
  const folder = join(base, String((count += 1)));
  mkdirSync(folder, { recursive: true });
  return folder;
}
let count = 0;
const base = scratch();
