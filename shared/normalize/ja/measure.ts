/** Measures: a number and a unit symbol (`5kg` → 五キログラム, `60km/h` → 時速六十キロメートル). */
import type { Replacement, Rule, Scope } from '../contract.ts';
import { cutsForm, follower } from '../pattern.ts';
import { type Unit, type UnitTerm, unitAt } from '../written/units.ts';
import { NUMBER, SCALE, TO, jaAmount, jaPattern, jaRange, joinOf } from './amount.ts';

const PREFIXES: Record<string, string> = { kilo: 'キロ', mega: 'メガ', giga: 'ギガ', tera: 'テラ', peta: 'ペタ', hecto: 'ヘクト', deci: 'デシ', centi: 'センチ', milli: 'ミリ', micro: 'マイクロ', nano: 'ナノ', pico: 'ピコ', femto: 'フェムト' };
const UNITS: Record<string, string> = {
  metre: 'メートル', gram: 'グラム', tonne: 'トン', litre: 'リットル', second: '秒', hertz: 'ヘルツ', watt: 'ワット', volt: 'ボルト', ampere: 'アンペア', ohm: 'オーム', joule: 'ジュール', newton: 'ニュートン',
  pascal: 'パスカル', bar: 'バール', farad: 'ファラド', henry: 'ヘンリー', calorie: 'カロリー', 'watt-hour': 'ワット時', 'ampere-hour': 'アンペア時', electronvolt: '電子ボルト', mole: 'モル', byte: 'バイト', bit: 'ビット',
  'bit-per-second': 'ビーピーエス', sievert: 'シーベルト', becquerel: 'ベクレル', gray: 'グレイ', tesla: 'テスラ', lumen: 'ルーメン', lux: 'ルクス', candela: 'カンデラ', parsec: 'パーセク', pixel: 'ピクセル',
  celsius: '度', fahrenheit: '度', kelvin: 'ケルビン', degree: '度', arcminute: '分', arcsecond: '秒', hectare: 'ヘクタール', acre: 'エーカー', inch: 'インチ', foot: 'フィート', yard: 'ヤード', mile: 'マイル',
  'nautical-mile': '海里', 'light-year': '光年', ounce: 'オンス', pound: 'ポンド', gallon: 'ガロン', pint: 'パイント', 'cubic-centimetre': 'シーシー', 'mile-per-hour': 'マイル毎時', 'kilometre-per-hour': 'キロメートル毎時',
  'revolution-per-minute': '回転毎分', 'beat-per-minute': 'ビーピーエム', 'frame-per-second': 'エフピーエス', 'dot-per-inch': 'ディーピーアイ', knot: 'ノット', hour: '時間', minute: '分', day: '日', decibel: 'デシベル', horsepower: '馬力',
  atmosphere: '気圧', 'millimetre-of-mercury': 'ミリメートルエイチジー', radian: 'ラジアン', 'square-metre': '平方メートル', 'square-kilometre': '平方キロメートル', 'square-foot': '平方フィート', 'part-per-million': 'ピーピーエム', 'part-per-billion': 'ピーピービー',
  'pound-per-square-inch': 'ポンド毎平方インチ', carat: 'カラット', megapixel: 'メガピクセル',
};
/** What stands alone after a slash: 時速, 分速 … come first in speech. */
const SPEEDS: Record<string, string> = { hour: '時速', minute: '分速', second: '秒速' };
/** Letters that are mostly no unit beside Japanese (4K, 5G, 7B, 1080p). */
const NO_UNIT = new Set(['K', 'T', 'B', 'b', 'F', 'H', 'N', 'C', 'p', 'd', 'st', 'ac', 'au', 'pt', 'qt', 'kt', 'kn', 'mo', 'wk', 'yr', 'sq', 'MP', 'PS', 'P', 'pc', 'MT', 'wt', 'HP', 'cd', 'J', 'deg', 'in', 'AU']);

/** What may follow the digits of a measure: a unit, the rest of the number, a range. */
const MEASURED_NEXT = /[\p{Script=Latin}\p{Script=Greek}°′″℃℉ℓ\u3380-\u33df.\-~/か十百千万億兆京]/u;
const MEASURED = new RegExp(`(?:(?<n>\\d{1,6})/(?<m>\\d{1,6})|(?<a>${NUMBER})(?:(?:℃|°C|%)?${TO}(?<b>${NUMBER}))?(?<s>\\s?${SCALE})?)(?<gap> ?)`, 'y');

/** A number, or two, before a unit symbol. */
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
  const spoken = say(unit, n === undefined ? jaRange(a, b) + s.trim() : `${jaAmount(m)}分の${jaAmount(n)}`);
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
  if (unit.over[0]?.unit === 'fahrenheit') return `華氏${amount}度`;
  if (unit.under.length === 0) return amount + over;
  const only = unit.under.length === 1 ? unit.under[0] : undefined;
  const speed = only?.power === 1 && only.prefix === '' && /^(?:metre|mile)$/.test(unit.over[0]?.unit ?? '') ? SPEEDS[only.unit] : undefined;
  if (speed !== undefined) return speed + amount + over;
  const under = nameAll(unit.under)?.replace(/^時間$/, '時');
  return under === undefined ? undefined : `${amount}${over}毎${under}`;
}

function nameAll(terms: readonly UnitTerm[]): string | undefined {
  let out = '';
  for (const { unit, prefix, power } of terms) {
    const base = UNITS[unit];
    if (base === undefined) return undefined;
    const name = (PREFIXES[prefix] ?? '') + base;
    out += power === 1 ? name : unit === 'second' ? `${name}${power === 2 ? '毎秒' : '毎秒毎秒'}` : (power === 2 ? '平方' : '立方') + name;
  }
  return out;
}

/** Rules that start at a number. */
export const measureRules: readonly Rule[] = [
  jaPattern({
    class: 'measure',
    rule: 'measure/angle',
    next: '°',
    match: /(?<d>\d{1,3})°(?<m>\d{1,2})[′'](?:(?<s>\d{1,2}(?:\.\d{1,4})?)[″"])?/y,
    read: ({ d = '', m = '', s }) => `${jaAmount(d)}度${jaAmount(m)}分${s === undefined ? '' : `${jaAmount(s)}秒`}`,
  }),
  readMeasure,
];

/** A unit sign with no number before it, and squared words (㌔, ㍍). */
export function readUnitSign(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const sign = form === undefined ? '' : (scope.folded[form.start] ?? '');
  if (form === undefined || !/[℃℉\u3300-\u33ff]/.test(sign)) return undefined;
  const word = /[\u3300-\u3357\u337b-\u337f]/.test(sign) ? sign.normalize('NFKC') : undefined;
  const unit = word === undefined ? unitAt(scope.folded, form.start) : undefined;
  const reading = word ?? (unit && nameAll(unit.over));
  if (reading === undefined) return undefined;
  return { start: form.start, end: unit?.end ?? form.end, class: 'measure', rule: 'measure/sign-alone', reading };
}
