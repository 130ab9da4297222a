/**
 * One signed job to one node. Nodes are tried in turn until one accepts; after the first byte of the answer there is no
 * second try here, because sound may already be on its way.
 */
import { CosyError, ERRORS } from '../../shared/errors/index.ts';
import type { ErrorCode } from '../../shared/errors/index.ts';
import type { Job } from '../../shared/contract/job.ts';
import { SIGNATURE_HEADER, sign } from '../../shared/signing/index.ts';
import type { SigningKey } from '../../shared/signing/index.ts';
import type { Env } from '../env.ts';

/** Nodes in the order of trying, and the key that signs for them. */
export type NodeDirectory = { readonly urls: readonly string[]; readonly key: SigningKey };

/** Of the Worker's settings. */
export function nodeDirectory(env: Env): NodeDirectory {
  const [id = '', ...secret] = (env.NODE_KEYS.split(/\s+/)[0] ?? '').split(':');
  return { urls: (env.NODES ?? '').split(/\s+/).filter(Boolean), key: { id, secret: secret.join(':') } };
}

/** The node's frame stream. Throws the node's own error, or `no_node_available` when none answers. */
export async function synthesizeOnNode(job: Job, nodes: NodeDirectory, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  return (await signedRequest({ method: 'POST', path: '/v1/synthesize', body: JSON.stringify(job), nodes, signal })).body ?? new ReadableStream();
}

/** Names of the voices of the first node that answers. */
export async function voicesOfNode(nodes: NodeDirectory, signal: AbortSignal): Promise<unknown> {
  return (await signedRequest({ method: 'GET', path: '/v1/voices', body: '', nodes, signal })).json();
}

type SignedRequest = { readonly method: 'GET' | 'POST'; readonly path: string; readonly body: string; readonly nodes: NodeDirectory; readonly signal: AbortSignal };

async function signedRequest({ method, path, body, nodes, signal }: SignedRequest): Promise<Response> {
  const bytes = Uint8Array.from(new TextEncoder().encode(body));
  let refusal: CosyError | undefined;
  for (const url of nodes.urls) {
    const signature = await sign({ method, path, body: bytes }, nodes.key, Date.now());
    try {
      const response = await fetch(new URL(path, url), {
        method,
        headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature },
        signal,
        ...(method === 'POST' ? { body: bytes } : {}),
      });
      if (response.ok) return response;
      refusal = await nodeError(response);
      if (!refusal.retryable) throw refusal;
    } catch (error) {
      if (error === refusal || signal.aborted) throw error;
      // unreachable: the next one
    }
  }
  throw refusal ?? new CosyError('no_node_available', 'No synthesis node answers: try again in a few seconds.', { retryAfterMs: 5000 });
}

async function nodeError(response: Response): Promise<CosyError> {
  const body = (await response.json().catch(() => ({}))) as { error?: { code?: string; message?: string; retryAfterMs?: number } };
  const code = body.error?.code;
  if (code === undefined || !(code in ERRORS)) return new CosyError('internal_error', 'The node failed: try again.');
  const { retryAfterMs } = body.error ?? {};
  return new CosyError(code as ErrorCode, body.error?.message ?? 'The node failed.', retryAfterMs === undefined ? {} : { retryAfterMs });
}
