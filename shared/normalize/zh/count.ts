/** Plain numbers and what is directly around them: ordinals, 两 before classifiers, fractions, percent, ranges, the rest. */
import type { NumberForm, Replacement, Rule, Scope } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { NUMBER, SCALE, TO, joinOf, zhAmount, zhPattern, zhPlainNumber, zhRange } from './amount.ts';
import { ZH_LONGEST_AMOUNT, zhCardinal, zhDigits } from './numbers.ts';

/** Words before which 2 is 两. Not 月 日 号 楼 班 级 线 路: there it names, not counts. */
export const CLASSIFIERS =
  '个月|个|個|位|名|只|隻|条|條|张|張|本|件|台|臺|辆|輛|家|间|間|所|座|棵|朵|匹|头|頭|口|把|支|枝|根|块|塊|片|份|封|幅|面|顶|部|架|艘|双|雙|对|對|副|套|组|組|批|群|种|種|类|類|样|樣|项|項|次|回|遍|趟|场|場|顿|声|聲|下|天|周|週|年|小时|小時|分钟|分鐘|分半|秒|岁|歲|元|毛|角|分|米|公里|千米|公斤|斤|克|千克|吨|升|毫升|厘米|毫米|里|亩|平方|立方|度|杯|瓶|碗|盘|盒|包|袋|箱|桶|罐|壶|滴|粒|颗|串|束|堆|层|層|步|句|字|页|行|章|集|倍|成|折|点|點|则|道|题|门|节|课|首|曲|局|轮|票|笔|栋|幢|户|镇|县|省|市|国|方|者|侧|边|端|大|万|萬|亿|億|千|百|人|夜|晚|刻钟|代人|季|星期|届|期间|股|派|极|岸|旁|手准备|腿|脚|眼|耳|地|院|会|军|党|校|篇|段|滩|拨|伙|帮|扇|盏|枚|床|席|桌|缸|匙|勺|针|剂|服药|克拉|英里|英尺|英寸|码|公顷|赫兹|千瓦|瓦|伏|安培|牛顿|美元|美金|欧元|日元|港元|英镑|卢布|新台币|韩元|百万|千万';
const COUNTED = new RegExp(`^\\s?(?:多\\s?)?(?:${CLASSIFIERS})`);
/** 2 stays 二 here although the word can also count: 二年级, 二次元, 二分之一, 二度, 二手. */
const NOT_COUNTED = /^\s?(?:年[级級]|次元|次方|分之|分法|手[车房]|把手|把刀|道贩|进制|極管|极管|胎|维|環|环|线|路|号|月|日|楼|班|级|等|中(?!场)|炮|哥|姐|叔|舅|婶|娘|爷|甲|乙|氧|战|流|锅|黄|百五|面体|人转|人世界|项式|[点點]\d|成熟)/;

/** Ordinals. */
export const ordinalRules: readonly Rule[] = [
  zhPattern({
    class: 'ordinal',
    rule: 'count/ordinal',
    match: new RegExp(String.raw`(?<=第\s?)(?<a>\d[\d,]{0,24})(?:${TO}第?(?<b>\d{1,16}))?(?!\.\d)`, 'y'),
    read: ({ a = '', b }) => zhRange(a, b, 'plain'),
  }),
  zhPattern({
    class: 'ordinal',
    rule: 'count/english-ordinal',
    next: 'sSnNrRtT',
    match: /(?<a>\d{1,16})(?:st|nd|rd|th)(?![A-Za-z])/iy,
    read: ({ a = '' }) => `第${zhCardinal(a, true)}`,
  }),
];

