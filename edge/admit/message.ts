/**
 * What an isolate and the tenant's object say to each other. Everything is a difference, and a message is applied once
 * however often it arrives, so messages may overtake each other and may be sent again when the answer was lost.
 */

/** Permission to admit: taken from the tenant's limits the moment it is granted, spent or given back later. */
export type Block = { readonly requests: number; readonly characters: number; readonly streams: number };

/** A speech under way. `characters` and `audioMs`: delivered so far. `reserved`: characters it holds. `over`: holds its place only until another message, on its way, says how it ended. `placeKept`: not even
 * that, its place is in the lease's block for the next one. `once`: work that may be done again (a job's segment) is charged once under this name. */
export type Running = { readonly reservation: string; readonly key: string; readonly reserved: number; readonly characters: number; readonly audioMs: number; readonly over?: boolean; readonly placeKept?: boolean; readonly once?: string };

/** A speech that is over. `served`: something was delivered, or would have been if the result had not been kept. */
export type Settled = Omit<Running, 'over'> & { readonly served: boolean; readonly cached: boolean };

export type Message = {
  readonly tenant: string;
  readonly plan: string;
  /** Of one isolate; it holds what was granted to it until it is given back, settled or not renewed. */
  readonly lease: string;
  /** Unique in the lease. */
  readonly seq: number;
  /** One more request of that many characters, and how much of the same is expected in the next second. */
  readonly need?: { readonly characters: number; readonly want: Block };
  /** Granted and not spent. */
  readonly give?: Block;
  readonly settled: readonly Settled[];
  /** Everything that holds a place: now and then, so that it can be charged should this isolate go away, and until a lease is known. */
  readonly running?: readonly Running[];
};

export type Level = { readonly limit: number; readonly remaining: number; readonly resetMs: number };
/** Absent where the plan has no limit. */
export type Figures = { readonly requests?: Level; readonly characters?: Level; readonly concurrency?: Level; readonly quota?: Level };

export type Refusal = { readonly code: 'rate_limit_exceeded' | 'concurrency_limit_exceeded' | 'insufficient_quota'; readonly retryAfterMs: number; readonly what: keyof Figures };

export type Answer = { readonly granted?: Block; readonly refused?: Refusal; readonly figures: Figures };

/** One key on one day (UTC), since the day began. `version` grows with every change. */
export type UsageRow = { readonly day: string; readonly key: string; readonly requests: number; readonly characters: number; readonly audioMs: number; readonly cacheHits: number; readonly version: number };

/** A lease that is not heard of for so long is over: what it held is free again, and what it last said is charged. */
export const LEASE_MS = 30_000;
/** Three chances within a lease. */
export const RENEW_MS = 10_000;
/** For so long a message whose answer was lost is sent again. */
export const RESEND_MS = 5 * 60_000;
/** How long what was granted in advance may be spent: a tenant's limits are at most that late. */
export const BLOCK_MS = 1000;
