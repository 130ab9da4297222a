/** Plain numbers and what is directly around them: fractions, percent, ranges, sums, the rest. */
import type { NumberForm, Replacement, Rule, Scope } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { NUMBER, SCALE, TO, joinOf, koAmount, koPattern, koPlainNumber } from './amount.ts';
import { KO_LONGEST_AMOUNT, koDigits, koSino } from './numbers.ts';

/** Fractions and percent. */
export const fractionRules: readonly Rule[] = [
  koPattern({
    class: 'percent',
    rule: 'count/percent',
    next: '%‰-~.',
    match: new RegExp(`(?<a>${NUMBER})(?:\\s?%)?(?:${TO}(?<b>${NUMBER}))?\\s?(?<v>[%‰])(?<p>[pP](?![A-Za-z]))?`, 'y'),
    read: readPercent,
  }),
  koPattern({
    class: 'percent',
    rule: 'count/percent',
    next: '%‰-~.',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<v>[%‰])(?<p>[pP](?![A-Za-z]))?`, 'y'),
    read: readPercent,
  }),
  koPattern({
    class: 'range',
    rule: 'count/fraction-range',
    next: '/',
    match: /(?<a>\d{1,6})\/(?<b>\d{1,6})\s?[-~]\s?(?<c>\d{1,6})\/(?<d>\d{1,6})(?![\d/:])/y,
    read: ({ a = '', b = '', c = '', d = '' }) => `${koSino(b)}분의 ${koSino(a)}에서 ${koSino(d)}분의 ${koSino(c)}`,
  }),
  koPattern({
    class: 'fraction',
    rule: 'count/mixed-fraction',
    next: '0123456789과와',
    match: /(?<s>[-+]?)(?<w>\d{1,6})(?:\s|과\s?|와\s?)(?<a>\d{1,4})\s?\/\s?(?<b>\d{1,4})(?![\d/:.])/y,
    read: ({ s = '', w = '', a = '', b = '' }) => `${s === '-' ? '마이너스 ' : ''}${koSino(w)}${/[245679]$/.test(w) ? '와' : '과'} ${koSino(b)}분의 ${koSino(a)}`.replace(/육와/, '육과').replace(/칠와/, '칠과'),
  }),
  koPattern({
    class: 'fraction',
    rule: 'count/fraction',
    next: '/.',
    match: /(?<s>[-+]?)(?<a>\d{1,16}(?:\.\d{1,6})?)\s?\/\s?(?<b>\d{1,16}(?:\.\d{1,6})?)(?![\d/:]|\.\d)/y,
    read: ({ s = '', a = '', b = '' }) => ({
      reading: `${s === '-' ? '마이너스 ' : ''}${koAmount(b)}분의 ${koAmount(a)}`,
      alternatives: [`${koAmount(a)}월 ${koAmount(b)}일`],
    }),
  }),
];

const SCORE_AFTER = /^\s?(?:으?로\s?(?:이|승|졌|패|꺾|역전|비|무|앞|뒤|완|대승|끝)|승리?|패배?|의?\s?(?:스코어|승리))/;

/** Scores, sums, ranges with and without a unit. */
export const rangeRules: readonly Rule[] = [
  koPattern({
    class: 'score',
    rule: 'count/score',
    next: '-',
    match: /(?<a>\d{1,3})-(?<b>\d{1,3})(?![\d:./-])/y,
    read: ({ a = '', b = '' }, place) => {
      const { dash } = place.scope.hints;
      const told = SCORE_AFTER.test(place.after(6)) || /(?:스코어|점수)[은는가:]?\s?$/.test(place.before(5));
      return dash === 'score' || (dash === undefined && told) ? `${koSino(a)} 대 ${koSino(b)}` : undefined;
    },
  }),
  koPattern({
    class: 'math',
    rule: 'count/minus',
    next: '-.',
    match: new RegExp(`(?<n>(?:${NUMBER})(?:\\s?-\\s?(?:${NUMBER})){1,6})`, 'y'),
    read: readMinus,
  }),
  koPattern({
    class: 'range',
    rule: 'count/range',
    next: '-~.십백천만억조경',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<s>${SCALE})?${TO}(?<b>${NUMBER})(?![\\d:/]|[-~]\\d|\\.\\d)`, 'y'),
    read: ({ a = '', s = '', b = '' }, place) => {
      const { dash } = place.scope.hints;
      if (dash === 'minus' || dash === 'digits' || (/^0\d/.test(a) && !a.includes('.'))) return undefined;
      if (s === '' && isScore(a, b, place)) return `${koAmount(a)}${place.end - place.start === place.scope.folded.trim().length ? ' 빼기 ' : ' 대 '}${koAmount(b)}`;
      return `${koAmount(a)}${s}에서 ${koAmount(b)}`;
    },
  }),
];

