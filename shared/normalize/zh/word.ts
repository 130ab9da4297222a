/** Latin words inside Chinese: Roman numerals behind 第 or before 期, `No.5`, `vs`, a multiplying x, Greek letters. */
import type { Rule } from '../contract.ts';
import { TO, zhPattern } from './amount.ts';
import { zhCardinal } from './numbers.ts';

const ROMAN = String.raw`(?<r>M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?![A-Za-z'’])`;
const ROMAN_VALUES: Record<string, number> = { I: 1, V: 5, X: 10, L: 50, C: 100, D: 500, M: 1000 };
const ROMAN_AFTER = /^\s?(?:[期型级級类類章卷部世度代区區阶册篇节節幕号號组組届集编編]|阶段|号线|世纪|战队)/;
const RULERS = /(?:路易|亨利|查理|理查|爱德华|乔治|伊丽莎白|腓力|菲利普|威廉|彼得|凯瑟琳|叶卡捷琳娜|亚历山大|尼古拉|拿破仑|拉美西斯|约翰|保罗|庇护|本笃|詹姆斯|卡尔|古斯塔夫|弗里德里希|托勒密|二战|一战|最终幻想|文明|暗黑破坏神|生化危机|星际争霸|侠盗猎车手|大革命)\s?$/;
const GREEK: Record<string, string> = {
  α: '阿尔法', β: '贝塔', γ: '伽马', δ: '德尔塔', ε: '艾普西隆', ζ: '泽塔', η: '伊塔', θ: '西塔', ι: '约塔', κ: '卡帕', λ: '兰姆达', μ: '缪', ν: '纽', ξ: '克西', ο: '奥密克戎', π: '派', ρ: '柔', σ: '西格玛', ς: '西格玛', τ: '陶', υ: '宇普西隆', φ: '斐', χ: '希', ψ: '普西', ω: '欧米伽',
};

/** Rules that start at a run of letters, in order. */
export const wordRules: readonly Rule[] = [
  zhPattern({
    class: 'ordinal',
    rule: 'word/number',
    first: 'nN',
    match: new RegExp(String.raw`(?<![A-Za-z])n[oº]\.?\s?(?<n>\d{1,12})(?!\.\d)(?<u>\s?[号名位])?`, 'iy'),
    read: ({ n = '', u }) => (u === undefined || u.trim() !== '号' ? `第${zhCardinal(n, true)}${u ?? ''}` : `${zhCardinal(n, true)}号`),
  }),
  zhPattern({
    class: 'roman',
    rule: 'word/roman',
    first: 'MDCLXVI',
    match: new RegExp(`(?<![A-Za-z])${ROMAN}(?:${TO}${ROMAN.replace('<r>', '<t>')})?`, 'y'),
    read: ({ r = '', t }, place) => {
      const before = place.before(6);
      const ordinal = /第\s?$/.test(before) || RULERS.test(before);
      const letters = !/^(?:I|X{0,2}(?:IX|IV|V|V?I{1,3}))$/.test(r) || (r === 'V' && !/^\s?(?:期|号线|级)/.test(place.after(3)));
      if (!ordinal && (letters || !ROMAN_AFTER.test(place.after(3)))) return undefined;
      return (t === undefined ? '' : `${roman(r)}到`) + roman(t ?? r) + (RULERS.test(before) && /亨利|查理|理查|爱德华|乔治|威廉|彼得|詹姆斯|伊丽莎白|腓力|菲利普|凯瑟琳|叶卡捷琳娜|亚历山大|尼古拉|弗里德里希/.test(before) && !place.after(2).startsWith('世') ? '世' : '');
    },
  }),
  zhPattern({
    class: 'math',
    rule: 'word/times',
    first: 'xX',
    match: /[xX](?=\s?\d)/y,
    read: (_, place) => (/(?:^|[^\d.])(?!0[xX])\d[\d.]{0,12}\s?(?:[a-z]{1,2})?\s?$/.test(place.before(16)) && !/(?<!\d)0$/.test(place.before(2)) ? '乘' : undefined),
  }),
  zhPattern({
    class: 'abbreviation',
    rule: 'word/versus',
    first: 'vV',
    match: /vs\.?(?![A-Za-z])/iy,
    read: (_, place) => (/\p{Script=Han}\s?$/u.test(place.before(2)) && /^\s?\p{Script=Han}/u.test(place.after(2)) ? '对' : undefined),
  }),
  zhPattern({ class: 'word', rule: 'word/greek', match: /(?<g>[α-ωΑ-Ω])(?![\p{Script=Greek}\p{Script=Latin}\p{M}])/uy, read: ({ g = '' }) => GREEK[g.toLowerCase()] }),
];

/** Value of a Roman numeral in words. */
export function roman(written: string): string | undefined {
  let value = 0;
  let last = 0;
  for (const letter of [...written].toReversed()) {
    const worth = ROMAN_VALUES[letter] ?? 0;
    value += worth < last ? -worth : worth;
    last = Math.max(last, worth);
  }
  return value === 0 ? undefined : zhCardinal(String(value), true);
}
