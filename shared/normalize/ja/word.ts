/** Latin words inside Japanese: Roman numerals beside 第, 世, 型; `No.5`; a multiplying x; Greek letters. */
import type { Rule } from '../contract.ts';
import { jaPattern } from './amount.ts';
import { jaCardinal } from './numbers.ts';

const ROMAN = String.raw`(?<r>M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?![A-Za-z'’])`;
const ROMAN_VALUES: Record<string, number> = { I: 1, V: 5, X: 10, L: 50, C: 100, D: 500, M: 1000 };
const ROMAN_AFTER = /^\s?(?:世|型|期|章|部|級|巻|編|類|群|度|号|次|相|節)/;
const GREEK: Record<string, string> = {
  α: 'アルファ', β: 'ベータ', γ: 'ガンマ', δ: 'デルタ', ε: 'イプシロン', ζ: 'ゼータ', η: 'イータ', θ: 'シータ', ι: 'イオタ', κ: 'カッパ', λ: 'ラムダ', μ: 'ミュー', ν: 'ニュー', ξ: 'クサイ', ο: 'オミクロン', π: 'パイ', ρ: 'ロー', σ: 'シグマ', ς: 'シグマ', τ: 'タウ', υ: 'ウプシロン', φ: 'ファイ', χ: 'カイ', ψ: 'プサイ', ω: 'オメガ',
};

/** Rules that start at a run of letters, in order. */
export const wordRules: readonly Rule[] = [
  jaPattern({
    class: 'ordinal',
    rule: 'word/number',
    first: 'nN',
    match: /(?<![A-Za-z])n[oº]\.?\s?(?<n>\d{1,12})(?!\.\d)/iy,
    read: ({ n = '' }) => (n === '1' ? { reading: 'ナンバーワン', alternatives: ['第一'] } : { reading: `ナンバー${jaCardinal(n)}`, alternatives: [`第${jaCardinal(n)}`] }),
  }),
  jaPattern({
    class: 'roman',
    rule: 'word/roman',
    first: 'MDCLXVI',
    match: new RegExp(`(?<![A-Za-z])${ROMAN}`, 'y'),
    read: ({ r = '' }, place) => {
      const ordinal = /第\s?$/.test(place.before(2));
      const letters = !/^X{0,2}(?:IX|IV|V?I{1,3})$/.test(r) && !/^\s?世/.test(place.after(2));
      const title = r.length > 1 && /[ァ-ヶー]$/.test(place.before(1));
      return ordinal || (!letters && title) || (!letters && ROMAN_AFTER.test(place.after(3))) ? roman(r) : undefined;
    },
  }),
  jaPattern({
    class: 'math',
    rule: 'word/times',
    first: 'xX',
    match: /[xX](?=\s?\d)/y,
    read: (_, place) => (/\d[\d.]{0,12}\s?$/.test(place.before(14)) && !/(?<!\d)0$/.test(place.before(2)) ? 'かける' : undefined),
  }),
  jaPattern({ class: 'word', rule: 'word/greek', match: /(?<g>[α-ωΑ-Ω])(?![\p{Script=Greek}\p{Script=Latin}\p{M}])/uy, read: ({ g = '' }) => GREEK[g.toLowerCase()] }),
];

/** Value of a Roman numeral in words. */
function roman(written: string): string | undefined {
  let value = 0;
  let last = 0;
  for (const letter of [...written].toReversed()) {
    const worth = ROMAN_VALUES[letter] ?? 0;
    value += worth < last ? -worth : worth;
    last = Math.max(last, worth);
  }
  return value === 0 ? undefined : jaCardinal(String(value));
}
