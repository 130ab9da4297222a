/** Measures: a number and a unit symbol (`5kg` → 五公斤, `60km/h` → 每小时六十公里, `-5℃` → 零下五摄氏度). */
import type { Replacement, Rule, Scope } from '../contract.ts';
import { cutsForm, follower, placeOf } from '../pattern.ts';
import { type Unit, type UnitTerm, unitAt } from '../written/units.ts';
import { NUMBER, SCALE, TO, joinOf, zhAmount, zhPattern, zhRange } from './amount.ts';
import { zhCardinal, zhDigits } from './numbers.ts';

const PREFIXES: Record<string, string> = { kilo: '千', mega: '兆', giga: '吉', tera: '太', peta: '拍', hecto: '百', deci: '分', centi: '厘', milli: '毫', micro: '微', nano: '纳', pico: '皮', femto: '飞' };

/** Unit → name. Units missing here keep their letters (GB, px), as Chinese speakers say them. */
const UNITS: Record<string, string> = {
  metre: '米', gram: '克', tonne: '吨', litre: '升', second: '秒', hertz: '赫兹', watt: '瓦', volt: '伏', ampere: '安', ohm: '欧姆', joule: '焦耳', newton: '牛',
  pascal: '帕', bar: '巴', farad: '法', calorie: '卡', 'watt-hour': '瓦时', 'ampere-hour': '安时', electronvolt: '电子伏特', mole: '摩尔', bit: '比特',
  'bit-per-second': '比特每秒', sievert: '希沃特', becquerel: '贝克勒尔', gray: '戈瑞', tesla: '特斯拉', lumen: '流明', lux: '勒克斯', candela: '坎德拉', parsec: '秒差距',
  celsius: '摄氏度', fahrenheit: '华氏度', kelvin: '开尔文', degree: '度', arcminute: '分', arcsecond: '秒', hectare: '公顷', acre: '英亩', inch: '英寸', foot: '英尺',
  yard: '码', mile: '英里', 'nautical-mile': '海里', 'light-year': '光年', ounce: '盎司', pound: '磅', gallon: '加仑', pint: '品脱', quart: '夸脱', 'cubic-centimetre': '毫升',
  'mile-per-hour': '英里每小时', 'kilometre-per-hour': '公里每小时', 'revolution-per-minute': '转每分钟', 'beat-per-minute': '次每分钟', 'frame-per-second': '帧每秒',
  knot: '节', hour: '小时', minute: '分钟', decibel: '分贝', 'decibel-milliwatt': '分贝毫瓦', horsepower: '马力', atmosphere: '标准大气压', 'millimetre-of-mercury': '毫米汞柱',
  radian: '弧度', 'square-foot': '平方英尺', 'square-metre': '平方米', 'square-kilometre': '平方公里', 'kilovolt-ampere': '千伏安', 'volt-ampere': '伏安',
  'pound-per-square-inch': '磅每平方英寸', 'part-per-million': '百万分之一',
};
const SPECIAL: Record<string, string> = { 'kilo metre': '公里', 'kilo gram': '公斤', 'centi metre': '厘米', 'kilo calorie': '千卡', 'mega hertz': '兆赫', 'giga hertz': '吉赫', 'kilo hertz': '千赫' };
/** What stands alone after a slash: per hour, per second … comes first in speech (每小时六十公里). */
const TIMES: Record<string, string> = { hour: '小时', minute: '分钟', second: '秒', day: '天' };
/** Single capitals and the like that are mostly no unit beside Chinese (4K, 5A级, 3D, 7B, 1080p). */
const NO_UNIT = new Set(['K', 'T', 'B', 'b', 'F', 'H', 'A', 'N', 'C', 'p', 'd', 'st', 'ac', 'au', 'pt', 'ct', 'qt', 'kt', 'kn', 'mo', 'wk', 'yr', 'rad', 'sq', 'MP', 'PS', 'in', 'P', 'J', 'bit', 'pc', 'MT', 'st', 'wt', 'HP', 'lm', 'Th', 'cd', 'kA', 'Mt', 'fm', 'EV', 'pm']);

/** What may follow the digits of a measure: a unit, the rest of the number, a range. */
const MEASURED_NEXT = /[\p{Script=Latin}\p{Script=Greek}°′″℃℉ℓ\u3380-\u33df.\-~/至到十百千万萬亿億兆]/u;
const MEASURED = new RegExp(`(?:(?<n>\\d{1,6})/(?<m>\\d{1,6})|(?<a>${NUMBER})(?:(?:℃|°C)?${TO}(?<b>${NUMBER}))?(?<s>\\s?${SCALE})?)(?<gap> ?)`, 'y');

/** A number, or two, before a unit symbol. */
export function readMeasure(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || !MEASURED_NEXT.test(follower(scope, form))) return undefined;
  const joined = form.kind === 'number' ? joinOf(scope, form.start) : undefined;
  MEASURED.lastIndex = form.start + (joined === undefined ? 0 : 1);
  const match = MEASURED.exec(scope.folded);
  if (match === null || /[A-Za-z]/.test(scope.folded[form.start - 1] ?? '')) return undefined;
  const { a = '', b, s = '', n, m = '', gap = '' } = match.groups ?? {};
  const at = MEASURED.lastIndex;
  const unit = unitAt(scope.folded, at);
  if (unit === undefined || unit.end > scope.to || cutsForm(scope, index, unit.end)) return undefined;
  // iPhone 5s, Model 3h: a letter behind the number of a name is part of the name.
  if (/[A-Za-z] $/.test(scope.folded.slice(Math.max(0, form.start - 2), form.start)) && /^[a-z]$/.test(scope.folded.slice(MEASURED.lastIndex, unit.end))) return undefined;
  if (!isUnitHere(unit, gap, a, placeOf(scope, form.start, unit.end).after(3))) return undefined;
  const amount = n === undefined ? undefined : `${zhAmount(m, 'plain')}分之${zhAmount(n, 'plain')}`;
  const spoken = say(unit, { a, b, scale: s.trim(), amount });
  return spoken === undefined ? undefined : { start: form.start, end: unit.end, class: 'measure', rule: 'measure/unit', reading: (joined ?? '') + spoken };
}

