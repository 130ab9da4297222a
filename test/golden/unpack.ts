/** Unpacks `test/golden/{checkpoint,cases}` (`.br` files) once per content into node_modules/.cache. */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { goldenDirectory } from './index.ts';

export default function setup(): void {
  const files = ['checkpoint', 'cases'].flatMap((folder) => list(join(import.meta.dirname, folder)));
  const stamp = files.map((file) => `${relative(import.meta.dirname, file)} ${statSync(file).size}`).join('\n');
  const stampFile = join(goldenDirectory, '.stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  const fresh = `${goldenDirectory}.${process.pid}`;
  for (const file of files) {
    const target = join(fresh, relative(import.meta.dirname, file)).replace(/\.br$/, '');
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, file.endsWith('.br') ? brotliDecompressSync(readFileSync(file)) : readFileSync(file));
  }
  writeFileSync(join(fresh, '.stamp'), stamp);
  rmSync(goldenDirectory, { recursive: true, force: true });
  renameSync(fresh, goldenDirectory);
}

function list(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
