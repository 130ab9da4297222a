/** Tokens of other issuers (RFC 7519): who the issuer says is asking, checked against its published keys. */
import { decodeJwt, errors, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { z } from 'zod';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { SCOPES } from '../caller.ts';
import type { Caller, Scope } from '../caller.ts';
import type { Env } from '../env.ts';
import { issuerKeys } from './jwks.ts';
import { sha256, toHex } from './secret.ts';
import { findTenant, noTenant } from './tenants.ts';
import type { Defer } from './trusted.ts';

/** Public-key signatures only. `none` and the symmetric HS… are not here: for them the published key would be the secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** Clocks of the issuer and of this machine. */
const CLOCK_TOLERANCE_S = 60;
/** What a person's token may do unless the issuer's row says otherwise. `admin` never comes from outside. */
const DEFAULT_SCOPES: readonly Scope[] = ['speech', 'text', 'voices:read'];

const scopeSchema = z.enum(SCOPES).exclude(['admin']);

/** A row of JWT_ISSUERS. The tenant is the claim's, or a fixed one. */
const issuerSchema = z.object({
  issuer: z.string().min(1),
  jwksUrl: z.url({ protocol: /^https?$/ }),
  audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  tenant: z.string().optional(),
  tenantClaim: z.string().default('tenant'),
  scopeClaim: z.string().default('scope'),
  planClaim: z.string().optional(),
  /** The most that its tokens may do. */
  scopes: z.array(scopeSchema).optional(),
});

type Issuer = z.infer<typeof issuerSchema>;

/** Throws `invalid_api_key` or `token_expired`; `not_found` for a tenant that does not exist. */
export async function callerOfJwt(token: string, env: Env, defer: Defer): Promise<Caller> {
  const issuer = issuersOf(env).find((row) => row.issuer === claimedIssuer(token));
  if (!issuer) throw new CosyError('invalid_api_key', 'The key is unknown, and it is no token of an issuer that is accepted here.');
  const claims = await verified(token, issuer);
  const id = issuer.tenant ?? claims[issuer.tenantClaim];
  if (typeof id !== 'string') throw new CosyError('invalid_api_key', `The token names no tenant in the claim ${issuer.tenantClaim}.`);
  const tenant = await findTenant(id, env, defer);
  if (!tenant) throw noTenant(id);
  const plan = issuer.planClaim === undefined ? undefined : claims[issuer.planClaim];
  const subject = toHex((await sha256(`${issuer.issuer}\n${claims.sub}`)).subarray(0, 8));
  return { tenant: tenant.id, keyId: `jwt:${subject}`, kind: 'jwt', scopes: scopesOf(claims, issuer), plan: typeof plan === 'string' ? plan : tenant.plan, residency: tenant.residency, bounds: undefined };
}

async function verified(token: string, { issuer, audience, jwksUrl }: Issuer): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, issuerKeys(jwksUrl), { algorithms: ALGORITHMS, issuer, audience, clockTolerance: CLOCK_TOLERANCE_S, requiredClaims: ['exp', 'sub'] });
    return payload;
  } catch (error) {
    throw refusal(error);
  }
}

/** What is wrong with a token, without saying how a better forgery would look. */
export function refusal(error: unknown): CosyError {
  if (isCosyError(error)) return error;
  if (error instanceof errors.JWTExpired) return new CosyError('token_expired', 'The token has expired: get a new one.');
  if (error instanceof errors.JWTClaimValidationFailed) return new CosyError('invalid_api_key', `The token's claim ${error.claim} is not as it must be here.`);
  return new CosyError('invalid_api_key', 'The token is not signed by a key of its issuer.', { cause: error });
}

function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

function scopesOf(claims: JWTPayload, { scopeClaim, scopes }: Issuer): ReadonlySet<Scope> {
  const given = claims[scopeClaim];
  const ceiling = scopes ?? DEFAULT_SCOPES;
  const named = typeof given === 'string' ? given.split(' ') : Array.isArray(given) ? given : undefined;
  // scopes for other services may stand beside ours; a token that names none of ours gets the least, not the most
  return new Set(named ? ceiling.filter((scope) => named.includes(scope)) : ceiling);
}

let parsed: { readonly text: string; readonly issuers: readonly Issuer[] } | undefined;

function issuersOf({ JWT_ISSUERS: text }: Env): readonly Issuer[] {
  if (text === undefined || text === '') return [];
  if (parsed?.text !== text) parsed = { text, issuers: readIssuers(text) };
  return parsed.issuers;
}

function readIssuers(text: string): Issuer[] {
  try {
    return z.array(issuerSchema).parse(JSON.parse(text));
  } catch (error) {
    throw new CosyError('not_configured', 'JWT_ISSUERS is not a list of {issuer, jwksUrl, audience}: correct the setting.', { cause: error });
  }
}