/** `5 A` is five amperes but 5A a grade; a lone capital needs decimals or a gap, and never a Han grade word behind it. */
function isUnitHere(unit: Unit, gap: string, a: string, after: string): boolean {
  const term = unit.over[0];
  if (term === undefined || unit.over.length > 1 || unit.under.length > 0) return true;
  if (term.symbol === 'A' && /^(?:$|[。，,.；;、\s的电])/.test(after)) return true;
  if (!NO_UNIT.has(term.symbol)) return true;
  if (term.symbol === 'in') return gap === ' ' && /\d/.test(a) && /^(?:$|\s?[\p{Script=Han},.。，])/u.test(after);
  return false;
}

type Amount = { a: string; b: string | undefined; scale: string; amount: string | undefined };

function say(unit: Unit, { a, b, scale, amount: fraction }: Amount): string | undefined {
  const over = nameAll(unit.over);
  if (over === undefined) return undefined;
  if (over.endsWith('度') && over !== '度' && fraction === undefined) return temperature(a, b, over);
  const amount = fraction ?? zhRange(a, b, b === undefined && scale === '' ? 'count' : 'amount') + scale;
  if (unit.under.length === 0) return amount + over;
  const time = unit.under.length === 1 ? TIMES[unit.under[0]?.unit ?? ''] : undefined;
  const speed = time !== undefined && unit.under[0]?.prefix === '' && unit.under[0].power === 1 && unit.over[0]?.unit === 'metre';
  if (speed) return `每${time}${amount}${over}`;
  const under = nameAll(unit.under);
  return under === undefined ? undefined : `${amount}${over}每${under}`;
}

/** Below zero is 零下 in weather; a range says it on each side that has it. */
function temperature(a: string, b: string | undefined, unit: string): string {
  return `${degrees(a)}${b === undefined ? '' : `到${degrees(b)}`}${unit}`;
}

function degrees(written: string): string {
  return written.startsWith('-') ? `零下${zhAmount(written.slice(1))}` : zhAmount(written);
}

function nameAll(terms: readonly UnitTerm[]): string | undefined {
  let out = '';
  for (const term of terms) {
    const name = nameOne(term);
    if (name === undefined) return undefined;
    out += name;
  }
  return out;
}

function nameOne({ unit, prefix, power }: UnitTerm): string | undefined {
  const base = UNITS[unit];
  if (base === undefined) return undefined;
  const name = SPECIAL[`${prefix} ${unit}`] ?? (PREFIXES[prefix] ?? '') + base;
  if (power === 1) return name;
  return (unit === 'second' ? '' : power === 2 ? '平方' : '立方') + name + (unit === 'second' ? (power === 2 ? '平方' : '立方') : '');
}

/** Unit signs without a number (℃, ㎡) and angles. */
export const measureRules: readonly Rule[] = [
  zhPattern({
    class: 'measure',
    rule: 'measure/angle',
    next: '°',
    match: /(?<d>\d{1,3})°(?<m>\d{1,2})[′'](?:(?<s>\d{1,2}(?:\.\d{1,4})?)[″"])?(?<side>[NSEW](?![A-Za-z]))?/y,
    read: ({ d = '', m = '', s, side }) => sideOf(side) + `${zhCardinal(d)}度${zhCardinal(m, true)}分${s === undefined ? '' : `${zhAmount(s, 'plain')}秒`}`,
  }),
  zhPattern({
    class: 'measure',
    rule: 'measure/latitude',
    next: '°.',
    match: /(?<d>\d{1,3}(?:\.\d{1,6})?)°\s?(?<side>[NSEW])(?![A-Za-z])/y,
    read: ({ d = '', side }) => `${sideOf(side)}${zhAmount(d)}度`,
  }),
  zhPattern({
    class: 'measure',
    rule: 'measure/resolution',
    next: 'pPi',
    match: /(?<d>360|480|540|720|1080|1440|2160|4320)(?<p>[pPi])(?![A-Za-z])/y,
    read: ({ d = '', p = '' }) => zhDigits(d) + p,
  }),
  readMeasure,
];

/** A unit sign with no number before it. */
export function readUnitSign(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || !/[℃℉\u3380-\u33df]/.test(scope.folded[form.start] ?? '')) return undefined;
  const unit = unitAt(scope.folded, form.start);
  const name = unit && nameAll(unit.over);
  if (unit === undefined || name === undefined || unit.under.length > 0) return undefined;
  return { start: form.start, end: unit.end, class: 'measure', rule: 'measure/sign-alone', reading: name };
}

function sideOf(side: string | undefined): string {
  return { N: '北纬', S: '南纬', E: '东经', W: '西经' }[side ?? ''] ?? '';
}
