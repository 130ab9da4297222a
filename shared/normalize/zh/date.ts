/** Dates: years digit by digit, months and days as numbers, in every order in which they are written. */
import type { Rule } from '../contract.ts';
import { type Groups, type Place } from '../pattern.ts';
import { TO, zhPattern } from './amount.ts';
import { zhCardinal, zhCount, zhDigits } from './numbers.ts';

const MONTH = String.raw`(?:1[0-2]|0?[1-9])`;
const DAY = String.raw`(?:3[01]|[12]\d|0?[1-9])`;
const MONTH_AFTER = String.raw`(?:1[0-2]|0?[1-9])`;
const ERAS =
  '民国|民國|洪武|永乐|永樂|宣德|成化|嘉靖|万历|萬曆|崇祯|顺治|康熙|雍正|乾隆|嘉庆|道光|咸丰|同治|光绪|宣统|贞观|开元|天宝|昭和|平成|令和|明治|大正';
const ERA_BEFORE = new RegExp(`(?:${ERAS})\\s?$`);
const CHRISTIAN = /(?:公元前?|西元前?|纪元前?|西历|西曆|紀元前?)\s?$/;

/** Rules that start at a number, in order. */
export const dateRules: readonly Rule[] = [
  zhPattern({
    class: 'date',
    rule: 'date/christian-era',
    next: 'aAbBcC年月日号',
    match: new RegExp(
      String.raw`(?<y>\d{1,4})(?:\s?年)?(?:\s?(?<m>${MONTH})\s?月)?(?:\s?(?<d>${DAY})\s?(?<u>[日号]))?\s?(?<era>a\.?d\.?|b\.?c\.?(?:e\.?)?|c\.?e\.?)(?![a-z])`,
      'iy',
    ),
    read: ({ y = '', m, d, u, era = '' }) => `公元${/^b/i.test(era) ? '前' : ''}${yearMonthDay(y, m, d, u)}`,
  }),
  zhPattern({
    class: 'date',
    rule: 'date/numeric-range',
    next: '-/.',
    match: new RegExp(
      String.raw`(?<y>\d{4})(?<s>[-/.])(?<m>${MONTH})\k<s>(?<d>${DAY})\s?(?:[-~]{1,2}|至|到)\s?(?:(?<y2>\d{4})\k<s>)?(?:(?<m2>${MONTH})\k<s>)?(?<d2>${DAY})(?![\d:])`,
      'y',
    ),
    read: (g) => `${yearMonthDay(g.y, g.m, g.d)}到${yearMonthDay(g.y2, g.m2, g.d2)}`,
  }),
  zhPattern({
    class: 'date',
    rule: 'date/year-month-range',
    next: '-/.',
    match: new RegExp(String.raw`(?<y>(?:1[5-9]|20|21)\d{2})(?<s>[-/.])(?<m>${MONTH})\s?[-~]{1,2}\s?(?<y2>(?:1[5-9]|20|21)\d{2})\k<s>(?<m2>${MONTH})(?![\d.:/])`, 'y'),
    read: ({ y = '', m, y2 = '', m2 }) => `${yearMonthDay(y, m)}到${yearMonthDay(y2, m2)}`,
  }),
  zhPattern({
    class: 'date',
    rule: 'date/short-year',
    next: '.',
    match: /(?<y>\d{2})\.(?<m>0[1-9]|1[0-2])\.(?<d>0[1-9]|[12]\d|3[01])(?![\d:/-]|\.\d)/y,
    read: ({ y, m, d }) => yearMonthDay(y, m, d),
  }),
  zhPattern({
    class: 'date',
    rule: 'date/year-first',
    next: '-/.·',
    match: new RegExp(String.raw`(?<y>[12]\d{3}|0\d{3})(?<s>[-/.·])(?<m>${MONTH})\k<s>(?<d>${DAY})(?!\d)(?<u>[日号])?(?:T(?=\d\d:))?`, 'y'),
    read: (g) => yearMonthDay(g.y, g.m, g.d, g.u),
  }),
  zhPattern({
    class: 'date',
    rule: 'date/year-last',
    next: '-/.',
    match: /(?<a>\d{1,2})(?<s>[-/.])(?<b>\d{1,2})\k<s>(?<y>(?:1[5-9]|20|21)\d{2})(?!\d)/y,
    read: readYearLast,
  }),
  zhPattern({
    class: 'date',
    rule: 'date/year-month',
    next: '-/.',
    match: new RegExp(String.raw`(?<y>(?:1[5-9]|20|21)\d{2})(?<s>[-/.])(?<m>0[1-9]|1[0-2]|[1-9](?!\d))(?![\d.%:]|\s?[年元个個人])(?<u>\s?月)?`, 'y'),
    read: ({ y = '', m = '', s, u }, place) => {
      if (s === '.' && m.length === 1 && u === undefined) return undefined;
      const decimal = s === '.' && u === undefined && /^\s?[\p{Script=Han}A-Za-z%]/u.test(place.after(2));
      return decimal ? undefined : `${zhDigits(y)}年${zhCardinal(m, true)}月`;
    },
  }),
  zhPattern({
    class: 'date',
    rule: 'date/month-year',
    next: '-/',
    match: new RegExp(String.raw`(?<m>1[0-2]|0?[1-9])(?<s>[-/])(?<y>(?:19|20)\d{2})(?![\d.:]|\s?[年元个個人])`, 'y'),
    read: ({ y = '', m = '' }) => `${zhDigits(y)}年${zhCardinal(m, true)}月`,
  }),
  zhPattern({
    class: 'date',
    rule: 'date/month-day',
    next: '-/.',
    match: new RegExp(String.raw`(?<m>${MONTH_AFTER})(?<s>[-/.])(?<d>${DAY})(?![\d:.])(?<u>[日号])?`, 'y'),
    read: readMonthDay,
  }),
  zhPattern({
    class: 'date',
    rule: 'date/anniversary',
    next: '·・•.',
    match: /(?<m>1[0-2]|[1-9])(?:[·・•]|\.(?=\d{1,2}\s?(?:儿童|劳动|妇女|国庆|教师|建军|建党|情人|植树|青年|护士|愚人)节?))(?<d>3[01]|[12]\d|[1-9])(?!\d)/y,
    read: ({ m = '', d = '' }) => zhDigits(m + d, true),
  }),
  zhPattern({
    class: 'range',
    rule: 'date/year-range',
    next: '年-~至到',
    match: new RegExp(String.raw`(?<a>\d{4})(?:\s?年)?${TO}(?<b>\d{4}|\d{2}(?=\s?年))(?=\s?(?:年|赛季|赛事|学年|財年|财年|財政|届|學年))`, 'y'),
    read: ({ a = '', b = '' }, place) => `${zhDigits(a)}${/\d\s?年/.test(place.scope.folded.slice(place.start, place.end)) ? '年' : ''}到${zhDigits(b)}`,
  }),
  zhPattern({
    class: 'range',
    rule: 'date/short-year-range',
    next: '-~至到',
    match: new RegExp(String.raw`(?<a>\d{2})${TO}(?<b>\d{2})(?=\s?(?:年|(?<s>赛季|學年|学年)))`, 'y'),
    read: ({ a = '', b = '', s }) => (s !== undefined || (isShortYear(a) && isShortYear(b) && a < b) ? { reading: `${zhDigits(a)}到${zhDigits(b)}`, alternatives: [`${zhCardinal(a)}到${zhCardinal(b)}`] } : undefined),
  }),
  zhPattern({
    class: 'range',
    rule: 'date/bare-year-range',
    next: '-~',
    match: /(?<a>(?:19|20)\d{2})\s?[-~—]{1,2}\s?(?<b>(?:19|20)\d{2})(?![\d.:/-])(?!\s?[元个個名人万萬亿億米公%])/y,
    read: ({ a = '', b = '' }, place) => (a < b && place.scope.hints.integer !== 'cardinal' && place.scope.hints.dash !== 'score' ? `${zhDigits(a)}到${zhDigits(b)}` : undefined),
  }),
  zhPattern({
    class: 'range',
    rule: 'date/season',
    next: '/',
    match: /(?<a>(?:19|20)\d{2})\/(?<b>(?:19|20)?\d{2})(?=\s?(?:赛季|赛事|学年|财年|年度|財年|賽季|學年))/y,
    read: ({ a = '', b = '' }) => `${zhDigits(a)}到${zhDigits(b)}`,
  }),
  zhPattern({
    class: 'digits',
    rule: 'date/compact',
    match: /(?<n>(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?![\d.,:/%]|\s?[元个個人万萬])/y,
    read: ({ n = '' }) => zhDigits(n),
  }),
  zhPattern({
    class: 'date',
    rule: 'date/class-of',
    next: '级届級屆',
    match: /(?<n>[4-9]\d|0\d|1\d)(?=\s?[级届級屆]\s?(?:学生|同学|新生|本科|毕业|研究生|校友|硕士|博士|學生|同學|畢業))/y,
    read: ({ n = '' }) => zhDigits(n),
  }),
  zhPattern({ class: 'date', rule: 'date/year', next: '年', match: /(?<y>\d{1,4})(?=\s?年)/y, read: readYear }),
  zhPattern({
    class: 'date',
    rule: 'date/year-without-word',
    match: /(?<y>(?:19|20)\d{2})(?:[-~](?<z>(?:19|20)\d{2}|\d{2}))?(?=\s?(?:[届级款版春夏秋冬](?![天])|赛季|財年|财年|学年|奥运|世界杯|欧洲杯|世博|亚运|元旦|新年|春节|国庆|高考|春运|双十一|双11|Q[1-4]|H[12]))/y,
    read: ({ y = '', z }) => zhDigits(y) + (z === undefined ? '' : `到${zhDigits(z)}`),
  }),
  zhPattern({
    class: 'date',
    rule: 'date/generation',
    next: '后',
    match: /(?<y>[05][05]|[6-9][05]|10)(?=后(?![天日续来面退]))/y,
    read: ({ y = '' }) => zhDigits(y),
  }),
  zhPattern({
    class: 'date',
    rule: 'date/month',
    next: '月-~至到',
    match: new RegExp(String.raw`(?<m>${MONTH})(?:${TO}(?<n>${MONTH}))?(?=\s?月)`, 'y'),
    read: ({ m = '', n }) => (n === undefined ? '' : `${zhCardinal(m, true)}到`) + zhCardinal(n ?? m, true),
  }),
  zhPattern({
    class: 'date',
    rule: 'date/day',
    next: '日号號-~至到',
    match: new RegExp(String.raw`(?<d>${DAY})(?:${TO}(?<e>${DAY}))?(?=\s?[日号號])`, 'y'),
    read: ({ d = '', e }) => (e === undefined ? '' : `${zhCardinal(d, true)}到`) + zhCardinal(e ?? d, true),
  }),
];

function yearMonthDay(y?: string, m?: string, d?: string, u = '日'): string {
  const year = y === undefined ? '' : `${zhDigits(y)}年`;
  const month = m === undefined ? '' : `${zhCardinal(m, true)}月`;
  return year + month + (d === undefined ? '' : zhCardinal(d, true) + u);
}

/** `10/30/2024` and `30/10/2024` say which is the month; `02/03/2024` follows the request, else month first. */
function readYearLast({ a = '', b = '', y = '' }: Groups, { scope }: Place): string | undefined {
  const dayFirst = Number(a) > 12 || (Number(b) <= 12 && scope.hints.dateOrder === 'dmy');
  const [month, day] = dayFirst ? [b, a] : [a, b];
  if (Number(month) > 12 || Number(day) > 31 || Number(month) === 0 || Number(day) === 0) return undefined;
  return yearMonthDay(y, month, day);
}

const DATE_BEFORE = /(?:日期|时间|日程|截止|截至|定于|将于|于|自|生日|档期|有效期|从|今天是|今天|昨天|明天|农历|公历)[为是:]?\s?$/;
const DATE_AFTER = /^\s?(?:[（(]?(?:周|星期|礼拜)[一二三四五六日天]|上午|下午|晚上|中午|凌晨|早上|(?:[01]?\d|2[0-3]):[0-5]\d|日|号|当天|之前|前后|出发|开幕|截止|起|见)/;

/** `12/25`, `08-08`, `5.1`: only with a neighbour that speaks of days, or written with two zeros. */
function readMonthDay({ m = '', s, d = '', u }: Groups, place: Place): string | undefined {
  const { hints } = place.scope;
  const asked = s === '/' ? hints.slash : undefined;
  if (asked === 'fraction' || /^\s?(?:赛季|学年|學年|年度)/.test(place.after(3))) return undefined;
  const padded = s !== '.' && m.length === 2 && d.length === 2 && (m.startsWith('0') || d.startsWith('0'));
  const near = DATE_BEFORE.test(place.before(6)) && s === '/';
  const told = near || DATE_AFTER.test(place.after(7)) || u !== undefined;
  if (asked !== 'date' && !padded && !(told && (s !== '.' || u !== undefined))) return undefined;
  return yearMonthDay(undefined, m, d, u);
}

const AMOUNT_AFTER = /^\s?年(?:之?[前后後]|以[前来後后]|[来來间間内內]|的?(?:历史|歷史|时间|时光|光阴|经验|寿命|文明|积淀|沧桑|风雨|期|刑))/;
const SHORT_YEAR_AFTER = new RegExp(String.raw`^\s?年(?:[初末底中春夏秋冬]|\s?${MONTH}\s?月|款|版|出生|毕业|入学|参加|高考|世界杯|奥运)`);
const GRADE_AFTER = /^\s?年[级級]/;

/** Four digits are a year unless they count years; one to three count years unless something says otherwise. */
function readYear({ y = '' }: Groups, place: Place): Spoken {
  const [before, after] = [place.before(6), place.after(12)];
  const counted = { reading: zhCount(y), alternatives: [zhDigits(y)] };
  const named = { reading: zhDigits(y), alternatives: [zhCount(y)] };
  if (place.scope.hints.integer === 'year' || place.scope.hints.integer === 'digits') return named;
  if (place.scope.hints.integer === 'cardinal' || ERA_BEFORE.test(before)) return { reading: zhCardinal(y, true) };
  if (CHRISTIAN.test(before)) return named;
  if (y.length === 4) return AMOUNT_AFTER.test(after) && isRound(y, after) ? counted : named;
  if (y.length === 2 && y.startsWith('0')) return named;
  if (y.length === 2 && SHORT_YEAR_AFTER.test(after) && !/[共近约长有]$/.test(before)) return named;
  if (y.length === 2 && Number(y) >= 40 && /(?:^|[在自从到于至])$/.test(before) && /^\s?年[\s。.]*(?:$|[的，,])/.test(after)) return named;
  return GRADE_AFTER.test(after) ? { reading: zhCardinal(y, true) } : counted;
}
type Spoken = { reading: string; alternatives?: readonly string[] };

/** Two digits that name a year of our time rather than count years: not round, or with a leading zero. */
function isShortYear(digits: string): boolean {
  return digits.startsWith('0') || (Number(digits) >= 16 && Number(digits) <= 39 && Number(digits) % 5 !== 0);
}

/** A count of years: outside our time, or round and followed by what only counts have (历史). */
function isRound(y: string, after: string): boolean {
  return Number(y) < 1800 || Number(y) > 2100 || (y.endsWith('000') && /历史|歷史|文明/.test(after));
}
