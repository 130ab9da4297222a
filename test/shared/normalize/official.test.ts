import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cleanChinese, containsChinese, isOnlyPunctuation, nameCornerMarks, officialNormalize, officialSegments, officialSplit, removeBlanks, removeBrackets, spellDigits } from '../../../shared/normalize/official.ts';

type Recorded = { fn: string; args: (string | number | boolean)[]; ok?: unknown; error?: string; name?: string };

const cases = readFileSync(new URL('../../golden/text/official-frontend-cases.jsonl', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Recorded);

/** One token per word: the recorded English answers were made with this count. */
const countTokens = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;

function answer({ fn, args }: Recorded): unknown {
  const [text = '', maxLength, minLength, mergeLength, commaSplit] = args as [string, number?, number?, number?, boolean?];
  const sizes = { ...(maxLength === undefined ? {} : { maxLength, minLength: minLength ?? 0, mergeLength: mergeLength ?? 0 }), commaSplit: commaSplit === true };
  if (fn === 'contains_chinese') return containsChinese(text);
  if (fn === 'replace_blank') return removeBlanks(text);
  if (fn === 'replace_corner_mark') return nameCornerMarks(text);
  if (fn === 'remove_bracket') return removeBrackets(text);
  if (fn === 'is_only_punctuation') return isOnlyPunctuation(text);
  if (fn === 'zh_post') return cleanChinese(text);
  if (fn === 'zh_split') return officialSplit(cleanChinese(text), { language: 'zh', countTokens });
  return officialSplit(text, { language: fn.includes('en') ? 'en' : 'zh', countTokens, ...sizes });
}

/** The recorded split answers come without pieces that are punctuation only. */
function recorded(one: Recorded): unknown {
  const got = answer(one);
  return one.fn.endsWith('_split') && Array.isArray(got) ? got.filter((piece: string) => !isOnlyPunctuation(piece)) : got;
}

describe('the official front end answers as recorded', () => {
  test.each(cases.map((one, at) => [`${at} ${one.fn} ${one.name ?? String(one.args[0]).slice(0, 24)}`, one] as const))('%s', (_, one) => {
    if (one.error === undefined) expect(recorded(one)).toEqual(one.ok);
    else expect(() => recorded(one)).toThrow(RangeError);
  });
});

test('a text with both token brackets is returned whole and untouched', () => {
  const options = { countTokens, readNumbers: (text: string) => text };
  expect(officialSegments(' a<|b|> 1.', options)).toEqual([' a<|b|> 1.']);
  expect(officialNormalize('', options)).toBe('');
});

test('digits are spelled in place with commas between thousands', () => {
  expect(spellDigits('1234 and 100,5')).toBe('one thousand, two hundred and thirty-four and one hundred,five');
});
