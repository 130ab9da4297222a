/**
 * Folders that are either whole or absent. A maker fills a folder of its own, everything is flushed to the disk, and one
 * rename publishes it. What a killed maker left is removed by the next one.
 */
import { accessSync, closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { acquire, isDead, newOwner, release } from './lock.ts';

const PART = '.part.';
const LOCK = '.lock';
/** An entry of another version stays this long after its last use: two versions may be installed side by side. */
const KEEP_UNUSED_MS = 14 * 24 * 3_600_000;

/**
 * The folder `directory/name`, made by `make(folder)` unless it is there. `family`: names that begin with it are older forms
 * of the same thing. Throws `disk_full`, `conversion_failed` when the cache cannot be written, or what `make` throws; then nothing
 * is left behind.
 */
export async function cachedFolder({ directory, name, family, make, signal }: { directory: string; name: string; family: string; make: (folder: string) => void | Promise<void>; signal?: AbortSignal | undefined }): Promise<string> {
  const entry = join(directory, name);
  if (existsSync(entry)) return touch(entry);
  const owner = newOwner();
  const folderOf = (who: string): string => `${entry}${PART}${who}`;
  const lock = `${entry}${LOCK}`;
  try {
    makeDirectory(directory);
    if (!(await acquire({ path: lock, owner, folderOf, isDone: () => existsSync(entry), signal }))) return touch(entry);
    try {
      removeLeftovers(directory);
      if (existsSync(entry)) return touch(entry);
      mkdirSync(folderOf(owner));
      await make(folderOf(owner));
      publish(folderOf(owner), entry);
      removeUnused({ directory, family, keep: name });
      return entry;
    } finally {
      rmSync(folderOf(owner), { recursive: true, force: true });
      release(lock, owner);
    }
  } catch (error) {
    throw explained(error, directory);
  }
}

/** Level by level: Node's recursive `mkdirSync` never returns where the system says ENOENT for a parent that is there (/proc). */
function makeDirectory(directory: string): void {
  const missing: string[] = [];
  let parent = resolve(directory);
  try {
    for (; !existsSync(parent); parent = dirname(parent)) missing.unshift(parent);
    if (missing.length > 0) accessSync(parent, constants.W_OK | constants.X_OK);
    for (const path of missing) if (!isDirectory(path)) makeOne(path);
  } catch (error) {
    const known = explained(error, directory);
    throw known === error ? unwritable(error, directory) : known;
  }
}

/** Another process may be first. */
function makeOne(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isDirectory(path)) throw error;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Unused entries are removed by their date. A cache that may only be read works as well. */
function touch(entry: string): string {
  try {
    const now = new Date();
    utimesSync(entry, now, now);
  } catch {
    // read-only
  }
  return entry;
}

function publish(folder: string, entry: string): void {
  for (const name of readdirSync(folder)) flush(join(folder, name));
  flush(folder);
  try {
    renameSync(folder, entry);
  } catch (error) {
    // another maker was first, after a lock that was taken for dead: its result is as good
    if (!existsSync(entry)) throw error;
  }
  flush(dirname(entry));
}

function flush(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Folders and locks of processes that are gone. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const owner = name.includes(PART) ? name.split(PART)[1] : name.split(`${LOCK}.`)[1];
    if (owner !== undefined && isDead(owner)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

function removeUnused({ directory, family, keep }: { directory: string; family: string; keep: string }): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(family) || name.startsWith(keep) || name.includes(PART) || name.includes(LOCK)) continue;
    const path = join(directory, name);
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > KEEP_UNUSED_MS) rmSync(path, { recursive: true, force: true });
  }
}

function explained(error: unknown, directory: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new CosyError('disk_full', `The disk is full while converting into ${directory}: free some space, or choose another cache folder, and try again.`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    return unwritable(error, directory);
  }
  return error;
}

function unwritable(error: unknown, directory: string): CosyError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new CosyError('conversion_failed', `The cache folder ${directory} cannot be written (${code}): choose another with --cache or COSYVOICE_CACHE.`, { cause: error });
}
