import { expect, test } from 'vitest';
import { toLanguage } from '../../../shared/contract/language.ts';

test.each([['zh-CN', 'zh'], ['EN', 'en'], ['ja_JP', 'ja'], ['de', 'auto'], ['', 'auto'], [undefined, 'auto']])('the tag %j is %s', (tag, language) => {
  expect(toLanguage(tag)).toBe(language);
});

test.each([
  ['Speak English, softly.', 'en'], ['请用四川话说这句话', 'zh'], ['用粤语讲', 'zh'], ['in Mandarin', 'zh'], ['日本語で話して', 'ja'], ['한국어로 말해 주세요', 'ko'], ['用英文念', 'en'],
  ['Translate Chinese to English', 'auto'], ['Happily.', 'auto'], ['', 'auto'],
])('without a tag, the instruction %j asks for %s', (instruction, language) => {
  expect(toLanguage(undefined, instruction)).toBe(language);
  expect(toLanguage('ko', instruction)).toBe('ko');
  expect(toLanguage('auto', instruction)).toBe('auto');
});
