/**
 * One GET over `node:http`. Not `fetch`: when a server closes its connection while the body is held back (every HTTP/1.0
 * server does so with a large file), undici fails outside of any promise, and the process ends.
 */
import { get as getPlain } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { get as getSecure } from 'node:https';
import { addAbortSignal } from 'node:stream';
import { CosyError } from '../../shared/errors/index.ts';

const MAX_REDIRECTS = 5;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/**
 * The answer that stands at the end of the redirects, its body still unread; `signal` ends both. Throws what the network
 * throws, or `download_failed` for redirects that lead nowhere. Whoever does not read the body destroys it.
 */
export async function openBody(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
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
