/**
 * Browsers of other origins may ask (Fetch standard, CORS). Credentials here are never cookies, so any origin may; what a page
 * can do is what its token can do. A token that is bound to an origin is answered to that origin only.
 */
import type { MiddlewareHandler } from 'hono';
import type { EdgeContext } from '../env.ts';
import { isOwnPage } from './bounds.ts';

const LIMITS = ['limit', 'remaining', 'reset'].flatMap((what) => ['requests', 'characters', 'concurrency'].map((of) => `x-ratelimit-${what}-${of}`));
const EXPOSED = ['x-request-id', 'retry-after', 'retry-after-ms', 'x-should-retry', 'server-timing', 'x-audio-sample-rate', 'x-audio-channels', 'x-seed', 'x-warnings', 'x-cache', 'x-region', 'etag', 'idempotent-replayed', ...LIMITS].join(', ');
const METHODS = 'GET, POST, PUT, PATCH, DELETE';
/** The longest that browsers keep it. */
const MAX_AGE_S = '7200';

/** Answers preflights, and adds what a page may read to every other answer, failures too. */
export const cors: MiddlewareHandler<EdgeContext> = async (c, next) => {
  const origin = c.req.header('origin');
  const isPreflight = c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined;
  if (!isPreflight) await next();
  // a page elsewhere must not use a machine that asks for no key
  if (origin === undefined || (c.env.AUTH === 'off' && !isOwnPage(origin))) return isPreflight ? c.body(null, 204) : undefined;
  if (isPreflight) {
    return c.body(null, 204, {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': METHODS,
      // a wildcard would leave out authorization, and clients send headers of their own
      'access-control-allow-headers': c.req.header('access-control-request-headers') ?? '',
      'access-control-max-age': MAX_AGE_S,
      vary: 'Access-Control-Request-Headers',
    });
  }
  // headers of an upgrade cannot be added to
  if (c.res.status === 101) return undefined;
  const bound = c.get('caller')?.bounds?.origin;
  c.header('access-control-allow-origin', bound ?? '*');
  if (bound !== undefined) c.header('vary', 'Origin', { append: true });
  c.header('access-control-expose-headers', EXPOSED);
  return undefined;
};
