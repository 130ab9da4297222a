/** Dates in all orders. Months 6 and 10 drop their final sound (유월, 시월); weekdays in brackets are said in full. */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { TO, koPattern } from './amount.ts';
import { koDigits, koSino } from './numbers.ts';

const MONTH = String.raw`(?:1[0-2]|0?[1-9])`;
const DAY = String.raw`(?:3[01]|[12]\d|0?[1-9])`;
const YEAR = String.raw`(?:1[0-9]|20|21)\d{2}`;
const DAYS = '월화수목금토일';
const BRACKET = String.raw`(?:\s?\((?<w>[${DAYS}])(?:요일)?\))?`;

/** Rules that start at a number, in order. */
export const dateRules: readonly Rule[] = [
  koPattern({
    class: 'date',
    rule: 'date/range',
    next: '-/.',
    match: new RegExp(
      String.raw`(?<y>${YEAR})(?<s>[-/.])(?<m>${MONTH})\k<s>(?<d>${DAY})\s?[-~]{1,2}\s?(?:(?<y2>${YEAR})\k<s>)?(?:(?<m2>${MONTH})\k<s>)?(?<d2>${DAY})(?![\d:])`,
      'y',
    ),
    read: (g) => `${spell(g.y, g.m, g.d)}부터 ${spell(g.y2, g.m2, g.d2)}`,
  }),
  koPattern({
    class: 'date',
    rule: 'date/year-month-range',
    next: '-/.',
    match: new RegExp(String.raw`(?<y>(?:1[5-9]|20|21)\d{2})(?<s>[-/.])(?<m>${MONTH})\s?[-~]{1,2}\s?(?<y2>(?:1[5-9]|20|21)\d{2})\k<s>(?<m2>${MONTH})(?![\d.:/])`, 'y'),
    read: ({ y, m, y2, m2 }) => `${spell(y, m)}부터 ${spell(y2, m2)}`,
  }),
  koPattern({
    class: 'date',
    rule: 'date/short-year',
    next: '.',
    match: /(?<y>\d{2})\.(?<m>0[1-9]|1[0-2])\.(?<d>0[1-9]|[12]\d|3[01])(?![\d:/-]|\.\d)/y,
    read: ({ y, m, d }) => spell(y, m, d),
  }),
  koPattern({
    class: 'date',
    rule: 'date/year-first',
    next: '-/.·',
    match: new RegExp(String.raw`(?<y>${YEAR})(?<s>[-/·]|\.\s?)(?<m>${MONTH})\k<s>(?<d>${DAY})(?!\d)(?:T(?=\d\d:))?`, 'y'),
    read: (g) => spell(g.y, g.m, g.d),
  }),
  koPattern({
    class: 'date',
    rule: 'date/year-last',
    next: '-/.',
    match: /(?<a>\d{1,2})(?<s>[-/.])(?<b>\d{1,2})\k<s>(?<y>(?:1[5-9]|20|21)\d{2})(?!\d)/y,
    read: readYearLast,
  }),
  koPattern({
    class: 'date',
    rule: 'date/year-month',
    next: '-/.',
    match: new RegExp(String.raw`(?<y>(?:1[5-9]|20|21)\d{2})(?<s>[-/.])(?<m>0[1-9]|1[0-2]|[1-9](?!\d))(?![\d.:%]|\s?[년명개원])`, 'y'),
    read: ({ y, m = '', s }, place) => {
      if (s === '.' && m.length === 1) return undefined;
      return s === '.' && /^\s?[\p{L}%]/u.test(place.after(2)) ? undefined : spell(y, m);
    },
  }),
  koPattern({
    class: 'date',
    rule: 'date/month-year',
    next: '-/',
    match: /(?<m>1[0-2]|0?[1-9])[-/](?<y>(?:19|20)\d{2})(?![\d:]|\s?년)/y,
    read: ({ y, m }) => spell(y, m),
  }),
  koPattern({
    class: 'date',
    rule: 'date/month-day-range',
    next: '-/',
    match: new RegExp(String.raw`(?<m>${MONTH})/(?<d>${DAY})${BRACKET}\s?[-~]\s?(?:(?<m2>${MONTH})/)?(?<d2>${DAY})(?![\d:./])`, 'y'),
    read: ({ m, d, w, m2, d2 }) => {
      if (w === undefined && isUnitFraction(m, d) && isUnitFraction(m2, d2)) return undefined;
      return `${spell(undefined, m, d)}${w === undefined ? '' : ` ${w}요일`}부터 ${spell(undefined, m2, d2)}`;
    },
  }),
  koPattern({
    class: 'date',
    rule: 'date/month-day',
    next: '-/',
    match: new RegExp(String.raw`(?<m>${MONTH})(?<s>[-/])(?<d>${DAY})(?![\d:./])(?!\s?[년명개원%])`, 'y'),
    read: readMonthDay,
  }),
  koPattern({
    class: 'date',
    rule: 'date/event',
    next: '·・ㆍ•.',
    match: /(?<m>1[0-2]|[1-9])(?:[·・ㆍ•]|\.(?=\d{1,2}\s?(?:전쟁|사변|광복|민주|혁명|운동|절|사태|참사|항쟁|만세|테러)))(?<d>3[01]|[12]\d|[1-9])(?!\d)/y,
    read: ({ m = '', d = '' }) => koSino(m) + (m === d ? koSino(d) : koDigits(d, '영')),
  }),
  koPattern({
    class: 'date',
    rule: 'date/month',
    next: '월-~',
    match: new RegExp(String.raw`(?<m>${MONTH})(?:${TO}(?<n>${MONTH}))?(?=\s?월)`, 'y'),
    read: ({ m = '', n }) => (n === undefined ? month(m) : `${koSino(m)}부터 ${month(n)}`),
  }),
  koPattern({
    class: 'range',
    rule: 'date/years-or-days',
    next: '-~',
    match: new RegExp(String.raw`(?<a>\d{1,4})${TO}(?<b>\d{1,4})(?=\s?(?:년(?!생)|일(?!곱)|세기|학년도))`, 'y'),
    read: ({ a = '', b = '' }, place) => `${koSino(a)}${a.length > 2 || /월\s?$/.test(place.before(2)) || place.after(2).endsWith('대') ? '부터' : '에서'} ${koSino(b)}`,
  }),
];

