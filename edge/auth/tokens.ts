/**
 * Client tokens: what a server hands to a browser instead of its key. A compact JWS (HS256) over TOKEN_KEYS, at most an hour
 * long, bound to a voice, a length and an origin. It can do no more than the key that minted it, and ends with it.
 */
import { SignJWT, jwtVerify } from 'jose';
import { z } from 'zod';
import { auditRow } from '../audit.ts';
import type { Caller, Scope } from '../caller.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { tokenKeys } from '../token-keys.ts';
import { TOKEN_PREFIX } from './credential.ts';
import { refusal } from './jwt.ts';
import { newId } from './secret.ts';
import type { Actor } from './tenants.ts';

/** What a client token may be given. */
export const TOKEN_SCOPES = ['speech', 'text', 'voices:read'] as const satisfies readonly Scope[];
export const MAX_TOKEN_SECONDS = 3600;

const ISSUER = 'cosyvoice';
const AUDIENCE = 'cosyvoice/client';
/** TOKEN_KEYS sign other things too; none of them has this type in its protected header. */
const TYPE = 'cosyvoice-client+jwt';
const CLOCK_TOLERANCE_S = 60;

export type TokenBounds = NonNullable<Caller['bounds']>;
export type MintToken = { readonly scopes: readonly Scope[]; readonly expiresInS: number; readonly bounds: TokenBounds };
export type MintedToken = { readonly id: string; readonly token: string; readonly expiresS: number };

const claimsSchema = z.object({
  jti: z.string(),
  tenant: z.string(),
  /** Id of the key that minted it, or `admin`; `open` while keys are off. */
  key: z.string(),
  scopes: z.array(z.enum(TOKEN_SCOPES)),
  voice: z.string().optional(),
  chars: z.int().optional(),
  origin: z.string().optional(),
});

/** Of a token whose signature and time are right. */
export type TokenClaims = z.infer<typeof claimsSchema>;

/** Throws `forbidden` unless a key or the operator asks, `not_configured` without TOKEN_KEYS. */
export async function mintToken({ scopes, expiresInS, bounds }: MintToken, actor: Actor, env: Env): Promise<MintedToken> {
  const { caller } = actor;
  if (caller.kind === 'token' || caller.kind === 'jwt') throw new CosyError('forbidden', 'A token cannot mint tokens: use an API key.');
  const [key] = tokenKeys(env);
  if (!key) throw new CosyError('not_configured', 'Client tokens are not set up: the operator sets the secret TOKEN_KEYS.');
  const id = newId('tok');
  const nowS = Math.floor(Date.now() / 1000);
  const claims: TokenClaims = { jti: id, tenant: caller.tenant, key: caller.keyId, scopes: TOKEN_SCOPES.filter((scope) => scopes.includes(scope)), voice: bounds.voice, chars: bounds.maxCharacters, origin: bounds.origin };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: TYPE, kid: key.id })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + expiresInS)
    .sign(key.secret);
  await auditRow(env, { what: 'token.minted', subject: id }, { ...actor, tenant: caller.tenant }).run();
  return { id, token: TOKEN_PREFIX + token, expiresS: nowS + expiresInS };
}

/** Throws `invalid_api_key` or `token_expired`. */
export async function verifyToken(text: string, env: Env): Promise<TokenClaims> {
  const keys = tokenKeys(env);
  try {
    const { payload } = await jwtVerify(text.slice(TOKEN_PREFIX.length), ({ kid }) => keys.find(({ id }) => id === kid)?.secret ?? unknownKey(), {
      algorithms: ['HS256'],
      typ: TYPE,
      issuer: ISSUER,
      audience: AUDIENCE,
      clockTolerance: CLOCK_TOLERANCE_S,
      maxTokenAge: MAX_TOKEN_SECONDS,
      requiredClaims: ['exp', 'jti'],
    });
    return claimsSchema.parse(payload);
  } catch (error) {
    throw refusal(error);
  }
}

function unknownKey(): never {
  throw new CosyError('invalid_api_key', 'The token is not signed by a key of this service.');
}
