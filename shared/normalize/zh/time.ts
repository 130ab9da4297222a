/** Clock times and durations. `2:05` → 两点零五分; am and pm stand in front as 上午 and 下午. */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { TO, zhPattern } from './amount.ts';
import { zhCardinal, zhCount, zhDigits } from './numbers.ts';

const HALF_DAY = String.raw`(?:\s?(?<ap>[ap])\.?m\b\.?)`;
const HALF_DAY_2 = HALF_DAY.replace('<ap>', '<ap2>');
const CLOCK = String.raw`(?<h>[01]?\d|2[0-4]):(?<m>[0-5]\d)(?::(?<s>[0-5]\d)(?:\.\d{1,9})?)?`;
const CLOCK_2 = CLOCK.replaceAll(/<(.)>/g, '<$12>');
const PERIOD_BEFORE = /(?:[上下中]午|早上|早晨|清晨|凌晨|傍晚|晚上|晚间|夜里|夜间|午夜|今晚|明晚|昨晚|今早|明早)\s?(?:的)?$/;
const SCORE_BEFORE = /(?:比分|大比分|总分|战平|打成|战胜|击败|打败|完胜|险胜|取胜|力克|逆转|领先|落后|不敌|负于|输给|赢了?|胜|平|以|中)[为是了:]?\s?$/;
const RATIO_BEFORE = /(?:比例|比率|比值|配比|之比|按照?|汇率|赔率|兑换率?|比)[为是约:]?\s?$/;
const LASTING_BEFORE = /(?:时长|用时|耗时|历时|片长|全长|成绩|纪录|记录|配速|长度|以)[为是约:]?\s?$/;

