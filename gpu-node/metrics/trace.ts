/**
 * What one request cost and met, filled in on its way: sums for the counters and the end frame, and each stretch of work with
 * its times for a trace collector. Milliseconds; a stage that did not run is absent. Never texts, voices or keys.
 */

/** `turn` is waiting for the threads of sound. */
export type Stage = 'queue' | 'voice' | 'prefill' | 'tokens' | 'turn' | 'mel' | 'wave' | 'encode';

/** A stretch of work; milliseconds since the epoch. */
export type Stretch = { readonly stage: Stage; readonly startMs: number; readonly endMs: number };

/** A job of many minutes has thousands; its first ones say what a trace is read for. */
const MAX_STRETCHES = 200;

export class Trace {
  readonly #startMs = performance.now();
  readonly stages: Partial<Record<Stage, number>> = {};
  readonly stretches: Stretch[] = [];
  /** Those that no longer fitted. */
  stretchesLeftOut = 0;
  /** From asking for the first row of the language model to its first speech token, and from the first call for sound to its answer. */
  prefillMs: number | undefined;
  firstHopMs: number | undefined;
  /** From the request to the first sample that can be heard, as a player would play it. */
  audibleMs: number | undefined;
  /** Sentences that a guard ended, or that ended empty or inaudible, by reason; and why sentences were read again. */
  readonly guards: string[] = [];
  readonly retries: string[] = [];
  /** Sound removed in front of and behind sentences. */
  readonly trimmedMs = { lead: 0, tail: 0 };
  /** Words by where their times come from. */
  readonly words: Record<string, number> = {};
  /** Rows that the language model served together with this one, one number per batch of tokens. */
  readonly batchRows: number[] = [];
  underruns: { readonly count: number; readonly ms: number } = { count: 0, ms: 0 };

  get elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  /** Work of `ms` that ended `agoMs` ago. */
  add(stage: Stage, ms: number, agoMs = 0): void {
    this.stages[stage] = (this.stages[stage] ?? 0) + ms;
    if (this.stretches.length >= MAX_STRETCHES) {
      this.stretchesLeftOut += 1;
      return;
    }
    const endMs = performance.timeOrigin + performance.now() - agoMs;
    this.stretches.push({ stage, startMs: endMs - ms, endMs });
  }

  /** Whole milliseconds by name, for the end frame. */
  timings(): Record<string, number> {
    const named = { firstHopMs: this.firstHopMs, audibleMs: this.audibleMs, underrunMs: this.underruns.ms, ...Object.fromEntries(Object.entries(this.stages).map(([stage, ms]) => [`${stage}Ms`, ms])) };
    return Object.fromEntries(Object.entries(named).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, Math.round(ms)]])));
  }
}
