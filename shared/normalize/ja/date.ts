/** Dates in all orders, eras by their letters (R6.4.1), weekdays in brackets. Years are read as numbers: 二千二十四年. */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { jaPattern } from './amount.ts';
import { jaCardinal } from './numbers.ts';

const MONTH = String.raw`(?:1[0-2]|0?[1-9])`;
const DAY = String.raw`(?:3[01]|[12]\d|0?[1-9])`;
const YEAR = String.raw`(?:1[0-9]|20|21)\d{2}`;
const ERAS: Record<string, string> = { R: '令和', H: '平成', S: '昭和', T: '大正', M: '明治' };
const DAYS = '月火水木金土日';

/** Rules that start at a number, in order. */
export const dateRules: readonly Rule[] = [
  jaPattern({
    class: 'date',
    rule: 'date/range',
    next: '-/.',
    match: new RegExp(
      String.raw`(?<y>${YEAR})(?<s>[-/.])(?<m>${MONTH})\k<s>(?<d>${DAY})\s?(?:[-~]{1,2}|から)\s?(?:(?<y2>${YEAR})\k<s>)?(?:(?<m2>${MONTH})\k<s>)?(?<d2>${DAY})(?![\d:])`,
      'y',
    ),
    read: (g) => `${spell(g.y, g.m, g.d)}から${spell(g.y2, g.m2, g.d2)}`,
  }),
  jaPattern({
    class: 'date',
    rule: 'date/year-month-range',
    next: '-/.',
    match: new RegExp(String.raw`(?<y>(?:1[5-9]|20|21)\d{2})(?<s>[-/.])(?<m>${MONTH})\s?[-~]{1,2}\s?(?<y2>(?:1[5-9]|20|21)\d{2})\k<s>(?<m2>${MONTH})(?![\d.:/])`, 'y'),
    read: ({ y, m, y2, m2 }) => `${spell(y, m)}から${spell(y2, m2)}`,
  }),
  jaPattern({
    class: 'date',
    rule: 'date/short-year',
    next: '.',
    match: /(?<y>\d{2})\.(?<m>0[1-9]|1[0-2])\.(?<d>0[1-9]|[12]\d|3[01])(?![\d:/-]|\.\d)/y,
    read: ({ y, m, d }) => spell(y, m, d),
  }),
  jaPattern({
    class: 'date',
    rule: 'date/year-first',
    next: '-/.・',
    match: new RegExp(String.raw`(?<y>${YEAR})(?<s>[-/.・])(?<m>${MONTH})\k<s>(?<d>${DAY})(?!\d)日?(?:T(?=\d\d:))?`, 'y'),
    read: (g) => spell(g.y, g.m, g.d),
  }),
  jaPattern({
    class: 'date',
    rule: 'date/year-last',
    next: '-/.',
    match: /(?<a>\d{1,2})(?<s>[-/.])(?<b>\d{1,2})\k<s>(?<y>(?:1[5-9]|20|21)\d{2})(?!\d)/y,
    read: readYearLast,
  }),
  jaPattern({
    class: 'date',
    rule: 'date/year-month',
    next: '-/.',
    match: new RegExp(String.raw`(?<y>(?:1[5-9]|20|21)\d{2})(?<s>[-/.])(?<m>0[1-9]|1[0-2]|[1-9](?!\d))(?![\d.:%]|\s?[年人個円])月?`, 'y'),
    read: ({ y, m = '', s }, place) => {
      if (s === '.' && m.length === 1) return undefined;
      return s === '.' && /^[\s\p{L}%]/u.test(place.after(1)) ? undefined : spell(y, m);
    },
  }),
  jaPattern({
    class: 'date',
    rule: 'date/month-year',
    next: '-/',
    match: /(?<m>1[0-2]|0?[1-9])[-/](?<y>(?:19|20)\d{2})(?![\d:]|\s?年)/y,
    read: ({ y, m }) => spell(y, m),
  }),
  jaPattern({
    class: 'date',
    rule: 'date/month-day-range',
    next: '-/',
    match: new RegExp(String.raw`(?<m>${MONTH})(?<s>[-/])(?<d>${DAY})(?<w>\([${DAYS}]\))?\s?(?:~|から|-)\s?(?<m2>${MONTH})\k<s>(?<d2>${DAY})(?![\d:.])`, 'y'),
    read: ({ m, d, w, m2, d2 }) => (w === undefined && isUnitFraction(m, d) && isUnitFraction(m2, d2) ? undefined : `${spell(undefined, m, d)}${weekday(w)}から${spell(undefined, m2, d2)}`),
  }),
  jaPattern({
    class: 'date',
    rule: 'date/month-day',
    next: '-/',
    match: new RegExp(String.raw`(?<m>${MONTH})(?<s>[-/])(?<d>${DAY})(?![\d:.])(?!\s?[年円人個回%])日?`, 'y'),
    read: readMonthDay,
  }),
];

