/** Symbols of mathematics and others that are spoken; decoration (`***`, `#话题#`) is dropped. */
import type { Rule } from '../contract.ts';
import type { Place } from '../pattern.ts';
import { zhAmount, zhPattern } from './amount.ts';
import { zhCardinal } from './numbers.ts';

const OPERATORS: Record<string, string> = {
  '+': '加', '×': '乘', '÷': '除以', '=': '等于', '<': '小于', '>': '大于', '≤': '小于等于', '≥': '大于等于', '≠': '不等于', '≈': '约等于', '≡': '恒等于',
  '±': '正负', '∓': '负正', '≦': '小于等于', '≧': '大于等于', '∈': '属于', '∉': '不属于', '⊂': '包含于', '∪': '并', '∩': '交', '∝': '正比于', '∴': '所以', '∵': '因为',
  '∞': '无穷大', '√': '根号', '∑': '求和', '∏': '连乘', '∫': '积分', '∂': '偏', '∆': '德尔塔', '∠': '角', '⊥': '垂直于', '∥': '平行于', '°': '度', '*': '乘', '∀': '对任意', '∃': '存在', '⇒': '推出', '∅': '空集',
};
const MARKS: Record<string, string> = {
  '&': '和', '@': '艾特', '#': '井号', '%': '百分号', '‰': '千分号', '^': '的', '_': '下划线', '~': '波浪号', '|': '竖线', '\\': '反斜杠', '§': '第', '№': '编号',
  '℃': '摄氏度', '℉': '华氏度', '′': '分', '″': '秒', '¢': '美分', '©': '版权所有', '¬': '非', '¦': '竖线', '℡': '电话',
};
const FRACTIONS: Record<string, string> = {
  '½': '二分之一', '⅓': '三分之一', '⅔': '三分之二', '¼': '四分之一', '¾': '四分之三', '⅕': '五分之一', '⅖': '五分之二', '⅗': '五分之三', '⅘': '五分之四', '⅙': '六分之一', '⅚': '六分之五', '⅐': '七分之一', '⅛': '八分之一', '⅜': '八分之三', '⅝': '八分之五', '⅞': '八分之七', '⅑': '九分之一', '⅒': '十分之一', '↉': '三分之零',
};
const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉';
const OPERAND_BEFORE = /[\dA-Za-z\p{Script=Greek}\p{Script=Han})\]²³%°'′|]\s?$/u;
const OPERAND_AFTER = /^\s?[-+√([|\dA-Za-z\p{Script=Greek}\p{Script=Han}∞±.$¥€]/u;

/** Rules that start at a symbol, in order. */
export const symbolRules: readonly Rule[] = [
  zhPattern({
    class: 'fraction',
    rule: 'math/fraction-sign',
    first: '½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒↉',
    match: /(?<f>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒↉])/y,
    read: ({ f = '' }, place) => (/\d\s?$/.test(place.before(2)) ? '又' : '') + (FRACTIONS[f] ?? ''),
  }),
  zhPattern({
    class: 'math',
    rule: 'math/power',
    first: '⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹',
    match: /(?<s>[⁻⁺]?)(?<n>[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,12})/y,
    read: ({ s = '', n = '' }) => power(s === '⁻', [...n].map((digit) => SUPERSCRIPTS.indexOf(digit)).join('')),
  }),
  zhPattern({
    class: 'fraction',
    rule: 'math/root-fraction',
    first: '√',
    match: /√(?<a>\d{1,12})\/(?<b>\d{1,12})(?![\d./:])/y,
    read: ({ a = '', b = '' }) => `${zhCardinal(b)}分之根号${zhCardinal(a)}`,
  }),
  zhPattern({
    class: 'math',
    rule: 'math/caret',
    first: '^',
    match: /\^\s?[({]?(?<n>[-+]?\d{1,12})[)}]?(?!\.\d)/y,
    read: ({ n = '' }) => power(n.startsWith('-'), n.replace(/^[-+]/, '')),
  }),
  zhPattern({
    class: 'math',
    rule: 'math/subscript',
    first: '₀₁₂₃₄₅₆₇₈₉',
    match: /(?<n>[₀₁₂₃₄₅₆₇₈₉]{1,12})/y,
    read: ({ n = '' }) => zhCardinal([...n].map((digit) => SUBSCRIPTS.indexOf(digit)).join('')),
  }),
  zhPattern({
    class: 'ordinal',
    rule: 'math/number-sign',
    match: /(?<s>[\u2160-\u217f\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3220-\u3229\u3280-\u3289\u3251-\u325f\u32b1-\u32bf])(?<dot>\.)?/y,
    read: ({ s = '' }) => numberSign(s),
  }),
  zhPattern({ class: 'ordinal', rule: 'math/numero', first: '№', match: /№\s?(?<n>\d{1,12})(?!\.\d)/y, read: ({ n = '' }) => `第${zhCardinal(n, true)}` }),
  zhPattern({ class: 'math', rule: 'math/plus-minus', first: '±∓', match: /[±∓]\s?(?<n>\d{1,16}(?:\.\d{1,16})?)/y, read: ({ n = '' }) => `正负${zhAmount(n, 'plain')}` }),
  zhPattern({
    class: 'range',
    rule: 'math/wave',
    first: '~',
    match: /~(?=\s?[-+$¥€£]?\d)/y,
    read: (_, place) => (/[\d\p{Script=Han}%℃a-z]\s?$/iu.test(place.before(2)) ? '到' : '约'),
  }),
  zhPattern({
    class: 'measure',
    rule: 'math/per',
    first: '/',
    match: /\/(?=\s?(?:\d{1,6}\s?(?:km|公里|ml|mL|g|克|人|次|公顷|平方)|小?时|小時|分钟?|秒|天|日|周|月|年|季度|[人次斤克吨个個件台亩米升晚夜位只股张份包瓶公千平立度盒袋套箱本课节组户间头只辆]))/y,
    read: (_, place) => (/(?:[¥$€£]\s?[\d.,]{1,12}|\d[^/\n]{0,6}[元块角分米克斤吨人次个個度件万萬亿億千台天字转滴帧瓦里时篇升卡币圆圓刀港]|\d\s?[A-Za-z]{1,3})\s?$/.test(place.before(14)) ? '每' : undefined),
  }),
  zhPattern({ class: 'symbol', rule: 'math/plus-grade', first: '+', match: /\+{1,2}(?![\d\s+])/y, read: (_, place) => (/[A-Za-z\d]$/.test(place.before(1)) ? '加'.repeat(place.end - place.start) : undefined) }),
  zhPattern({ class: 'symbol', rule: 'math/run', first: '+*=<>#_|^&@\\%', match: /(?<c>[+*=<>#_|^&@\\%])\k<c>{2,400}/y, read: () => '' }),
  zhPattern({ class: 'math', rule: 'math/operator', first: '<>=!+×÷≤≥≠≈≒≡≦≧∈∉⊂∪∩∝*', match: /(?<o><=|>=|==|!=|[+×÷=<>≤≥≠≈≡≦≧∈∉⊂∪∩∝*])/y, read: ({ o = '' }, place) => operator(o, place) }),
  zhPattern({ class: 'symbol', rule: 'math/sign', match: /(?<o>[^\s\p{L}\p{N}])/uy, read: ({ o = '' }, place) => sign(o, place) }),
];

function power(negative: boolean, digits: string): string {
  if (!negative && digits === '2') return '的平方';
  if (!negative && digits === '3') return '的立方';
  return `的${negative ? '负' : ''}${zhCardinal(digits, true)}次方`;
}

/** ①, Ⅲ, ⒈, ❶, ㈠ by their compatibility form. */
function numberSign(written: string): string | undefined {
  const circled = written.codePointAt(0) ?? 0;
  if (circled >= 0x2776) return circled <= 0x2793 ? zhCardinal(String(((circled - 0x2776) % 10) + 1)) : /[一二三四五六七八九十]/.exec(written.normalize('NFKC'))?.[0] ?? digitsOf(written);
  if (circled >= 0x2160 && circled <= 0x217f) return zhCardinal(String(ROMAN[(circled - 0x2160) % 16] ?? 0), true);
  return digitsOf(written);
}

const ROMAN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 50, 100, 500, 1000];

function digitsOf(written: string): string | undefined {
  const digits = /\d+/.exec(written.normalize('NFKC'))?.[0];
  return digits === undefined ? undefined : zhCardinal(digits, true);
}

/** Said between two operands; a lone `*` or `=` is decoration. */
function operator(o: string, place: Place): string {
  const word = { '<=': '小于等于', '>=': '大于等于', '==': '等于', '!=': '不等于' }[o] ?? OPERATORS[o] ?? '';
  const between = OPERAND_BEFORE.test(place.before(2)) && OPERAND_AFTER.test(place.after(2));
  if (between && o === '*' && !(/[\dA-Za-z)]\s?$/.test(place.before(2)) && /^\s?[\d(A-Za-z]/.test(place.after(2)))) return '';
  if (between) return word;
  if (isAlone(place, o)) return { '*': '星号', '=': '等号', '+': '加号', '<': '小于号', '>': '大于号', '×': '乘号', '÷': '除号' }[o] ?? word;
  if (/[<>≤≥≈]/.test(o) && OPERAND_AFTER.test(place.after(2))) return word;
  return /[+=*<>]/.test(o) ? '' : word;
}

function sign(o: string, place: Place): string | undefined {
  const beforeHan = /\p{Script=Han}\s?$/u.test(place.before(2));
  if (o === '#' && /\d\s?$/.test(place.before(2)) && /^\s?[楼号机库线炉井塔门梯房]/.test(place.after(2))) return '号';
  if (o === '#' && (beforeHan || /^\s?[\p{Script=Han}A-Za-z]/u.test(place.after(2)))) return '';
  if (o === '~') return isAlone(place, o) ? MARKS[o] : undefined;
  if (o === '_' || o === '|' || o === '\\' || o === '^') return joins(place) || isAlone(place, o) ? (MARKS[o] ?? '') : '';
  if (o === '&' && !joins(place) && !isAlone(place, o)) return '';
  return MARKS[o] ?? OPERATORS[o];
}

function joins(place: Place): boolean {
  return /[A-Za-z\d\p{Script=Han}]\s?$/u.test(place.before(2)) && /^\s?[A-Za-z\d\p{Script=Han}]/u.test(place.after(2));
}

function isAlone({ scope }: Place, o: string): boolean {
  return scope.folded.length < 8 && scope.folded.trim() === o;
}
