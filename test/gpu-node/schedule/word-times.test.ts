import { describe, expect, it } from 'vitest';
import { wordTimes, wordsBySentence, wordsWithin } from '../../../gpu-node/schedule/word-times.ts';
import type { Placed } from '../../../gpu-node/schedule/word-times.ts';

const placed: Placed = { from: 1000, to: 3000, pause: 0, removed: { lead: 0, tail: 0 } };

describe('words and their ids', () => {
  it('are found in each sentence of phones', () => {
    const sentences = [{ text: '[HH][AY1] [DH][EH1][R].', ids: [1, 2, 3, 4, 5, 6, 7] }, { text: '[B][AY1].', ids: [1, 2, 3] }];
    expect(wordsBySentence('Hi there. Bye.', sentences)).toEqual([
      [{ text: 'Hi', weight: 2, first: 0, end: 2 }, { text: 'there', weight: 3, first: 3, end: 6 }],
      [{ text: 'Bye', weight: 2, first: 0, end: 2 }],
    ]);
  });

  it('are syllables in Mandarin, also beside English and with hyphens', () => {
    const text = '[n][i3][h][ao3],[er4][W][EH1][L] [N][OW1][N]';
    const [words] = wordsBySentence('你好，二 well-known', [{ text, ids: Array.from({ length: 13 }, (_, i) => i) }]);
    expect(words?.map(({ text: word, first, end }) => [word, first, end])).toEqual([['你', 0, 2], ['好', 2, 4], ['二', 5, 6], ['well-known', 6, 13]]);
  });

  it('are shared out by length, none lost, where they are read otherwise than written', () => {
    const sentences = [{ text: '[HH][AY1] [DH][EH1][R].', ids: [1, 2, 3, 4, 5, 6, 7] }, { text: '[B][AY1].', ids: [1, 2, 3] }];
    const shared = wordsBySentence('Hi there you all. Bye.', sentences);
    expect(shared.flat().map(({ text }) => text)).toEqual(['Hi', 'there', 'you', 'all', 'Bye']);
    expect(shared.map((words) => [words[0]?.first, Math.round(words.at(-1)?.end ?? 0)])).toEqual([[0, 7], [0, 3]]);
  });

  it('are what a tokenizer makes of the text before them', () => {
    const [words] = wordsBySentence('ab cde.', [{ text: 'ab cde.', ids: [1, 2, 3] }], (text) => Math.ceil(text.length / 3));
    expect(words?.map(({ first, end }) => [first, end])).toEqual([[0, 1], [1, 2]]);
  });
});

describe('word times', () => {
  it('fill the sentence in order and by length where attention says nothing', () => {
    const { words, source } = wordTimes(wordsWithin('Hello, 你好 I', { first: 0, count: 9 }), undefined, placed, 1000);
    expect([source, words.map(({ text }) => text)]).toEqual(['estimate', ['Hello', '你', '好', 'I']]);
    expect([words[0]?.startMs, words.at(-1)?.endMs]).toEqual([1000, 3000]);
    for (const [i, { startMs, endMs }] of words.entries()) expect([startMs < endMs, startMs]).toEqual([true, words[i - 1]?.endMs ?? 1000]);
  });

  it('stand where attention says, after the pause, without what was trimmed, at any tempo', () => {
    const words = [{ text: 'a', weight: 1, first: 0, end: 2 }, { text: 'b', weight: 1, first: 3, end: 4 }];
    const alignment = { starts: [0, 10, 12, 20, 30], speechTokens: 40, focus: 0.9 };
    // 40 tokens made 2400 samples: 60 each; 300 of them were silence in front, 200 behind
    const { words: times, source } = wordTimes(words, alignment, { from: 1000, to: 3000, pause: 100, removed: { lead: 300, tail: 200 } }, 1000);
    expect(source).toBe('attention');
    expect(times).toEqual([{ text: 'a', startMs: 1100, endMs: 1100 - 300 + 12.5 * 60 }, { text: 'b', startMs: 1100 - 300 + 20.5 * 60, endMs: 1100 - 300 + 30.5 * 60 }]);
  });
});