/** The last rule: any chain of numbers, joined as it is written, so that no digit is ever left. */
export const cardinalRules: readonly Rule[] = [readChain];

/** Ranges rise: a falling pair of small numbers is a score in a sentence, a subtraction alone. */
function isScore(a: string, b: string, place: Place): boolean {
  const source = place.scope.folded.slice(place.start, place.end);
  return /^\d{1,3}-\d{1,3}$/.test(source) && Number(a) > Number(b) && /^\s?(?:$|[、。，．,.;!?)])/.test(place.after(2));
}

function readPercent({ a = '', b, v = '%', p }: Groups): string {
  const unit = (v === '‰' ? '퍼밀' : '퍼센트') + (p === undefined ? '' : '포인트');
  return `${koAmount(a)}${b === undefined ? '' : `에서 ${koAmount(b)}`} ${unit}`;
}

/** A chain with minuses is a sum when an equation is around it. */
function readMinus({ n = '' }: Groups, place: Place): string | undefined {
  const equation = /^\s?[=×÷*≈<>≠]/.test(place.after(2)) || /[+×÷*=]\s?$/.test(place.before(2)) || /^\s?\+\s?\d/.test(place.after(3));
  if (!equation && place.scope.hints.dash !== 'minus') return undefined;
  const sides = n.replaceAll(' ', '').match(/(?<![\d.])[-+±]?[\d.,]+|(?<=-)[-+±]?[\d.,]+|[\d.,]+/g) ?? [];
  return sides.map((side) => koAmount(side)).join(' 빼기 ');
}

function readChain(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || form.kind !== 'number') return undefined;
  const only = form.parts.length === 1 ? form.parts[0] : undefined;
  const joined = joinOf(scope, form.start);
  const reading = (joined ?? '') + (only === undefined ? chain(scope, form, joined !== undefined) : single(scope, form, only, joined !== undefined));
  return {
    start: form.start,
    end: form.end,
    class: only === undefined ? 'digits' : only.decimals === undefined ? 'cardinal' : 'decimal',
    rule: only === undefined ? 'count/chain' : 'count/number',
    reading,
  };
}

const WORDS: Record<string, string> = { '/': ', ', ':': ' 대 ', '.': '점', '~': '에서 ', '-': ' 다시 ' };

function chain(scope: Scope, form: NumberForm, unsigned: boolean): string {
  const digits = form.parts.length > 2 && !form.shape.includes('/');
  let out = '';
  let from = form.start;
  for (const part of form.parts) {
    const skip = unsigned && part === form.parts[0] ? 1 : 0;
    const written = scope.folded.slice(part.start + skip, part.end);
    const join = scope.folded.slice(from, part.start).trim();
    out += (digits && join === '-' ? ' ' : (WORDS[join] ?? '')) + (digits && part.decimals === undefined ? koDigits(part.digits) : koPlainNumber(written));
    from = part.end;
  }
  return out;
}

function single(scope: Scope, form: NumberForm, only: NumberForm['parts'][number], unsigned: boolean): string {
  const { digits, decimals, exponent } = only;
  const sign = unsigned ? '' : { '': '', '-': '마이너스 ', '+': '플러스 ', '±': '플러스마이너스 ' }[only.sign];
  const code = digits.length > KO_LONGEST_AMOUNT || (/^0\d/.test(digits) && !/^\s?[년월일시분초호]/.test(scope.folded.slice(form.end, form.end + 2)));
  const asked = scope.hints.integer === 'digits' && decimals === undefined;
  const number = (code || asked ? koDigits(digits) : koSino(digits)) + (decimals === undefined ? '' : `점${koDigits(decimals, '영')}`);
  if (exponent === undefined) return sign + number;
  return `${sign}${number} 곱하기 십의 ${exponent.startsWith('-') ? '마이너스 ' : ''}${koSino(exponent.replace(/^[-+]/, ''))}승`;
}
