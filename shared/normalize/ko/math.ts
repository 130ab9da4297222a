/** Symbols of mathematics and others that are spoken; decoration (`***`) is dropped. */
import type { Rule } from '../contract.ts';
import type { Place } from '../pattern.ts';
import { koAmount, koPattern } from './amount.ts';
import { koSino } from './numbers.ts';

const OPERATORS: Record<string, string> = {
  '+': '더하기', '×': '곱하기', '÷': '나누기', '=': '는', '<': '보다 작다', '>': '보다 크다', '≤': '작거나 같다', '≥': '크거나 같다', '≦': '작거나 같다', '≧': '크거나 같다', '≠': '같지 않다', '≈': '약', '≒': '약', '≡': '합동',
  '±': '플러스마이너스', '∓': '마이너스플러스', '∞': '무한대', '√': '루트', '∑': '시그마', '∏': '파이', '∫': '적분', '∂': '편미분', '∆': '델타', '∠': '각', '⊥': '수직', '∥': '평행', '∈': '속한다', '∪': '합집합', '∩': '교집합', '∝': '비례', '∴': '그러므로', '∵': '왜냐하면', '°': '도', '*': '곱하기', '⇒': '이면', '∅': '공집합', '∀': '모든', '∃': '존재하는',
};
const MARKS: Record<string, string> = {
  '&': '앤드', '@': '골뱅이', '#': '샵', '%': '퍼센트', '‰': '퍼밀', '^': '캐럿', '_': '언더바', '|': '세로줄', '\\': '역슬래시', '§': '섹션', '№': '넘버', '℃': '섭씨', '℉': '화씨', '′': '분', '″': '초', '¢': '센트', '©': '저작권', '℡': '전화', '¬': '부정', '¦': '세로줄',
};
const FRACTIONS: Record<string, string> = {
  '½': '이분의 일', '⅓': '삼분의 일', '⅔': '삼분의 이', '¼': '사분의 일', '¾': '사분의 삼', '⅕': '오분의 일', '⅖': '오분의 이', '⅗': '오분의 삼', '⅘': '오분의 사', '⅙': '육분의 일', '⅚': '육분의 오', '⅐': '칠분의 일', '⅛': '팔분의 일', '⅜': '팔분의 삼', '⅝': '팔분의 오', '⅞': '팔분의 칠', '⅑': '구분의 일', '⅒': '십분의 일', '↉': '삼분의 영',
};
const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉';
const OPERAND_BEFORE = /[\dA-Za-z\p{Script=Greek}\p{Script=Hangul}\p{Script=Han})\]²³%°'′|]\s?$/u;
const OPERAND_AFTER = /^\s?[-+√([|\dA-Za-z\p{Script=Greek}\p{Script=Hangul}\p{Script=Han}∞±.$¥€₩]/u;
/** Digits whose names end in a consonant (영 일 삼 육 칠 팔): 은, the others 는. */
const CLOSED = /[013678]\s?$/;

/** Rules that start at a symbol, in order. */
export const symbolRules: readonly Rule[] = [
  koPattern({
    class: 'fraction',
    rule: 'math/fraction-sign',
    first: '½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒↉',
    match: /(?<f>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒↉])/y,
    read: ({ f = '' }, place) => (/\d\s?$/.test(place.before(2)) ? (CLOSED.test(place.before(2)) ? '과 ' : '와 ') : '') + (FRACTIONS[f] ?? ''),
  }),
  koPattern({
    class: 'math',
    rule: 'math/power',
    first: '⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹',
    match: /(?<s>[⁻⁺]?)(?<n>[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,12})/y,
    read: ({ s = '', n = '' }) => power(s === '⁻', [...n].map((digit) => SUPERSCRIPTS.indexOf(digit)).join('')),
  }),
  koPattern({
    class: 'fraction',
    rule: 'math/root-fraction',
    first: '√',
    match: /√(?<a>\d{1,12})\/(?<b>\d{1,12})(?![\d./:])/y,
    read: ({ a = '', b = '' }) => `${koSino(b)}분의 루트 ${koSino(a)}`,
  }),
  koPattern({
    class: 'math',
    rule: 'math/caret',
    first: '^',
    match: /\^\s?[({]?(?<n>[-+]?\d{1,12})[)}]?(?!\.\d)/y,
    read: ({ n = '' }) => power(n.startsWith('-'), n.replace(/^[-+]/, '')),
  }),
  koPattern({
    class: 'math',
    rule: 'math/subscript',
    first: '₀₁₂₃₄₅₆₇₈₉',
    match: /(?<n>[₀₁₂₃₄₅₆₇₈₉]{1,12})/y,
    read: ({ n = '' }) => koSino([...n].map((digit) => SUBSCRIPTS.indexOf(digit)).join('')),
  }),
  koPattern({
    class: 'ordinal',
    rule: 'math/number-sign',
    match: /(?<s>[\u2160-\u217f\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3251-\u325f\u32b1-\u32bf])\.?/y,
    read: ({ s = '' }) => numberSign(s),
  }),
  koPattern({ class: 'abbreviation', rule: 'math/company', first: '㈜㉿', match: /[㈜㉿]/y, read: (_, place) => (place.scope.folded[place.start] === '㈜' ? '주식회사' : '한국산업표준') }),
  koPattern({ class: 'math', rule: 'math/plus-minus', first: '±∓', match: /[±∓]\s?(?<n>\d{1,16}(?:\.\d{1,16})?)/y, read: ({ n = '' }) => `플러스마이너스 ${koAmount(n)}` }),
  koPattern({ class: 'ordinal', rule: 'math/number', first: '#', match: /#\s?(?<n>\d{1,8})(?![\d.]|\p{L})/uy, read: ({ n = '' }) => `${koSino(n)}번` }),
  koPattern({
    class: 'range',
    rule: 'math/wave',
    first: '~',
    match: /~\s?(?<w>오전|오후|(?=[월화수목금토일]\))|[월화수목금토일]요일|(?=[-+$¥€£₩]?\d))/y,
    read: ({ w = '' }, place) => {
      const before = place.before(4);
      if (!/[\d\p{Script=Hangul}%℃a-z)]\s?$/iu.test(before)) return undefined;
      return `${/(?:[년월일시분]|년대|세기|\))\s?$/.test(before) ? '부터' : '에서'} ${w}`;
    },
  }),
  koPattern({ class: 'symbol', rule: 'math/plus-grade', first: '+', match: /\+{1,2}(?![\d\s+])/y, read: (_, place) => (/[A-Za-z\d]$/.test(place.before(1)) ? Array(place.end - place.start).fill('플러스').join(' ') : undefined) }),
  koPattern({ class: 'symbol', rule: 'math/run', first: '+*=<>#_|^&@\\%', match: /(?<c>[+*=<>#_|^&@\\%])\k<c>{2,400}/y, read: () => '' }),
  koPattern({ class: 'math', rule: 'math/operator', first: '<>=!+×÷≤≥≠≈≒≡≦≧∈∉⊂∪∩∝*', match: /(?<o><=|>=|==|!=|[+×÷=<>≤≥≠≈≒≡≦≧∈∪∩∝*])/y, read: ({ o = '' }, place) => operator(o, place) }),
  koPattern({
    class: 'measure',
    rule: 'math/per',
    first: '/',
    match: /\/(?=\s?(?:시간|분|초|일|월|년|주|명|회|개|장|대|박|인|kg|g|㎡))/y,
    read: (_, place) => (/(?:[¥$€₩]\s?[\d.,]{1,10}|\d[^/\n]{0,6}[원회개명장대터램보건단어자트]|\d\s?[A-Za-z]{1,3})\s?$/u.test(place.before(13)) ? '퍼' : undefined),
  }),
  koPattern({ class: 'symbol', rule: 'math/sign', match: /(?<o>[^\s\p{L}\p{N}])/uy, read: ({ o = '' }, place) => sign(o, place) }),
];

function power(negative: boolean, digits: string): string {
  if (!negative && digits === '2') return '제곱';
  if (!negative && digits === '3') return '세제곱';
  return `의 ${negative ? '마이너스 ' : ''}${koSino(digits)}승`;
}

/** ①, Ⅲ, ⒈, ❶ by their compatibility form. */
function numberSign(written: string): string | undefined {
  const code = written.codePointAt(0) ?? 0;
  if (code >= 0x2160 && code <= 0x217f) return koSino(String(ROMAN[(code - 0x2160) % 16] ?? 0));
  if (code >= 0x2776 && code <= 0x2793) return koSino(String(((code - 0x2776) % 10) + 1));
  const digits = /\d+/.exec(written.normalize('NFKC'))?.[0];
  return digits === undefined ? undefined : koSino(digits);
}

const ROMAN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 50, 100, 500, 1000];

/** Said between two operands; a lone `*` or `=` in a text is decoration. `=` is 은 or 는 by the sound before it. */
function operator(o: string, place: Place): string {
  const word = { '<=': '작거나 같다', '>=': '크거나 같다', '==': '는', '!=': '같지 않다' }[o] ?? OPERATORS[o] ?? '';
  const between = OPERAND_BEFORE.test(place.before(2)) && OPERAND_AFTER.test(place.after(2));
  if (between && o === '*' && !(/[\dA-Za-z)]\s?$/.test(place.before(2)) && /^\s?[\d(A-Za-z]/.test(place.after(2)))) return '';
  if (between) return word === '는' && CLOSED.test(place.before(2)) ? '은' : word;
  if (isAlone(place, o)) return { '*': '별표', '=': '등호', '+': '플러스', '<': '부등호', '>': '부등호' }[o] ?? word;
  if (/[<>≤≥≈≒]/.test(o) && OPERAND_AFTER.test(place.after(2))) return word;
  return /[+=*<>]/.test(o) ? '' : word;
}

function sign(o: string, place: Place): string | undefined {
  if (/[_|\\^&]/.test(o)) return joins(place) || isAlone(place, o) ? (MARKS[o] ?? '') : '';
  if (o === '#' && !isAlone(place, o)) return /[A-Za-z]/.test(place.before(1)) ? '샵' : '';
  return MARKS[o] ?? OPERATORS[o];
}

function joins(place: Place): boolean {
  return /[\p{L}\d]\s?$/u.test(place.before(2)) && /^\s?[\p{L}\d]/u.test(place.after(2));
}

function isAlone({ scope }: Place, o: string): boolean {
  return scope.folded.length < 8 && scope.folded.trim() === o;
}
