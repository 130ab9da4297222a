/**
 * Attention → which text id each speech token says: the best path that only goes forward (Viterbi, as the forced alignment of
 * speech recognisers; a monotone path over attention is that of Glow-TTS, Kim et al. 2020, §3). Which heads can be trusted is
 * found by the model's own speech: a head that says where the speech is has most of its attention on its own best path.
 */
import { allHeads, rowOf } from './attention.ts';
import type { AttentionRecord, Head } from './attention.ts';
import type { LanguageModelConfig } from '../checkpoint/types.ts';

/**
 * `starts` (T): the speech token at which each text id begins. `focus`: the attention that lies on the path or beside it, each
 * id on it counted alike; 1 for all of it, 0 for as much as even attention would have there.
 */
export type Alignment = { readonly starts: readonly number[]; readonly speechTokens: number; readonly focus: number };

/** Less focus than this, and the path says nothing. Measured for 8 and more ids: the best of random heads 0.24, those of the bundled voice 0.9. */
export const MIN_FOCUS = 0.5;
/** Text ids that one speech token (40 ms) may pass: a blank, a mark and a short sound. */
const MAX_STEP = 3;
/** Cost of passing one without staying on it. */
const SKIP_COST = 1;
/** Attention that an id has at least, so that one look elsewhere forbids no path. */
const FLOOR = 1e-3;

/** The path through steps × T weights (row i holds the ids known at step i; a later row is never shorter). */
export function align(rows: readonly Float32Array[]): Alignment {
  const count = rows.at(-1)?.length ?? 0;
  const speechTokens = rows.length;
  if (speechTokens === 0 || count === 0) return { starts: Array.from({ length: count }, () => 0), speechTokens, focus: 0 };
  const from = rows.map(() => new Uint8Array(count));
  let best = new Float32Array(count).fill(-Infinity);
  for (const [step, row] of rows.entries()) {
    const next = new Float32Array(count).fill(-Infinity);
    // with more text than time every step must pass several
    const stride = Math.max(MAX_STEP, Math.ceil(count / speechTokens) + 1);
    for (let t = 0; t < row.length; t += 1) {
      const here = Math.log(Math.max(FLOOR, row[t]!));
      if (step === 0) {
        if (t < stride) next[t] = here - SKIP_COST * t;
        continue;
      }
      for (let passed = 0; passed <= Math.min(stride, t); passed += 1) {
        const value = best[t - passed]! - SKIP_COST * Math.max(0, passed - 1) + here;
        if (value > next[t]!) {
          next[t] = value;
          from[step]![t] = passed;
        }
      }
    }
    best = next;
  }
  return traced(rows, from, best);
}

/** The speech ends on the last ids: behind them comes nothing that could be said. */
function traced(rows: readonly Float32Array[], from: readonly Uint8Array[], best: Float32Array): Alignment {
  const count = best.length;
  let at = count - 1;
  for (let t = Math.max(0, count - MAX_STEP); t < count; t += 1) if (best[t]! - SKIP_COST * (count - 1 - t) > best[at]!) at = t;
  const starts = Array.from({ length: count }, () => rows.length);
  const [sums, times] = [new Float32Array(count), new Float32Array(count)];
  for (let step = rows.length - 1; step >= 0; step -= 1) {
    const row = rows[step]!;
    sums[at] = sums[at]! + (row[at - 1] ?? 0) + (row[at] ?? 0) + (row[at + 1] ?? 0);
    times[at] = times[at]! + 1;
    starts[at] = step;
    at -= from[step]![at]!;
  }
  // an id that was passed begins with the next one that was not
  for (let t = count - 2; t >= 0; t -= 1) starts[t] = Math.min(starts[t]!, starts[t + 1]!);
  const onPath = [...times.keys()].filter((t) => times[t]! > 0);
  const near = onPath.reduce((sum, t) => sum + sums[t]! / times[t]!, 0) / onPath.length;
  const even = Math.min(1, NEAR_IDS / count);
  return { starts, speechTokens: rows.length, focus: even === 1 ? 0 : (near - even) / (1 - even) };
}

/** The id on the path and its neighbours. */
const NEAR_IDS = 3;

/** Ids and speech tokens of a sentence that heads are judged by, and speech tokens of all sentences before they are chosen. */
const MIN_IDS = 8;
const MIN_STEPS = 20;
const ENOUGH_STEPS = 250;
const MAX_HEADS = 4;
/** A chosen head is at least this good beside the best one. */
const NEAR_BEST = 0.8;

/** Finds the heads of a model that follow its text, from the first sentences it speaks. Until then each sentence uses its own best. */
export class HeadChoice {
  readonly #all: readonly Head[];
  readonly #focus = new Map<number, number>();
  #judged = 0;
  #chosen: readonly Head[] | undefined;

  constructor(config: Pick<LanguageModelConfig, 'layers' | 'heads'>) {
    this.#all = allHeads(config);
  }

  /** Heads to record: all while none are chosen; none when no head of this model follows its text. */
  get heads(): readonly Head[] {
    return this.#chosen ?? this.#all;
  }

  /** The alignment of a whole sentence; undefined when its heads say nothing. */
  align(record: AttentionRecord): Alignment | undefined {
    if (record.full || record.steps.length === 0 || record.heads.length === 0) return undefined;
    const used = record.begunWith === this.#chosen ? record.heads.map((_, index) => index) : this.#judge(record);
    const found = align(averaged(record, used));
    return used.length > 0 && found.focus >= MIN_FOCUS ? found : undefined;
  }

  /** The sentence's own best heads; adds to what decides for the model. */
  #judge(record: AttentionRecord): readonly number[] {
    const ranked = record.candidates().map((index) => ({ index, focus: align(averaged(record, [index])).focus }));
    if (record.begunWith === this.#all && record.textIds >= MIN_IDS && record.steps.length >= MIN_STEPS && this.#chosen === undefined) {
      this.#judged += record.steps.length;
      for (const { index, focus } of ranked) {
        const place = this.#all.indexOf(record.heads[index]!);
        this.#focus.set(place, (this.#focus.get(place) ?? 0) + focus * record.steps.length);
      }
      if (this.#judged >= ENOUGH_STEPS) this.#chosen = best([...this.#focus].map(([place, sum]) => ({ index: place, focus: sum / this.#judged }))).map((place) => this.#all[place]!);
    }
    return best(ranked);
  }
}

function best(heads: readonly { readonly index: number; readonly focus: number }[]): number[] {
  const ranked = heads.toSorted((a, b) => b.focus - a.focus);
  const least = Math.max(MIN_FOCUS, NEAR_BEST * (ranked[0]?.focus ?? 0));
  return ranked.filter(({ focus }) => focus >= least).slice(0, MAX_HEADS).map(({ index }) => index);
}

/** Mean over heads, one row per speech token. */
function averaged({ heads, steps }: AttentionRecord, used: readonly number[]): Float32Array[] {
  return steps.map((weights) => {
    const sum = new Float32Array(weights.length / heads.length);
    for (const index of used) for (const [t, weight] of rowOf(weights, index, heads.length).entries()) sum[t] = sum[t]! + weight / used.length;
    return sum;
  });
}
