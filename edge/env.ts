/** Bindings and settings of the Worker, as wrangler.toml and gpu-node/server/local-edge.ts provide them. */
import type { Caller } from './caller.ts';
import type { TenantQuota } from './admit/quota-object.ts';
import type { JobMessage } from './jobs/queue.ts';
import type { NodeRegistry } from './route/registry-object.ts';

/** What Cloudflare (or Miniflare) hands to the Worker. Secrets are marked; everything else stands in wrangler.toml. */
export type Env = {
  /** Catalogue: tenants, keys, voices, jobs, usage, audit. Schema: edge/migrations. */
  readonly DB: D1Database;
  /** Voice prompts by content key, and the same bound to the EU's jurisdiction. */
  readonly PROMPTS: R2Bucket;
  readonly PROMPTS_EU?: R2Bucket;
  /** Finished audio. */
  readonly RESULTS: R2Bucket;
  readonly RESULTS_EU?: R2Bucket;
  /** The small, often asked part: keys, voice rows. May be up to a minute stale. */
  readonly HOT: KVNamespace;
  /** One object per tenant: quota and concurrency. */
  readonly TENANT: DurableObjectNamespace<TenantQuota>;
  /** One object per region: which nodes are there. */
  readonly REGISTRY: DurableObjectNamespace<NodeRegistry>;
  /** Long texts and batches. */
  readonly JOBS: Queue<JobMessage>;

  /** Files of the documentation page. */
  readonly ASSETS?: Fetcher;

  /** Where this Worker runs, when `request.cf` shall not say it: a region of `REGIONS`. */
  readonly REGION?: string;
  /** `required`: clips that come with a speech request (`reference`) need a consent record too, as voices do. */
  readonly REFERENCE_CONSENT?: 'required';
  /** Reaches public addresses only; on one machine a network service of workerd (`outside.ts`). */
  readonly OUTSIDE?: Fetcher;
  /** `allow`: addresses that callers name may be this machine's own, also by http. For trying webhooks and clips at home. */
  readonly OUTSIDE_LOOPBACK?: 'allow';
  /** URL of a DNS-over-HTTPS server with JSON answers; absent: Cloudflare's. */
  readonly DNS_RESOLVER?: string;
  /** Base URLs of nodes that need not send heartbeats, separated by blanks; `REGION=URL` for one that stands elsewhere. */
  readonly NODES?: string;
  /** Milliseconds that a node may be silent, before its first sound and in the middle; absent: 30,000. */
  readonly NODE_TIMEOUT_MS?: string;
  /** Secret: `id:secret` pairs separated by blanks. The first signs jobs, all verify heartbeats. */
  readonly NODE_KEYS: string;
  /** Secret: `id:secret` pairs; sign client tokens, download links and webhooks. */
  readonly TOKEN_KEYS?: string;
  /** Secret: may do everything, for the operator. */
  readonly ADMIN_KEY?: string;
  /** `off` only behind loopback: every request is the tenant `local`. */
  readonly AUTH?: 'on' | 'off';
  /** JSON: `[{issuer, jwksUrl, audience}]`, whose JWTs are accepted. */
  readonly JWT_ISSUERS?: string;
};

/** Hono's context of every route. `caller` is set behind the authentication; `limits` (`x-ratelimit-*`) becomes part of whatever is answered. */
export type EdgeContext = { Bindings: Env; Variables: { requestId: string; caller: Caller; limits: Headers } };
