/** One signed request to one node, and what its failures mean. */
import { CosyError, ERRORS } from '../../shared/errors/index.ts';
import type { ErrorCode } from '../../shared/errors/index.ts';
import { SIGNATURE_HEADER, parseKeys, sign } from '../../shared/signing/index.ts';
import type { SignedPart } from '../../shared/signing/index.ts';
import type { Env } from '../env.ts';

export type NodeRequest = { readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'; readonly path: string; readonly body?: Uint8Array<ArrayBuffer> | undefined; readonly contentType?: string | undefined; readonly traceparent?: string | undefined };

const EMPTY = new Uint8Array(0);

/** Rejects when the node cannot be reached or the signal fires; a refusal is an answer. */
export async function requestNode(url: string, { method, path, body, contentType = 'application/json', traceparent }: NodeRequest, { env, signal }: { readonly env: Env; readonly signal: AbortSignal }): Promise<Response> {
  const signature = await signed({ method, path, body: body ?? EMPTY }, env);
  return fetch(new URL(path, url), { method, headers: { 'content-type': contentType, [SIGNATURE_HEADER]: signature, ...(traceparent === undefined ? {} : { traceparent }) }, signal, redirect: 'manual', ...(body === undefined || method === 'GET' ? {} : { body }) });
}

/** Value of the signature header for a request sent now. Throws `internal_error` when there is no key to sign with. */
export function signed(part: SignedPart, env: Env): Promise<string> {
  const [key] = parseKeys(env.NODE_KEYS);
  if (!key) throw new CosyError('internal_error', 'The edge has no key for its nodes: set NODE_KEYS to id:secret.');
  return sign(part, key, Date.now());
}

/** The node's refusal as the table's error; undefined when it was not a node that answered. */
export async function nodeError(response: Response): Promise<CosyError | undefined> {
  const body = (await response.json().catch(() => ({}))) as { error?: { code?: string; message?: string; param?: string; retryAfterMs?: number } };
  const { code, message, param, retryAfterMs } = body.error ?? {};
  if (code === undefined || !(code in ERRORS)) return undefined;
  return new CosyError(code as ErrorCode, message ?? 'The node failed.', { ...(param === undefined ? {} : { param }), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

/** How long a node may take to say that it is well. */
const HEALTH_TIMEOUT_MS = 2000;

/** What a node says of its health; undefined when it does not answer. */
export async function healthOf(url: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const response = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

/** What the caller is told when no node did it. That edge and nodes have different keys is the operator's matter. */
export function unanswered(refusal: CosyError | undefined): CosyError {
  return refusal === undefined || refusal.code === 'signature_invalid' ? noNode() : refusal;
}

/** When there is none, or none answers. */
export function noNode(): CosyError {
  return new CosyError('no_node_available', 'No synthesis node answers: try again in a few seconds.', { retryAfterMs: 5000 });
}
