/**
 * What this isolate has seen of each node, against what the node says of itself: a breaker that opens after failures, the
 * distance between promised and measured time to the first sound, and jobs whose first sound is still awaited.
 */

/** Failures in a row after which a node is left alone. */
const MAX_FAILURES = 3;
/** How long the breaker stays open at first; it doubles with each probe that fails. */
const OPEN_MS = 2000;
const MAX_OPEN_MS = 60_000;
/** Weight of the newest measurement. */
const NEWEST = 0.3;
/** After this long without a job, half of what a node was found to be late is forgiven, so that it is tried again. */
const HALF_LIFE_MS = 30_000;

/** Nodes that are remembered; of more, the one first met is forgotten. */
const MAX_NODES = 1000;

/** `closed`: send. `open`: leave alone. `probe`: ask whether it is back. `resting`: it asked to be left alone for a while. */
export type Standing = 'closed' | 'open' | 'probe' | 'resting';

type Seen = { failures: number; openUntilMs: number; openMs: number; probing: boolean; restingUntilMs: number; excessMs: number; excessAtMs: number; awaited: number };

/** Of one isolate. Keys are nodes' addresses. */
export class Standings {
  readonly #now: () => number;
  readonly #nodes = new Map<string, Seen>();

  /** `now`: milliseconds, for tests. */
  constructor(now: () => number = () => Date.now()) {
    this.#now = now;
  }

  standing(url: string): Standing {
    const seen = this.#nodes.get(url);
    if (!seen) return 'closed';
    if (seen.openUntilMs > 0) return this.#now() < seen.openUntilMs || seen.probing ? 'open' : 'probe';
    return this.#now() < seen.restingUntilMs ? 'resting' : 'closed';
  }

  /** Milliseconds to add to what the node promises; negative for one that is better than its word. */
  excessMs(url: string): number {
    const seen = this.#nodes.get(url);
    return seen ? seen.excessMs * 0.5 ** ((this.#now() - seen.excessAtMs) / HALF_LIFE_MS) : 0;
  }

  /** Jobs of this isolate that wait for their first sound there; the node's own numbers may not count them yet. */
  awaited(url: string): number {
    return this.#nodes.get(url)?.awaited ?? 0;
  }

  /** A job goes there. Call exactly one of the answers when it is known how it began. */
  begin(url: string, promisedMs: number): { readonly heard: () => number; readonly failed: (kind: 'broken' | 'silent') => void; readonly rests: (forMs: number) => void; readonly left: () => void } {
    const seen = this.#seen(url);
    const startMs = this.#now();
    seen.awaited += 1;
    const settle = () => void (seen.awaited -= 1);
    const close = () => {
      seen.failures = 0;
      seen.openUntilMs = 0;
      seen.openMs = OPEN_MS;
    };
    return {
      heard: () => {
        settle();
        close();
        const tookMs = this.#now() - startMs;
        seen.excessMs = this.excessMs(url) * (1 - NEWEST) + (tookMs - promisedMs) * NEWEST;
        seen.excessAtMs = this.#now();
        return tookMs;
      },
      // who is silent has held a listener up for the whole of the limit: once is enough
      failed: (kind) => {
        settle();
        this.failed(url, kind === 'silent' ? MAX_FAILURES : 1);
      },
      rests: (forMs) => {
        settle();
        close();
        seen.restingUntilMs = this.#now() + forMs;
      },
      left: settle,
    };
  }

  /** The breaker's time is over, and no listener shall find out whether the node is back: `answers` is asked, once at a time. */
  async probe(url: string, answers: (url: string) => Promise<boolean>): Promise<void> {
    const seen = this.#seen(url);
    if (seen.probing) return;
    seen.probing = true;
    const back = await answers(url);
    seen.probing = false;
    if (!back) return this.failed(url);
    // one more failure opens it again, for longer
    seen.openUntilMs = 0;
    seen.failures = MAX_FAILURES - 1;
  }

  /** A stream of this node broke, or a job never began. */
  failed(url: string, weight = 1): void {
    const seen = this.#seen(url);
    const wasOpen = seen.openUntilMs > 0;
    seen.failures += weight;
    if (seen.failures < MAX_FAILURES && !wasOpen) return;
    if (wasOpen && this.#now() < seen.openUntilMs) return;
    seen.openUntilMs = this.#now() + seen.openMs;
    seen.openMs = Math.min(MAX_OPEN_MS, 2 * seen.openMs);
  }

  #seen(url: string): Seen {
    const known = this.#nodes.get(url);
    if (known) return known;
    if (this.#nodes.size >= MAX_NODES) for (const [other, { awaited }] of this.#nodes) if (awaited === 0) return this.#nodes.delete(other), this.#seen(url);
    const seen: Seen = { failures: 0, openUntilMs: 0, openMs: OPEN_MS, probing: false, restingUntilMs: 0, excessMs: 0, excessAtMs: 0, awaited: 0 };
    this.#nodes.set(url, seen);
    return seen;
  }
}

/** What this isolate has seen. */
export const standings = new Standings();