/** Rules that start at a number, in order. */
export const timeRules: readonly Rule[] = [
  zhPattern({
    class: 'time',
    rule: 'time/clock-range',
    next: ':',
    match: new RegExp(`${CLOCK}${HALF_DAY}?${TO}${CLOCK_2}${HALF_DAY_2}?(?![\\d:])`, 'iy'),
    read: (g, place) => `${halfDay(g.ap, place)}${clock(g.h, g.m, g.s)}到${halfDay(g.ap2, place)}${clock(g.h2, g.m2, g.s2)}`,
  }),
  zhPattern({ class: 'time', rule: 'time/clock', next: ':', match: new RegExp(`${CLOCK}${HALF_DAY}?(?![\\d:])`, 'iy'), read: readClock }),
  zhPattern({
    class: 'duration',
    rule: 'time/lasting',
    next: ':',
    match: /(?<a>\d{1,3}):(?<b>[0-5]\d)(?::(?<c>[0-5]\d))?(?:\.(?<f>\d{1,3}))?(?![\d:])/y,
    read: ({ a = '', b = '', c, f }, place) => {
      if (!LASTING_BEFORE.test(place.before(6))) return undefined;
      return c === undefined ? lasting(undefined, a, b, f) : lasting(a, b, c, f);
    },
  }),
  zhPattern({
    class: 'time',
    rule: 'time/hour-range',
    next: '点點时時-~至到',
    match: new RegExp(String.raw`(?<a>[01]?\d|2[0-4])(?:[点點时時])?${TO}(?<b>[01]?\d|2[0-4])(?=\s?(?:[点點](?!\d?[^\d\s]{0,2}[建意])|[时時](?![代期])))`, 'y'),
    read: ({ a = '', b = '' }, place) => {
      const word = /[点點时時]/.exec(place.scope.folded.slice(place.start, place.end - 1))?.[0] ?? '';
      return `${zhCount(a)}${word}到${zhCount(b)}`;
    },
  }),
  zhPattern({
    class: 'range',
    rule: 'time/until',
    next: '点點时時月日号年',
    match: /(?<h>\d{1,2})\s?(?<u>[点點时時月日号])\s?[-~]{1,2}(?=\s?(?:次日|翌日|早|晚|上午|下午|中午|凌晨|今|明|第二))/y,
    read: ({ h = '', u = '' }) => `${/[点點]/.test(u) ? zhCount(h) : zhCardinal(h, true)}${u}到`,
  }),
  zhPattern({
    class: 'time',
    rule: 'time/half-day-hour',
    next: 'aApP',
    match: new RegExp(String.raw`(?<h>1[0-2]|0?[1-9])${HALF_DAY}`, 'iy'),
    read: ({ h = '', ap }, place) => `${halfDay(ap, place)}${zhCount(h)}点`,
  }),
  zhPattern({
    class: 'time',
    rule: 'time/zero-minutes',
    match: /(?<=\d\s?[点點时時分]\s?)(?<m>0\d)(?!\d)/y,
    read: ({ m = '' }) => zhDigits(m),
  }),
  zhPattern({
    class: 'duration',
    rule: 'time/hours-minutes',
    next: 'hH',
    match: /(?:(?<h>\d{1,3})\s?h(?:rs?)?\s?)(?<m>\d{1,2})\s?m(?:in(?:s|utes)?)?(?:\s?(?<s>\d{1,2})\s?s(?:ec)?)?(?![a-z])/iy,
    read: ({ h, m, s }) => lasting(h, m, s),
  }),
  zhPattern({
    class: 'duration',
    rule: 'time/minutes-seconds',
    next: "mM'′",
    match: /(?<m>\d{1,3})\s?(?:min|'|′)\s?(?<s>\d{1,2})(?:\.(?<f>\d{1,3}))?\s?(?:s(?:ec)?(?![a-z])|"|″)/iy,
    read: ({ m, s, f }, place) => (/[纬经]$/.test(place.before(1)) || place.before(1) === '°' ? undefined : lasting(undefined, m, s, f)),
  }),
];

function readClock({ h = '', m, s, ap }: Groups, place: Place): string | { reading: string; alternatives: string[] } | undefined {
  const before = place.before(6);
  const { colon } = place.scope.hints;
  if (colon === 'ratio' || colon === 'score') return undefined;
  if (colon !== 'time' && ap === undefined && s === undefined && (SCORE_BEFORE.test(before) || RATIO_BEFORE.test(before))) {
    if (!/^(?:开|结|到|抵|出|起|醒|离)/.test(place.after(2))) return undefined;
  }
  if (colon !== 'time' && s !== undefined && LASTING_BEFORE.test(before) && !before.endsWith('以')) return undefined;
  const reading = halfDay(ap, place) + clock(h, m, s);
  return s === undefined ? { reading, alternatives: [`${zhCardinal(h)}比${zhCardinal(m ?? '')}`] } : reading;
}

function clock(h = '', m = '', s?: string): string {
  const minutes = Number(m) === 0 && (s === undefined || Number(s) === 0) ? '' : `${tens(m)}分`;
  const seconds = s === undefined || Number(s) === 0 ? '' : `${zhCardinal(s, true)}秒`;
  return `${zhCount(h)}点${minutes}${seconds}`;
}

/** Minutes keep their zero (零五分) but not as a lone 00. */
function tens(m: string): string {
  return m.startsWith('0') && m !== '00' ? `零${zhCardinal(m, true)}` : zhCardinal(m, true);
}

function halfDay(ap: string | undefined, place: Place): string {
  if (ap === undefined || PERIOD_BEFORE.test(place.before(5))) return '';
  return ap.toLowerCase() === 'a' ? '上午' : '下午';
}

function lasting(h?: string, m?: string, s?: string, f?: string): string {
  const hours = h === undefined || Number(h) === 0 ? '' : `${zhCount(h)}小时`;
  const minutes = m === undefined || Number(m) === 0 ? '' : zhCount(m) + (s === undefined ? '分钟' : '分');
  const seconds = s === undefined ? '' : `${f === undefined ? zhCount(s) : `${zhCardinal(s, true)}点${zhDigits(f)}`}秒`;
  return hours + minutes + seconds;
}
