/** Plain numbers and what is directly around them: counters, fractions, percent, ranges, sums, the rest. */
import type { NumberForm, Replacement, Rule, Scope } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { NUMBER, SCALE, TO, jaAmount, jaPattern, jaPlainNumber, joinOf } from './amount.ts';
import { COUNTER_WORDS, jaCounterKana } from './kana.ts';
import { JA_LONGEST_AMOUNT, jaCardinal, jaDigits, jaPlaces } from './numbers.ts';

/** Counters: the kanji stay, the trace gets the sound (一本 いっぽん). */
export const counterRules: readonly Rule[] = [
  jaPattern({
    class: 'counter',
    rule: 'count/counter',
    match: new RegExp(String.raw`(?<n>\d{1,16})(?=(?<c>${COUNTER_WORDS}))`, 'y'),
    read: ({ n = '', c = '' }) => {
      const kana = /^0\d/.test(n) ? undefined : jaCounterKana(n, c);
      const end = kana === undefined ? {} : { alternatives: [kana] };
      return { reading: jaCardinal(n), ...end };
    },
  }),
];

/** Fractions and percent. */
export const fractionRules: readonly Rule[] = [
  jaPattern({
    class: 'percent',
    rule: 'count/percent',
    next: '%‰-~か.',
    match: new RegExp(`(?<a>${NUMBER})(?:\\s?%)?(?:${TO}(?<b>${NUMBER}))?\\s?(?<v>[%‰])`, 'y'),
    read: readPercent,
  }),
  jaPattern({
    class: 'percent',
    rule: 'count/percent',
    next: '%‰-~か.',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<v>[%‰])`, 'y'),
    read: readPercent,
  }),
  jaPattern({
    class: 'range',
    rule: 'count/fraction-range',
    next: '/',
    match: /(?<a>\d{1,6})\/(?<b>\d{1,6})\s?[-~]\s?(?<c>\d{1,6})\/(?<d>\d{1,6})(?![\d/:])/y,
    read: ({ a = '', b = '', c = '', d = '' }) => `${jaCardinal(b)}分の${jaCardinal(a)}から${jaCardinal(d)}分の${jaCardinal(c)}`,
  }),
  jaPattern({
    class: 'fraction',
    rule: 'count/mixed-fraction',
    next: '0123456789と・',
    match: /(?<s>[-+]?)(?<w>\d{1,6})(?:\s|と\s?|・)(?<a>\d{1,4})\s?\/\s?(?<b>\d{1,4})(?![\d/:.])/y,
    read: ({ s = '', w = '', a = '', b = '' }) => `${s === '-' ? 'マイナス' : ''}${jaCardinal(w)}と${jaCardinal(b)}分の${jaCardinal(a)}`,
  }),
  jaPattern({
    class: 'fraction',
    rule: 'count/fraction',
    next: '/.',
    match: /(?<a>[-+]?\d{1,16}(?:\.\d{1,6})?)\s?\/\s?(?<b>\d{1,16}(?:\.\d{1,6})?)(?![\d/:]|\.\d)/y,
    read: ({ a = '', b = '' }) => ({
      reading: `${jaAmount(b)}分の${jaAmount(a)}`,
      alternatives: [`${jaAmount(a)}月${jaAmount(b)}日`],
    }),
  }),
];

const SCORE = /(?:で(?:勝|敗|負|引き分|下|破|快勝|圧勝|リード)|の(?:勝利|スコア|同点|接戦)|に?逆転)/;

/** Scores, sums, ranges with and without a unit. */
export const rangeRules: readonly Rule[] = [
  jaPattern({
    class: 'score',
    rule: 'count/score',
    next: '-',
    match: /(?<a>\d{1,3})-(?<b>\d{1,3})(?![\d:./-])/y,
    read: ({ a = '', b = '' }, place) => {
      const { dash } = place.scope.hints;
      const told = SCORE.test(place.after(6)) || /(?:スコア|得点)[はが:]?\s?$/.test(place.before(5));
      return dash === 'score' || (dash === undefined && told) ? `${jaCardinal(a)}対${jaCardinal(b)}` : undefined;
    },
  }),
  jaPattern({
    class: 'math',
    rule: 'count/minus',
    next: '-.',
    match: new RegExp(`(?<n>(?:${NUMBER})(?:\\s?-\\s?(?:${NUMBER})){1,6})`, 'y'),
    read: readMinus,
  }),
  jaPattern({
    class: 'range',
    rule: 'count/range',
    next: '-~.十百千万億兆京',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<s>${SCALE})?\\s?[-~]{1,2}\\s?(?<b>${NUMBER})(?![\\d:/]|[-~]\\d|\\.\\d)`, 'y'),
    read: ({ a = '', s = '', b = '' }, place) => {
      const { dash } = place.scope.hints;
      if (dash === 'minus' || dash === 'digits' || (/^0\d/.test(a) && !a.includes('.'))) return undefined;
      if (s === '' && isScore(a, b, place)) return `${jaAmount(a)}${place.end - place.start === place.scope.folded.trim().length ? 'マイナス' : '対'}${jaAmount(b)}`;
      return `${jaAmount(a)}${s}から${jaAmount(b)}`;
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

function readPercent({ a = '', b, v = '%' }: Groups): string {
  const unit = v === '‰' ? 'パーミル' : 'パーセント';
  return jaAmount(a) + (b === undefined ? '' : `から${jaAmount(b)}`) + unit;
}

/** A chain with minuses is a sum when an equation is around it. */
function readMinus({ n = '' }: Groups, place: Place): string | undefined {
  const equation = /^\s?[=×÷*≈<>≠]/.test(place.after(2)) || /[+×÷*=]\s?$/.test(place.before(2)) || /^\s?\+\s?\d/.test(place.after(3));
  if (!equation && place.scope.hints.dash !== 'minus') return undefined;
  const sides = n.replaceAll(' ', '').match(/(?<![\d.])[-+±]?[\d.,]+|(?<=-)[-+±]?[\d.,]+|[\d.,]+/g) ?? [];
  return sides.map((side) => jaAmount(side)).join('マイナス');
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

const WORDS: Record<string, string> = { '/': '、', ':': '対', '.': '点', '~': 'から', '-': 'の' };

function chain(scope: Scope, form: NumberForm, unsigned: boolean): string {
  let out = '';
  let from = form.start;
  for (const part of form.parts) {
    const skip = unsigned && part === form.parts[0] ? 1 : 0;
    const written = scope.folded.slice(part.start + skip, part.end);
    const join = scope.folded.slice(from, part.start).trim();
    out += (WORDS[join] ?? '') + (part.digits.length > 4 && part.decimals === undefined ? jaDigits(part.digits) : jaPlainNumber(written));
    from = part.end;
  }
  return out;
}

function single(scope: Scope, form: NumberForm, only: NumberForm['parts'][number], unsigned: boolean): string {
  const { digits, decimals, exponent } = only;
  const sign = unsigned ? '' : { '': '', '-': 'マイナス', '+': 'プラス', '±': 'プラスマイナス' }[only.sign];
  const code = digits.length > JA_LONGEST_AMOUNT || (/^0\d/.test(digits) && !/^\s?[年月日時分秒号]/.test(scope.folded.slice(form.end, form.end + 2)));
  const asked = scope.hints.integer === 'digits' && decimals === undefined;
  const number = (code || asked ? jaDigits(digits) : jaCardinal(digits)) + (decimals === undefined ? '' : `点${jaPlaces(decimals)}`);
  if (exponent === undefined) return sign + number;
  return `${sign}${number}かける十の${exponent.startsWith('-') ? 'マイナス' : ''}${jaCardinal(exponent.replace(/^[-+]/, ''))}乗`;
}