/** Fractions and percent. */
export const fractionRules: readonly Rule[] = [
  zhPattern({
    class: 'decimal',
    rule: 'count/calibre',
    match: /(?<=(?:^|\D)\.)(?<n>\d{2,3})(?=\s?口径)|\.(?<m>\d{2,3})(?=\s?口径)/y,
    read: ({ n, m = '' }, { start }) => ({ reading: `点${zhDigits(n ?? m)}`, ...(n === undefined ? {} : { start: start - 1 }) }),
  }),
  zhPattern({
    class: 'percent',
    rule: 'count/percent',
    next: '%‰‱-~至到.',
    match: new RegExp(`(?<a>${NUMBER})(?<u>\\s?[%‰‱])?(?:${TO}(?<b>${NUMBER}))?\\s?(?<v>[%‰‱])`, 'y'),
    read: readPercent,
  }),
  zhPattern({
    class: 'percent',
    rule: 'count/percent',
    next: '%‰‱-~至到.',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<v>[%‰‱])`, 'y'),
    read: readPercent,
  }),
  zhPattern({
    class: 'range',
    rule: 'count/fraction-range',
    next: '/',
    match: /(?<a>\d{1,6})\/(?<b>\d{1,6})\s?[-~]\s?(?<c>\d{1,6})\/(?<d>\d{1,6})(?![\d/:])/y,
    read: ({ a = '', b = '', c = '', d = '' }) => `${part(a, b)}到${part(c, d)}`,
  }),
  zhPattern({
    class: 'fraction',
    rule: 'count/mixed-fraction',
    next: '0123456789',
    match: /(?<s>[-+]?)(?<w>\d{1,6})\s(?<a>\d{1,4})\/(?<b>\d{1,4})(?![\d/:.])/y,
    read: ({ s = '', w = '', a = '', b = '' }) => `${s === '-' ? '负' : ''}${zhCardinal(w)}又${part(a, b)}`,
  }),
  zhPattern({ class: 'fraction', rule: 'count/fraction', next: '/.', match: /(?<s>[-+]?)(?<a>\d{1,16}(?:\.\d{1,6})?)\s?\/\s?(?<b>\d{1,16}(?:\.\d{1,6})?)(?![\d/:]|\.\d)/y, read: readFraction }),
  zhPattern({
    class: 'fraction',
    rule: 'count/written-fraction',
    next: '分',
    match: /(?<b>\d{1,16})(?=\s?分之)/y,
    read: ({ b = '' }) => zhCardinal(b, true),
  }),
];

/** Ratios, scores, ranges with and without a unit. */
export const rangeRules: readonly Rule[] = [
  zhPattern({
    class: 'ratio',
    rule: 'count/ratio',
    next: ':.',
    match: /(?<n>\d{1,16}(?:\.\d{1,6})?(?:\s?:\s?\d{1,16}(?:\.\d{1,6})?){1,5})(?![\d:]|\.\d)/y,
    read: ({ n = '' }) => n.split(':').map((side) => zhAmount(side.trim(), 'plain')).join('比'),
  }),
  zhPattern({ class: 'score', rule: 'count/score', next: '-', match: /(?<a>\d{1,3})-(?<b>\d{1,3})(?![\d:./-])/y, read: readScore }),
  zhPattern({
    class: 'math',
    rule: 'count/minus',
    next: '-.',
    match: new RegExp(`(?<n>(?:${NUMBER})(?:\\s?-\\s?(?:${NUMBER})){1,6})`, 'y'),
    read: readMinus,
  }),
  zhPattern({
    class: 'range',
    rule: 'count/range',
    next: '-~至到.十百千万萬亿億兆',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<s>${SCALE})?${TO}(?<b>${NUMBER})(?![\\d:/]|[-~]\\d|\\.\\d)`, 'y'),
    read: readRange,
  }),
];

/** `10w+`: the net's way of writing 万. */
export const tenThousandRules: readonly Rule[] = [
  zhPattern({
    class: 'cardinal',
    rule: 'count/ten-thousand',
    next: 'wW.',
    match: /(?<a>\d{1,6}(?:\.\d{1,4})?)(?:w(?![A-Za-z\d/])|W(?=\+|\s?[粉赞播人阅浏订]))/y,
    read: ({ a = '' }, place) => (/[A-Za-z]$/.test(place.before(1)) ? undefined : `${zhAmount(a)}万`),
  }),
];

