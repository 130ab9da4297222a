import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GUARD_LIMITS, TokenGuard } from '../../../gpu-node/tokens/guards.ts';
import type { GuardLimits } from '../../../gpu-node/tokens/guards.ts';

/** Token count at which the guard fired, and why. */
function watch(tokens: Iterable<number>, limits: Partial<GuardLimits> = {}): readonly [number, string] | undefined {
  const guard = new TokenGuard({ ...GUARD_LIMITS, ...limits });
  let count = 0;
  for (const token of tokens) {
    count += 1;
    const reason = guard.accept(token);
    if (reason) return [count, reason];
  }
  return undefined;
}

describe('guards on speech tokens', () => {
  it('let varied speech with held sounds and pauses of a second pass', () => {
    const sound = fc.tuple(fc.integer({ min: 0, max: 6560 }), fc.constantFrom(1, 1, 1, 2, 5));
    const phrases = fc.array(fc.array(sound, { minLength: 8, maxLength: 30 }), { maxLength: 30 });
    fc.assert(
      fc.property(phrases, fc.integer({ min: 0, max: 6560 }), (spoken, silence) => {
        // No sound is among the seven before it: speech, not a chant. What that leaves too short for a phrase is left out.
        const varied = spoken.map((phrase) => phrase.filter(([token], i) => token !== silence && !phrase.slice(Math.max(0, i - 7), i).some(([earlier]) => earlier === token)));
        const tokens = varied.filter((phrase) => phrase.length >= 8).flatMap((phrase) => [...phrase, [silence, 25] as const]);
        expect(watch(tokens.flatMap(([token, times]) => Array.from({ length: times }, () => token)))).toBeUndefined();
      }),
    );
  });

  it('let sounds that are held one after the other pass', () => {
    // each run repeats itself at every short period, and none of them is a loop
    const held = Array.from({ length: 40 }, (_, i) => Array.from({ length: 14 }, () => 17 * i)).flat();
    expect(watch(held)).toBeUndefined();
  });

  it('report a phrase that repeats, however long up to four seconds', () => {
    for (const period of [2, 7, 30, 100]) {
      const phrase = Array.from({ length: period }, (_, i) => i * 13);
      const speech = Array.from({ length: 60 }, (_, i) => 2000 + i);
      const fired = watch([...speech, ...Array.from({ length: 60 }, () => phrase).flat()]);
      expect(fired?.[1]).toBe('loop');
      expect(fired?.[0]).toBeLessThanOrEqual(60 + 3 * period + GUARD_LIMITS.loopTokens);
    }
  });

  it('report a loop that sampling varies now and then', () => {
    const tokens = Array.from({ length: 800 }, (_, i) => (i % 23 === 0 ? 3000 + i : (i % 12) * 7));
    expect(watch(tokens)?.[1]).toBe('loop');
  });

  it('report one sound that does not end as silence, also among known silent tokens', () => {
    expect(watch([...Array.from({ length: 30 }, (_, i) => i), ...Array.from({ length: 100 }, () => 5)])).toEqual([80, 'silence']);
    const silentTokens = new Set([1, 2, 3]);
    expect(watch(Array.from({ length: 200 }, (_, i) => 1 + (i % 3)), { silentTokens, loopTokens: 1000, minDistinct: 0 })).toEqual([76, 'silence']);
  });

  it('report murmur among a handful of tokens without any period', () => {
    let state = 1;
    const murmur = Array.from({ length: 300 }, () => (state = (state * 48271) % 2147483647) % 5);
    expect(watch(murmur)).toEqual([GUARD_LIMITS.window, 'loop']);
  });
});
