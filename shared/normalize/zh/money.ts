/** Money: the sign or code goes behind the amount (￥5 → 五元); rates with Chinese units (元/斤 → 元每斤). */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { currencyCodeAt, currencySignAt } from '../written/currencies.ts';
import { NUMBER, SCALE, TO, zhAmount, zhPattern, zhRange } from './amount.ts';

/** ISO 4217 → name after an amount. */
export const CURRENCIES: Record<string, string> = {
  CNY: '元', 'JPY/CNY': '元', USD: '美元', EUR: '欧元', GBP: '英镑', JPY: '日元', KRW: '韩元', HKD: '港元', TWD: '新台币', MOP: '澳门元', AUD: '澳元',
  CAD: '加元', NZD: '新西兰元', SGD: '新加坡元', CHF: '瑞士法郎', INR: '印度卢比', RUB: '俄罗斯卢布', THB: '泰铢', VND: '越南盾', PHP: '菲律宾比索',
  TRY: '土耳其里拉', UAH: '乌克兰格里夫纳', NGN: '奈拉', ILS: '以色列谢克尔', BTC: '比特币', ETH: '以太币', MXN: '墨西哥比索', BRL: '巴西雷亚尔',
  ARS: '阿根廷比索', CLP: '智利比索', COP: '哥伦比亚比索', ZAR: '南非兰特', SEK: '瑞典克朗', NOK: '挪威克朗', DKK: '丹麦克朗', PLN: '波兰兹罗提',
  CZK: '捷克克朗', HUF: '匈牙利福林', MYR: '马来西亚林吉特', IDR: '印尼盾', SAR: '沙特里亚尔', AED: '迪拉姆', PKR: '巴基斯坦卢比', KZT: '坚戈', MNT: '图格里克',
  LAK: '基普', GHS: '塞地', CRC: '科朗', PYG: '瓜拉尼', EGP: '埃及镑', KWD: '科威特第纳尔', ISK: '冰岛克朗', PEN: '索尔', RON: '罗马尼亚列伊', QAR: '卡塔尔里亚尔', BDT: '塔卡', LKR: '斯里兰卡卢比',
};

const SIGN = String.raw`(?:US|HK|NT|AU|CA|NZ|MX|CN|JP|RMB|[ACSR])?[$¥]|[€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮]`;
const CODE = String.raw`(?<![A-Za-z])[A-Z]{3}`;
/** Codes that are also words or names (COP26): only amounts of three digits and more are money. */
const WORDLIKE = /^(?:COP|TRY|PEN|MOP|LAK)$/;
/** English short scales after an amount, as powers of ten. */
const SHORT: Record<string, number> = { k: 3, thousand: 3, m: 6, mn: 6, mio: 6, million: 6, b: 9, bn: 9, billion: 9, t: 12, tn: 12, trillion: 12 };
const SHORT_SCALE = String.raw`(?:\s?(?<short>k|mn|mio|million|thousand|m|bn|billion|b|tn|trillion|t)(?![A-Za-z]))`;
const PAID = String.raw`(?<a>${NUMBER})(?:${TO}(?:(?:${SIGN})\s?)?(?<b>${NUMBER}))?(?:\s?(?<scale>${SCALE}))?`;

/** Rules that start at a currency sign. */
export const moneySignRules: readonly Rule[] = [
  zhPattern({ class: 'money', rule: 'money/sign', first: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮', match: new RegExp(`(?<unit>${SIGN})\\s?${PAID}${SHORT_SCALE}?(?<own>元|美元|美金|日元|欧元|英镑|港元|港币|人民币)?`, 'iy'), read: readPaid }),
  zhPattern({ class: 'money', rule: 'money/sign-alone', first: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮', match: new RegExp(`(?<unit>${SIGN})`, 'y'), read: ({ unit = '' }) => nameOf(unit) }),
];

/** Rules that start at a word: `USD 100`, `HK$5`, `RMB¥5`. */
export const moneyWordRules: readonly Rule[] = [
  zhPattern({ class: 'money', rule: 'money/code', match: new RegExp(`(?<unit>${SIGN}|${CODE})\\s?${PAID}(?<own>元)?`, 'y'), read: readPaid }),
];

/** Rules that start at a number: `100 USD`, `5$`. */
export const moneyRules: readonly Rule[] = [
  zhPattern({ class: 'money', rule: 'money/after', next: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮ABCDEFGHIJKLMNOPQRSTUVWXYZ-~至到.十百千万萬亿億兆', match: new RegExp(`${PAID}\\s?(?<unit>${SIGN}|${CODE}(?![A-Za-z]))`, 'y'), read: readPaid }),
  zhPattern({
    class: 'money',
    rule: 'money/short-scale',
    next: 'mMbBtT.',
    match: new RegExp(`(?<a>${NUMBER})\\s?(?<short>million|billion|trillion)(?![A-Za-z])`, 'iy'),
    read: ({ a = '', short }) => scaled(a, short),
  }),
];

function readPaid({ unit = '', a = '', b, scale = '', short, own }: Groups, place: Place): string | { reading: string; alternatives: string[] } | undefined {
  const name = own ?? nameOf(unit);
  if (name === undefined) return undefined;
  if (/^[A-Z]{3}$/.test(unit) && (/^\d/.test(place.after(1)) || (WORDLIKE.test(unit) && a.length < 3))) return undefined;
  if (short !== undefined) return scaled(a, short) + name;
  const style = name === '元' || scale !== '' ? 'amount' : 'count';
  const amount = b === undefined && scale === '' ? zhAmount(a, /^0*2$/.test(a) ? 'count' : 'amount') : zhRange(a, b, style) + scale;
  return { reading: amount + name, alternatives: name === '元' ? [`${amount}人民币`] : [] };
}

function nameOf(unit: string): string | undefined {
  const found = currencySignAt(unit.toUpperCase(), 0) ?? currencyCodeAt(unit, 0);
  return found === undefined ? undefined : CURRENCIES[found.code];
}

/** 2.5 million → 二百五十万: the point is moved, the rest read as a whole. */
function scaled(written: string, short = ''): string {
  const places = SHORT[short.toLowerCase()] ?? 0;
  const [integer = '', decimals = ''] = written.replaceAll(',', '').split('.');
  const whole = integer + decimals.slice(0, places).padEnd(places, '0');
  const rest = decimals.slice(places);
  return zhAmount(rest === '' ? whole : `${whole}.${rest}`);
}