/** Counts and bare numbers; the last takes any chain, of any length. */
export const cardinalRules: readonly Rule[] = [
  zhPattern({
    class: 'money',
    rule: 'count/discount',
    next: '折',
    match: /(?<n>[1-9][1-9])(?=\s?折(?!叠|线|磨|射))/y,
    read: ({ n = '' }) => zhDigits(n),
  }),
  zhPattern({
    class: 'measure',
    rule: 'count/after-unit',
    match: /(?<=\d[米块塊])(?<n>\d{2})(?![\d.:/%]|\s?[多来個个米厘公元块秒分层張张])/y,
    read: ({ n = '' }) => zhDigits(n),
  }),
  zhPattern({
    class: 'counter',
    rule: 'count/two',
    match: /(?<n>2)(?![\d:/,-]|\.\d)/y,
    read: (_, place) => {
      const after = place.after(8);
      if (NOT_COUNTED.test(after) || !COUNTED.test(after) || /[第A-Za-z.]\s?$/.test(place.before(2)) || /^\s?两/.test(after)) return undefined;
      return { reading: '两', alternatives: ['二'] };
    },
  }),
  readChain,
];

function readPercent({ a = '', u, b, v = '%' }: Groups): string | undefined {
  if (u !== undefined && b === undefined) return undefined;
  if (b === undefined) return hundredth(a, v);
  return `${hundredth(a, v)}到${u === undefined && !/^[-+]/.test(b) ? zhAmount(b, 'plain') : hundredth(b, v)}`;
}

/** `-3`, `%` → 负百分之三. */
function hundredth(written: string, sign: string): string {
  const minus = /^[-+±]/.test(written) ? zhAmount(`${written[0]}0`).slice(0, -1) : '';
  return `${minus}${{ '%': '百', '‰': '千', '‱': '万' }[sign.trim()] ?? '百'}分之${zhAmount(written.replace(/^[-+±]/, ''), 'plain')}`;
}

function readFraction({ s = '', a = '', b = '' }: Groups, place: Place): string | { reading: string; alternatives: string[] } {
  const whole = `${s}${a}/${b}`.replaceAll(' ', '');
  if (whole === '24/7') return '二十四七';
  if (whole === '9/11' && /^\s?(?:事件|恐怖|袭击)/.test(place.after(4))) return '九幺幺';
  return { reading: (s === '-' ? '负' : '') + part(a, b), alternatives: [`${zhAmount(a)}月${zhAmount(b)}日`] };
}

function part(a: string, b: string): string {
  return `${zhAmount(b, 'plain')}分之${zhAmount(a, 'plain')}`;
}

const SCORE_BEFORE = /(?:比分|大比分|总分|战平|打成|战胜|击败|打败|完胜|险胜|取胜|力克|逆转|领先|落后|不敌|负于|输给|赢了?|胜|负|平|队)[为是了以:]?\s?$/;
const SCORE_AFTER = /^\s?(?:战胜|击败|打败|完胜|险胜|取胜|力克|逆转|领先|落后|不敌|负于|输给|赢|胜|负|平|的比分|大胜|惜败|战平|横扫|获胜|告负)/;

function readScore({ a = '', b = '' }: Groups, place: Place): string | undefined {
  const { dash } = place.scope.hints;
  const told = SCORE_BEFORE.test(place.before(6)) || SCORE_AFTER.test(place.after(4));
  if (dash !== 'score' && (dash !== undefined || !told)) return undefined;
  return `${zhCardinal(a, true)}比${zhCardinal(b, true)}`;
}

