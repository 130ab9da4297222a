/**
 * One maker per cache entry, across processes. The lock saves work; it is not what keeps the cache whole (each maker has its
 * own folder and publishes it with one rename). It survives `kill -9`: a lock whose process is gone counts as open, and so
 * does one whose folder has not grown for a while (a thread that was ended, a machine that is off).
 */
import { linkSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The slowest single tensor takes seconds to convert; the data file grows with each. */
const STALLED_MS = 120_000;
const POLL_MS = 100;
const HOST = hostname().replace(/[^A-Za-z0-9-]/g, '-').slice(0, 60);

/**
 * Who makes an entry: host, process, start of the process, and a random part. Used in file names, so without dots or
 * slashes.
 */
export type Owner = string;

export function newOwner(): Owner {
  return [HOST, process.pid, processStart(process.pid) ?? 0, randomUUID().slice(0, 8)].join('_');
}

/**
 * Waits until `path` is ours (true) or `isDone` says that another maker has finished (false). `folderOf`: the folder that
 * an owner writes into. Throws what the file system throws, or the reason of `signal`.
 */
export async function acquire({ path, owner, folderOf, isDone, signal }: { path: string; owner: Owner; folderOf: (owner: Owner) => string; isDone: () => boolean; signal: AbortSignal | undefined }): Promise<boolean> {
  for (;;) {
    signal?.throwIfAborted();
    if (isDone()) return false;
    if (tryCreate(path, owner)) return true;
    const holder = readHolder(path);
    if (holder === undefined) continue;
    if (isDead(holder) || isStalled([folderOf(holder), path])) rmSync(path, { force: true });
    else await delay(POLL_MS, undefined, { signal });
  }
}

/** Opens the lock again, unless somebody else holds it by now. */
export function release(path: string, owner: Owner): void {
  if (readHolder(path) === owner) rmSync(path, { force: true });
}

/** True when the process of an owner on this machine has ended. */
export function isDead(owner: Owner): boolean {
  const [host, pid, start] = owner.split('_');
  if (host !== HOST || pid === undefined) return false;
  if (!isRunning(Number(pid))) return true;
  const known = processStart(Number(pid));
  return known !== undefined && start !== '0' && String(known) !== start;
}

/** A link appears with its contents or not at all, so no reader meets an empty lock. */
function tryCreate(path: string, owner: Owner): boolean {
  const temporary = `${path}.${owner}`;
  try {
    writeFileSync(temporary, owner);
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (code(error) === 'EEXIST') return false;
    if (code(error) === 'EPERM' || code(error) === 'ENOTSUP' || code(error) === 'ENOSYS') return createWithoutLink(path, owner);
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** For file systems without hard links. */
function createWithoutLink(path: string, owner: Owner): boolean {
  try {
    writeFileSync(path, owner, { flag: 'wx' });
    return true;
  } catch (error) {
    if (code(error) === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): Owner | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (code(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The newest change of the paths and of the files in them is older than any step of a conversion. */
function isStalled(paths: readonly string[]): boolean {
  const files = paths.flatMap((path) => [path, ...children(path)]);
  const newest = Math.max(...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
  return Date.now() - newest > STALLED_MS;
}

function children(path: string): string[] {
  try {
    return readdirSync(path).map((name) => join(path, name));
  } catch {
    return [];
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return code(error) === 'EPERM';
  }
}

/** Clock ticks after boot at which a process started; tells a reused number apart. Linux only. */
function processStart(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}

function code(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
