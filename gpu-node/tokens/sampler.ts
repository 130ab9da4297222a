/**
 * Repetition-aware sampling: logits of one step → one id. Draws from the nucleus; when the drawn id is among the last few,
 * draws once more from everything but that id. Sums and comparisons are float32, where the reference's are.
 * Official: cosyvoice/utils/common.py ras_sampling, nucleus_sampling, random_sampling; llm.py sampling_ids.
 * `plainNucleus` is the formula as it is written there; `nucleus` finds the same candidates without sorting.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { uniformPair } from './random.ts';

/** `topP`, `topK`: border of the nucleus. An id that occurs winSize·tauR times or more in the last winSize ids is drawn again. */
export type SamplingConfig = { readonly topP: number; readonly topK: number; readonly winSize: number; readonly tauR: number };

export type Draw = {
  /** (V) float32, not changed */
  readonly logits: Float32Array;
  /** Ids that may not be drawn. */
  readonly masked: readonly number[];
  /** Ids drawn so far, oldest first, fill tokens included. */
  readonly history: readonly number[];
};

/** One id for one step. Throws `generation_failed` when the logits are not numbers. */
export type Sampler = (draw: Draw) => number;

/** Candidates in falling order of probability. */
export type Nucleus = { readonly ids: readonly number[]; readonly probabilities: readonly number[] };

/** The random stream depends on `seed` and the number of ids drawn so far, on nothing else. */
export function repetitionAwareSampler(config: SamplingConfig, seed: number): Sampler {
  return ({ logits, masked, history }) => {
    const [first, second] = uniformPair(seed, history.length);
    const probabilities = maskedSoftmax(logits, masked);
    const candidates = nucleus(probabilities, config);
    const id = candidates.ids[pick(candidates.probabilities, first)]!;
    return isRepeated(id, history, config) ? pick(maskedSoftmax(logits, [...masked, id]), second) : id;
  };
}

/** Whether the official code would draw again. */
export function isRepeated(id: number, history: readonly number[], { winSize, tauR }: SamplingConfig): boolean {
  let count = 0;
  for (let i = Math.max(0, history.length - winSize); i < history.length; i += 1) if (history[i] === id) count += 1;
  return count >= winSize * tauR;
}

/**
 * (V) float32 probabilities over the ids that are not masked. The reference takes log-softmax, masks, and softmax again;
 * in exact numbers that is one softmax over what is left, computed here in double and rounded to float32 once. Throws
 * `generation_failed` when the logits are not numbers or nothing is left.
 */
export function maskedSoftmax(logits: Float32Array, masked: readonly number[]): Float32Array {
  const values = Float32Array.from(logits);
  for (const id of masked) values[id] = -Infinity;
  const peak = finitePeak(values);
  let sum = 0;
  const weights = new Float64Array(values.length);
  for (let i = 0; i < values.length; i += 1) {
    const below = values[i]! - peak;
    // exp(−110) is 0 in float32.
    if (below > -110) sum += weights[i] = Math.exp(below);
  }
  for (let i = 0; i < values.length; i += 1) values[i] = weights[i]! / sum;
  return values;
}

function finitePeak(values: Float32Array): number {
  let peak = -Infinity;
  // Written so that NaN becomes the peak and stays it.
  for (let i = 0; i < values.length; i += 1) if (!(values[i]! <= peak) && peak === peak) peak = values[i]!;
  if (!Number.isFinite(peak)) throw new CosyError('generation_failed', 'The language model returned values that are not numbers: try again with another seed.');
  return peak;
}

/** Stable descending sort, then entries while (float32 sum so far < topP) and (taken < topK). */
export function plainNucleus(probabilities: Float32Array, { topP, topK }: SamplingConfig): Nucleus {
  const order = Array.from(probabilities, (_, id) => id).toSorted((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  const ids: number[] = [];
  let sum = 0;
  for (const id of order) {
    if (!(sum < Math.fround(topP) && ids.length < topK)) break;
    sum = Math.fround(sum + probabilities[id]!);
    ids.push(id);
  }
  return { ids, probabilities: ids.map((id) => probabilities[id]!) };
}

/** The same candidates as `plainNucleus`: keeps the best topK seen so far, in order, ids ascending among equals. */
export function nucleus(probabilities: Float32Array, { topP, topK }: SamplingConfig): Nucleus {
  const best: number[] = [];
  let worst = -1;
  for (let id = 0; id < probabilities.length; id += 1) {
    const probability = probabilities[id]!;
    if (best.length === topK && probability <= worst) continue;
    let place = best.length < topK ? best.length : topK - 1;
    while (place > 0 && probabilities[best[place - 1]!]! < probability) {
      best[place] = best[place - 1]!;
      place -= 1;
    }
    best[place] = id;
    if (best.length === topK) worst = probabilities[best[topK - 1]!]!;
  }
  let sum = 0;
  let taken = 0;
  while (taken < best.length && sum < Math.fround(topP)) {
    sum = Math.fround(sum + probabilities[best[taken]!]!);
    taken += 1;
  }
  const ids = best.slice(0, taken);
  return { ids, probabilities: ids.map((id) => probabilities[id]!) };
}

/** Index drawn with the given weights (not necessarily summing to 1) by `uniform` in [0, 1). Never one of weight 0. */
export function pick(weights: ArrayLike<number>, uniform: number): number {
  let total = 0;
  for (let i = 0; i < weights.length; i += 1) total += weights[i]!;
  let left = uniform * total;
  let last = 0;
  for (let i = 0; i < weights.length; i += 1) {
    const weight = weights[i]!;
    if (weight <= 0) continue;
    last = i;
    left -= weight;
    if (left < 0) return i;
  }
  return last;
}
