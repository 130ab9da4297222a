/** One machine, real processes: what is kept survives kill −9, a copy made while the server runs is whole, and nobody else writes. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'gpu-node/cli/main.ts');

type Started = { readonly url: string; readonly key: string | undefined; readonly process: ChildProcess };

describe('npm start on one machine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'self-host-'));
  const data = join(folder, 'data');
  const running = new Set<ChildProcess>();
  afterEach(async () => {
    await Promise.all([...running].map((child) => ended(child, 'SIGKILL')));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function start(directory: string): Promise<Started> {
    const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--node-port', '0', '--data', directory], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(child);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (bytes: Buffer) => {
        said += bytes.toString();
        if (/Listening on \S+ .*\n/.test(said)) resolve();
      });
      child.once('exit', () => reject(new Error(said.trim())));
    });
    return { url: said.match(/Listening on (\S+)/)?.[1] ?? '', key: said.match(/^ {2}(cv_\S+)$/m)?.[1], process: child };
  }

  async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    running.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exit;
  }

  function call(url: string, key: string | undefined, path: string, body?: unknown): Promise<Response> {
    return fetch(new URL(path, url), { method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  /** The processes that a server started, by their parent. */
  function workerdOf(child: ChildProcess): number {
    return Number(spawnSync('pgrep', ['-P', String(child.pid), 'workerd'], { encoding: 'utf8' }).stdout.trim().split('\n')[0]);
  }

  it.skipIf(process.platform !== 'linux')('keeps key, voice, consent and usage through kill −9, leaves no process behind, and restores from a copy made while it ran', { timeout: 240_000 }, async () => {
    const first = await start(data);
    const clip = join(folder, 'me.wav');
    expect(spawnSync(process.execPath, [MAIN, 'speak', 'This is the voice that I would like to have imitated, please.', '-o', clip], { cwd: ROOT }).status).toBe(0);
    const made = await call(first.url, first.key, '/v1/audio/voices', { name: 'mine', audio: readFileSync(clip).toString('base64'), ref_text: 'This is the voice that I would like to have imitated, please.', consent_statement: 'It is my own voice.' });
    expect(made.status).toBe(201);
    const { id } = (await made.json()) as { id: string };
    const said = await call(first.url, first.key, '/v1/audio/speech', { input: 'Remember this.', voice: id, response_format: 'pcm', seed: 1 });
    const sound = Buffer.from(await said.arrayBuffer());
    expect(sound.length).toBeGreaterThan(10_000);

    const copy = join(folder, 'copy');
    const backup = spawnSync(process.execPath, [MAIN, 'backup', copy, '--data', data], { cwd: ROOT, encoding: 'utf8' });
    expect([backup.status, backup.stderr]).toEqual([0, expect.stringContaining('To restore')]);
    expect(existsSync(join(copy, 'secrets.json'))).toBe(true);

    const workerd = workerdOf(first.process);
    expect(workerd).toBeGreaterThan(1);
    await ended(first.process, 'SIGKILL');
    for (;;) {
      // the child ends by itself within seconds; the test's own limit ends this
      if (!existsSync(`/proc/${workerd}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${workerd}/status`, 'utf8'))) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }

    for (const directory of [data, copy]) {
      const again = await start(directory);
      expect(again.key).toBeUndefined();
      const voice = (await (await call(again.url, first.key, `/v1/audio/voices/${id}`)).json()) as { name: string; consent: string | null };
      expect([voice.name, voice.consent]).toEqual(['mine', expect.stringMatching(/^cons_/)]);
      const repeated = await call(again.url, first.key, '/v1/audio/speech', { input: 'Remember this.', voice: id, response_format: 'pcm', seed: 1, cache: false });
      expect(Buffer.from(await repeated.arrayBuffer()).equals(sound)).toBe(true);
      const usage = await call(again.url, first.key, '/v1/usage');
      expect(JSON.stringify(await usage.json())).toMatch(/"requests":[1-9]/);
      await ended(again.process, 'SIGTERM');
    }
  });

  it('lets one server use a data directory', async () => {
    const directory = join(folder, 'alone');
    const first = await start(directory);
    await expect(start(directory)).rejects.toThrow(/^cosyvoice: Another server uses the data in \S+: stop it, or choose another directory with --data\.$/);
    await ended(first.process, 'SIGTERM');
    const second = await start(directory);
    await ended(second.process, 'SIGTERM');
  });
});
