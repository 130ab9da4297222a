/** Durable Object of one tenant: its quota, its places, its usage until it is written down. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';

export class TenantQuota extends DurableObject<Env> {}
