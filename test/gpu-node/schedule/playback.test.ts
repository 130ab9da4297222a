import { describe, expect, it } from 'vitest';
import { oneAhead } from '../../../gpu-node/schedule/ahead.ts';
import { Playback, blocksToGather, released } from '../../../gpu-node/schedule/playback.ts';
import { Turns } from '../../../gpu-node/schedule/turns.ts';

const NEVER = new AbortController().signal;

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

describe('a first sound while many listen', () => {
  const LISTENERS = 8;
  /** Milliseconds of sound, and of the machine's time, of each piece: a short first one, then what makes a whole block. */
  const PIECES = [{ soundMs: 245, costMs: 35 }, { soundMs: 320, costMs: 40 }, ...Array.from({ length: 4 }, () => ({ soundMs: 1000, costMs: 45 }))];
  const MEAN_MS = 42;
  type Heard = { readonly firstMs: number; readonly underruns: number };

  /** All come at once to one machine; its time is a number that work moves on. */
  async function listen(listeners: number, release: typeof released): Promise<Heard[]> {
    const turns = new Turns();
    let nowMs = 0;
    let sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];
    const work = async (ms: number): Promise<void> => {
      // who was served before acts first
      await new Promise((resolve) => setImmediate(resolve));
      nowMs += ms;
      for (const { untilMs, wake } of sleepers) if (untilMs <= nowMs) wake();
      sleepers = sleepers.filter(({ untilMs }) => untilMs > nowMs);
    };
    const wait = (ms: number): Promise<void> => new Promise((wake) => sleepers.push({ untilMs: nowMs + ms, wake }));
    return Promise.all(
      Array.from({ length: listeners }, async () => {
        const playback = new Playback(1000, () => nowMs);
        async function* pieces(): AsyncGenerator<number> {
          for (const { soundMs, costMs } of PIECES) {
            await turns.run(playback.deadlineMs, () => work(costMs));
            playback.made(soundMs, listeners * MEAN_MS);
            yield soundMs;
          }
        }
        let firstMs: number | undefined;
        for await (const soundMs of release(pieces(), { playback, wait, signal: NEVER })) {
          firstMs ??= nowMs;
          playback.sent(soundMs);
        }
        return { firstMs: firstMs ?? NaN, underruns: playback.underruns.count };
      }),
    );
  }

  it('stays until the next ones are in time, so that nobody who begins at once runs dry', async () => {
    const atOnce = await listen(LISTENERS, (pieces) => pieces);
    expect(atOnce.some(({ underruns }) => underruns > 0)).toBe(true);
    const held = await listen(LISTENERS, released);
    expect(held.map(({ underruns }) => underruns)).toEqual(Array.from({ length: LISTENERS }, () => 0));
    expect(Math.max(...held.map(({ firstMs }) => firstMs))).toBeLessThanOrEqual(500);
  });

  it('leaves at once for a few', async () => {
    expect(await listen(3, released)).toEqual([35, 70, 105].map((firstMs) => ({ firstMs, underruns: 0 })));
  });

  it('is held until 500 ms after the request came and no longer, also where the machine is too slow for all', () => {
    const playback = new Playback(1000, () => 0);
    playback.made(245, 9000);
    expect([playback.holdMs, playback.deadlineMs]).toEqual([500, 745]);
    playback.sent(245);
    expect([playback.holdMs, playback.deadlineMs]).toEqual([0, 245]);
  });

  it('is given up with its request, and a failure behind it is told at once', async () => {
    const ended: string[] = [];
    async function* pieces(): AsyncGenerator<number> {
      try {
        yield 245;
        throw new Error('the second piece failed');
      } finally {
        ended.push('ended');
      }
    }
    const playback = new Playback(1000, () => 0);
    playback.made(245, 9000);
    const never = (): Promise<void> => new Promise(() => {});
    await expect(released(pieces(), { playback, wait: never, signal: NEVER }).next()).rejects.toThrow('the second piece failed');
    const stop = new AbortController();
    const signal = stop.signal;
    const left = released(pieces(), { playback: new Playback(1000, () => 0), wait: never, signal });
    await left.next();
    await left.return(undefined);
    const cancelled = released(pieces(), { playback: new Playback(1000, () => 0), wait: never, signal }).next();
    stop.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    expect(ended).toEqual(['ended', 'ended', 'ended']);
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
