/** Fractions: `1/2`, `23 4/5`, `2/4th`, `½`, `2½`. */
import type { Replacement, Scope } from '../contract.ts';
import { integer, match, say, shaped, single, wordBefore } from './look.ts';
import { unitBehind } from './measure.ts';
import { cardinal, ordinal, plural } from './number.ts';

const VULGAR: Record<string, readonly [string, string]> = {
  '½': ['1', '2'], '⅓': ['1', '3'], '⅔': ['2', '3'], '¼': ['1', '4'], '¾': ['3', '4'], '⅕': ['1', '5'], '⅖': ['2', '5'], '⅗': ['3', '5'], '⅘': ['4', '5'],
  '⅙': ['1', '6'], '⅚': ['5', '6'], '⅐': ['1', '7'], '⅛': ['1', '8'], '⅜': ['3', '8'], '⅝': ['5', '8'], '⅞': ['7', '8'], '⅑': ['1', '9'], '⅒': ['1', '10'], '↉': ['0', '3'],
};
/** Longer denominators are said "over". */
const LONGEST_DENOMINATOR = 4;
const DATE_BEFORE = new Set('on since until till due by dated'.split(' '));

/** `3`, `4` → three quarters; `1`, `0` → one over zero. */
export function fractionWords(top: string, bottom: string): string {
  const value = bottom.replace(/^0+/, '');
  if (value === '' || value === '1' || value.length > LONGEST_DENOMINATOR) return `${cardinal(top)} over ${cardinal(bottom)}`;
  const one = /^0*1$/.test(top);
  if (value === '2') return `${cardinal(top)} ${one ? 'half' : 'halves'}`;
  if (value === '4') return `${cardinal(top)} ${one ? 'quarter' : 'quarters'}`;
  return `${cardinal(top)} ${one ? ordinal(value) : plural(ordinal(value))}`;
}

/** `1/2`, `2/4th`, `-3/5`. */
export function slashed(scope: Scope, index: number): Replacement | undefined {
  const form = shaped(scope, index, 'N/N');
  const [top, bottom] = form?.parts ?? [];
  if (form === undefined || top === undefined || bottom === undefined) return undefined;
  if (top.decimals !== undefined || bottom.decimals !== undefined || bottom.sign !== '') return undefined;
  if (scope.folded.startsWith('24/7', form.start)) return say('fraction/idiom', 'digits', form.start, form.end, 'twenty-four seven');
  if (scope.folded.startsWith('9/11', form.start) && scope.hints.slash === undefined) return say('fraction/idiom', 'date', form.start, form.end, 'nine eleven');
  if (top.digits === bottom.digits && top.digits.length === 2 && top.sign === '') return say('fraction/even', 'ratio', form.start, form.end, `${cardinal(top.digits)} ${cardinal(bottom.digits)}`);
  const suffix = match(/(?:st|nd|rd|th)s?(?![A-Za-z])/y, scope, form.end)?.[0].length ?? 0;
  const sign = top.sign === '-' ? 'minus ' : top.sign === '+' ? 'plus ' : '';
  return say('fraction/slash', 'fraction', form.start, form.end + suffix, sign + fractionWords(top.digits, bottom.digits));
}

/** Whether `N/N` is a day and month here: said so, zero-led, or after a word that asks for a date. */
export function isDate(scope: Scope, index: number): boolean {
  const form = shaped(scope, index, 'N/N');
  const [first, second] = form?.parts ?? [];
  const a = integer(first);
  const b = integer(second);
  if (scope.hints.slash === 'fraction' || a === undefined || b === undefined || a.length > 2 || b.length > 2) return false;
  const [low, high] = [Math.min(Number(a), Number(b)), Math.max(Number(a), Number(b))];
  if (low < 1 || low > 12 || high > 31) return false;
  return scope.hints.slash === 'date' || (a.startsWith('0') && b.length === 2) || DATE_BEFORE.has(wordBefore(scope, index));
}

/** `23 4/5`, `2 1/2`: a whole number, one blank, a proper fraction. */
export function mixed(scope: Scope, index: number): Replacement | undefined {
  const whole = single(scope.forms[index]);
  const form = shaped(scope, index + 1, 'N/N');
  const [top, bottom] = form?.parts ?? [];
  if (whole === undefined || form === undefined || top === undefined || bottom === undefined || whole.decimals !== undefined) return undefined;
  if (form.start !== whole.end + 1 || !/[ -]/.test(scope.folded[whole.end] ?? '') || integer(top) === undefined || integer(bottom) === undefined) return undefined;
  if (Number(top.digits) >= Number(bottom.digits) || bottom.digits.length > LONGEST_DENOMINATOR) return undefined;
  const suffix = match(/(?:st|nd|rd|th)s?(?![A-Za-z])/y, scope, form.end)?.[0].length ?? 0;
  const words = top.digits === '1' && bottom.digits === '2' ? 'a half' : fractionWords(top.digits, bottom.digits);
  const unit = suffix === 0 ? unitBehind(scope, form.end) : undefined;
  const said = `${whole.sign === '-' ? 'minus ' : ''}${cardinal(whole.digits)} and ${words}`;
  return say('fraction/mixed', unit === undefined ? 'fraction' : 'measure', whole.start, unit?.end ?? form.end + suffix, unit === undefined ? said : `${said} ${unit.words}`);
}

/** `2½` starting at its number. */
export function mixedVulgar(scope: Scope, index: number): Replacement | undefined {
  const whole = single(scope.forms[index]);
  const sign = scope.forms[index + 1];
  const parts = sign?.kind === 'symbol' ? VULGAR[scope.folded.slice(sign.start, sign.end)] : undefined;
  if (whole === undefined || sign === undefined || parts === undefined || sign.start - whole.end > 1 || whole.decimals !== undefined) return undefined;
  const words = parts[0] === '1' && parts[1] === '2' ? 'a half' : fractionWords(parts[0], parts[1]);
  return say('fraction/mixed', 'fraction', whole.start, sign.end, `${whole.sign === '-' ? 'minus ' : ''}${cardinal(whole.digits)} and ${words}`);
}

/** `½` alone. */
export function vulgar(scope: Scope, index: number): Replacement | undefined {
  const sign = scope.forms[index];
  const parts = sign === undefined ? undefined : VULGAR[scope.folded.slice(sign.start, sign.end)];
  return sign && parts && say('fraction/vulgar', 'fraction', sign.start, sign.end, fractionWords(parts[0], parts[1]));
}
