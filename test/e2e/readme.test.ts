/** The README's own lines, from a key to a cloned voice to sound, as a newcomer types them. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The lines of the block behind a marker. */
function block(marker: string): string {
  const found = readme.match(new RegExp(`<!-- newcomer: ${marker} -->\\n\`\`\`sh\\n([^]*?)\\n\`\`\``))?.[1];
  if (found === undefined) throw new Error(`The README has no block ${marker}.`);
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("the README's path from a key to one's own voice", () => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  let server: ChildProcess;
  let port: number;
  let key = '';

  beforeAll(async () => {
    port = await freePort();
    const nodePort = await freePort();
    // what is installed is installed; ports and folder are this test's
    const line = block('server').replace('npm install && ', '').replace('npm start', `npm start -- --node-port ${nodePort}`);
    server = spawn('bash', ['-c', `exec ${line}`], { cwd: ROOT, env: { ...process.env, PORT: String(port), COSYVOICE_DATA: join(folder, 'data') }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (bytes: Buffer): void => {
        said += bytes.toString();
        if (said.includes('Listening on')) resolve();
      };
      server.stdout?.on('data', hear);
      server.stderr?.on('data', hear);
      server.once('exit', () => reject(new Error(`npm start ended:\n${said}`)));
    });
    key = said.match(/^ {2}(cv_\S+)$/m)?.[1] ?? '';
  });
  afterAll(async () => {
    if (server.pid !== undefined) process.kill(-server.pid, 'SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  it('prints a key, and the lines that follow make the sounds they name', async () => {
    expect(key).toMatch(/^cv_/);
    const lines = block('client').replace(/^KEY=\S+/m, `KEY=${key}`).replaceAll('localhost:8787', `127.0.0.1:${port}`).replaceAll(/(-o |@)(\w+\.wav)/g, `$1${folder}/$2`);
    const { code, output } = await run(`set -e\n${lines}\necho "VOICE=$VOICE"`);
    expect([code, output]).toEqual([0, expect.stringMatching(/VOICE=voice_\w+/)]);
    for (const name of ['hello', 'me', 'mine']) {
      const wav = readFileSync(join(folder, `${name}.wav`));
      expect([name, wav.toString('latin1', 0, 4)]).toEqual([name, 'RIFF']);
      const samples = new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + 44 + 2 * Math.floor((wav.length - 44) / 2)));
      const level = Math.sqrt(samples.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / samples.length);
      expect(samples.length / 24_000).toBeGreaterThan(0.7);
      expect(level).toBeGreaterThan(0.01);
    }
  });
});

function run(script: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const shell = spawn('bash', ['-c', script], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  shell.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  shell.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  return new Promise((resolve) => shell.once('close', (code) => resolve({ code, output })));
}
