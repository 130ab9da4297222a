/**
 * Written amounts (`-1,234.50`, `3.5亿`, `10-20`) in Mandarin words, and what a minus before a number means.
 * The other rule files read their numbers through here.
 */
import { AMOUNT, type Pattern, patterns } from '../pattern.ts';
import type { Rule, Scope } from '../contract.ts';
import { zhCardinal, zhCount, zhDecimal, zhDigits } from './numbers.ts';

/** `count`: 2 is 两 (两个). `plain`: 2 is 二 everywhere (第二, 二月). `amount`: 2 is 二 alone, 两 before 千 万 亿. */
export type Style = 'amount' | 'count' | 'plain';

/** A number as written: sign, grouping and decimals. */
export const NUMBER = String.raw`[-+±]?(?:${AMOUNT})`;
/** Between the two ends of a range. */
export const TO = String.raw`\s?(?:[-~]{1,2}|至|到)\s?`;
/** What may multiply a number before its unit. */
export const SCALE = String.raw`(?:[十百千]?[万萬亿億兆]亿?|[百千](?=[元块万萬亿億美欧日港]))`;

const SIGNS: Record<string, string> = { '-': '负', '+': '正', '±': '正负' };

/** `-1,234.5` → 负一千二百三十四点五. */
export function zhAmount(written: string, style: Style = 'amount'): string {
  const sign = SIGNS[written[0] ?? ''] ?? '';
  const [integer = '', decimals] = written.replaceAll(/[-+±,']/g, '').split('.');
  if (decimals !== undefined) return sign + zhDecimal(integer, decimals);
  if (style === 'count') return sign + zhCount(integer);
  return sign + zhCardinal(integer, style === 'plain' || sign !== '');
}

/** Both ends of a range, or the one number: `10`, `20` → 十到二十. */
export function zhRange(first: string, second: string | undefined, style: Style = 'amount'): string {
  return second === undefined ? zhAmount(first, style) : `${zhAmount(first, style)}到${zhAmount(second, style)}`;
}

/** A number read as it stands, or digit by digit when it is written like a code (leading zero). */
export function zhPlainNumber(written: string): string {
  return /^0\d/.test(written) && !written.includes('.') ? zhDigits(written) : zhAmount(written);
}

/** Words that end the left side of a range: `5月1日-7日`, `100元-200元`, `5℃-8℃`. */
const LEFT_OF_RANGE = /[年月日号號时時点點分秒周週天岁歲元块塊角万萬亿億千百十米克斤吨升里度%℃℉°层層楼樓页頁章节節集期届室级級名位人个個次条條美港]$/;
/** Names of series whose number follows a hyphen: `歼-20`, `神舟-15`. */
const SERIES = /(?:[歼轰运直苏图]|神舟|嫦娥|天宫|天舟|长征|东风|巨浪|北斗|风云|朱雀|红旗|米格|波音|空客|阿波罗|联盟|新冠|战斧|飞毛腿)$/;

/** What the minus at `at` means when it is no sign: 到 in a range, '' in a name (歼-20). */
export function joinOf(scope: Scope, at: number): string | undefined {
  if (scope.folded[at] !== '-') return undefined;
  const before = scope.folded.slice(Math.max(0, at - 4), at);
  if (SERIES.test(before)) return '';
  if (!LEFT_OF_RANGE.test(before)) return undefined;
  return /\d\s?[^\d\s]{1,4}$/.test(scope.folded.slice(Math.max(0, at - 6), at)) ? '到' : undefined;
}

const make = patterns(joinOf);

/** A rule of this language from its pattern. */
export function zhPattern(pattern: Pattern): Rule {
  return make(pattern);
}
