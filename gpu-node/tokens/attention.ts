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

/** What the heads of one row looked at. */
export class AttentionRecord {
  readonly heads: readonly Head[];
  readonly #config: LanguageModelConfig;
  /** Places of the text's ids in the cache. */
  readonly #positions: number[] = [];
  /** Per speech token: (heads, text ids known then) softmax over the text. */
  readonly #steps: Float32Array[] = [];
  #skippedText: number;
  #cells = 0;

  /** `skippedText`: ids of the prompt's text, which come first and are not looked for. */
  constructor(config: LanguageModelConfig, heads: readonly Head[], skippedText: number) {
    this.#config = config;
    this.heads = heads;
    this.#skippedText = skippedText;
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
    const weights = new Float32Array(this.heads.length * count);
    for (const [index, { layer, head }] of this.heads.entries()) {
      const query = this.#rotated(queries(layer), head * headDim, position);
      const cached = keys(layer, Math.floor((head * kvHeads) / heads));
      const row = weights.subarray(index * count, (index + 1) * count);
      for (const [i, at] of this.#positions.entries()) {
        let sum = 0;
        for (let d = 0; d < headDim; d += 1) sum += query[d]! * cached[at * headDim + d]!;
        row[i] = sum / Math.sqrt(headDim);
      }
      softmax(row);
    }
    this.#steps.push(weights);
  }

  #rotated(all: ArrayLike<number>, first: number, position: number): Float32Array {
    const { headDim, ropeTheta } = this.#config;
    const half = headDim / 2;
    const out = new Float32Array(headDim);
    for (let i = 0; i < half; i += 1) {
      const angle = position / ropeTheta ** (i / half);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const [a, b] = [all[first + i]!, all[first + half + i]!];
      out[i] = a * cos - b * sin;
      out[half + i] = b * cos + a * sin;
    }
    return out;
  }
}

function softmax(row: Float32Array): void {
  const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let i = 0; i < row.length; i += 1) sum += row[i] = Math.exp(row[i]! - most);
  for (let i = 0; i < row.length; i += 1) row[i] = row[i]! / sum;
}
