import { describe, expect, it } from 'vitest';
import { KeyValueCache } from '../../../gpu-node/tokens/cache.ts';

const SHAPE = { layers: 2, kvHeads: 2, headDim: 4, type: 'float32' } as const;

function cacheOf(lengths: readonly number[]): KeyValueCache {
  const cache = new KeyValueCache(SHAPE, 8192, 64);
  cache.reserve(lengths.length, Math.max(...lengths), []);
  for (const [slot, length] of lengths.entries()) write(cache, slot, length, slot + 1);
  return cache;
}

/** Fills the first `length` positions of a slot with numbers that tell layer, part, head and position. */
function write(cache: KeyValueCache, slot: number, length: number, mark: number): void {
  for (const [index, tensor] of Object.values(cache.bind(slot, 1).feeds).entries()) {
    const [, heads = 0, positions = 0, size = 0] = tensor.dims;
    for (let head = 0; head < heads; head += 1) for (let i = 0; i < length * size; i += 1) (tensor.data as Float32Array)[head * positions * size + i] = mark * 1e6 + index * 1e5 + head * 1e4 + i;
  }
}

function holds(cache: KeyValueCache, slot: number, length: number, mark: number): boolean {
  return Object.values(cache.bind(slot, 1).feeds).every((tensor, index) => {
    const [, heads = 0, positions = 0, size = 0] = tensor.dims;
    for (let head = 0; head < heads; head += 1) for (let i = 0; i < length * size; i += 1) if (tensor.data[head * positions * size + i] !== mark * 1e6 + index * 1e5 + head * 1e4 + i) return false;
    return true;
  });
}

describe('the key/value cache', () => {
  it('reads and writes the same memory, one row being a slice of the batch', () => {
    const cache = cacheOf([3, 5]);
    const { feeds, fetches } = cache.bind(0, 2);
    expect(Object.keys(feeds)).toEqual(['past.0.key', 'past.0.value', 'past.1.key', 'past.1.value']);
    expect(Object.keys(fetches)).toEqual(['present.0.key', 'present.0.value', 'present.1.key', 'present.1.value']);
    expect(fetches['present.1.key']!.data).toBe(feeds['past.1.key']!.data);
    expect(cache.bind(1, 1).feeds['past.1.key']!.data.buffer).toBe(feeds['past.1.key']!.data.buffer);
    expect(cache.bind(0, 2)).toBe(cache.bind(0, 2));
  });

  it('keeps every row when it grows in rows and in positions', () => {
    const cache = cacheOf([3, 700, 1]);
    const small = cache.bytes;
    cache.reserve(9, 3000, [3, 700, 1]);
    expect(cache.bytes).toBeGreaterThan(small);
    for (const [slot, length] of [3, 700, 1].entries()) expect(holds(cache, slot, length, slot + 1)).toBe(true);
  });

  it('reserves no more positions than the longest row needs, and gives back what a longer one had', () => {
    const positions = (): number => cache.bind(0, 1).feeds['past.0.key']!.dims[2]!;
    const cache = cacheOf([3, 100]);
    expect(positions()).toBe(128);
    cache.reserve(2, 129, [3, 100]);
    expect(positions()).toBe(192);
    cache.reserve(2, 2000, [3, 100]);
    expect(positions()).toBe(2048);
    cache.reserve(2, 1030, [3, 100]);
    expect(positions()).toBe(2048);
    // a row that waits keeps its room
    cache.reserve(2, 4, [3, 100]);
    expect(positions()).toBe(128);
    expect(holds(cache, 0, 3, 1)).toBe(true);
    expect(holds(cache, 1, 100, 2)).toBe(true);
    cache.reserve(1, 8190, [3, 100]);
    expect(positions()).toBe(8192);
  });

  it('moves and exchanges rows of different lengths', () => {
    const cache = cacheOf([3, 8, 5]);
    cache.swap(0, 1, 8);
    expect([holds(cache, 0, 8, 2), holds(cache, 1, 3, 1), holds(cache, 2, 5, 3)]).toEqual([true, true, true]);
    cache.copy(2, 0, 5);
    expect([holds(cache, 0, 5, 3), holds(cache, 1, 3, 1), holds(cache, 2, 5, 3)]).toEqual([true, true, true]);
  });

  it('gives everything back when released', () => {
    const cache = cacheOf([3]);
    cache.release();
    expect(cache.bytes).toBe(0);
    cache.reserve(1, 2, []);
    expect(Object.values(cache.bind(0, 1).feeds).every(({ data }) => (data as Float32Array).every((value) => value === 0))).toBe(true);
  });
});
