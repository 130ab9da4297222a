import { describe, expect, it } from 'vitest';
import { Rounds } from '../../../gpu-node/schedule/rounds.ts';

/** A block that took 30 ms in the flow and 20 in the vocoder, and sounds a second. */
const block = { blocks: 1, melMs: 30, waveMs: 20, soundMs: 1000, deadlineMs: 0, last: false };

describe('a round of all who wait for sound', () => {
  it('takes both stages for one listener, and the slower stage for each further one', () => {
    const rounds = new Rounds(() => 5000);
    rounds.open(1);
    expect(rounds.made({ id: 1, ...block })).toBe(30 + 20);
    rounds.open(2);
    rounds.open(3);
    expect(rounds.made({ id: 1, ...block })).toBe(3 * 30 + 20);
    expect(rounds.made({ id: 1, ...block, blocks: 2, melMs: 60, waveMs: 40 })).toBe(3 * 30 + 20);
  });

  it('counts those who run dry as soon, and not those who have sound for longer, are complete or have left', () => {
    const rounds = new Rounds(() => 5000);
    for (const id of [1, 2, 3, 4, 5]) rounds.open(id);
    rounds.made({ id: 1, ...block, deadlineMs: 9000 });
    rounds.made({ id: 2, ...block, last: true });
    rounds.made({ id: 3, ...block, soundMs: 500 });
    rounds.close(4);
    // the fifth has nothing yet; the fourth is gone
    expect(rounds.made({ id: 3, ...block, soundMs: 500 })).toBe(2 * 30 + 20);
    expect(rounds.made({ id: 3, ...block, soundMs: 5000 })).toBe(3 * 30 + 20);
  });

  it('follows what blocks cost lately, whichever stage is the slower one', () => {
    const rounds = new Rounds(() => 0);
    rounds.open(1);
    rounds.made({ id: 1, ...block });
    let ms = 0;
    for (let i = 0; i < 60; i++) ms = rounds.made({ id: 1, ...block, melMs: 10, waveMs: 45 });
    expect(ms).toBeCloseTo(45 + 10, 2);
    expect(rounds.made({ id: 1, ...block, blocks: 0, melMs: 0, waveMs: 7 })).toBe(ms);
  });
});
