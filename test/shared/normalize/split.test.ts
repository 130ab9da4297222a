import fc from 'fast-check';
import { expect, test } from 'vitest';
import { INLINE_MARKS } from '../../../shared/normalize/control.ts';
import { splitForStreaming } from '../../../shared/normalize/split.ts';
import { anyText } from './arbitrary.ts';

const texts = (text: string, options = {}): string[] => splitForStreaming(text, options).map((piece) => piece.text);

test('pieces are the text, in order, none empty', () => {
  fc.assert(
    fc.property(fc.array(anyText, { maxLength: 12 }).map((all) => all.join(' ')), (text) => {
      const pieces = splitForStreaming(text);
      expect(pieces.map((piece) => piece.text).join('')).toBe(text);
      for (const { text: piece, start } of pieces) expect(text.startsWith(piece, start) && piece !== '').toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('the first piece is short, the rest are sentences joined to a good length', () => {
  const pieces = texts('Hello there, my dear old friend. It was raining on the day we met, and the streets were empty. Nobody came. The end of it all was near, or so we thought at the time.');
  expect(pieces[0]).toBe('Hello there, my dear old friend. ');
  expect(pieces.length).toBeLessThanOrEqual(4);
});

test('Chinese is cut at its own marks, closing quotes stay with their sentence', () => {
  expect(texts('他说：“走吧！”我们就走了。后来雨停了，天也亮了，街上的人慢慢多了起来，卖早点的摊子冒着热气。', { targetWeight: 20 })).toEqual(['他说：“走吧！”我们就走了。', '后来雨停了，天也亮了，街上的人慢慢多了起来，卖早点的摊子冒着热气。']);
  expect(texts('她轻轻地又说了一遍：“我们走吧！”他没有动。', { firstWeight: 12 })[0]).toBe('她轻轻地又说了一遍：“我们走吧！”');
});

test('abbreviations, numbers and control marks are never cut', () => {
  for (const piece of texts('Mr. J. Smith paid 3.14 dollars, i.e. too much, to Dr. Brown. He left. '.repeat(6), { firstWeight: 4, targetWeight: 8 })) {
    expect(piece).not.toMatch(/(?:Mr|Dr| J|i\.e)\.\s*$|\d\.$/);
  }
  const marked = texts(`${'la '.repeat(30)}[quick_breath]${'la '.repeat(30)}<strong>${'la '.repeat(30)}</strong>`, { firstWeight: 4, targetWeight: 10, maxWeight: 12 });
  for (const piece of marked) expect(INLINE_MARKS.some((mark) => piece.includes(mark)) || !/[[<>\]]/.test(piece)).toBe(true);
});

test('an unpunctuated text is cut between words, and never grows beyond the limit', () => {
  const pieces = texts('word '.repeat(2000));
  expect(pieces.length).toBeGreaterThan(10);
  for (const piece of pieces) expect(piece.length).toBeLessThan(400);
  expect(Math.max(...texts('字'.repeat(5000)).map((piece) => piece.length))).toBeLessThanOrEqual(80);
});
