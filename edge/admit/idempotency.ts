/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the same request asked again within a day gets the answer of
 * the first one and changes nothing. Small JSON answers are kept; of a stream only its request is remembered, so asked again
 * after its end it is made again (or comes from the kept results). Stand it behind the check of the scope: a kept answer is
 * given to every key of the tenant that gets this far. Not for answers that show a key once.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { waitUntil } from 'cloudflare:workers';
import { getMultipartBoundary, parseMultipart } from '@remix-run/multipart-parser';
import { CosyError } from '../../shared/errors/index.ts';
import type { EdgeContext } from '../env.ts';
import type { KeptAnswer } from './answer-book.ts';
import { readBody } from './body.ts';
import { tenantObject } from './quota.ts';

/** Larger answers are not kept. */
const MAX_KEPT_BYTES = 64 * 1024;
const RUNNING_RETRY_MS = 1000;

/** `maxBytes`: of the body, which is read here. Throws `invalid_value`, `idempotency_in_progress`, `idempotency_key_reused`, or what `readBody` does. */
export function idempotent(maxBytes: number): MiddlewareHandler<EdgeContext> {
  return async (c, next) => {
    const given = c.req.header('idempotency-key');
    if (given === undefined || c.req.method !== 'POST') return next();
    if (!/^[\x20-\x7e]{1,255}$/.test(given)) throw new CosyError('invalid_value', 'Idempotency-Key must be 1 to 255 plain characters.', { param: 'Idempotency-Key' });
    const body = await readBody(c.req.raw, maxBytes);
    const hash = await bodyHash(body, c.req.header('content-type') ?? '');
    c.req.raw = new Request(c.req.raw, { method: 'POST', body, signal: c.req.raw.signal });
    const key = `POST ${c.req.path} ${given}`;
    const begun = await tenantObject(c.env, c.get('caller')).begin(key, hash);
    if (begun.state === 'reused') throw new CosyError('idempotency_key_reused', 'This Idempotency-Key was used for another request within the last day: take a new one for each request.', { param: 'Idempotency-Key' });
    if (begun.state === 'running') throw new CosyError('idempotency_in_progress', 'The first request with this Idempotency-Key is still under way: ask again after the time in retry-after.', { retryAfterMs: RUNNING_RETRY_MS });
    if (begun.state === 'kept') return replayed(begun.answer);
    await next();
    if (begun.state === 'new') await finish(c, { key, token: begun.token });
  };
}

async function finish(c: Context<EdgeContext>, { key, token }: { readonly key: string; readonly token: string }): Promise<void> {
  const end = (state: KeptAnswer | 'done' | 'retry') => tenantObject(c.env, c.get('caller')).finish(key, token, state);
  const { res } = c;
  // what was refused changed nothing, and may be right next time
  if (!res.ok) return end('retry');
  const type = res.headers.get('content-type') ?? '';
  if (!/\bjson\b/.test(type)) {
    // a stream that is still on its way: the key is taken until it ends
    if (res.body) c.res = new Response(until(res.body, (complete) => waitUntil(end(complete ? 'done' : 'retry'))), res);
    else await end('done');
    return;
  }
  const body = await res.clone().text();
  const location = res.headers.get('location');
  const headers = { 'content-type': type, ...(location === null ? {} : { location }) };
  await end(body.length > MAX_KEPT_BYTES ? 'done' : { status: res.status, headers, body });
}

function replayed({ status, headers, body }: KeptAnswer): Response {
  return new Response(body, { status, headers: { ...headers, 'idempotent-replayed': 'true' } });
}

/** The same bytes at the reader's pace; `ended` hears once whether all of them were taken. */
function until(body: ReadableStream<Uint8Array>, ended: (complete: boolean) => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await reader.read();
        if (!done) return controller.enqueue(value);
        ended(true);
        controller.close();
      } catch (error) {
        ended(false);
        throw error;
      }
    },
    async cancel(reason) {
      ended(false);
      await reader.cancel(reason);
    },
  });
}

/** Clients that send a form again draw a new boundary: only its parts count. */
async function bodyHash(body: Uint8Array<ArrayBuffer>, type: string): Promise<string> {
  const boundary = /^multipart\//i.test(type) ? getMultipartBoundary(type) : null;
  if (boundary === null) return sha256(body);
  try {
    const parts: Promise<string>[] = [];
    for (const part of parseMultipart(body, { boundary, maxFileSize: body.length, maxTotalSize: body.length })) {
      parts.push(sha256(new TextEncoder().encode(JSON.stringify(part.headers))), sha256(part.bytes as Uint8Array<ArrayBuffer>));
    }
    return await sha256(new TextEncoder().encode((await Promise.all(parts)).join()));
  } catch {
    // malformed: what reads it says so
    return sha256(body);
  }
}

async function sha256(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).toHex();
}
