import { describe, expect, it } from 'vitest';
import { philox, uniformPair } from '../../../gpu-node/tokens/random.ts';

function hex(words: readonly number[]): string {
  return words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
}

describe('the counter-based generator', () => {
  it('gives the known answers of Random123 for philox4x32-10', () => {
    expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    const ones = 0xffffffff;
    expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe('d16cfe09 94fdcceb 5001e420 24126ea1');
  });

  it('is a function of seed and position, inside [0, 1)', () => {
    const seen = new Set<number>();
    for (const seed of [0, 1, 2 ** 32, 2 ** 53 - 1]) {
      for (let position = 0; position < 50; position += 1) {
        const [a, b] = uniformPair(seed, position);
        expect(uniformPair(seed, position)).toEqual([a, b]);
        for (const value of [a, b]) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThan(1);
          seen.add(value);
        }
      }
    }
    expect(seen.size).toBe(400);
  });

  it('is flat: each tenth of [0, 1) gets its share', () => {
    const bins = Array.from({ length: 10 }, () => 0);
    for (let position = 0; position < 10_000; position += 1) for (const value of uniformPair(7, position)) bins[Math.floor(value * 10)]! += 1;
    for (const count of bins) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });
});
