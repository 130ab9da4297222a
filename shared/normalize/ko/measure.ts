/** Measures: a number and a unit symbol (`5kg` → 오 킬로그램, `60km/h` → 시속 육십 킬로미터). Unit symbols take Sino-Korean numbers. */
import type { Replacement, Rule, Scope } from '../contract.ts';
import { cutsForm, follower } from '../pattern.ts';
import { type Unit, type UnitTerm, unitAt } from '../written/units.ts';
import { NUMBER, SCALE, TO, joinOf, koAmount, koPattern, koRange } from './amount.ts';
import { koSino } from './numbers.ts';

const PREFIXES: Record<string, string> = { kilo: '킬로', mega: '메가', giga: '기가', tera: '테라', peta: '페타', hecto: '헥토', deci: '데시', centi: '센티', milli: '밀리', micro: '마이크로', nano: '나노', pico: '피코', femto: '펨토' };
const UNITS: Record<string, string> = {
  metre: '미터', gram: '그램', tonne: '톤', litre: '리터', second: '초', hertz: '헤르츠', watt: '와트', volt: '볼트', ampere: '암페어', ohm: '옴', joule: '줄', newton: '뉴턴', pascal: '파스칼', bar: '바', farad: '패럿', henry: '헨리',
  calorie: '칼로리', 'watt-hour': '와트시', 'ampere-hour': '암페어시', electronvolt: '전자볼트', mole: '몰', byte: '바이트', bit: '비트', 'bit-per-second': '비피에스', sievert: '시버트', becquerel: '베크렐', gray: '그레이', tesla: '테슬라', lumen: '루멘', lux: '럭스', candela: '칸델라', parsec: '파섹', pixel: '픽셀',
  kelvin: '켈빈', degree: '도', arcminute: '분', arcsecond: '초', hectare: '헥타르', acre: '에이커', inch: '인치', foot: '피트', yard: '야드', mile: '마일', 'nautical-mile': '해리', 'light-year': '광년', ounce: '온스', pound: '파운드', gallon: '갤런', pint: '파인트', 'cubic-centimetre': '시시',
  'mile-per-hour': '마일 퍼 시간', 'kilometre-per-hour': '킬로미터 퍼 시간', 'revolution-per-minute': '알피엠', 'beat-per-minute': '비피엠', 'frame-per-second': '에프피에스', 'dot-per-inch': '디피아이', knot: '노트', hour: '시간', minute: '분', day: '일', decibel: '데시벨', horsepower: '마력', atmosphere: '기압', 'millimetre-of-mercury': '밀리미터 에이치지',
  radian: '라디안', 'square-metre': '제곱미터', 'square-kilometre': '제곱킬로미터', 'square-foot': '제곱피트', 'part-per-million': '피피엠', 'part-per-billion': '피피비', 'pound-per-square-inch': '피에스아이', carat: '캐럿', megapixel: '메가픽셀',
  celsius: '섭씨', fahrenheit: '화씨',
};
const SPEEDS: Record<string, string> = { hour: '시속', minute: '분속', second: '초속' };
/** Letters that are mostly no unit beside Korean (4K, 5G, 7B, 1080p). */
const NO_UNIT = new Set(['K', 'T', 'B', 'b', 'F', 'H', 'N', 'C', 'p', 'd', 'st', 'ac', 'au', 'AU', 'pt', 'qt', 'kt', 'kn', 'mo', 'wk', 'yr', 'sq', 'MP', 'PS', 'P', 'pc', 'MT', 'wt', 'HP', 'cd', 'J', 'deg', 'in']);

/** What may follow the digits of a measure: a unit, the rest of the number, a range. */
const MEASURED_NEXT = /[\p{Script=Latin}\p{Script=Greek}°′″℃℉ℓ\u3380-\u33df.\-~/십백천만억조경]/u;
const MEASURED = new RegExp(`(?:(?<n>\\d{1,6})/(?<m>\\d{1,6})|(?<a>${NUMBER})(?:(?:℃|°C)?${TO}(?<b>${NUMBER}))?(?<s>\\s?${SCALE})?)(?<gap> ?)`, 'y');

/** A number, two or a fraction before a unit symbol. */
export function readMeasure(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || !MEASURED_NEXT.test(follower(scope, form)) || /[A-Za-z]/.test(scope.folded[form.start - 1] ?? '')) return undefined;
  const joined = joinOf(scope, form.start);
  MEASURED.lastIndex = form.start + (joined === undefined ? 0 : 1);
  const match = MEASURED.exec(scope.folded);
  if (match === null) return undefined;
  const { a = '', b, s = '', n, m = '' } = match.groups ?? {};
  const unit = unitAt(scope.folded, MEASURED.lastIndex);
  if (unit === undefined || unit.end > scope.to || cutsForm(scope, index, unit.end) || !isUnitHere(unit)) return undefined;
  // iPhone 5s, Model 3h: a letter behind the number of a name is part of the name.
  if (/[A-Za-z] $/.test(scope.folded.slice(Math.max(0, form.start - 2), form.start)) && /^[a-z]$/.test(scope.folded.slice(MEASURED.lastIndex, unit.end))) return undefined;
  const spoken = say(unit, n === undefined ? koRange(a, b) + s.trim() : `${koSino(m)}분의 ${koSino(n)}`);
  if (spoken === undefined) return undefined;
  return { start: form.start, end: unit.end, class: 'measure', rule: 'measure/unit', reading: (joined ?? '') + spoken };
}

function isUnitHere(unit: Unit): boolean {
  const lone = unit.over.length === 1 && unit.under.length === 0 ? unit.over[0] : undefined;
  return lone === undefined || !NO_UNIT.has(lone.symbol);
}

function say(unit: Unit, amount: string): string | undefined {
  const over = nameAll(unit.over);
  if (over === undefined) return undefined;
  if (over === '섭씨' || over === '화씨') return `${over} ${amount}도`;
  if (unit.under.length === 0) return `${amount} ${over}`;
  const only = unit.under.length === 1 ? unit.under[0] : undefined;
  const speed = only?.power === 1 && only.prefix === '' && /^(?:metre|mile)$/.test(unit.over[0]?.unit ?? '') ? SPEEDS[only.unit] : undefined;
  if (speed !== undefined) return `${speed} ${amount} ${over}`;
  const under = nameAll(unit.under);
  return under === undefined ? undefined : `${amount} ${over} 퍼 ${under}`;
}

function nameAll(terms: readonly UnitTerm[]): string | undefined {
  const names: string[] = [];
  for (const { unit, prefix, power } of terms) {
    const base = UNITS[unit];
    if (base === undefined) return undefined;
    const name = (PREFIXES[prefix] ?? '') + base;
    names.push(power === 1 ? name : unit === 'second' ? `${name} ${power === 2 ? '제곱' : '세제곱'}` : (power === 2 ? '제곱' : '세제곱') + name);
  }
  return names.join(' ');
}

/** Rules that start at a number. */
export const measureRules: readonly Rule[] = [
  koPattern({
    class: 'measure',
    rule: 'measure/angle',
    next: '°',
    match: /(?<d>\d{1,3})°(?<m>\d{1,2})[′'](?:(?<s>\d{1,2}(?:\.\d{1,4})?)[″"])?/y,
    read: ({ d = '', m = '', s }) => `${koAmount(d)}도 ${koAmount(m)}분${s === undefined ? '' : ` ${koAmount(s)}초`}`,
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