/** Rules that start at a letter: era years (H30, R6.4.1). */
export const eraRules: readonly Rule[] = [
  jaPattern({
    class: 'date',
    rule: 'date/era',
    first: 'RHSTM',
    match: new RegExp(String.raw`(?<![A-Za-z])(?<e>[RHSTM])(?<y>\d{1,2})(?:\s?年\s?|[./-])(?:(?<m>${MONTH})(?:月|[./-])(?:(?<d>${DAY})(?!\d)日?)?)?`, 'y'),
    read: ({ e = '', y, m, d }, place) => {
      const whole = place.scope.folded.slice(place.start, place.end);
      return m === undefined && !whole.includes('年') ? undefined : (ERAS[e] ?? '') + spell(y, m, d);
    },
  }),
];

/** Rules that start at a Han run: the weekday in brackets behind a date (`3月1日(水)`, `(月〜金)`). */
export const weekdayRules: readonly Rule[] = [
  jaPattern({
    class: 'date',
    rule: 'date/weekday',
    match: new RegExp(String.raw`(?<a>[${DAYS}])(?:\s?[-~]\s?(?<b>[${DAYS}]))?(?=(?:[・、,][${DAYS}祝])*[)\]])`, 'y'),
    read: ({ a = '', b }, place) => {
      if (!new RegExp(String.raw`[\d日]\s?[(\[](?:[${DAYS}][・、,]){0,6}$`).test(place.before(16))) return undefined;
      return b === undefined ? `${a}曜日` : `${a}曜日から${b}曜日`;
    },
  }),
];

/** `1/2`, `1/3`: halves and thirds rather than the first days of January. */
function isUnitFraction(m?: string, d?: string): boolean {
  return m === '1' && /^(?:[2-9]|10)$/.test(d ?? '');
}

function spell(y?: string, m?: string, d?: string): string {
  return part(y, '年') + part(m, '月') + part(d, '日');
}

function part(digits: string | undefined, unit: string): string {
  return digits === undefined ? '' : jaCardinal(digits) + unit;
}

function weekday(bracket: string | undefined): string {
  return bracket === undefined ? '' : `、${bracket.slice(1, 2)}曜日`;
}

function readYearLast({ a = '', b = '', y = '' }: Groups, { scope }: Place): string | undefined {
  const dayFirst = Number(a) > 12 || (Number(b) <= 12 && scope.hints.dateOrder === 'dmy');
  const [month, day] = dayFirst ? [b, a] : [a, b];
  if (Number(month) > 12 || Number(day) > 31 || Number(month) === 0 || Number(day) === 0) return undefined;
  return spell(y, month, day);
}

const DATE_BEFORE = /(?:日付|日程|期間|期日|期限|締め?切り?|開催日?|発売日?|予定日?|誕生日|本日|今日|明日|昨日|来週|今週|先週|週末|旅行|会議|当日|〆切|\d{1,2}[-/]\d{1,2}(?:から|~|、|と))[はが:の、]?\s?$/;
const DATE_AFTER = /^\s?(?:\(?[月火水木金土日](?:曜|\))|から|まで|以降|以前|時点|付け?|頃|ごろ|[のに]?(?:開催|発売|開始|締|公開|予定|会議|朝|夜|昼|午[前後])|(?:[01]?\d|2[0-3]):[0-5]\d)/;
const FRACTION_AFTER = /^\s?(?:の(?:確率|量|人|割|大きさ|長さ|面積|値段|価格|サイズ|スケール|時間|力|水|速|規模|縮尺|国|生徒|参加|株)|に(?:減|縮|な|カット|切|分|す|下|薄|圧)|以下|以上|程度|くらい|ぐらい|ずつ|カップ|杯|倍|個|インチ|を占|を超|が|スケール|弱|強)/;

/** `12/15`: a fraction when nothing speaks of days or when it is a common part of a whole. */
function readMonthDay({ m = '', s, d = '' }: Groups, place: Place): string | undefined {
  const asked = s === '/' ? place.scope.hints.slash : undefined;
  if (asked === 'date') return spell(undefined, m, d);
  const [before, after] = [place.before(9), place.after(5)];
  if (asked === 'fraction' || FRACTION_AFTER.test(after)) return undefined;
  const padded = m.length === 2 && d.length === 2 && (m.startsWith('0') || d.startsWith('0'));
  const told = (DATE_BEFORE.test(before) || DATE_AFTER.test(after)) && (s === '/' || /(?:から|まで)/.test(before + after));
  const inText = s === '/' && /[\p{Script=Han}\p{Script=Hiragana}]/u.test(before.slice(-1) + after.slice(0, 1)) && (Number(m) >= Number(d) || (Number(d) > 12 && !/^(?:16|20|24)$/.test(d)));
  return padded || told || inText ? spell(undefined, m, d) : undefined;
}