/** A chain with minuses is a sum when an equation is around it. */
function readMinus({ n = '' }: Groups, place: Place): string | undefined {
  const equation = /^\s?[=×÷*≈<>≠]/.test(place.after(2)) || /[+×÷*=]\s?$/.test(place.before(2)) || /^\s?\+\s?\d/.test(place.after(3));
  if (!equation && place.scope.hints.dash !== 'minus') return undefined;
  const sides = n.replaceAll(' ', '').match(/(?<![\d.])[-+±]?[\d.,]+|(?<=-)[-+±]?[\d.,]+|[\d.,]+/g) ?? [];
  return sides.map((side) => zhAmount(side)).join('减');
}

function readRange({ a = '', s = '', b = '' }: Groups, place: Place): string | undefined {
  const { dash } = place.scope.hints;
  const after = place.after(8);
  const source = place.scope.folded.slice(place.start, place.end);
  if (dash === 'minus' || dash === 'digits') return undefined;
  if (/^0\d/.test(a) && !/[.]/.test(a)) return undefined;
  if (falls(a, b) && s === '' && source.includes('-') && !COUNTED.test(after) && !/^\s?[月日号號楼层级班页章节%℃°A-Za-z]/.test(after)) {
    return `${zhAmount(a)}${source.length === place.scope.folded.trim().length ? '减' : '比'}${zhAmount(b)}`;
  }
  if (/至|到/.test(source) && s === '') {
    const word = /至|到/.exec(source)?.[0] ?? '到';
    return two(a, after) + word + two(b, after);
  }
  return `${two(a, after)}${s}到${two(b, after)}`;
}

/** Ranges rise: a falling pair of small numbers is a score in a sentence, a subtraction alone. */
function falls(a: string, b: string): boolean {
  return /^\d{1,3}$/.test(a) && /^\d{1,3}$/.test(b) && Number(a) > Number(b);
}

/** An end of a range: 两到三个, but 二到三月. */
function two(written: string, after: string): string {
  return zhAmount(written, COUNTED.test(after) && !NOT_COUNTED.test(after) ? 'count' : 'amount');
}

/** Any chain of numbers, joined as it is written; the last rule, so that no digit is ever left. */
export function readChain(scope: Scope, index: number): Replacement | undefined {
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

const WORDS: Record<string, string> = { '/': '、', ':': '比', '.': '点', '~': '到', '-': '' };

function chain(scope: Scope, form: NumberForm, unsigned: boolean): string {
  let out = '';
  let from = form.start;
  for (const part of form.parts) {
    const join = scope.folded.slice(from, part.start).trim();
    const skip = unsigned && part === form.parts[0] ? 1 : 0;
    const written = scope.folded.slice(part.start + skip, part.end);
    const list = join === '/' || scope.folded[part.end] === '/';
    const digits = (form.parts.length > 2 && !list) || /^0\d/.test(written) || join === '-';
    out += (WORDS[join] ?? '') + (digits && part.decimals === undefined ? zhDigits(part.digits) : zhPlainNumber(written));
    from = part.end;
  }
  return out;
}

function single(scope: Scope, form: NumberForm, only: NumberForm['parts'][number], unsigned: boolean): string {
  const { digits, decimals, exponent } = only;
  const sign = unsigned ? '' : only.sign;
  const before = scope.folded.slice(Math.max(0, form.start - 2), form.start);
  const operator = sign === '+' && /[\dA-Za-z)]\s?$/.test(before) ? '加' : { '': '', '-': '负', '+': '正', '±': '正负' }[sign];
  const code = digits.length > ZH_LONGEST_AMOUNT || /^0\d/.test(digits) || (scope.hints.integer === 'digits' && decimals === undefined);
  const whole = code ? zhDigits(digits) : zhCardinal(digits, digits.length === 1 || sign !== '');
  const number = whole + (decimals === undefined ? '' : `点${zhDigits(decimals)}`);
  if (exponent === undefined) return operator + number;
  return `${operator}${number}乘十的${exponent.startsWith('-') ? '负' : ''}${zhCardinal(exponent.replace(/^[-+]/, ''), true)}次方`;
}

