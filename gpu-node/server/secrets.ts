/**
 * Secrets that this machine makes for itself, in the data directory: who administers the edge, what signs client tokens, and
 * what signs jobs. They outlive the process, so that tokens and links do too.
 */
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';

export type Secrets = {
  readonly adminKey: string;
  /** `id:secret` pairs, as the Worker's bindings of the same names. */
  readonly tokenKeys: string;
  readonly nodeKeys: string;
};

const FILE = 'secrets.json';
/** Readable by its owner only. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Reads them, or makes them where there are none. Throws `invalid_value` when the folder cannot be used, or the file is not whole. */
export async function openSecrets(directory: string): Promise<Secrets> {
  const path = join(directory, FILE);
  try {
    await mkdir(directory, { recursive: true, mode: FOLDER_MODE });
    return parse(await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? make(directory, path) : Promise.reject(error))), path);
  } catch (error) {
    if (error instanceof CosyError) throw error;
    throw new CosyError('invalid_value', `The data directory ${directory} cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}): choose another one with --data.`, { cause: error });
  }
}

/** Whole or absent: written beside, synced, and linked into place, which fails if another process was first. */
async function make(directory: string, path: string): Promise<string> {
  const secrets: Secrets = { adminKey: `cva_${random()}`, tokenKeys: `t1:${random()}`, nodeKeys: `n1:${random()}` };
  const beside = join(directory, `${FILE}.${process.pid}.${randomBytes(4).toString('hex')}`);
  const file = await open(beside, 'wx', FILE_MODE);
  try {
    await file.writeFile(`${JSON.stringify(secrets, undefined, 2)}\n`);
    await file.sync();
    await link(beside, path).catch((error: NodeJS.ErrnoException) => (error.code === 'EEXIST' ? undefined : Promise.reject(error)));
  } finally {
    await file.close();
    await rm(beside, { force: true });
  }
  await chmod(path, FILE_MODE);
  return readFile(path, 'utf8');
}

function parse(text: string, path: string): Secrets {
  const wrong = new CosyError('invalid_value', `${path} is not whole: restore it from a backup, or remove it for new secrets (client tokens end, API keys stay).`);
  try {
    const { adminKey, tokenKeys, nodeKeys } = JSON.parse(text) as Record<string, unknown>;
    if (typeof adminKey !== 'string' || typeof tokenKeys !== 'string' || typeof nodeKeys !== 'string' || adminKey.length < 32) throw wrong;
    return { adminKey, tokenKeys, nodeKeys };
  } catch {
    throw wrong;
  }
}

function random(): string {
  return randomBytes(32).toString('base64url');
}
