/**
 * Keys and values of all rows: one (rows, kvHeads, positions, headDim) array per layer and part, which a run reads. Slots are
 * contiguous, so a batch is the first n slots and one row is a slice of the same memory.
 *
 * What a run adds is written here (`write`) on a processor, and by the graph itself, in place, where runs are on a device:
 * onnxruntime-node copies every output into a new array, those that were written in place too. Bundled voice, 192 positions: a
 * run of one row 2.1 instead of 2.3 ms, of eight 8.7 instead of 11; and nothing of it for the garbage collector.
 *
 * No more positions are reserved than the longest row is about to need, because a run copies all of them, used or not (attention
 * to a buffer of its own; on a device, to carry them there): with 1024 it takes 1.8 times as long as with 192, with 4096 six times.
 */
import { strict as assert } from 'node:assert';
import type { Tensor } from '../runtime/session.ts';

export type CacheShape = { readonly layers: number; readonly kvHeads: number; readonly headDim: number; readonly type: 'float32' | 'float16' };

/** Feeds `past.L.key|value` and fetches `present.L.key|value` with the same memory. */
export type CacheBinding = { readonly feeds: Readonly<Record<string, Tensor>>; readonly fetches: Readonly<Record<string, Tensor>> };

type Values = Float32Array | Float16Array;

const FIRST_ROWS = 4;

export class KeyValueCache {
  readonly #shape: CacheShape;
  readonly #maxPositions: number;
  readonly #positionStep: number;
  #rows = 0;
  #positions = 0;
  #arrays: Values[] = [];
  #bindings = new Map<number, CacheBinding>();

  /** Positions are reserved in multiples of `positionStep`. */
  constructor(shape: CacheShape, maxPositions: number, positionStep: number) {
    this.#shape = shape;
    this.#maxPositions = maxPositions;
    this.#positionStep = positionStep;
  }

  /** Arrays by name: `L.key`, `L.value`. */
  get parts(): readonly string[] {
    return Array.from({ length: this.#shape.layers * 2 }, (_, index) => partName(index));
  }

  /** Bytes reserved; physical memory is less where positions were never written. */
  get bytes(): number {
    return this.#arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  /**
   * Makes room for `rows` slots of `positions`, and takes room back that the longest row has left unused. Keeps what the first slots
   * hold: `lengths[slot]` positions.
   */
  reserve(rows: number, positions: number, lengths: readonly number[]): void {
    assert(positions <= this.#maxPositions);
    const step = this.#positionStep;
    const needed = Math.min(Math.ceil(Math.max(positions, ...lengths) / step) * step, this.#maxPositions);
    if (rows <= this.#rows && needed <= this.#positions && needed * 2 >= this.#positions) return;
    const old = { arrays: this.#arrays, positions: this.#positions };
    this.#rows = Math.max(this.#rows, FIRST_ROWS);
    while (this.#rows < rows) this.#rows *= 2;
    this.#positions = needed;
    this.#bindings.clear();
    const { kvHeads, headDim } = this.#shape;
    this.#arrays = Array.from({ length: this.#shape.layers * 2 }, (_, index) => {
      const array = this.#allocate(this.#rows * kvHeads * this.#positions * headDim);
      const before = old.arrays[index];
      if (before) {
        for (const [slot, length] of lengths.entries()) {
          for (let head = slot * kvHeads; head < (slot + 1) * kvHeads; head += 1) {
            const start = head * old.positions * headDim;
            array.set(before.subarray(start, start + length * headDim), head * this.#positions * headDim);
          }
        }
      }
      return array;
    });
  }

  /** Gives all memory back; every slot is empty afterwards. */
  release(): void {
    this.#rows = 0;
    this.#positions = 0;
    this.#arrays = [];
    this.#bindings.clear();
  }

  /** Copies the first `length` positions of a slot over another. */
  copy(from: number, to: number, length: number): void {
    this.#eachHead(from, to, (array, source, target) => array.copyWithin(target, source, source + length * this.#shape.headDim));
  }

  /** Exchanges the first `length` positions of two slots. */
  swap(a: number, b: number, length: number): void {
    const count = length * this.#shape.headDim;
    this.#eachHead(a, b, (array, first, second) => {
      const kept = array.slice(first, first + count);
      array.copyWithin(first, second, second + count);
      array.set(kept, second);
    });
  }

  /** Writes positions `first` … `first + count − 1` of a slot. `values(name)`: (rows, kvHeads, width, headDim) of `L.key` or `L.value`, row `row` is read. */
  write(slot: number, { first, count, row, width, values }: { readonly first: number; readonly count: number; readonly row: number; readonly width: number; readonly values: (name: string) => Values }): void {
    const { kvHeads, headDim } = this.#shape;
    for (const [index, array] of this.#arrays.entries()) {
      const source = values(partName(index));
      for (let head = 0; head < kvHeads; head += 1) {
        const start = (row * kvHeads + head) * width * headDim;
        array.set(source.subarray(start, start + count * headDim), ((slot * kvHeads + head) * this.#positions + first) * headDim);
      }
    }
  }

  /** Keys (positions, headDim) of one slot, a view. */
  keys(slot: number, layer: number, kvHead: number): Values {
    const { kvHeads, headDim } = this.#shape;
    const size = this.#positions * headDim;
    const start = (slot * kvHeads + kvHead) * size;
    return this.#arrays[layer * 2]!.subarray(start, start + size);
  }

  /** Tensors over `count` slots from `first` on. */
  bind(first: number, count: number): CacheBinding {
    assert(first + count <= this.#rows);
    const key = first * this.#rows + count;
    let binding = this.#bindings.get(key);
    if (!binding) {
      binding = this.#makeBinding(first, count);
      this.#bindings.set(key, binding);
    }
    return binding;
  }

  #makeBinding(first: number, count: number): CacheBinding {
    const { kvHeads, headDim } = this.#shape;
    const size = kvHeads * this.#positions * headDim;
    const dims = [count, kvHeads, this.#positions, headDim];
    const feeds: Record<string, Tensor> = {};
    const fetches: Record<string, Tensor> = {};
    for (const [index, array] of this.#arrays.entries()) {
      const name = partName(index);
      const data = array.subarray(first * size, (first + count) * size);
      const tensor = (data instanceof Float32Array ? { type: 'float32', dims, data } : { type: 'float16', dims, data }) satisfies Tensor;
      feeds[`past.${name}`] = tensor;
      fetches[`present.${name}`] = tensor;
    }
    return { feeds, fetches };
  }

  #eachHead(a: number, b: number, act: (array: Values, first: number, second: number) => void): void {
    const { kvHeads, headDim } = this.#shape;
    const stride = this.#positions * headDim;
    for (const array of this.#arrays) for (let head = 0; head < kvHeads; head += 1) act(array, (a * kvHeads + head) * stride, (b * kvHeads + head) * stride);
  }

  #allocate(length: number): Values {
    return this.#shape.type === 'float32' ? new Float32Array(length) : new Float16Array(length);
  }
}

function partName(index: number): string {
  return `${index >> 1}.${index % 2 === 0 ? 'key' : 'value'}`;
}
