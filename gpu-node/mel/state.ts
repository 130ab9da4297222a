/**
 * What the flow remembers between blocks. A state is never changed after it was made: a block makes a new one that shares
 * the pages of the old, so one voice's state serves any number of streams at once and appending copies nothing.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { guidanceRows, newNames, pageNames } from '../graphs/flow.ts';
import { pastSizes } from '../graphs/layers/estimator.ts';
import type { FlowConfig } from '../checkpoint/types.ts';
import type { CacheType } from '../graphs/flow.ts';
import type { Tensor } from '../runtime/session.ts';

/** Keys and values of some frames, every estimator layer, Euler step and guidance row; in the order of `newNames`. */
export type Page = { readonly frames: number; readonly tensors: readonly Tensor[] };

export type FlowState = {
  /** Tokens and frames computed, from the first prompt token on. */
  readonly tokens: number;
  /** lookahead_tail, up_tail, past, up_past of the encoder. */
  readonly encoder: Readonly<Record<EncoderState, Tensor>>;
  /** (steps, R, 2, ΣC): last two input frames of every estimator convolution. */
  readonly tails: Tensor;
  /** Pages 0 … pinned−1 belong to the voice and are never dropped. */
  readonly pages: readonly Page[];
  readonly pinned: number;
};

export const ENCODER_STATES = ['lookahead_tail', 'up_tail', 'past', 'up_past'] as const;
export type EncoderState = (typeof ENCODER_STATES)[number];

/** Free pages kept for the next block: one is filled while the others of a stream are read; more of them when they are small. */
const FREE_PAGES = 2;
const FREE_BYTES = 64e6;
/** A request that finds no memory may come again after this. */
const RETRY_MS = 2000;

/**
 * Memory of pages that nobody reads any more. A page is hundreds of megabytes at full size; memory that was written before
 * costs no page faults.
 */
export class PagePool {
  readonly #config: FlowConfig;
  readonly type: CacheType;
  readonly #free: Page[] = [];

  constructor(config: FlowConfig, type: CacheType) {
    this.#config = config;
    this.type = type;
  }

