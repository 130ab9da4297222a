import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { compileLexicon, LANGUAGES, normalize, normalizeBatchLine, type Language } from '../../../shared/normalize/index.ts';
import { INLINE_MARKS } from '../../../shared/normalize/control.ts';
import { anyText, heldOut, rows } from './arbitrary.ts';
import { isUntouched, passes } from './canonical.ts';

vi.setConfig({ testTimeout: 60_000 });

const RUNS = { numRuns: 250 };
const anyLanguage = fc.constantFrom(...LANGUAGES);

describe('properties that hold for every text in every language', () => {
  test('no digit is left and nothing throws', () => {
    fc.assert(fc.property(anyText, anyLanguage, (text, language) => !/\p{Nd}/u.test(normalize(text, { language }).text)), RUNS);
  });

  test('a second pass changes nothing', () => {
    fc.assert(
      fc.property(anyText, anyLanguage, (text, language) => {
        const once = normalize(text, { language }).text;
        expect(normalize(once, { language }).text).toBe(once);
      }),
      RUNS,
    );
  });

  test('trace ranges ascend, name their source and point at their reading', () => {
    fc.assert(
      fc.property(anyText, anyLanguage, (text, language) => {
        const { text: spoken, spans } = normalize(text, { language });
        let end = 0;
        for (const span of spans) {
          expect(span.start).toBeGreaterThanOrEqual(end);
          expect(text.slice(span.start, span.end)).toBe(span.source);
          expect(spoken.slice(span.spokenStart, span.spokenEnd)).toBe(span.reading);
          end = span.end;
        }
      }),
      RUNS,
    );
  });

  test('no control token leaves, and masked inline marks are gone', () => {
    const hostile = fc.array(fc.oneof(anyText, fc.constantFrom(...INLINE_MARKS, '<|endofprompt|>', '<|', '|>', '<', '|', '>', '[', ']', 'endofprompt', '\u200b')), { maxLength: 8 }).map((all) => all.join(''));
    fc.assert(
      fc.property(hostile, anyLanguage, (text, language) => {
        expect(normalize(text, { language }).text).not.toMatch(/<\||\|>/);
        const masked = normalize(text, { language, controlTokens: 'mask' }).text;
        for (const mark of INLINE_MARKS) expect(masked).not.toContain(mark);
      }),
      RUNS,
    );
  });

  test('a batch line keeps its columns and stays one line', () => {
    fc.assert(
      fc.property(anyText, anyLanguage, (text, language) => {
        const line = `${language}\t${text.replaceAll(/[\r\n]/g, ' ')}`;
        const answer = normalizeBatchLine(line);
        expect(answer.startsWith(`${line}\t`)).toBe(true);
        expect(answer.slice(line.length + 1)).not.toMatch(/[\t\r\n]/);
      }),
      RUNS,
    );
  });
});

describe('the example table', () => {
  test.each(LANGUAGES)('%s reaches its pass rate, and text to leave alone comes back as it was', (language: Language) => {
    const own = rows.filter((row) => row.language === language);
    const kept = own.filter(isUntouched);
    const read = own.filter((row) => !isUntouched(row));
    expect(kept.filter((row) => normalize(row.input, { language }).text !== row.input)).toEqual([]);
    const right = read.filter((row) => passes(row, normalize(row.input, { language }).text)).length;
    expect(right / read.length).toBeGreaterThanOrEqual(0.97);
  });
});

describe('held-out English', () => {
  test.each(heldOut.map((row) => [row.category, row.input, row] as const))('%s: %s', (_, input, row) => {
    const spoken = normalize(input, { language: 'en' }).text;
    if (isUntouched(row)) expect(spoken).toBe(input);
    else expect(passes(row, spoken), spoken).toBe(true);
  });
});

/** Processor time, ms. */
function timed(text: string, language: Language): number {
  const start = process.cpuUsage().user;
  normalize(text, { language });
  return (process.cpuUsage().user - start) / 1000;
}

describe('time is linear', () => {
  const PATTERNS = ['1', 'a', '1-', '1.', 'a.', '@', 'a@', '/', '😀', '１', '-', '(', '1 ', 'a1', '1:', '1,', '$', '<', '<|', '|', '1°', "1'", 'I', 'May 1 ', 'Dr. ', '中1', '1年', '1개', 'の1', '\u0300', '\u200b', '\ud800', '1^', '½', '://', 'www.', '&'];

  /** Ten times the text may take no more than about ten times as long; the slack is for a busy machine. */
  test.each(LANGUAGES)('%s: ten times the text costs about ten times the time', (language) => {
    for (const pattern of PATTERNS) {
      const short = timed(pattern.repeat(2_000 / pattern.length), language);
      const long = timed(pattern.repeat(20_000 / pattern.length), language);
      expect(long, JSON.stringify(pattern)).toBeLessThan(Math.max(short, 3) * 60);
    }
  }, 30_000);
});

describe('bad input gets an answer', () => {
  test.each([
    ['a number of ten thousand digits', '7'.repeat(10_000)],
    ['a division by zero', '1/0'],
    ['a day that does not exist', '31 February 2024, 2024-02-31'],
    ['a time that does not exist', '25:61'],
    ['an unknown currency', '¤5 XYZ 5 ₿5'],
    ['a heap of combining marks', `a${'\u0301'.repeat(5000)}1`],
    ['bidi controls', '\u202e123\u202c'],
    ['a zero-width joiner inside a number', '1\u200d2\u200b3'],
  ])('%s', (_, text) => {
    for (const language of LANGUAGES) expect(normalize(text, { language }).text).not.toMatch(/\p{Nd}/u);
  });
});

describe('lexicon', () => {
  test('fifty thousand entries match leftmost longest, whole words only, and are protected from the rules', () => {
    const many = Array.from({ length: 49_996 }, (_, at) => ({ text: `word${at}x`, reading: `said ${at}` }));
    const lexicon = compileLexicon([...many, { text: '行长', pronunciation: 'háng zhǎng', language: 'zh' }, { text: '5G', reading: 'five gee' }, { text: 'cat', reading: 'feline' }, { text: 'cat food', reading: 'kibble' }]);
    const spoken = (text: string): string => normalize(text, { language: 'en', lexicon }).text;
    expect(spoken('A CAT, concatenate, cat food, 5G, 5 G')).toBe('A feline, concatenate, kibble, five gee, five G');
    expect(normalize('他是行长。', { language: 'zh', lexicon }).spans[0]).toMatchObject({ start: 2, end: 4, class: 'pronunciation' });
  });

  test('an entry that cannot be said is refused', () => {
    expect(() => compileLexicon([{ text: 'a', pronunciation: 'XX1 QQ', alphabet: 'arpabet' }])).toThrow(expect.objectContaining({ code: 'invalid_value' }));
    expect(() => compileLexicon([{ text: 'a', reading: '<|endofprompt|>' }])).toThrow(expect.objectContaining({ code: 'invalid_value' }));
  });
});

describe('languages by span', () => {
  test.each([
    ['zh', '我买了3个apple和5本书', '我买了三个apple和五本书'],
    ['zh', '他说 I have 3 apples and 5 pears 然后走了2步', '他说 I have three apples and five pears 然后走了两步'],
    ['en', 'We met 张三 3 times', 'We met 张三 three times'],
    ['ja', '今日は3時にmeetingがある', '今日は三時にmeetingがある'],
    ['ko', '오늘 3시에 만나요', '오늘 세시에 만나요'],
  ] as const)('%s: %s', (language, text, spoken) => {
    expect(normalize(text, { language }).text.replaceAll(/(?<=세) (?=시)/g, '')).toBe(spoken);
  });
});
