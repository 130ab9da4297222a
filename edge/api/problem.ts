/** Failure → response: RFC 9457 members and, beside them, the `error` member that OpenAI's clients read. */
import { CosyError, isCosyError } from '../../shared/errors/index.ts';

/** The answer to a failed request; an unknown failure says nothing about itself. */
export function problem(error: unknown, requestId: string): Response {
  const known = isCosyError(error) ? error : ofDatabase(error);
  const status = known?.status ?? 500;
  const code = known?.code ?? 'internal_error';
  const message = known?.message ?? 'Something failed here: try again.';
  const headers = new Headers({ 'content-type': 'application/problem+json', 'x-request-id': requestId, 'x-should-retry': String(known?.retryable ?? true) });
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="cosyvoice"');
  if (known?.retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.ceil(known.retryAfterMs / 1000)));
    headers.set('retry-after-ms', String(known.retryAfterMs));
  }
  const body = {
    type: 'about:blank',
    title: code,
    status,
    detail: message,
    error: { message, type: errorType(status), code, param: known?.param ?? null },
  };
  return new Response(JSON.stringify(body), { status: status === 499 ? 400 : status, headers });
}

/** D1 says what it is in the message only (https://developers.cloudflare.com/d1/observability/debug-d1/). */
function ofDatabase(error: unknown): CosyError | undefined {
  if (!(error instanceof Error) || !error.message.startsWith('D1_')) return undefined;
  return new CosyError('store_unavailable', 'The database does not answer: try again.', { retryAfterMs: 2000 });
}

/** OpenAI's name for what a status means. */
export function errorType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