  /** A page with undefined contents. Throws `overloaded` when there is no memory for it. */
  take(frames: number, steps: number): Page {
    const at = this.#free.findIndex((page) => page.frames === frames && page.tensors[0]?.dims[0] === steps);
    return (at < 0 ? undefined : this.#free.splice(at, 1)[0]) ?? newPage(this.#config, { frames, steps, type: this.type });
  }

  /** Bytes of a page. */
  bytes(frames: number, steps: number): number {
    return pageValues(this.#config, frames, steps) * (this.type === 'float32' ? 4 : 2);
  }

  /** Hands back what `take` gave; no state may refer to it. */
  give(pages: readonly Page[]): void {
    this.#free.push(...pages);
    const each = pages[0] ? pages[0].tensors.reduce((sum, { data }) => sum + data.byteLength, 0) : FREE_BYTES;
    this.#free.splice(0, Math.max(0, this.#free.length - Math.max(FREE_PAGES, Math.floor(FREE_BYTES / each))));
  }
}

/** Nothing computed yet. */
export function emptyState(config: FlowConfig, steps: number): FlowState {
  const { hiddenSize, heads, blocks, upBlocks } = config.encoder;
  const past = (layers: number): Tensor => zeros(layers, 2, heads, 0, hiddenSize / heads);
  const encoder = { lookahead_tail: zeros(1, 2, hiddenSize), up_tail: zeros(1, 2 * config.tokenMelRatio, hiddenSize), past: past(blocks), up_past: past(upBlocks) };
  const width = pastSizes(config).convolutions.reduce((sum, size) => sum + size, 0);
  return { tokens: 0, encoder, tails: zeros(steps, guidanceRows(config), 2, width), pages: [], pinned: 0 };
}

/** Feeds k{page}_{layer}, v{page}_{layer} of all page inputs; absent pages have no frames. */
export function pageFeeds(pages: readonly Page[], config: FlowConfig, options: { readonly steps: number; readonly type: CacheType; readonly pageCount: number }): Record<string, Tensor> {
  const nothing = newPage(config, { ...options, frames: 0 });
  const slots = Array.from({ length: options.pageCount }, (_, page) => pages[page] ?? nothing).flatMap(({ tensors }) => tensors);
  return Object.fromEntries(pageNames(pastSizes(config).attentions, options.pageCount).map((name, index) => [name, slots[index] ?? fail()]));
}

/**
 * Pages for the next block after `fresh` was computed: the pinned ones and of the others at most the newest `maxFrames`
 * frames (−1: all). When there are more pages than the graph has inputs, the two smallest neighbours are joined.
 */
export function appendPage(state: Pick<FlowState, 'pages' | 'pinned'>, fresh: Page, { maxFrames, pageCount }: { readonly maxFrames: number; readonly pageCount: number }): Page[] {
  const pinned = state.pages.slice(0, state.pinned);
  const free = [...state.pages.slice(state.pinned), fresh];
  let surplus = maxFrames < 0 ? 0 : totalFrames(free) - maxFrames;
  for (let [oldest] = free; oldest !== undefined && surplus > 0; [oldest] = free) {
    if (oldest.frames > surplus) free[0] = joinPages([oldest], surplus);
    else free.shift();
    surplus -= oldest.frames;
  }
  while (pinned.length + free.length > pageCount) {
    let at = 0;
    for (let i = 1; i + 1 < free.length; i++) if (totalFrames(free.slice(i, i + 2)) < totalFrames(free.slice(at, at + 2))) at = i;
    free.splice(at, 2, joinPages(free.slice(at, at + 2)));
  }
  return [...pinned, ...free];
}

/** One new page with the frames of all, without the first `skip` of the first page. */
export function joinPages(pages: readonly Page[], skip = 0): Page {
  const count = pages[0]?.tensors.length ?? 0;
  const tensors = Array.from({ length: count }, (_, index) => joinLengths(pages.flatMap((page) => page.tensors[index] ?? []), skip));
  return { frames: totalFrames(pages) - skip, tensors };
}

/** Bytes of keys, values and convolution rows. */
export function stateBytes(state: FlowState): number {
  const tensors = [...Object.values(state.encoder), state.tails, ...state.pages.flatMap((page) => page.tensors)];
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** Views into one piece of memory. */
function newPage(config: FlowConfig, { frames, steps, type }: { readonly frames: number; readonly steps: number; readonly type: CacheType }): Page {
  const { heads, headDim } = config.estimator;
  const dims = [steps, guidanceRows(config), heads, frames, headDim];
  const size = dims.reduce((product, side) => product * side, 1);
  const count = newNames(pastSizes(config).attentions).length;
  const memory = allocate(size * count * (type === 'float32' ? 4 : 2));
  const tensors = Array.from({ length: count }, (_, index): Tensor =>
    type === 'float32' ? { type, dims, data: new Float32Array(memory, 4 * size * index, size) } : { type, dims, data: new Float16Array(memory, 2 * size * index, size) },
  );
  return { frames, tensors };
}

function allocate(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (error) {
    throw new CosyError('overloaded', `This node has no memory for another stream: try again in ${RETRY_MS / 1000} s.`, { cause: error, retryAfterMs: RETRY_MS });
  }
}

function pageValues(config: FlowConfig, frames: number, steps: number): number {
  const { heads, headDim } = config.estimator;
  return steps * guidanceRows(config) * heads * frames * headDim * newNames(pastSizes(config).attentions).length;
}

function zeros(...dims: number[]): Tensor {
  return { type: 'float32', dims, data: new Float32Array(dims.reduce((product, size) => product * size, 1)) };
}

function fail(): never {
  throw new Error('a page lacks a tensor');
}

function totalFrames(pages: readonly Page[]): number {
  return pages.reduce((sum, { frames }) => sum + frames, 0);
}

/** Concatenation over axis 3 of (steps, rows, heads, L, headDim), without the first `skip` positions of the first part. */
function joinLengths(parts: readonly Tensor[], skip: number): Tensor {
  const [steps = 0, rows = 0, heads = 0, , headDim = 0] = parts[0]?.dims ?? [];
  const groups = steps * rows * heads;
  const length = parts.reduce((sum, { dims }) => sum + (dims[3] ?? 0), 0) - skip;
  const dims = [steps, rows, heads, length, headDim];
  const isHalf = parts[0]?.type === 'float16';
  // Whole values are moved, so float16 is copied as bytes.
  const size = isHalf ? 2 : 4;
  const joined = new Uint8Array(groups * length * headDim * size);
  let at = 0;
  for (let group = 0; group < groups; group++) {
    for (const [index, { data, dims: partDims }] of parts.entries()) {
      const bytes = (partDims[3] ?? 0) * headDim * size;
      const skipped = index === 0 ? skip * headDim * size : 0;
      joined.set(new Uint8Array(data.buffer, data.byteOffset + group * bytes + skipped, bytes - skipped), at);
      at += bytes - skipped;
    }
  }
  return isHalf ? { type: 'float16', dims, data: new Float16Array(joined.buffer) } : { type: 'float32', dims, data: new Float32Array(joined.buffer) };
}
