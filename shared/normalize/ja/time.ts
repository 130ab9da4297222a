/** Clock times: `9:30` → 九時三十分, `PM3:00` → 午後三時. */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { TO, jaPattern } from './amount.ts';
import { jaCardinal, jaPlaces } from './numbers.ts';

const HALF_DAY = String.raw`(?:\s?(?<ap>[ap])\.?m\b\.?)`;
const CLOCK = String.raw`(?<h>[01]?\d|2\d|30):(?<m>[0-5]\d)(?::(?<s>[0-5]\d)(?:\.(?<f>\d{1,3}))?)?`;
const second = (source: string): string => source.replaceAll(/<(\w+)>/g, '<$12>');
const RATIO_BEFORE = /(?:比率?|割合|縦横|アスペクト比|オッズ|縮尺)[はがを:]?\s?$/;
const SCORE_BEFORE = /(?:スコア|得点|結果|試合)[はがを:]?\s?$/;
const SCORE_AFTER = /^\s?(?:で(?:勝|敗|負|引き分|下|破|快勝|圧勝)|の(?:勝利|比|割合|引き分け|スコア|同点)|に?逆転)/;
const LASTING_BEFORE = /(?:タイム|記録|再生時間|演奏時間|所要時間|収録時間|時間)[はがを:]?\s?$/;

/** Rules that start at a number, in order. */
export const timeRules: readonly Rule[] = [
  jaPattern({
    class: 'time',
    rule: 'time/clock-range',
    next: ':',
    match: new RegExp(`${CLOCK}${HALF_DAY}?${TO}${second(CLOCK)}${second(HALF_DAY)}?(?![\\d:])`, 'iy'),
    read: (g) => `${clock(g)}から${clock({ h: g.h2, m: g.m2, s: g.s2, f: g.f2, ap: g.ap2 })}`,
  }),
  jaPattern({ class: 'time', rule: 'time/clock', next: ':', match: new RegExp(`${CLOCK}${HALF_DAY}?(?![\\d:])`, 'iy'), read: readClock }),
  jaPattern({
    class: 'time',
    rule: 'time/half-day-hour',
    next: '時aApP',
    match: new RegExp(`(?<h>1[0-2]|0?\\d)(?:時)?${HALF_DAY}`, 'iy'),
    read: clock,
  }),
  jaPattern({
    class: 'ratio',
    rule: 'time/ratio',
    next: ':.',
    match: /(?<n>\d{1,12}(?:\.\d{1,6})?(?:\s?:\s?\d{1,12}(?:\.\d{1,6})?){1,5})(?![\d:]|\.\d)/y,
    read: ({ n = '' }) => n.split(':').map((side) => number(side.trim())).join('対'),
  }),
];

/** Rules that start at a word: AM 9:30, PM3時. */
export const halfDayRules: readonly Rule[] = [
  jaPattern({
    class: 'time',
    rule: 'time/half-day-first',
    first: 'aApP',
    match: new RegExp(String.raw`(?<![A-Za-z])(?<ap>[ap])\.?m\.?\s?(?:(?<h>1[0-2]|0?\d)(?::(?<m>[0-5]\d)|(?=\s?時)|(?![\d.:])))`, 'iy'),
    read: ({ ap, h, m }, place) => (m === undefined && h === '10' && !/^\s?時/.test(place.after(2)) ? undefined : m === undefined && /^\s?時/.test(place.after(2)) ? half(ap) + jaCardinal(h ?? '') : clock({ ap, h, m })),
  }),
];

function readClock(g: Groups, place: Place): string | undefined {
  const { colon } = place.scope.hints;
  const [before, after] = [place.before(8), place.after(6)];
  if (colon === 'ratio' || colon === 'score') return undefined;
  if (colon === undefined && g.s === undefined && (RATIO_BEFORE.test(before) || SCORE_BEFORE.test(before) || SCORE_AFTER.test(after))) return undefined;
  if (colon === undefined && LASTING_BEFORE.test(before)) return lasting(g);
  return clock(g);
}

function clock({ h = '', m, s, f, ap }: Groups): string {
  const minutes = empty(m) && empty(s) ? '' : `${jaCardinal(m ?? '')}分`;
  const seconds = empty(s) && f === undefined ? '' : `${jaCardinal(s ?? '')}${f === undefined ? '' : `点${jaPlaces(f)}`}秒`;
  return `${half(ap)}${jaCardinal(h)}時${minutes}${seconds}`;
}

function empty(part: string | undefined): boolean {
  return part === undefined || Number(part) === 0;
}

function half(ap: string | undefined): string {
  return ap === undefined ? '' : ap.toLowerCase() === 'a' ? '午前' : '午後';
}

function lasting({ h = '', m = '', s }: Groups): string {
  return s === undefined ? `${jaCardinal(h)}分${jaCardinal(m)}秒` : `${jaCardinal(h)}時間${jaCardinal(m)}分${jaCardinal(s)}秒`;
}

function number(written: string): string {
  const [integer = '', decimals] = written.split('.');
  return jaCardinal(integer) + (decimals === undefined ? '' : `点${jaPlaces(decimals)}`);
}
