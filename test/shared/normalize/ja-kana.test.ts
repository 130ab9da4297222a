import { describe, expect, it } from 'vitest';
import { normalize } from '../../../shared/normalize/index.ts';
import { jaCounterKana, jaKana } from '../../../shared/normalize/ja/kana.ts';

const SOUNDS: readonly (readonly [string, string, string])[] = [
  ['1', '本', 'いっぽん'], ['3', '本', 'さんぼん'], ['6', '本', 'ろっぽん'], ['10', '本', 'じゅっぽん'], ['100', '本', 'ひゃっぽん'],
  ['3', '匹', 'さんびき'], ['8', '匹', 'はっぴき'], ['4', '分', 'よんぷん'], ['3', '分', 'さんぷん'], ['3', '階', 'さんがい'], ['3', '回', 'さんかい'],
  ['1', '人', 'ひとり'], ['4', '人', 'よにん'], ['14', '人', 'じゅうよにん'], ['20', '歳', 'はたち'], ['8', '歳', 'はっさい'], ['1', '日', 'ついたち'], ['20', '日', 'はつか'],
  ['14', '時', 'じゅうよじ'], ['9', '時', 'くじ'], ['4', '円', 'よえん'], ['9', 'つ', 'ここのつ'], ['1', '足', 'いっそく'], ['3', '足', 'さんぞく'], ['2', '個', 'にこ'],
];

describe('Japanese counters', () => {
  it.each(SOUNDS)('%s%s sounds %s', (digits, counter, kana) => {
    expect(jaCounterKana(digits, counter)).toBe(kana);
  });

  it('joins hundreds and thousands by sound', () => {
    expect(jaKana('3680')).toBe('さんぜんろっぴゃくはちじゅう');
  });

  it('gives the sound in the trace and keeps the kanji in the text', () => {
    const result = normalize('鉛筆を3本ください', { language: 'ja' });
    expect(result.text).toBe('鉛筆を三本ください');
    expect(result.spans[0]?.alternatives).toEqual(['さんぼん']);
  });
});
