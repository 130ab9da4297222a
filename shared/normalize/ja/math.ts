/** Symbols of mathematics and others that are spoken; decoration (`***`) is dropped. */
import type { Rule } from '../contract.ts';
import type { Place } from '../pattern.ts';
import { jaAmount, jaPattern } from './amount.ts';
import { jaCardinal } from './numbers.ts';

const OPERATORS: Record<string, string> = {
  '+': 'プラス', '×': 'かける', '÷': 'わる', '=': 'イコール', '<': '小なり', '>': '大なり', '≤': '小なりイコール', '≥': '大なりイコール', '≦': '小なりイコール', '≧': '大なりイコール', '≠': 'ノットイコール', '≈': 'ニアリーイコール', '≒': 'ニアリーイコール', '≡': '合同',
  '±': 'プラスマイナス', '∓': 'マイナスプラス', '∞': '無限大', '√': 'ルート', '∑': 'シグマ', '∏': 'パイ', '∫': 'インテグラル', '∂': 'ラウンド', '∆': 'デルタ', '∠': '角', '⊥': '垂直', '∥': '平行', '∈': '属する', '∪': 'または', '∩': 'かつ', '∝': '比例', '∴': 'ゆえに', '∵': 'なぜならば', '°': '度', '*': 'かける', '⇒': 'ならば', '∅': '空集合', '∀': 'すべての', '∃': '存在する',
};
const MARKS: Record<string, string> = {
  '&': 'アンド', '@': 'アット', '#': 'シャープ', '%': 'パーセント', '‰': 'パーミル', '^': 'ハット', '_': 'アンダーバー', '~': 'から', '|': '縦棒', '\\': 'バックスラッシュ', '§': 'セクション', '№': 'ナンバー', '〒': '郵便番号',
  '℃': '度', '℉': '華氏', '′': '分', '″': '秒', '¢': 'セント', '©': 'コピーライト', '℡': '電話', '¬': '否定', '¦': '縦棒',
};
const FRACTIONS: Record<string, string> = {
  '½': '二分の一', '⅓': '三分の一', '⅔': '三分の二', '¼': '四分の一', '¾': '四分の三', '⅕': '五分の一', '⅖': '五分の二', '⅗': '五分の三', '⅘': '五分の四', '⅙': '六分の一', '⅚': '六分の五', '⅐': '七分の一', '⅛': '八分の一', '⅜': '八分の三', '⅝': '八分の五', '⅞': '八分の七', '⅑': '九分の一', '⅒': '十分の一', '↉': '三分の零',
};
const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉';
const OPERAND_BEFORE = /[\dA-Za-z\p{Script=Greek}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana})\]²³%°'′|]\s?$/u;
const OPERAND_AFTER = /^\s?[-+√([|\dA-Za-z\p{Script=Greek}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}∞±.$¥€]/u;

/** Rules that start at a symbol, in order. */
export const symbolRules: readonly Rule[] = [
  jaPattern({
    class: 'fraction',
    rule: 'math/fraction-sign',
    first: '½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒↉',
    match: /(?<f>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒↉])/y,
    read: ({ f = '' }, place) => (/\d\s?$/.test(place.before(2)) ? 'と' : '') + (FRACTIONS[f] ?? ''),
  }),
  jaPattern({
    class: 'math',
    rule: 'math/power',
    first: '⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹',
    match: /(?<s>[⁻⁺]?)(?<n>[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,12})/y,
    read: ({ s = '', n = '' }) => power(s === '⁻', [...n].map((digit) => SUPERSCRIPTS.indexOf(digit)).join('')),
  }),
  jaPattern({
    class: 'fraction',
    rule: 'math/root-fraction',
    first: '√',
    match: /√(?<a>\d{1,12})\/(?<b>\d{1,12})(?![\d./:])/y,
    read: ({ a = '', b = '' }) => `${jaCardinal(b)}分のルート${jaCardinal(a)}`,
  }),
  jaPattern({
    class: 'math',
    rule: 'math/caret',
    first: '^',
    match: /\^\s?[({]?(?<n>[-+]?\d{1,12})[)}]?(?!\.\d)/y,
    read: ({ n = '' }) => power(n.startsWith('-'), n.replace(/^[-+]/, '')),
  }),
  jaPattern({
    class: 'math',
    rule: 'math/subscript',
    first: '₀₁₂₃₄₅₆₇₈₉',
    match: /(?<n>[₀₁₂₃₄₅₆₇₈₉]{1,12})/y,
    read: ({ n = '' }) => jaCardinal([...n].map((digit) => SUBSCRIPTS.indexOf(digit)).join('')),
  }),
  jaPattern({
    class: 'ordinal',
    rule: 'math/number-sign',
    match: /(?<s>[\u2160-\u217f\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3220-\u3229\u3280-\u3289\u3251-\u325f\u32b1-\u32bf])\.?/y,
    read: ({ s = '' }) => numberSign(s),
  }),
  jaPattern({ class: 'abbreviation', rule: 'math/squared-word', first: '㈱㈲㈳㈵㈹㊑㊒㊗㊙㍻㍼㍽㍾㋿', match: /(?<s>[㈱㈲㈳㈵㈹㊑㊒㊗㊙㍻㍼㍽㍾㋿])/y, read: ({ s = '' }) => SQUARED[s] }),
  jaPattern({ class: 'math', rule: 'math/plus-minus', first: '±∓', match: /[±∓]\s?(?<n>\d{1,16}(?:\.\d{1,16})?)/y, read: ({ n = '' }) => `プラスマイナス${jaAmount(n)}` }),
  jaPattern({ class: 'ordinal', rule: 'math/number', first: '#', match: /#\s?(?<n>\d{1,8})(?![\d.]|\p{L})/uy, read: ({ n = '' }) => `ナンバー${jaCardinal(n)}` }),
  jaPattern({
    class: 'range',
    rule: 'math/wave',
    first: '~',
    match: /~/y,
    read: (_, place) => {
      const after = place.after(3);
      const between = /[\d\p{Script=Han}%℃a-z)]\s?$/iu.test(place.before(2)) && (/^\s?[-+$¥€£]?\d/.test(after) || /^\s?[\p{Script=Han}\p{Script=Katakana}]/u.test(after));
      return between ? 'から' : undefined;
    },
  }),
  jaPattern({ class: 'symbol', rule: 'math/plus-grade', first: '+', match: /\+{1,2}(?![\d\s+])/y, read: (_, place) => (/[A-Za-z\d]$/.test(place.before(1)) ? 'プラス'.repeat(place.end - place.start) : undefined) }),
  jaPattern({ class: 'symbol', rule: 'math/run', first: '+*=<>#_|^&@\\%', match: /(?<c>[+*=<>#_|^&@\\%])\k<c>{2,400}/y, read: () => '' }),
  jaPattern({ class: 'math', rule: 'math/operator', first: '<>=!+×÷≤≥≠≈≒≡≦≧∈∉⊂∪∩∝*', match: /(?<o><=|>=|==|!=|[+×÷=<>≤≥≠≈≒≡≦≧∈∪∩∝*])/y, read: ({ o = '' }, place) => operator(o, place) }),
  jaPattern({
    class: 'measure',
    rule: 'math/per',
    first: '/',
    match: /\/(?=\s?(?:時間?|分|秒|日|月|年|週|人|回|個|本|枚|台|泊|名|kg|g|㎡))/y,
    read: (_, place) => (/(?:[¥$€]\s?[\d.,]{1,10}|\d[^/\n]{0,6}[円ドル回個人本件枚台名量トム歩滴語文字]|\d\s?[A-Za-z]{1,3})\s?$/u.test(place.before(13)) ? '毎' : undefined),
  }),
  jaPattern({ class: 'symbol', rule: 'math/sign', match: /(?<o>[^\s\p{L}\p{N}])/uy, read: ({ o = '' }, place) => sign(o, place) }),
];

const SQUARED: Record<string, string> = { '㈱': '株式会社', '㈲': '有限会社', '㈳': '社団法人', '㈵': '特別', '㈹': '代表', '㊑': '株', '㊒': '有', '㊗': '祝', '㊙': '秘', '㍻': '平成', '㍼': '昭和', '㍽': '大正', '㍾': '明治', '㋿': '令和' };

function power(negative: boolean, digits: string): string {
  return `の${negative ? 'マイナス' : ''}${jaCardinal(digits)}乗`;
}

/** ①, Ⅲ, ⒈, ❶, ㈠ by their compatibility form. */
function numberSign(written: string): string | undefined {
  const code = written.codePointAt(0) ?? 0;
  if (code >= 0x2160 && code <= 0x217f) return jaCardinal(String(ROMAN[(code - 0x2160) % 16] ?? 0));
  if (code >= 0x2776 && code <= 0x2793) return jaCardinal(String(((code - 0x2776) % 10) + 1));
  const plain = written.normalize('NFKC');
  const digits = /\d+/.exec(plain)?.[0];
  return digits === undefined ? /[一二三四五六七八九十]/.exec(plain)?.[0] : jaCardinal(digits);
}

const ROMAN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 50, 100, 500, 1000];

/** Said between two operands; a lone `*` or `=` in a text is decoration. */
function operator(o: string, place: Place): string {
  const word = { '<=': '小なりイコール', '>=': '大なりイコール', '==': 'イコール', '!=': 'ノットイコール' }[o] ?? OPERATORS[o] ?? '';
  const between = OPERAND_BEFORE.test(place.before(2)) && OPERAND_AFTER.test(place.after(2));
  if (between && o === '*' && !(/[\dA-Za-z)]\s?$/.test(place.before(2)) && /^\s?[\d(A-Za-z]/.test(place.after(2)))) return '';
  if (between) return word;
  if (isAlone(place, o)) return o === '*' ? 'アスタリスク' : word;
  if (/[<>≤≥≈≒]/.test(o) && OPERAND_AFTER.test(place.after(2))) return word;
  return /[+=*<>]/.test(o) ? '' : word;
}

function sign(o: string, place: Place): string | undefined {
  if (o === '~') return undefined;
  if (/[_|\\^&]/.test(o)) return joins(place) || isAlone(place, o) ? (MARKS[o] ?? '') : '';
  if (o === '#' && !isAlone(place, o)) return /^[A-Za-z]?$/.test(place.before(1)) && /[A-Za-z]/.test(place.before(1)) ? 'シャープ' : '';
  return MARKS[o] ?? OPERATORS[o];
}

function joins(place: Place): boolean {
  return /[\p{L}\d]\s?$/u.test(place.before(2)) && /^\s?[\p{L}\d]/u.test(place.after(2));
}

function isAlone({ scope }: Place, o: string): boolean {
  return scope.folded.length < 8 && scope.folded.trim() === o;
}
