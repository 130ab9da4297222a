/** Clock times: hours are native up to twelve (열두 시), Sino-Korean above (십사 시), minutes and seconds always Sino-Korean. */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { TO, koPattern } from './amount.ts';
import { koDigits, koNative, koSino } from './numbers.ts';

const HALF_DAY = String.raw`(?:\s?(?<ap>[ap])\.?m\b\.?)`;
const CLOCK = String.raw`(?<h>[01]?\d|2[0-4]):(?<m>[0-5]\d)(?::(?<s>[0-5]\d)(?:\.(?<f>\d{1,3}))?)?`;
const second = (source: string): string => source.replaceAll(/<(\w+)>/g, '<$12>');
const RATIO_BEFORE = /(?:비율|비는?|배율|화면비|종횡비|배당|환율|축척)[은는이가:]?\s?$/;
const SCORE_BEFORE = /(?:스코어|점수|결과|득점|경기)[은는이가:]?\s?$/;
const SCORE_AFTER = /^\s?(?:으?로\s?(?:이|승|졌|패|꺾|역전|비|무|앞|뒤|완|대승|끝)|승리?|패배?|의?\s?(?:비율|비로|스코어|승리))/;
const LASTING_BEFORE = /(?:기록|재생\s?시간|러닝타임|소요\s?시간|상영\s?시간)[은는이가:]?\s?$/;

/** Rules that start at a number, in order. */
export const timeRules: readonly Rule[] = [
  koPattern({
    class: 'time',
    rule: 'time/clock-range',
    next: ':',
    match: new RegExp(`${CLOCK}${HALF_DAY}?${TO}${second(CLOCK)}${second(HALF_DAY)}?(?![\\d:])`, 'iy'),
    read: (g) => `${clock(g)}부터 ${clock({ h: g.h2, m: g.m2, s: g.s2, f: g.f2, ap: g.ap2 })}`,
  }),
  koPattern({ class: 'time', rule: 'time/clock', next: ':', match: new RegExp(`${CLOCK}${HALF_DAY}?(?![\\d:])`, 'iy'), read: readClock }),
  koPattern({
    class: 'time',
    rule: 'time/half-day-hour',
    next: 'aApP',
    match: new RegExp(`(?<h>1[0-2]|0?[1-9])${HALF_DAY}`, 'iy'),
    read: clock,
  }),
  koPattern({
    class: 'time',
    rule: 'time/hour',
    next: '시-~',
    match: new RegExp(String.raw`(?<h>\d{1,2})(?:시?${TO}(?<h2>\d{1,2}))?(?=\s?시(?!간|즌|리즈|군|장|도|험|작|민|청|내))`, 'y'),
    read: ({ h = '', h2 }, place) => {
      const word = place.scope.folded.slice(place.start, place.end).includes('시') ? '시' : '';
      return h2 === undefined ? hour(h) : `${hour(h)}${word}부터 ${hour(h2)}`;
    },
  }),
  koPattern({
    class: 'ratio',
    rule: 'time/ratio',
    next: ':.',
    match: /(?<n>\d{1,12}(?:\.\d{1,6})?(?:\s?:\s?\d{1,12}(?:\.\d{1,6})?){1,5})(?![\d:]|\.\d)/y,
    read: ({ n = '' }) => n.split(':').map((side) => number(side.trim())).join(' 대 '),
  }),
];

/** Rules that start at a word: AM 9:30, PM 3시. */
export const halfDayRules: readonly Rule[] = [
  koPattern({
    class: 'time',
    rule: 'time/half-day-first',
    first: 'aApP',
    match: /(?<![A-Za-z])(?<ap>[ap])\.?m\.?\s?(?<h>1[0-2]|0?\d)(?::(?<m>[0-5]\d)|(?<w>\s?시)|(?![\d.:]))/iy,
    // PM10 alone is dust, not ten o'clock.
    read: (g) => (g.h === '10' && g.m === undefined && g.w === undefined ? undefined : clock(g)),
  }),
];

function readClock(g: Groups, place: Place): string | { reading: string; alternatives: string[] } | undefined {
  const { colon } = place.scope.hints;
  const before = place.before(9);
  if (colon === 'ratio' || colon === 'score') return undefined;
  if (colon === undefined && g.s === undefined && (RATIO_BEFORE.test(before) || SCORE_BEFORE.test(before) || SCORE_AFTER.test(place.after(6)))) return undefined;
  if (colon === undefined && LASTING_BEFORE.test(before)) return lasting(g);
  const late = Number(g.h) > 12 && Number(g.h) < 24 && g.ap === undefined;
  if (!late) return clock(g);
  return { reading: clock(g), alternatives: [clock({ ...g, h: String(Number(g.h) - 12), ap: 'p' })] };
}

function clock({ h = '', m, s, f, ap }: Groups): string {
  const parts = [ap === undefined ? '' : ap.toLowerCase() === 'a' ? '오전' : '오후', `${hour(h)}시`];
  if (!empty(m) || !empty(s)) parts.push(`${koSino(m ?? '')}분`);
  if (!empty(s) || f !== undefined) parts.push(`${koSino(s ?? '')}${f === undefined ? '' : `점${koDigits(f, '영')}`}초`);
  return parts.filter((part) => part !== '').join(' ');
}

function hour(digits: string): string {
  const value = Number(digits);
  return value >= 1 && value <= 12 ? koNative(digits) : koSino(digits);
}

function empty(part: string | undefined): boolean {
  return part === undefined || Number(part) === 0;
}

function lasting({ h = '', m = '', s }: Groups): string {
  return s === undefined ? `${koSino(h)}분 ${koSino(m)}초` : `${koNative(h)}시간 ${koSino(m)}분 ${koSino(s)}초`;
}

function number(written: string): string {
  const [integer = '', decimals] = written.split('.');
  return koSino(integer) + (decimals === undefined ? '' : `점${koDigits(decimals, '영')}`);
}
