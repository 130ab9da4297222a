/**
 * May this tenant speak now: reserved before the work, settled after it by what was delivered. A reservation that is never
 * settled (the Worker went away) is given back by the tenant's object itself.
 */
import type { Caller } from '../caller.ts';
import type { Env } from '../env.ts';

/** What was heard. */
export type Delivered = { readonly characters: number; readonly audioMs: number; readonly complete: boolean };

/** A place among the tenant's requests. */
export type Reservation = {
  /** `x-ratelimit-*` of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Once; later calls do nothing. Never throws. */
  readonly settle: (delivered: Delivered) => Promise<void>;
};

export type ReserveRequest = { readonly caller: Caller; readonly requestId: string; readonly characters: number; readonly env: Env };

/** Throws `rate_limit_exceeded`, `concurrency_limit_exceeded` or `insufficient_quota`, each with the time to wait. */
export async function reserve(_request: ReserveRequest): Promise<Reservation> {
  return { headers: {}, settle: async () => {} };
}
