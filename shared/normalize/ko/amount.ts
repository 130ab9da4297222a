/**
 * Written amounts (`-1,234.50`, `3.5억`, `10~20`) in Korean words, and what a minus before a number means.
 * The other rule files read their numbers through here.
 */
import type { Rule, Scope } from '../contract.ts';
import { AMOUNT, type Pattern, patterns } from '../pattern.ts';
import { koDecimal, koDigits, koSino } from './numbers.ts';

/** A number as written: sign, grouping and decimals. */
export const NUMBER = String.raw`[-+±]?(?:${AMOUNT})`;
/** Between the two ends of a range. */
export const TO = String.raw`\s?[-~]{1,2}\s?`;
/** What may multiply a number before its unit. */
export const SCALE = String.raw`(?:[십백천]?[만억조경]|[백천](?=[원달유엔만억조]))`;

const SIGNS: Record<string, string> = { '-': '마이너스 ', '+': '플러스 ', '±': '플러스마이너스 ' };

/** `-1,234.5` → 마이너스 천이백삼십사점오. */
export function koAmount(written: string): string {
  const sign = SIGNS[written[0] ?? ''] ?? '';
  const [integer = '', decimals] = written.replaceAll(/[-+±,']/g, '').split('.');
  return sign + (decimals === undefined ? koSino(integer) : koDecimal(integer, decimals));
}

/** Both ends of a range, or the one number: `10`, `20` → 십에서 이십. */
export function koRange(first: string, second: string | undefined, between = '에서'): string {
  return second === undefined ? koAmount(first) : `${koAmount(first)}${between} ${koAmount(second)}`;
}

/** A number read as it stands, or digit by digit when it is written like a code (leading zero). */
export function koPlainNumber(written: string): string {
  return /^0\d/.test(written) && !written.includes('.') ? koDigits(written) : koAmount(written);
}

/** A unit between the left number of a range and its minus. The first group is of time and takes 부터, the rest 에서. */
const TIME_BEFORE = /\d\s?(?:년|월|일|시|분|년대|세기|일\([월화수목금토일]\))$/;
const UNIT_BEFORE = /\d\s?(?:[원명개세살도층호번회장권대위등점배]|만원|억원|달러|퍼센트|미터|[%℃]|[a-z]{1,3})$/;

/** The word for a range when the minus at `at` joins its two ends; undefined when it is a sign. */
export function joinOf(scope: Scope, at: number): string | undefined {
  if (scope.folded[at] !== '-') return undefined;
  const before = scope.folded.slice(Math.max(0, at - 10), at);
  if (TIME_BEFORE.test(before)) return '부터 ';
  return UNIT_BEFORE.test(before) ? '에서 ' : undefined;
}

const make = patterns(joinOf);

/** A rule of this language from its pattern. */
export function koPattern(pattern: Pattern): Rule {
  return make(pattern);
}
