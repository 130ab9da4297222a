/**
 * The flow's fixed starting noise. The official model draws `torch.randn([1, 80, 15000])` right after seeding with 0
 * (cosyvoice/flow/flow_matching.py CausalConditionalCFM) and every utterance starts from its first columns. Re-implemented
 * here: Mersenne Twister (Matsumoto & Nishimura 1998) and torch's vectorized Box-Muller transform, equal to about 1e-6.
 */
import { strict as assert } from 'node:assert';
import { CosyError } from '../../shared/errors/index.ts';

/** Columns of the official array: 300 s at 50 frames a second, prompt included. */
export const MAX_NOISE_FRAMES = 15_000;

const STATE_WORDS = 624;
const SHIFT_WORDS = 397;
const TWO_PI = Math.fround(2 * Math.PI);
/** torch draws in blocks of 16 values: eight radii, eight angles. */
const BLOCK = 16;
const HALF = BLOCK / 2;

/** `count` raw 32-bit draws of MT19937 after `init_genrand(seed)`. */
export function mersenneTwister(seed: number, count: number): Uint32Array {
  const state = new Uint32Array(STATE_WORDS);
  state[0] = seed;
  for (let i = 1; i < STATE_WORDS; i++) {
    const previous = state[i - 1] ?? 0;
    state[i] = Math.imul(previous ^ (previous >>> 30), 1812433253) + i;
  }
  const draws = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    if (i % STATE_WORDS === 0) twist(state);
    let y = state[i % STATE_WORDS] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    draws[i] = y ^ (y >>> 18);
  }
  return draws;
}

/** `torch.manual_seed(seed); torch.randn(count)` on CPU, float32. */
export function normals(seed: number, count: number): Float32Array {
  const values = new Float32Array(count);
  if (count < BLOCK) {
    const draws = mersenneTwister(seed, 4 * count + 4);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log1p(-doubleUniform(draws, 2 * i + 2)));
      const angle = 2 * Math.PI * doubleUniform(draws, 2 * i);
      values[i] = radius * Math.cos(angle);
      if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
    }
    return values;
  }
  const rest = count % BLOCK;
  const draws = mersenneTwister(seed, count + (rest > 0 ? BLOCK : 0));
  for (let i = 0; i < count - rest; i++) values[i] = boxMuller(draws, i);
  // A count that is no multiple of 16: the last 16 values are made again, from 16 fresh draws.
  if (rest > 0) for (let i = 0; i < BLOCK; i++) values[count - BLOCK + i] = boxMuller(draws.subarray(count), i);
  return values;
}

/** Columns of the fixed array, transformed when first asked for. About 5 MB. */
export class FixedNoise {
  readonly #channels: number;
  #draws: Uint32Array | undefined;

  constructor(channels: number) {
    assert((channels * MAX_NOISE_FRAMES) % BLOCK === 0, 'an odd number of channels has a redrawn end');
    this.#channels = channels;
  }

  /** (count, channels) float32, frames first … first+count−1. Throws `input_too_long` past the official 15,000 frames. */
  frames(first: number, count: number): Float32Array {
    if (first + count > MAX_NOISE_FRAMES) {
      throw new CosyError('input_too_long', `Prompt and speech together are longer than ${MAX_NOISE_FRAMES / 50} s, the model's limit for one piece: split the text or shorten the prompt.`);
    }
    this.#draws ??= mersenneTwister(0, this.#channels * MAX_NOISE_FRAMES);
    const columns = new Float32Array(count * this.#channels);
    for (let channel = 0; channel < this.#channels; channel++) {
      for (let frame = 0; frame < count; frame++) columns[frame * this.#channels + channel] = boxMuller(this.#draws, channel * MAX_NOISE_FRAMES + first + frame);
    }
    return columns;
  }
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < STATE_WORDS; i++) {
    const y = ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % STATE_WORDS] ?? 0) & 0x7fffffff);
    state[i] = (state[(i + SHIFT_WORDS) % STATE_WORDS] ?? 0) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
  }
}

/** Value `index` of the block transform over single-precision uniforms (24 bits of each draw). */
function boxMuller(draws: Uint32Array, index: number): number {
  const inBlock = index % BLOCK;
  const first = index - inBlock + (inBlock % HALF);
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(draws, first)));
  // The product is rounded to float32 as torch does it: in double the cosine differs by up to 2e-6.
  const angle = Math.fround(TWO_PI * uniform(draws, first + HALF));
  return radius * (inBlock < HALF ? Math.cos(angle) : Math.sin(angle));
}

function uniform(draws: Uint32Array, index: number): number {
  return ((draws[index] ?? 0) & 0xffffff) / 2 ** 24;
}

function doubleUniform(draws: Uint32Array, index: number): number {
  const high = BigInt(draws[index] ?? 0);
  const low = BigInt(draws[index + 1] ?? 0);
  return Number(((high << 32n) | low) & ((1n << 53n) - 1n)) / 2 ** 53;
}
