/** Latin words inside Korean: Roman numerals beside 제, 세, 형; `No.5`; a multiplying x; Greek letters. */
import type { Rule } from '../contract.ts';
import { koPattern } from './amount.ts';
import { koSino } from './numbers.ts';

const ROMAN = String.raw`(?<r>M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?![A-Za-z'’])`;
const ROMAN_VALUES: Record<string, number> = { I: 1, V: 5, X: 10, L: 50, C: 100, D: 500, M: 1000 };
const ROMAN_AFTER = /^\s?(?:세(?!대)|형|기|장|부|급|권|편|차|단계|호|군|상)/;
const GREEK: Record<string, string> = {
  α: '알파', β: '베타', γ: '감마', δ: '델타', ε: '엡실론', ζ: '제타', η: '에타', θ: '세타', ι: '요타', κ: '카파', λ: '람다', μ: '뮤', ν: '뉴', ξ: '크사이', ο: '오미크론', π: '파이', ρ: '로', σ: '시그마', ς: '시그마', τ: '타우', υ: '입실론', φ: '파이', χ: '카이', ψ: '프사이', ω: '오메가',
};

/** Rules that start at a run of letters, in order. */
export const wordRules: readonly Rule[] = [
  koPattern({ class: 'ordinal', rule: 'word/number', first: 'nN', match: /(?<![A-Za-z])n[oº]\.?\s?(?<n>\d{1,12})(?!\.\d)/iy, read: ({ n = '' }) => `넘버 ${n === '1' ? '원' : koSino(n)}` }),
  koPattern({
    class: 'roman',
    rule: 'word/roman',
    first: 'MDCLXVI',
    match: new RegExp(`(?<![A-Za-z])${ROMAN}`, 'y'),
    read: ({ r = '' }, place) => {
      const ordinal = /제\s?$/.test(place.before(2));
      const letters = !/^X{0,2}(?:IX|IV|V?I{1,3})$/.test(r) && !/^\s?세/.test(place.after(2));
      return ordinal || (!letters && ROMAN_AFTER.test(place.after(3))) ? roman(r) : undefined;
    },
  }),
  koPattern({
    class: 'math',
    rule: 'word/times',
    first: 'xX',
    match: /[xX](?=\s?\d)/y,
    read: (_, place) => (/\d[\d.]{0,12}\s?$/.test(place.before(14)) && !/(?<!\d)0$/.test(place.before(2)) ? '곱하기' : undefined),
  }),
  koPattern({
    class: 'abbreviation',
    rule: 'word/versus',
    first: 'vV',
    match: /vs\.?(?![A-Za-z])/iy,
    read: (_, place) => (/[\p{Script=Hangul}]\s?$/u.test(place.before(2)) && /^\s?\p{Script=Hangul}/u.test(place.after(2)) ? '대' : undefined),
  }),
  koPattern({ class: 'word', rule: 'word/greek', match: /(?<g>[α-ωΑ-Ω])(?![\p{Script=Greek}\p{Script=Latin}\p{M}])/uy, read: ({ g = '' }) => GREEK[g.toLowerCase()] }),
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
  return value === 0 ? undefined : koSino(String(value));
}
