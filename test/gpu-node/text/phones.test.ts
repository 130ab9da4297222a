import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openDictionary } from '../../../gpu-node/text/dictionary.ts';
import { openTextFrontEnd } from '../../../gpu-node/text/index.ts';

import { openLetterToSound } from '../../../gpu-node/text/letter-to-sound.ts';
import { processorMs } from '../../processor-time.ts';

const tokenizerDirectory = join(import.meta.dirname, '../../../gpu-node/models/nano/CosyVoice-BlankEN');
const frontEnd = await openTextFrontEnd({ tokenizerDirectory, config: { textFrontEnd: 'phones' } as Parameters<typeof openTextFrontEnd>[0]['config'] });
const PLAIN = /^(?:\[(?:[A-Z]{1,2}[0-2]?|[a-z]{1,4}[1-5]?)\]|[ ,.?!])*$/;

function said(text: string, language?: string): string {
  return frontEnd.tokenizer.decode(frontEnd.ids(text, language));
}

function answers(name: string): string[][] {
  return JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8')) as string[][];
}

test('300 sentences become the phones that the training front end gave them', () => {
  const rows = answers('frontend-answers.json');
  expect(rows.length).toBe(300);
  for (const [language = '', text = '', phones] of rows) expect(said(text, language), text).toBe(phones);
});

test('dictionary look-ups find first, last, inner and no entries', () => {
  const dictionary = openDictionary();
  const found = (word: string): string | undefined => dictionary(word)?.join(' ');
  expect([found("'bout"), found('a'), found('hello'), found('zywicki'), found('read')]).toEqual(['B AW1 T', 'AH0', 'HH AH0 L OW1', 'Z IH0 W IH1 K IY0', 'R EH1 D']);
  for (const word of ['', 'zzzz', 'a(2)x', '!', 'ÿ', 'hell o', '"']) expect(dictionary(word)).toBeUndefined();
});

test('the dictionary and the network open in well under 150 ms', async () => {
  const open = () => [openDictionary()('hello'), openLetterToSound()('hello')];
  expect(await processorMs(open)).toBeLessThan(150);
});

test('unknown words sound as the trained network says, right for six held-out words in ten', () => {
  const letterToSound = openLetterToSound();
  const rows = answers('letter-to-sound-answers.json');
  const same = rows.filter(([word = '', , network]) => letterToSound(word).join(' ') === network).length;
  const right = rows.filter(([word = '', dictionary]) => letterToSound(word).join(' ') === dictionary).length;
  // the last bit of a sum may choose between two equal phones
  expect(same).toBeGreaterThanOrEqual(rows.length - 2);
  expect(right / rows.length).toBeGreaterThan(0.58);
});

test.each([
  ["The kubernete's pods", '[DH][AH0] ', "possessive of an unknown word"],
  ['PDF and XQZT.', '[P][IY2][D][IY2][EH1][F] [AH0][N][D] [EH1][K][S][K][Y][UW1][Z][IY1][T][IY1].', 'capitals without a vowel are spelled'],
  ['to U.S. troops', '[T][AH0] [Y][UW1][EH1][S] [T][R][UW1][P][S]', 'initials are spelled without a pause'],
  ['the apple, the', '[DH][IY0] [AE1][P][AH0][L],[DH][AH0]', 'the before a vowel, and before the end'],
  ['Café naïve', '[K][AH0][F][EY1] [N][AY2][IY1][V]', 'accents are folded'],
  ['HELLO WORLD, IT IS US', '[HH][AH0][L][OW1] [W][ER1][L][D],[IH0][T] [IH0][Z] [AH1][S]', 'a text in capitals is not an abbreviation'],
  ['... wait?! (yes) "no"', '[W][EY1][T]?[Y][EH1][S] [N][OW1]', 'marks: the first of several, none at the start'],
  ['[HH][AH0][L][OW1] you [B][AA1][B]', '[HH][AH0][L][OW1] [Y][UW0] [B][AA1][B]', 'pronunciations in brackets win'],
  ['[n][i3]好', '[n][i3][h][ao3]', 'also in Mandarin'],
  ['[laughter] ha <strong>ok</strong> [unknown]', '[HH][AA1] [OW1][K][EY1] [AH0][N][N][OW1][N]', 'tags are silent, other brackets are read'],
  ['我用 iPhone。', '[w][o3][y][ong4] [AY1][F][OW2][N].', 'mixed text'],
  ['你好\n世界', '[n][i3][h][ao3].[sh][ih4][j][ie4]', 'a line break is an end'],
  ['女儿去绿色的路，jqx', '[n][v3][er2][q][v4][l][v4][s][e4][d][e5][l][u4],[JH][EY1][K][Y][UW1][EH1][K][S]', 'ü where it is'],
  ['3.14 and 1,234', '[TH][R][IY1] [P][OY1][N][T] [W][AH1][N] [F][AO1][R] [AH0][N][D] [W][AH1][N] ', 'digits that arrive are words'],
  ['花了12.5元', '[h][ua1][l][e5][sh][ih2][er4][d][ian3][w][u3][y][van2]', 'in the language of the text'],
  ['＃１２ Ｏｋ', '[T][W][EH1][L][V] [OW1][K][EY1]', 'full-width forms'],
])('%s', (text, phones) => {
  expect(said(text)).toContain(phones);
});

