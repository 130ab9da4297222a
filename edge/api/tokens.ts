/** `POST /v1/tokens`: short-lived tokens for browsers and apps, so that a key never leaves its server. */
import { Hono } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_TEXT_CHARACTERS } from '../../shared/limits/index.ts';
import { readJson } from '../admit/body.ts';
import { requireScope } from '../auth/authenticate.ts';
import { MAX_TOKEN_SECONDS, TOKEN_SCOPES, mintToken } from '../auth/tokens.ts';
import type { EdgeContext } from '../env.ts';
import { actorOf } from './keys.ts';
import type { Operation } from './operation.ts';
import { accept } from './page.ts';

const MAX_BODY_BYTES = 16 * 1024;

const mintSchema = z.object({
  /** Seconds. */
  expires_in: z.int().min(10, 'must be at least 10 seconds').max(MAX_TOKEN_SECONDS, `must be at most ${MAX_TOKEN_SECONDS} seconds`).default(600),
  scopes: z.array(z.enum(TOKEN_SCOPES, { error: `must be some of ${TOKEN_SCOPES.join(', ')}` })).min(1, 'is empty').default(['speech']),
  /** The only voice it may ask for, as requests will name it. */
  voice: z.string().min(1).max(200).optional(),
  /** Of one request. */
  max_characters: z.int().min(1).max(MAX_TEXT_CHARACTERS).optional(),
  /** Of the pages that may use it. */
  origin: z.string().refine(isOrigin, 'must be an origin such as https://example.com, without a path').optional(),
});

const tokenSchema = z.object({ id: z.string(), object: z.literal('client_token'), token: z.string(), expires_at: z.int(), scopes: z.array(z.enum(TOKEN_SCOPES)), voice: z.string().nullable(), max_characters: z.int().nullable(), origin: z.string().nullable() });

export const tokenOperations: readonly Operation[] = [
  { method: 'post', path: '/v1/tokens', id: 'createToken', tag: 'keys', summary: 'Mint a client token for a browser', scope: 'speech', body: [{ type: 'application/json', schema: mintSchema }], answers: { 201: { description: 'The token: a bearer, or `?access_token=` for GET and sockets.', content: [{ type: 'application/json', schema: tokenSchema }] } } },
];

export const tokens = new Hono<EdgeContext>();

tokens.post('/', async (c) => {
  const caller = c.get('caller');
  requireScope(caller, 'speech');
  const { expires_in, scopes, voice, max_characters, origin } = accept(mintSchema, await readJson(c.req.raw, MAX_BODY_BYTES));
  const missing = scopes.find((scope) => !caller.scopes.has(scope) && !caller.scopes.has('admin'));
  if (missing !== undefined) throw new CosyError('forbidden', `This key lacks the scope ${missing}, so its tokens cannot have it.`, { param: 'scopes' });
  const { id, token, expiresS } = await mintToken({ scopes, expiresInS: expires_in, bounds: { voice, maxCharacters: max_characters, origin } }, actorOf(c), c.env);
  return c.json({ id, object: 'client_token', token, expires_at: expiresS, scopes, voice: voice ?? null, max_characters: max_characters ?? null, origin: origin ?? null }, 201, { 'cache-control': 'no-store' });
});

function isOrigin(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text;
}
