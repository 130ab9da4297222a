/**
 * Requests to addresses that a caller named: clips by URL, webhooks. Whoever names an address may not make the Worker speak
 * to its own network. Four doors, each closed on its own:
 *
 *   form of the URL → names by DNS over HTTPS → every redirect from the start again → on one machine the socket itself
 *
 * The last is the binding OUTSIDE, a workerd network service that connects to public addresses only. It looks at the address
 * that was connected to, so a name that changes between check and use (DNS rebinding) reaches nothing. On Cloudflare there is
 * no private network behind a Worker to be reached.
 */
import { CosyError } from '../shared/errors/index.ts';
import { isLoopback, isPublic } from './address.ts';
import type { Env } from './env.ts';

export type OutsideRequest = {
  readonly env: Pick<Env, 'OUTSIDE' | 'OUTSIDE_LOOPBACK' | 'DNS_RESOLVER'>;
  /** Of the body as it is after decompression. */
  readonly maxBytes: number;
  /** From the first look-up to the last byte. */
  readonly timeoutMs: number;
  readonly method?: 'GET' | 'POST';
  /** Not sent again when a redirect leads to another origin. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Followed for GET only. */
  readonly maxRedirects?: number;
  readonly signal?: AbortSignal;
};

/** Whatever the status; the body whole. */
export type OutsideAnswer = { readonly status: number; readonly headers: Headers; readonly bytes: Uint8Array<ArrayBuffer> };

const MAX_REDIRECTS = 3;
const MAX_URL_CHARACTERS = 2048;
const RESOLVER = 'https://cloudflare-dns.com/dns-query';
const RECORD_TYPES = { A: 1, AAAA: 28 } as const;

/**
 * Throws `url_refused` (no address of the public internet, or no https), `body_too_large`, `download_failed` (does not
 * answer, answers too slowly, too many redirects) or `cancelled`. Messages do not tell what the network looks like.
 */
export async function fetchOutside(url: string, request: OutsideRequest): Promise<OutsideAnswer> {
  const { maxBytes, timeoutMs, method = 'GET', maxRedirects = method === 'GET' ? MAX_REDIRECTS : 0, signal } = request;
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
  let target = await checkAddress(url, request.env, either);
  let headers = request.headers ?? {};
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await send(target, { ...request, method, headers, signal: either });
      const location = response.headers.get('location');
      if (method !== 'GET' || response.status < 300 || response.status > 399 || location === null) {
        return { status: response.status, headers: response.headers, bytes: await readAtMost(response, maxBytes) };
      }
      await response.body?.cancel();
      if (redirects >= maxRedirects) throw new CosyError('download_failed', `The address leads on more than ${maxRedirects} times.`);
      const next = await checkAddress(new URL(location, target).href, request.env, either);
      if (next.origin !== target.origin) headers = {};
      target = next;
    }
  } catch (error) {
    if (error instanceof CosyError) throw error;
    if (signal?.aborted) throw new CosyError('cancelled', 'The request was cancelled.');
    if (deadline.aborted) throw new CosyError('download_failed', `The address did not answer within ${timeoutMs / 1000} s.`);
    throw new CosyError('download_failed', 'The address cannot be reached.');
  }
}

/** The URL when it may be asked now. Throws `url_refused`. For a webhook, when it is set, so that its owner learns of it early. */
export async function checkAddress(text: string, env: OutsideRequest['env'], signal: AbortSignal): Promise<URL> {
  if (text.length > MAX_URL_CHARACTERS || !URL.canParse(text)) throw refused('is not a URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw refused('holds a name or password');
  // the parser has already turned decimal, octal and hexadecimal forms into four numbers (WHATWG URL, "IPv4 parser")
  const host = url.hostname.replace(/\.$/, '');
  if (env.OUTSIDE_LOOPBACK === 'allow' && isLoopback(host) && /^https?:$/.test(url.protocol)) return url;
  if (url.protocol !== 'https:') throw refused('does not begin with https://');
  if (url.port !== '' && Number(url.port) < 1024) throw refused('names a port that no web server has');
  if (isAddress(host)) {
    if (!isPublic(host)) throw refused('is no address of the public internet');
    return url;
  }
  if (!host.includes('.') || /\.(localhost|local|internal|intranet|home|lan|corp|arpa|test|invalid|onion)$/.test(host)) throw refused('is no name of the public internet');
  if (env.DNS_RESOLVER === undefined && env.OUTSIDE) return url;
  const addresses = await resolve(host, env, signal);
  // one private address among public ones is enough to be led there
  if (addresses.length === 0 || !addresses.every(isPublic)) throw refused('does not lead to the public internet');
  return url;
}

type Sent = Pick<OutsideRequest, 'env' | 'body'> & { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal };

function send(url: URL, { env, method, headers, body, signal }: Sent): Promise<Response> {
  const init: RequestInit = { method, headers: { ...headers }, redirect: 'manual', signal, ...(body === undefined ? {} : { body }) };
  const loopback = env.OUTSIDE_LOOPBACK === 'allow' && isLoopback(url.hostname);
  return env.OUTSIDE && !loopback ? env.OUTSIDE.fetch(url.href, init) : fetch(url.href, init);
}

async function readAtMost(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = new CosyError('body_too_large', `The address has more than ${maxBytes} bytes.`);
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge;
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  // leaving the loop cancels the body
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > maxBytes) throw tooLarge;
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/** RFC 8484's JSON form, as Cloudflare and Google answer it. */
async function resolve(host: string, env: OutsideRequest['env'], signal: AbortSignal): Promise<string[]> {
  const answers = await Promise.all(
    Object.entries(RECORD_TYPES).map(async ([name, type]) => {
      const query = new URL(env.DNS_RESOLVER ?? RESOLVER);
      query.search = new URLSearchParams({ name: host, type: name }).toString();
      try {
        const response = await fetch(query, { headers: { accept: 'application/dns-json' }, signal });
        const { Answer = [] } = (await response.json()) as { Answer?: readonly { readonly type: number; readonly data: string }[] };
        return Answer.filter((record) => record.type === type).map(({ data }) => (type === RECORD_TYPES.AAAA ? `[${data}]` : data));
      } catch {
        throw new CosyError('download_failed', 'The address cannot be looked up now: try again.');
      }
    }),
  );
  return answers.flat();
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host);
}

function refused(why: string): CosyError {
  return new CosyError('url_refused', `The address ${why}: give an https URL that anyone can open.`, { param: 'url' });
}
