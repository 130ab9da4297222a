/** `/v1/keys`: API keys of a tenant. A key is seen once, when it is made. */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { readJson } from '../admit/body.ts';
import { requireScope } from '../auth/authenticate.ts';
import { createKey, listKeys, readKey, revokeKey, rotateKey } from '../auth/keys.ts';
import type { Key } from '../auth/keys.ts';
import type { Actor } from '../auth/tenants.ts';
import { SCOPES } from '../caller.ts';
import type { Caller, Scope } from '../caller.ts';
import type { EdgeContext } from '../env.ts';
import type { Operation } from './operation.ts';
import { accept, pageOf, pageQuery, toPage } from './page.ts';

const MAX_BODY_BYTES = 16 * 1024;
const YEAR_S = 365 * 86_400;
/** What most programs need; keys that make keys are asked for by name. */
const USUAL: readonly Scope[] = ['speech', 'text', 'voices:read', 'voices:write', 'jobs', 'usage'];

const createSchema = z.object({
  name: z.string({ error: 'must be a name to know the key by' }).trim().min(1, 'is empty').max(100, 'is longer than 100 characters'),
  scopes: z.array(z.enum(SCOPES, { error: `must be some of ${SCOPES.join(', ')}` })).min(1, 'is empty').optional(),
  /** Seconds from now; absent: until it is revoked. */
  expires_in: z.int().min(60, 'must be at least 60 seconds').max(10 * YEAR_S, 'must be at most ten years').optional(),
});

/** How long the old key goes on beside the new one, in seconds. */
const rotateSchema = z.object({ overlap: z.int().min(0).max(30 * 86_400, 'must be at most 30 days').default(86_400) });

const keySchema = z.object({
  id: z.string(),
  object: z.literal('api_key'),
  name: z.string(),
  hint: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  created_at: z.int(),
  expires_at: z.int().nullable(),
  revoked_at: z.int().nullable(),
  last_used: z.string().nullable(),
  replaces: z.string().nullable(),
});
const newKeySchema = keySchema.extend({ key: z.string() });

const json = (schema: z.ZodType) => [{ type: 'application/json', schema }];

export const keyOperations: readonly Operation[] = [
  { method: 'post', path: '/v1/keys', id: 'createKey', tag: 'keys', summary: 'Make a key', scope: 'keys', body: json(createSchema), answers: { 201: { description: 'The key, shown this once.', content: json(newKeySchema) } } },
  { method: 'get', path: '/v1/keys', id: 'listKeys', tag: 'keys', summary: 'Keys, newest first', scope: 'keys', query: pageQuery, answers: { 200: { description: 'A page.', content: json(pageOf(keySchema)) } } },
  { method: 'get', path: '/v1/keys/{id}', id: 'getKey', tag: 'keys', summary: 'One key', scope: 'keys', answers: { 200: { description: 'The key, without its secret.', content: json(keySchema) } } },
  { method: 'delete', path: '/v1/keys/{id}', id: 'revokeKey', tag: 'keys', summary: 'Revoke a key; everywhere within 60 seconds', scope: 'keys', answers: { 200: { description: 'The key, revoked.', content: json(keySchema) } } },
  { method: 'post', path: '/v1/keys/{id}/rotate', id: 'rotateKey', tag: 'keys', summary: 'A new key for an old one, which goes on for the overlap', scope: 'keys', body: json(rotateSchema), answers: { 201: { description: 'The new key, shown this once, and when the old one ends.', content: json(newKeySchema.extend({ old: keySchema })) } } },
];

export const keys = new Hono<EdgeContext>();

keys.use(async (c, next) => {
  requireScope(c.get('caller'), 'keys');
  await next();
});

keys.post('/', async (c) => {
  const { name, scopes = USUAL, expires_in } = accept(createSchema, await readJson(c.req.raw, MAX_BODY_BYTES));
  const caller = c.get('caller');
  mayGrant(caller, scopes);
  const expiresMs = expires_in === undefined ? undefined : Date.now() + expires_in * 1000;
  const { key, secret } = await createKey({ tenant: caller.tenant, name, scopes: [...new Set(scopes)], expiresMs }, actorOf(c), c.env);
  return c.json({ ...shown(key), key: secret }, 201, NOT_KEPT);
});

keys.get('/', async (c) => {
  const { limit, after, order } = accept(pageQuery, c.req.query());
  const rows = await listKeys({ tenant: c.get('caller').tenant, limit: limit + 1, after, order, env: c.env });
  return c.json(toPage(rows.map(shown), limit));
});

keys.get('/:id', async (c) => c.json(shown(await readKey(c.req.param('id'), c.get('caller').tenant, c.env))));

keys.delete('/:id', async (c) => c.json(shown(await revokeKey(c.req.param('id'), c.get('caller').tenant, actorOf(c), c.env))));

keys.post('/:id/rotate', async (c) => {
  const { overlap } = accept(rotateSchema, c.req.raw.body === null ? {} : await readJson(c.req.raw, MAX_BODY_BYTES));
  const id = c.req.param('id');
  const { tenant } = c.get('caller');
  mayGrant(c.get('caller'), (await readKey(id, tenant, c.env)).scopes);
  const { key, secret, old } = await rotateKey({ id, tenant, overlapMs: overlap * 1000, actor: actorOf(c), env: c.env });
  return c.json({ ...shown(key), key: secret, old: shown(old) }, 201, NOT_KEPT);
});

const NOT_KEPT = { 'cache-control': 'no-store' };

/** Of a request, for the audit. */
export function actorOf(c: Context<EdgeContext>): Actor {
  return { caller: c.get('caller'), requestId: c.get('requestId') };
}

/** Nobody hands out a right that they lack. */
function mayGrant({ scopes }: Caller, wanted: readonly Scope[]): void {
  const missing = scopes.has('admin') ? undefined : wanted.find((scope) => !scopes.has(scope));
  if (missing !== undefined) throw new CosyError('forbidden', `A key without the scope ${missing} cannot give it to another.`, { param: 'scopes' });
}

function shown({ id, name, scopes, createdMs, expiresMs, revokedMs, lastUsed, replaces }: Key): z.infer<typeof keySchema> {
  return {
    id,
    object: 'api_key',
    name,
    hint: `${id.replace('key_', 'cv_')}_…`,
    scopes: [...scopes],
    created_at: seconds(createdMs),
    expires_at: expiresMs === undefined ? null : seconds(expiresMs),
    revoked_at: revokedMs === undefined ? null : seconds(revokedMs),
    last_used: lastUsed ?? null,
    replaces: replaces ?? null,
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
