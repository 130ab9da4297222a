/**
 * One hash for everything that graphs are made from. Contents, not dates: SHA-256 of every file. Reading 2.5 GB takes
 * seconds, so the digest of a large file is remembered beside its identity (device, inode, size, modification and change
 * time in nanoseconds: any write changes the last). A memory that cannot be read or written costs time, nothing else.
 * Neither zip checksums (torch can be told to leave them out) nor dates alone would notice every exchange of a file.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { basename, join } from 'node:path';

/** Smaller files are hashed every time: at 1 GB/s this is 64 ms. */
const REMEMBER_BYTES = 64 * 2 ** 20;
const BLOCK_BYTES = 4 * 2 ** 20;

/** Hex. `paths` in a fixed order; names count by their last part, so a checkpoint may move. */
export async function hashFiles(paths: readonly string[], memoryDirectory: string): Promise<string> {
  const whole = createHash('sha256');
  for (const path of paths) whole.update(`${basename(path)}\0${await digest(path, memoryDirectory)}\0`);
  return whole.digest('hex');
}

async function digest(path: string, memoryDirectory: string): Promise<string> {
  const before = await stat(path, { bigint: true });
  if (before.size < REMEMBER_BYTES) return await hashContents(path);
  const memory = join(memoryDirectory, `${identity(before)}.sha256`);
  const remembered = await readFile(memory, 'latin1').catch(() => '');
  if (/^[0-9a-f]{64}$/.test(remembered)) return remembered;
  const contents = await hashContents(path);
  // a file written to meanwhile has another identity, so its half-old digest is not kept
  if (identity(await stat(path, { bigint: true })) === identity(before)) await remember(memory, contents, memoryDirectory);
  return contents;
}

async function hashContents(path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(block.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

function identity({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return createHash('sha256').update([dev, ino, size, mtimeNs, ctimeNs].join(' ')).digest('hex');
}

async function remember(path: string, value: string, directory: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(temporary, value);
    await rename(temporary, path);
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}