test.each([['안녕하세요', undefined], ['こんにちは', undefined], ['привет', undefined], ['hello', 'ja'], ['你好', 'ko-KR']])('%s (%s) is refused with what to do', (text, language) => {
  expect(() => frontEnd.segments(text, language)).toThrow(/speaks English and Mandarin only: write the text in one of them, or choose/);
});

test('nothing but phones, blanks and marks comes out of any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.oneof(fc.constantFrom(...'aB\'’.,?![]<>|1２3 \n好女的，。—…$%&@#é'), fc.string({ unit: 'binary', maxLength: 1 })), maxLength: 60 }), (text) => {
      try {
        const phones = said(text);
        expect(phones).toMatch(PLAIN);
        expect(phones).not.toMatch(/^[ ,.?!]|[,.?!]{2}| [,.?! ]/);
      } catch (error) {
        expect(error).toMatchObject({ code: 'unsupported_language' });
      }
    }),
    { numRuns: 500, seed: 7 },
  );
});

test('sentences end with a mark, are short enough to be held, and lose no phone', () => {
  const text = `${'This is a sentence of the usual length. '.repeat(5)}${'word '.repeat(150)}${'好'.repeat(200)} Yes. Ok`;
  const segments = frontEnd.segments(text);
  for (const { text: piece, ids } of segments) {
    expect(piece).toMatch(/[,.?!]$/);
    expect(ids.length).toBeLessThanOrEqual(132);
    expect(ids).toEqual(frontEnd.tokenizer.encode(piece));
  }
  const phones = (value: string): string => value.replace(/[ ,.?!]/g, '');
  expect(phones(segments.map((segment) => segment.text).join(''))).toBe(phones(said(text)));
});

test.each(['', ' ', '。', '!?', '😀', '<|endofprompt|>', '\ud800'])('%j has nothing to speak', (text) => {
  expect(frontEnd.segments(text)).toEqual([]);
});

test.each(['auto', 'en-GB', 'zh-CN', 'und', ''])('the tag %j is no other language', (language) => {
  expect(said('Ok, 好', language)).toBe('[OW1][K][EY1],[h][ao3]');
});

test.each([
  ['Speak slowly.', 0.8], ['very slowly, please', 0.65], ['a bit faster', 1.12], ['Say it extremely fast!', 1.5], ['not so fast', 0.9], ['Don’t speak too slowly', 1.12],
  ['慢一点', 0.9], ['请用非常快的语速说这句话', 1.5], ['用英语慢慢地说', 0.8], ['at a normal pace', 1], ['用普通话说这句话', 1], ['In English, quickly', 1.25],
])('the instruction %j is spoken at %f times the speed', (instruction, speed) => {
  expect(frontEnd.instruct(instruction)).toEqual({ ids: [], speed });
});

test.each(['Sadly.', 'slowly and sadly', '用四川话说', 'with a slow, deep voice', '开心一点', 'slowly, then fast', '...', 'slowness'])('the instruction %j is refused with what can be followed', (instruction) => {
  expect(() => frontEnd.instruct(instruction)).toThrow('speed and language only');
});

test.each(['好', '好，', 'a', 'abc ', '1', '1 ', '[', '[a]', 'a.', "'", '1,', '，', '\n', 'é'])('100,000 characters of %j are read in seconds', async (unit) => {
  expect(await processorMs(() => frontEnd.segments(unit.repeat(100_000 / unit.length)))).toBeLessThan(8000);
});

