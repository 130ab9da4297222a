/**
 * Where heads of the language model look in the text while they make each speech token, computed beside the graph: one query
 * against the cached keys of the text, for a few heads. Fused attention does not give its weights, so they are made again here
 * from what the graph gives (queries before rotation) and from the cache (rotated keys).
 * RoFormer (Su et al. 2021) §3.2, half-split as transformers modeling_qwen2.py.
 */
import type { LanguageModelConfig } from '../checkpoint/types.ts';

/** One attention head of one layer. */
export type Head = { readonly layer: number; readonly head: number };

/** Queries (at least `heads · headDim` values) of the last position, by layer. */
export type Queries = (layer: number) => ArrayLike<number>;
/** Keys (positions, headDim) of a layer's key head. */
export type Keys = (layer: number, kvHead: number) => ArrayLike<number>;

/** Cells (speech token × text id × head) after which a row records no more: 16 MB. */
const MAX_CELLS = 4 << 20;

/** Every head there is. */
export function allHeads({ layers, heads }: Pick<LanguageModelConfig, 'layers' | 'heads'>): Head[] {
  return Array.from({ length: layers * heads }, (_, i) => ({ layer: Math.floor(i / heads), head: i % heads }));
}

/** After this many speech tokens (2 s) only the most promising heads are recorded on: hundreds of them cost as much as a tenth of the model. */
const PRUNE_STEPS = 50;
const CANDIDATES = 16;

/** What the heads of one row looked at. */
export class AttentionRecord {
  /** Heads that recording began with. */
  readonly begunWith: readonly Head[];
  #heads: readonly Head[];
  readonly #config: LanguageModelConfig;
  /** Places of the text's ids in the cache. */
  readonly #positions: number[] = [];
  /** Per speech token: (heads, text ids known then) softmax over the text. */
  #steps: Float32Array[] = [];
  #skippedText: number;
  #cells = 0;

  /** `skippedText`: ids of the prompt's text, which come first and are not looked for. */
  constructor(config: LanguageModelConfig, heads: readonly Head[], skippedText: number) {
    this.#config = config;
    this.begunWith = heads;
    this.#heads = heads;
    this.#skippedText = skippedText;
  }

  /** Heads that are recorded. */
  get heads(): readonly Head[] {
    return this.#heads;
  }

  /** Text ids seen. */
  get textIds(): number {
    return this.#positions.length;
  }

  /** Speech tokens recorded. */
  get steps(): readonly Float32Array[] {
    return this.#steps;
  }

  /** Whether it had to stop recording. */
  get full(): boolean {
    return this.#cells > MAX_CELLS;
  }

  /** Ids of the combined table that went into the cache from position `first` on. */
  fed(ids: readonly number[], first: number): void {
    for (const [i, id] of ids.entries()) {
      if (id >= this.#config.textVocabSize) continue;
      if (this.#skippedText > 0) this.#skippedText -= 1;
      else this.#positions.push(first + i);
    }
  }

  /** Notes where the heads look from `position`, whose logits make the next speech token. */
  note(position: number, queries: Queries, keys: Keys): void {
    const count = this.#positions.length;
    this.#cells += count * this.heads.length;
    if (this.full || count === 0) return;
    const { heads, kvHeads, headDim } = this.#config;
    const turn = this.#turn(position);
    const weights = new Float32Array(this.heads.length * count);
    for (const [index, { layer, head }] of this.heads.entries()) {
      const query = rotated(queries(layer), head * headDim, turn);
      const cached = keys(layer, Math.floor((head * kvHeads) / heads));
      const row = weights.subarray(index * count, (index + 1) * count);
      for (let i = 0; i < count; i += 1) {
        const start = this.#positions[i]! * headDim;
        let sum = 0;
        for (let d = 0; d < headDim; d += 1) sum += query[d]! * cached[start + d]!;
        row[i] = sum / Math.sqrt(headDim);
      }
      softmax(row);
    }
    this.#steps.push(weights);
    if (this.#steps.length === PRUNE_STEPS && this.#heads.length > CANDIDATES) this.#keep(this.candidates());
  }

  /** Places in `heads` of those whose strongest look moves forward with the speech, best first; few of them. */
  candidates(): number[] {
    const scores = this.#heads.map((_, index) => {
      const looks = this.#steps.map((weights) => strongest(rowOf(weights, index, this.#heads.length)));
      return { index, score: correlation(looks.map(({ at }) => at)) * (looks.reduce((sum, { weight }) => sum + weight, 0) / looks.length) };
    });
    return scores.filter(({ score }) => score > 0).toSorted((a, b) => b.score - a.score).slice(0, CANDIDATES).map(({ index }) => index);
  }

  #keep(indexes: readonly number[]): void {
    const before = this.#heads;
    this.#heads = indexes.map((index) => before[index]!);
    this.#steps = this.#steps.map((weights) => {
      const count = weights.length / before.length;
      const kept = new Float32Array(indexes.length * count);
      for (const [place, index] of indexes.entries()) kept.set(rowOf(weights, index, before.length), place * count);
      return kept;
    });
    this.#cells = this.#steps.reduce((sum, { length }) => sum + length, 0);
  }

  #turn(position: number): Turn {
    const { headDim, ropeTheta } = this.#config;
    const angles = Array.from({ length: headDim / 2 }, (_, i) => position / ropeTheta ** (i / (headDim / 2)));
    return { cos: Float64Array.from(angles, Math.cos), sin: Float64Array.from(angles, Math.sin) };
  }
}

/** Of each pair of values at one position. */
type Turn = { readonly cos: Float64Array; readonly sin: Float64Array };

function rotated(all: ArrayLike<number>, first: number, { cos, sin }: Turn): Float32Array {
  const half = cos.length;
  const out = new Float32Array(2 * half);
  for (let i = 0; i < half; i += 1) {
    const [a, b] = [all[first + i]!, all[first + half + i]!];
    out[i] = a * cos[i]! - b * sin[i]!;
    out[half + i] = b * cos[i]! + a * sin[i]!;
  }
  return out;
}

function softmax(row: Float32Array): void {
  const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let i = 0; i < row.length; i += 1) sum += row[i] = Math.exp(row[i]! - most);
  for (let i = 0; i < row.length; i += 1) row[i] = row[i]! / sum;
}

/** One head's row of a step: (text ids). */
export function rowOf(weights: Float32Array, index: number, heads: number): Float32Array {
  const count = weights.length / heads;
  return weights.subarray(index * count, (index + 1) * count);
}

function strongest(row: Float32Array): { readonly at: number; readonly weight: number } {
  let at = 0;
  for (let t = 1; t < row.length; t += 1) if (row[t]! > row[at]!) at = t;
  return { at, weight: row[at] ?? 0 };
}

/** Of values with their place in the row (Pearson). */
function correlation(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [xy, xx, yy] = [0, 0, 0];
  for (const [i, value] of values.entries()) {
    xy += (i - middle) * (value - mean);
    xx += (i - middle) ** 2;
    yy += (value - mean) ** 2;
  }
  return xx * yy === 0 ? 0 : xy / Math.sqrt(xx * yy);
}
