/** Who asks: what a credential gives (`auth/`) and every later stage reads. */

/** What a credential may do. `admin` is the operator's and stands for all tenants. */
export const SCOPES = ['speech', 'text', 'voices:read', 'voices:write', 'jobs', 'usage', 'keys', 'admin'] as const;
/** One of `SCOPES`. */
export type Scope = (typeof SCOPES)[number];

/** Where data and speech of a tenant may be; absent: anywhere. */
export type Residency = 'eu';

/** Of a verified request. */
export type Caller = {
  /** Owner of voices, results, quota and usage. */
  readonly tenant: string;
  /** Row that is counted and audited: a key's id (a client token's: of the key that minted it, or `token:admin`), `jwt:SUBJECT` hashed, `admin`, `open`. */
  readonly keyId: string;
  readonly kind: 'key' | 'jwt' | 'token' | 'admin' | 'open';
  readonly scopes: ReadonlySet<Scope>;
  /** Name in the table of plans (`shared/limits/plans.ts`). */
  readonly plan: string;
  readonly residency: Residency | undefined;
  /** Bounds of a short-lived client token. */
  readonly bounds: { readonly voice?: string | undefined; readonly maxCharacters?: number | undefined; readonly origin?: string | undefined } | undefined;
};
