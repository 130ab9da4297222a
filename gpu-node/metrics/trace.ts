/** What one request cost and met, filled in on its way. Milliseconds; a stage that did not run is absent. */
export class Trace {
  readonly #startMs = performance.now();
  readonly stages: Partial<Record<'voice' | 'tokens' | 'turn' | 'mel' | 'wave', number>> = {};
  /** From the request to the first speech token, and from the first call for sound to its answer. */
  prefillMs: number | undefined;
  firstHopMs: number | undefined;
  /** From the request to the first sample that can be heard, as a player would play it. */
  audibleMs: number | undefined;
  /** Sentences that a guard ended or that ended empty, by reason, and those of them that were read again. */
  readonly guards: string[] = [];
  retries = 0;
  /** Rows that the language model served together with this one, one number per batch of tokens. */
  readonly batchRows: number[] = [];
  underruns: { readonly count: number; readonly ms: number } = { count: 0, ms: 0 };

  get elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  add(stage: keyof Trace['stages'], ms: number): void {
    this.stages[stage] = (this.stages[stage] ?? 0) + ms;
  }

  /** Whole milliseconds by name, for the end frame. */
  timings(): Record<string, number> {
    const named = { prefillMs: this.prefillMs, firstHopMs: this.firstHopMs, audibleMs: this.audibleMs, underrunMs: this.underruns.ms, ...Object.fromEntries(Object.entries(this.stages).map(([stage, ms]) => [`${stage}Ms`, ms])) };
    return Object.fromEntries(Object.entries(named).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, Math.round(ms)]])));
  }
}
