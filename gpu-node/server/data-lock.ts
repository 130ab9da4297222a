/**
 * One server per data directory: a second one would write into the same databases. SQLite holds the lock through the
 * operating system, so it ends with the process, however that ends.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CosyError } from '../../shared/errors/index.ts';

/** In the data directory, which exists; not part of a backup. */
export const LOCK_FILE = 'lock.db';
/** A server that was just stopped may still be on its way out. */
const WAIT_MS = 3000;

/** Gives the directory back. Throws `invalid_value` when another server has it. */
export function holdData(directory: string): () => void {
  const database = new DatabaseSync(join(directory, LOCK_FILE));
  try {
    database.exec(`PRAGMA busy_timeout = ${WAIT_MS}`);
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw new CosyError('invalid_value', `Another server uses the data in ${directory}: stop it, or choose another directory with --data.`, { cause: error });
  }
  return () => database.close();
}
