/** Money: the sign or code goes behind the amount (￥500 → 五百円, USD10 → 十アメリカドル). */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { currencyCodeAt, currencySignAt } from '../written/currencies.ts';
import { NUMBER, SCALE, TO, jaAmount, jaPattern, jaRange } from './amount.ts';

/** ISO 4217 → name after an amount. */
export const CURRENCIES: Record<string, string> = {
  'JPY/CNY': '円', JPY: '円', USD: 'アメリカドル', EUR: 'ユーロ', GBP: 'ポンド', CNY: '人民元', KRW: 'ウォン', HKD: '香港ドル', TWD: '台湾ドル', MOP: 'マカオパタカ', AUD: 'オーストラリアドル',
  CAD: 'カナダドル', NZD: 'ニュージーランドドル', SGD: 'シンガポールドル', CHF: 'スイスフラン', INR: 'インドルピー', RUB: 'ルーブル', THB: 'バーツ', VND: 'ドン', PHP: 'フィリピンペソ',
  TRY: 'トルコリラ', UAH: 'フリヴニャ', NGN: 'ナイラ', ILS: 'シェケル', BTC: 'ビットコイン', ETH: 'イーサ', MXN: 'メキシコペソ', BRL: 'ブラジルレアル', ARS: 'アルゼンチンペソ', CLP: 'チリペソ',
  COP: 'コロンビアペソ', PEN: 'ソル', ZAR: '南アフリカランド', SEK: 'スウェーデンクローナ', NOK: 'ノルウェークローネ', DKK: 'デンマーククローネ', PLN: 'ズウォティ', CZK: 'チェココルナ',
  HUF: 'フォリント', RON: 'ルーマニアレウ', MYR: 'マレーシアリンギット', IDR: 'インドネシアルピア', SAR: 'サウジリヤル', AED: 'ディルハム', QAR: 'カタールリヤル', KWD: 'クウェートディナール',
  EGP: 'エジプトポンド', PKR: 'パキスタンルピー', BDT: 'タカ', LKR: 'スリランカルピー', KZT: 'テンゲ', ISK: 'アイスランドクローナ', MNT: 'トゥグルグ', LAK: 'キープ', GHS: 'セディ', CRC: 'コロン', PYG: 'グアラニー',
};

const SIGN = String.raw`(?:US|HK|NT|AU|CA|NZ|MX|CN|JP|[ACSR])?[$¥]|[€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮]`;
const CODE = String.raw`(?<![A-Za-z])[A-Z]{3}`;
/** Codes that are also words or names (COP26): only amounts of three digits and more are money. */
const WORDLIKE = /^(?:COP|TRY|PEN|MOP|LAK)$/;
const SHORT: Record<string, number> = { k: 3, thousand: 3, m: 6, million: 6, b: 9, bn: 9, billion: 9, t: 12, trillion: 12 };
const SHORT_SCALE = String.raw`(?:\s?(?<short>k|million|thousand|m|bn|billion|b|trillion|t)(?![A-Za-z]))`;
const PAID = String.raw`(?<a>${NUMBER})(?:${TO}(?:(?:${SIGN})\s?)?(?<b>${NUMBER}))?(?:\s?(?<scale>${SCALE}))?`;

/** Rules that start at a currency sign. */
export const moneySignRules: readonly Rule[] = [
  jaPattern({ class: 'money', rule: 'money/sign', first: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮', match: new RegExp(`(?<unit>${SIGN})\\s?${PAID}${SHORT_SCALE}?(?<own>円|ドル|ユーロ|ポンド|ウォン|元)?`, 'iy'), read: readPaid }),
  jaPattern({ class: 'money', rule: 'money/sign-alone', first: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮', match: new RegExp(`(?<unit>${SIGN})`, 'y'), read: ({ unit = '' }) => nameOf(unit) }),
];

/** Rules that start at a word: `USD 100`, `HK$5`. */
export const moneyWordRules: readonly Rule[] = [
  jaPattern({ class: 'money', rule: 'money/code', match: new RegExp(`(?<unit>${SIGN}|${CODE})\\s?${PAID}(?<own>円|ドル)?`, 'y'), read: readPaid }),
];

/** Rules that start at a number: `100 USD`, `5$`. */
export const moneyRules: readonly Rule[] = [
  jaPattern({ class: 'money', rule: 'money/after', next: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮ABCDEFGHIJKLMNOPQRSTUVWXYZ-~か.十百千万億兆京', match: new RegExp(`${PAID}\\s?(?<unit>${SIGN}|${CODE}(?![A-Za-z]))`, 'y'), read: readPaid }),
];

function readPaid({ unit = '', a = '', b, scale = '', short, own }: Groups, place: Place): string | undefined {
  const name = own ?? nameOf(unit);
  if (name === undefined || (/^[A-Z]{3}$/.test(unit) && (/^\d/.test(place.after(1)) || (WORDLIKE.test(unit) && a.length < 3)))) return undefined;
  return (short === undefined ? jaRange(a, b) + scale : scaled(a, short)) + name;
}

/** `$` alone is ドル; the code says whose. */
function nameOf(unit: string): string | undefined {
  if (unit === '$') return 'ドル';
  const found = currencySignAt(unit.toUpperCase(), 0) ?? currencyCodeAt(unit, 0);
  return found === undefined ? undefined : CURRENCIES[found.code];
}

/** 2.5 million → 二百五十万: the point is moved, the rest read as a whole. */
function scaled(written: string, short: string): string {
  const places = SHORT[short.toLowerCase()] ?? 0;
  const [integer = '', decimals = ''] = written.replaceAll(',', '').split('.');
  const whole = integer + decimals.slice(0, places).padEnd(places, '0');
  const rest = decimals.slice(places);
  return jaAmount(rest === '' ? whole : `${whole}.${rest}`);
}
