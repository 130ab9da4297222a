/**
 * What Node made of this program's files (types taken out, code compiled) is kept for the next start, which then needs a third
 * less of the processor. It is checked against the files, so it is never of another version.
 */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { engineOptions } from './options.ts';

/** For modules that are loaded from now on, and for threads. A folder that cannot be written changes nothing. */
export function keepPrograms(options: Record<string, unknown>): void {
  const folder = join(engineOptions(options).cacheDirectory, 'programs');
  enableCompileCache(folder);
  process.env['NODE_COMPILE_CACHE'] ??= folder;
}
