/**
 * Written amounts (`-1,234.50`, `3.5億`, `10〜20`) in Japanese words, and what a minus before a number means.
 * The other rule files read their numbers through here.
 */
import type { Rule, Scope } from '../contract.ts';
import { AMOUNT, type Pattern, patterns } from '../pattern.ts';
import { jaCardinal, jaDecimal, jaDigits } from './numbers.ts';

/** A number as written: sign, grouping and decimals. */
export const NUMBER = String.raw`[-+±]?(?:${AMOUNT})`;
/** Between the two ends of a range. */
export const TO = String.raw`\s?(?:[-~]{1,2}|から)\s?`;
/** What may multiply a number before its unit. */
export const SCALE = String.raw`(?:[十百千]?[万億兆京]|[百千](?=[円ドユポ]))`;

const SIGNS: Record<string, string> = { '-': 'マイナス', '+': 'プラス', '±': 'プラスマイナス' };

/** `-1,234.5` → マイナス千二百三十四点五. */
export function jaAmount(written: string): string {
  const sign = SIGNS[written[0] ?? ''] ?? '';
  const [integer = '', decimals] = written.replaceAll(/[-+±,']/g, '').split('.');
  return sign + (decimals === undefined ? jaCardinal(integer) : jaDecimal(integer, decimals));
}

/** Both ends of a range, or the one number: `10`, `20` → 十から二十. */
export function jaRange(first: string, second: string | undefined): string {
  return second === undefined ? jaAmount(first) : `${jaAmount(first)}から${jaAmount(second)}`;
}

/** A number read as it stands, or digit by digit when it is written like a code (leading zero). */
export function jaPlainNumber(written: string): string {
  return /^0\d/.test(written) && !written.includes('.') ? jaDigits(written) : jaAmount(written);
}

/** What stands between the left number of a range and its minus: a unit (`5月1日-7日`, `100円-200円`, `5℃-8℃`). */
const UNIT_BEFORE = /\d\s?(?:[年月日時分秒円人個回本枚台件歳才階号番度割点倍万億兆%℃頁章節話巻世期位等級歩通曲]|[ァ-ヶー]{2,6}|[a-z]{1,3})$/u;

/** から when the minus at `at` joins two ends of a range; undefined when it is a sign. */
export function joinOf(scope: Scope, at: number): string | undefined {
  if (scope.folded[at] !== '-') return undefined;
  return UNIT_BEFORE.test(scope.folded.slice(Math.max(0, at - 9), at)) ? 'から' : undefined;
}

const make = patterns(joinOf);

/** A rule of this language from its pattern. */
export function jaPattern(pattern: Pattern): Rule {
  return make(pattern);
}
