import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRepeated, maskedSoftmax, nucleus, pick, plainNucleus, repetitionAwareSampler } from '../../../gpu-node/tokens/sampler.ts';

const CONFIG = { topP: 0.8, topK: 25, winSize: 10, tauR: 0.1 } as const;
const logits = fc.array(fc.oneof(fc.double({ min: -20, max: 12, noNaN: true }), fc.constantFrom(0, 1, 3)), { minLength: 30, maxLength: 200 }).map((values) => Float32Array.from(values));

describe('repetition-aware sampling', () => {
  it('finds the candidates of the full sort without sorting', () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 40 }), fc.double({ min: 0.01, max: 1.1, noNaN: true }), (values, topK, topP) => {
        const probabilities = maskedSoftmax(values, [3]);
        expect(nucleus(probabilities, { ...CONFIG, topK, topP })).toEqual(plainNucleus(probabilities, { ...CONFIG, topK, topP }));
      }),
    );
  });

  it('draws candidates only, or, when the drawn id is among the last ten, anything but that id', () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 0, max: 2 ** 53 - 1 }), fc.array(fc.integer({ min: 0, max: 29 }), { maxLength: 20 }), (values, seed, history) => {
        const sampler = repetitionAwareSampler(CONFIG, seed);
        const masked = [0, 1];
        const id = sampler({ logits: values, masked, history });
        const candidates = nucleus(maskedSoftmax(values, masked), CONFIG).ids;
        expect(masked).not.toContain(id);
        expect(sampler({ logits: values, masked, history })).toBe(id);
        if (!candidates.some((candidate) => isRepeated(candidate, history, CONFIG))) expect(candidates).toContain(id);
      }),
    );
  });

  it('draws with the probabilities of the candidates', () => {
    const values = Float32Array.from({ length: 50 }, (_, id) => (id === 10 ? Math.log(0.6) : id === 20 ? Math.log(0.3) : Math.log(0.1 / 48)));
    const counts = new Map<number, number>();
    for (let seed = 0; seed < 3000; seed += 1) {
      const id = repetitionAwareSampler(CONFIG, seed)({ logits: values, masked: [], history: [] });
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([10, 20]);
    expect(Math.abs(counts.get(10)! / 3000 - 2 / 3)).toBeLessThan(0.03);
  });

  it('draws again from everything when an id repeats, also beyond the nucleus', () => {
    const values = new Float32Array(100);
    values[7] = 8;
    const ids = new Set<number>();
    for (let seed = 0; seed < 300; seed += 1) ids.add(repetitionAwareSampler(CONFIG, seed)({ logits: values, masked: [], history: [7] }));
    expect(ids.has(7)).toBe(false);
    expect(ids.size).toBeGreaterThan(60);
  });

  it('refuses logits that are not numbers, and steps with every id masked', () => {
    const sampler = repetitionAwareSampler(CONFIG, 1);
    for (const bad of [NaN, Infinity]) {
      const values = new Float32Array(40);
      values[13] = bad;
      expect(() => sampler({ logits: values, masked: [], history: [] })).toThrow(expect.objectContaining({ code: 'generation_failed' }));
    }
    expect(() => sampler({ logits: new Float32Array(2), masked: [0, 1], history: [] })).toThrow(expect.objectContaining({ code: 'generation_failed' }));
  });

  it('never picks an entry of weight zero', () => {
    expect(pick([0, 1, 0], 0)).toBe(1);
    expect(pick([0, 1, 0], 1 - 2 ** -53)).toBe(1);
    expect(pick([0.5, 0, 0.5], 0.5)).toBe(2);
  });
});
