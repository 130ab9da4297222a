import { describe, expect, it } from 'vitest';
import { oneAhead } from '../../../gpu-node/schedule/ahead.ts';
import { Playback, blocksToGather } from '../../../gpu-node/schedule/playback.ts';

describe('the clock of a listener', () => {
  it('runs dry when all that was sent has played, and is late by what it waited', () => {
    const clock = { ms: 1000 };
    const playback = new Playback(1000, () => clock.ms);
    expect(playback.deadlineMs).toBe(1000);
    clock.ms = 1200;
    playback.sent(500);
    expect([playback.deadlineMs, playback.aheadMs]).toEqual([1700, 500]);
    clock.ms = 1600;
    playback.sent(100);
    expect([playback.deadlineMs, playback.underruns.count]).toEqual([1800, 0]);
    clock.ms = 2000;
    playback.sent(100);
    expect(playback.underruns).toEqual({ count: 1, ms: 200 });
    expect(playback.deadlineMs).toBe(2100);
  });

  it('lets more blocks be gathered the further ahead it is', () => {
    expect([0, 100, 400, 800, 5000].map((aheadMs) => blocksToGather({ aheadMs, msPerBlock: 100 }))).toEqual([1, 1, 2, 4, 4]);
  });
});

describe('sources that run one ahead', () => {
  it('keep their order, start when the one before is exhausted, and are asked for no further', async () => {
    const started: number[] = [];
    let asked = 0;
    async function* sources() {
      for (let i = 0; i < 5; i++) {
        asked += 1;
        yield i;
      }
    }
    async function* run(source: number) {
      started.push(source);
      yield source * 10;
      yield source * 10 + 1;
    }
    const seen: number[] = [];
    for await (const { source, items } of oneAhead(sources(), run)) {
      for await (const item of items) seen.push(item);
      await new Promise((resolve) => setImmediate(resolve));
      expect(started.at(-1)).toBe(Math.min(4, source + 1));
      expect(asked).toBe(Math.min(5, source + 2));
    }
    expect(seen).toEqual([0, 1, 10, 11, 20, 21, 30, 31, 40, 41]);
  });

  it('fail when the reader gets there', async () => {
    async function* sources() {
      yield 1;
      throw new Error('the text broke off');
    }
    const seen: number[] = [];
    await expect(async () => {
      for await (const { items } of oneAhead(sources(), async function* (n) { yield n; })) for await (const item of items) seen.push(item);
    }).rejects.toThrow('broke off');
    expect(seen).toEqual([1]);
  });
});
