import { describe, expect, it } from 'vitest';
import { oneAhead } from '../../../gpu-node/schedule/ahead.ts';
import { Playback, blocksToGather } from '../../../gpu-node/schedule/playback.ts';
import { spread, wordsBySentence, wordsIn } from '../../../gpu-node/schedule/word-times.ts';

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

describe('estimated word times', () => {
  it('fill the sentence in order, by length', () => {
    const times = spread(wordsIn('Hello, 你好 I'), { from: 1000, to: 3000 }, 1000);
    expect(times.map(({ text }) => text)).toEqual(['Hello', '你', '好', 'I']);
    expect([times[0]?.startMs, times.at(-1)?.endMs]).toEqual([1000, 3000]);
    for (const [i, { startMs, endMs }] of times.entries()) expect([startMs < endMs, startMs]).toEqual([true, times[i - 1]?.endMs ?? 1000]);
  });

  it('find the words of each sentence of phones', () => {
    const sentences = [{ text: '[HH][AY1] [DH][EH1][R].', ids: [1, 2, 3, 4, 5, 6, 7] }, { text: '[B][AY1].', ids: [1, 2, 3] }];
    expect(wordsBySentence('Hi there. Bye.', sentences, true)).toEqual([[{ text: 'Hi', weight: 2 }, { text: 'there', weight: 3 }], [{ text: 'Bye', weight: 2 }]]);
    // read otherwise than written: shared by length, none lost
    const shared = wordsBySentence('Hi there you all. Bye.', sentences, true);
    expect(shared.flat().map(({ text }) => text)).toEqual(['Hi', 'there', 'you', 'all', 'Bye']);
    expect(shared.map((words) => words.length > 0)).toEqual([true, true]);
  });
});
