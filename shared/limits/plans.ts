/** What a tenant may use, by the name of its plan. The operator changes the numbers here; a test holds what must be true of them. */

/** Absent: no limit of that kind. */
export type Plan = {
  readonly requestsPerMinute?: number;
  /** Characters of the text as it is spoken, numbers and signs already words. */
  readonly charactersPerMinute?: number;
  /** Calendar day or month in UTC. */
  readonly quota?: { readonly characters: number; readonly per: 'day' | 'month' };
  /** Speech under way at the same time. */
  readonly streams?: number;
};

/** The plan of a tenant that names one which is not here: a slip in a tenant's row must not open the service. */
export const DEFAULT_PLAN = 'free';

/** `charactersPerMinute` is never below one longest text (MAX_TEXT_CHARACTERS), or that text could never be spoken. */
export const PLANS = {
  /** Trying it out: a page of text at a time, about 20 minutes of speech a day, a conversation and its successor. */
  free: { requestsPerMinute: 30, charactersPerMinute: 20_000, quota: { characters: 20_000, per: 'day' }, streams: 2 },
  /** One product: 20 calls at once, about 100 hours of speech a month. */
  standard: { requestsPerMinute: 600, charactersPerMinute: 200_000, quota: { characters: 5_000_000, per: 'month' }, streams: 20 },
  /** A call centre: as many streams as one Worker process carries, about 2000 hours a month. */
  pro: { requestsPerMinute: 6000, charactersPerMinute: 2_000_000, quota: { characters: 100_000_000, per: 'month' }, streams: 300 },
  /** The operator's own machines, where the nodes' queue is the only limit. Counted like every other. */
  unlimited: {},
} as const satisfies Readonly<Record<string, Plan>>;

/** The plan of that name, or the default one. */
export function planOf(name: string): Plan {
  const plans: Readonly<Record<string, Plan>> = PLANS;
  return (Object.hasOwn(plans, name) ? plans[name] : undefined) ?? PLANS[DEFAULT_PLAN];
}
