import { describe, expect, it } from 'vitest';
import type { Hints, Language, SayAs } from '../../../shared/normalize/contract.ts';
import { normalize } from '../../../shared/normalize/index.ts';
import { ja } from '../../../shared/normalize/ja/index.ts';
import { ko } from '../../../shared/normalize/ko/index.ts';
import { zh } from '../../../shared/normalize/zh/index.ts';

const HINTED: readonly (readonly [Language, string, Hints, string])[] = [
  ['zh', '12/25', { slash: 'date' }, '十二月二十五日'],
  ['zh', '08/08', { slash: 'fraction' }, '八分之八'],
  ['zh', '3-5', { dash: 'score' }, '三比五'],
  ['zh', '12:30', { colon: 'ratio' }, '十二比三十'],
  ['zh', '2024', { integer: 'digits' }, '二零二四'],
  ['zh', '02/03/2024', { dateOrder: 'dmy' }, '二零二四年三月二日'],
  ['ja', '12/25', { slash: 'date' }, '十二月二十五日'],
  ['ja', '3-5', { dash: 'score' }, '三対五'],
  ['ja', '12:30', { colon: 'ratio' }, '十二対三十'],
  ['ko', '12/25', { slash: 'date' }, '십이월 이십오일'],
  ['ko', '3-5', { dash: 'score' }, '삼 대 오'],
  ['ko', '12:30', { colon: 'ratio' }, '십이 대 삼십'],
];

const SAID: readonly (readonly [Language, string, SayAs, string | undefined, string])[] = [
  ['zh', '110', 'cardinal', undefined, '一百一十'],
  ['zh', '110', 'telephone', undefined, '幺幺零'],
  ['zh', '12', 'ordinal', undefined, '第十二'],
  ['zh', '10/11/2024', 'date', 'dmy', '二零二四年十一月十日'],
  ['zh', '3:05', 'duration', undefined, '三分五秒'],
  ['zh', '12.5', 'currency', 'USD', '十二点五美元'],
  ['zh', '5kg', 'unit', undefined, '五公斤'],
  ['ja', '090-1234', 'telephone', undefined, 'ゼロ九ゼロの一二三四'],
  ['ja', '3', 'ordinal', undefined, '三番目'],
  ['ja', '500', 'currency', undefined, '五百円'],
  ['ko', '3', 'ordinal', undefined, '세 번째'],
  ['ko', '2024.6.1', 'date', undefined, '이천이십사년 유월 일일'],
  ['ko', '010-1234', 'telephone', undefined, '공일공 일이삼사'],
];

describe('hints', () => {
  it.each(HINTED)('%s %s with %o is %s', (language, text, hints, spoken) => {
    expect(normalize(text, { language, hints }).text).toBe(spoken);
  });
});

describe('say-as', () => {
  it.each(SAID)('%s %s as %s %s is %s', (language, text, as, format, spoken) => {
    const rules = { zh, ja, ko, en: zh }[language];
    expect(rules.sayAs(text, as, format)).toBe(spoken);
  });

  it('passes text that is not of the kind', () => {
    expect(zh.sayAs('你好', 'date', undefined)).toBeUndefined();
    expect(zh.sayAs('你好', 'cardinal', undefined)).toBeUndefined();
  });
});
