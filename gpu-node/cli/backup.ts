/** `cosyvoice backup`: a copy of the data directory that is whole, while the server runs or not. */
import { cp, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { DatabaseSync, backup } from 'node:sqlite';
import { CosyError } from '../../shared/errors/index.ts';
import { LOCK_FILE } from '../server/data-lock.ts';
import { text } from './options.ts';
import { say } from './terminal.ts';

/** Throws `invalid_value` when there is nothing to copy or something in the way. */
export async function backupCommand(options: Record<string, unknown>, [[target = ''] = []]: readonly (readonly string[])[] = []): Promise<number> {
  const source = text(options['data']) ?? process.env['COSYVOICE_DATA'] ?? '.data';
  const files = await filesOf(source).catch(() => []);
  if (files.length === 0) throw new CosyError('invalid_value', `There is no data in ${source}: name the directory with --data.`);
  if (await stat(target).catch(() => undefined)) throw new CosyError('invalid_value', `${target} is there already: name a new folder for the copy.`);
  // databases first: what they name is written before it is named, so every file that a copied row needs is there to be copied
  const databases = files.filter((path) => path.endsWith('.sqlite'));
  const others = files.filter((path) => !/\.sqlite(-wal|-shm)?$/.test(path) && !path.startsWith(LOCK_FILE));
  for (const path of databases) await copyDatabase(join(source, path), join(target, path));
  for (const path of others) await cp(join(source, path), join(target, path), { preserveTimestamps: true }).catch(unlessGone);
  say(`Copied ${databases.length} databases and ${others.length} files to ${target}. To restore: stop the server, put the folder in the place of ${source}, start.`);
  return 0;
}

/** SQLite's own backup: a consistent state, also while someone writes (https://www.sqlite.org/backup.html). */
async function copyDatabase(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const database = new DatabaseSync(from, { readOnly: true });
  try {
    await backup(database, to);
  } finally {
    database.close();
  }
}

async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(directory, join(entry.parentPath, entry.name)));
}

/** Deleted between listing and copying: the copied databases no longer name it, or name it as a result that is made again. */
function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