/** Rules that start at a Hangul run: the weekday in brackets behind a date (`1월1일(월)`, `(월~금)`). */
export const weekdayRules: readonly Rule[] = [
  koPattern({
    class: 'date',
    rule: 'date/weekday',
    match: new RegExp(String.raw`(?<a>[${DAYS}])(?:\s?[-~]\s?(?<b>[${DAYS}]))?(?=(?:\s?[·,]\s?[${DAYS}]){0,6}[)\]])`, 'y'),
    read: ({ a = '', b }, place) => {
      if (!new RegExp(String.raw`[\d일]\.?\s?[(\[](?:[${DAYS}]\s?[·,]\s?){0,6}$`).test(place.before(20))) return undefined;
      return b === undefined ? `${a}요일` : `${a}요일부터 ${b}요일`;
    },
  }),
];

/** Month names before 월: 유, 시 and the Sino numbers. */
export function month(digits: string): string {
  const value = Number(digits);
  return value === 6 ? '유' : value === 10 ? '시' : koSino(digits);
}

/** `1/2`, `1/3`: halves and thirds rather than the first days of January. */
function isUnitFraction(m?: string, d?: string): boolean {
  return m === '1' && /^(?:[2-9]|10)$/.test(d ?? '');
}

function spell(y?: string, m?: string, d?: string): string {
  const parts = [y === undefined ? '' : `${koSino(y)}년`, m === undefined ? '' : `${month(m)}월`, d === undefined ? '' : `${koSino(d)}일`];
  return parts.filter((part) => part !== '').join(' ');
}

function readYearLast({ a = '', b = '', y = '' }: Groups, { scope }: Place): string | undefined {
  const dayFirst = Number(a) > 12 || (Number(b) <= 12 && scope.hints.dateOrder === 'dmy');
  const [m, d] = dayFirst ? [b, a] : [a, b];
  if (Number(m) > 12 || Number(d) > 31 || Number(m) === 0 || Number(d) === 0) return undefined;
  return spell(y, m, d);
}

const DATE_BEFORE = /(?:날짜|일정|기간|마감|기한|생일|오늘은?|내일은?|어제는?|개봉|출시|발매|접수|신청|행사|회의는?)\s?:?\s?$/;
const DATE_AFTER = /^\s?(?:\(?[월화수목금토일](?:요일|\))|부터|까지|이후|이전|오전|오후|개봉|출시|예정|마감|(?:[01]?\d|2[0-3]):[0-5]\d)/;

/** `3/1`: a fraction unless a neighbour speaks of days or both parts are padded. */
function readMonthDay({ m = '', s, d = '' }: Groups, place: Place): string | undefined {
  const asked = s === '/' ? place.scope.hints.slash : undefined;
  if (asked === 'fraction') return undefined;
  const padded = m.length === 2 && d.length === 2 && (m.startsWith('0') || d.startsWith('0'));
  const told = s === '/' && (DATE_BEFORE.test(place.before(7)) || DATE_AFTER.test(place.after(7)));
  return asked === 'date' || padded || told ? spell(undefined, m, d) : undefined;
}
