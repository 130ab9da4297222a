/** Runs the command line as a user does: a process, its exit code and what it printed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Writable } from 'node:stream';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll } from 'vitest';

const MAIN = join(import.meta.dirname, '../../gpu-node/cli/main.ts');

export type Outcome = { readonly code: number | null; readonly out: string; readonly err: string };

/** A scratch folder of the test file; its cache of converted graphs is shared by all runs of the machine's tests. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cosyvoice-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function cosyvoice(args: readonly string[], options: { readonly cwd: string; readonly input?: string; readonly env?: Readonly<Record<string, string>> }): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: options.cwd, env: { ...process.env, ...options.env } });
  child.stdin.on('error', () => {}); // a command that fails early does not read its input
  child.stdin.end(options.input ?? '');
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>((resolve) => child.on('close', resolve))]);
  return { code, out, err };
}

/** The same with both pipes in hand: text is written while sound is read. */
export function piped(args: readonly string[], { cwd }: { readonly cwd: string }): { readonly input: Writable; readonly sound: AsyncIterator<Buffer> & AsyncIterable<Buffer>; readonly ended: Promise<Omit<Outcome, 'out'>> } {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd });
  const ended = Promise.all([text(child.stderr), new Promise<number | null>((resolve) => child.on('close', resolve))]).then(([err, code]) => ({ err, code }));
  return { input: child.stdin, sound: child.stdout.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer> & AsyncIterable<Buffer>, ended };
}
