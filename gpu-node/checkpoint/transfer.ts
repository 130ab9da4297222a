/**
 * One file over HTTP onto the disk: resumed where it stopped, checked by size and hash, and under its name only when it is
 * whole. Ranges: RFC 9110 §14; `If-Range` (§13.1.5) keeps two versions of a file from being joined.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { get as getPlain } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { get as getSecure } from 'node:https';
import { basename, dirname } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';

/** `sha256` of the contents, or `blob`: git's SHA-1 with its header, which Hugging Face gives for small files. */
export type Digest = { readonly algorithm: 'sha256' | 'blob'; readonly hex: string };

export type RemoteFile = { readonly url: string; readonly size: number | undefined; readonly digest: Digest | undefined };

export type TransferOptions = {
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (done: number) => void;
  /** A connection that says nothing for this long is given up and tried again. */
  readonly stallMs: number;
};

/** Failures in a row, without a byte between them. */
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 500;
const MAX_REDIRECTS = 5;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** Without an announced size: no file of a checkpoint is larger. */
const MAX_BYTES = 8 * 2 ** 30;

/** Throws `download_failed`, `hash_mismatch`, `disk_full` or `cancelled`; a `.part` file stays for the next try unless it is wrong. */
export async function transfer(remote: RemoteFile, path: string, options: TransferOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.part`;
  for (let failures = 1; ; failures++) {
    const before = bytesLeft(path);
    try {
      await fill(remote, part, options);
      break;
    } catch (error) {
      if (options.signal?.aborted === true) throw new CosyError('cancelled', `The download of ${basename(path)} was stopped. Run it again to go on from here.`, { cause: error });
      if (bytesLeft(path) > before) failures = 1;
      if (isCosyError(error) || failures === ATTEMPTS) throw explained(error, remote.url);
      await delay(FIRST_PAUSE_MS * 2 ** (failures - 1), undefined, { signal: options.signal }).catch(() => undefined);
    }
  }
  await check(remote, part, path);
  await rename(part, path);
  await rm(`${part}.version`, { force: true });
}

/** True when a file that is there is the remote one, by size and, if known, by hash. */
export async function isComplete(remote: RemoteFile, path: string): Promise<boolean> {
  if (!existsSync(path) || (remote.size !== undefined && statSync(path).size !== remote.size)) return false;
  return remote.digest === undefined || (await digestOf(path, remote.digest)) === remote.digest.hex;
}

/** Bytes of `path` that an earlier try has left. */
export function bytesLeft(path: string): number {
  return statSync(`${path}.part`, { throwIfNoEntry: false })?.size ?? 0;
}

/** One connection: asks for what is missing and appends it. Returns when the part is whole. */
async function fill(remote: RemoteFile, part: string, { signal, onBytes, stallMs }: TransferOptions): Promise<void> {
  const have = statSync(part, { throwIfNoEntry: false })?.size ?? 0;
  const version = await readFile(`${part}.version`, 'utf8').catch(() => '');
  if (have > 0 && have === remote.size) return onBytes(have);
  const stall = new AbortController();
  let timer = setTimeout(() => stall.abort(new Error('the connection stalled')), stallMs);
  let response: IncomingMessage | undefined;
  try {
    const resume = have > 0 && version !== '' && (remote.size === undefined || have < remote.size);
    const headers = { 'accept-encoding': 'identity', ...(resume ? { range: `bytes=${have}-`, 'if-range': version } : {}) };
    response = await openBody(remote.url, headers, signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal]));
    const status = response.statusCode ?? 0;
    if (status === 416) await rm(part, { force: true }); // what is here is longer than what is there
    if (status !== 200 && status !== 206) throw statusError(status, remote.url);
    const from = status === 206 ? have : 0;
    if (status === 206 && !(response.headers['content-range'] ?? '').startsWith(`bytes ${have}-`)) throw new Error('the server sent another range');
    if ((response.headers['content-encoding'] ?? 'identity') !== 'identity') throw new CosyError('download_failed', `${hostOf(remote.url)} sends ${basename(part, '.part')} in another encoding than asked for. Try another source with --from.`);
    const total = announced(response, from) ?? remote.size;
    await writeFile(`${part}.version`, strongTag(response));
    const file = await open(part, from === 0 ? 'w' : 'r+');
    try {
      let done = from;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        clearTimeout(timer);
        timer = setTimeout(() => stall.abort(new Error('the connection stalled')), stallMs);
        if (done + chunk.length > (total ?? MAX_BYTES)) throw new CosyError('download_failed', `${hostOf(remote.url)} sends more of ${basename(part, '.part')} than it announced. Try another source.`);
        await file.write(chunk, 0, chunk.length, done);
        done += chunk.length;
        onBytes(done);
      }
      if (total !== undefined && done < total) throw new Error('the connection ended early');
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    clearTimeout(timer);
    response?.destroy();
  }
}

/**
 * The answer that stands at the end of the redirects, its body still unread; `signal` ends both. Throws what the network
 * throws, or `download_failed` for redirects that lead nowhere. Whoever does not read the body destroys it.
 *
 * Not `fetch`: when a server closes its connection while the body is held back (every HTTP/1.0 server does so with a large
 * file), undici fails outside of any promise, and the process ends.
 */
async function openBody(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
  let at = new URL(url);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await once(at, headers, signal);
    const { location } = response.headers;
    if (location === undefined || !REDIRECTS.includes(response.statusCode ?? 0)) return response;
    response.destroy();
    const next = URL.canParse(location, at) ? new URL(location, at) : undefined;
    if (next?.protocol !== 'https:' && next?.protocol !== 'http:') throw new CosyError('download_failed', `${at.host} redirects to what is no web address. Choose another source with --from.`);
    at = next;
  }
  throw new CosyError('download_failed', `${new URL(url).host} redirects without end. Choose another source with --from.`);
}

function once(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === 'https:' ? getSecure : getPlain;
    const request = get(url, { headers, signal }, (response) => {
      // a connection may break before the first read: the reader is told then, and nobody else
      response.on('error', () => undefined);
      resolve(addAbortSignal(signal, response));
    });
    request.on('error', reject);
  });
}

/** A weak tag may not guard a range (RFC 9110 §13.1.5). */
function strongTag({ headers }: IncomingMessage): string {
  const tag = headers.etag ?? '';
  return tag.startsWith('"') ? tag : (headers['last-modified'] ?? '');
}

function announced({ headers }: IncomingMessage, from: number): number | undefined {
  const length = headers['content-length'];
  return length === undefined || !/^\d+$/.test(length) ? undefined : from + Number(length);
}

async function check(remote: RemoteFile, part: string, path: string): Promise<void> {
  const size = statSync(part).size;
  const isSized = remote.size === undefined || size === remote.size;
  if (isSized && (remote.digest === undefined || (await digestOf(part, remote.digest)) === remote.digest.hex)) return;
  await rm(part, { force: true });
  await rm(`${part}.version`, { force: true });
  throw new CosyError('hash_mismatch', `${basename(path)} arrived damaged or is another file than announced; it was removed. Run it again, or choose another source with --from.`);
}

async function digestOf(path: string, { algorithm }: Digest): Promise<string> {
  const hash = createHash(algorithm === 'blob' ? 'sha1' : 'sha256');
  if (algorithm === 'blob') hash.update(`blob ${statSync(path).size}\0`);
  for await (const block of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(block as Buffer);
  return hash.digest('hex');
}

/** Final for statuses that will not change by themselves. */
export function statusError(status: number, url: string): Error {
  if (status >= 500 || status === 429 || status === 408 || status === 416) return new Error(`status ${status}`);
  const reason = status === 404 ? 'has no' : `answers ${status} for`;
  return new CosyError('download_failed', `${hostOf(url)} ${reason} ${new URL(url).pathname}. Check the source, or choose another with --from.`);
}

/** One line for a failure of the network or of the disk. */
export function explained(error: unknown, url: string): unknown {
  if (isCosyError(error)) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return new CosyError('disk_full', 'The disk is full: free some space and run the download again; it goes on where it stopped.', { cause: error });
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return new CosyError('invalid_value', `The folder cannot be written (${code}): choose another.`, { cause: error });
  const detail = code === '' ? (cause instanceof Error ? cause.message : String(cause)) : code;
  return new CosyError('download_failed', `${hostOf(url)} cannot be reached (${detail}). Check the connection and run it again, or choose another source with --from.`, { cause: error });
}

function hostOf(url: string): string {
  return new URL(url).host;
}
