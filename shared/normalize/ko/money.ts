/** Money: the sign or code goes behind the amount (₩5,000 → 오천 원, US$5 → 오 달러). */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { currencyCodeAt, currencySignAt } from '../written/currencies.ts';
import { NUMBER, SCALE, TO, koAmount, koPattern, koRange } from './amount.ts';

/** ISO 4217 → name after an amount. */
export const CURRENCIES: Record<string, string> = {
  KRW: '원', USD: '달러', EUR: '유로', GBP: '파운드', JPY: '엔', 'JPY/CNY': '엔', CNY: '위안', HKD: '홍콩 달러', TWD: '대만 달러', MOP: '마카오 파타카', AUD: '호주 달러', CAD: '캐나다 달러', NZD: '뉴질랜드 달러', SGD: '싱가포르 달러',
  CHF: '스위스 프랑', INR: '루피', RUB: '루블', THB: '바트', VND: '동', PHP: '페소', TRY: '리라', UAH: '흐리우냐', NGN: '나이라', ILS: '셰켈', BTC: '비트코인', ETH: '이더리움', MXN: '멕시코 페소', BRL: '헤알', ARS: '아르헨티나 페소', CLP: '칠레 페소',
  COP: '콜롬비아 페소', PEN: '솔', ZAR: '랜드', SEK: '스웨덴 크로나', NOK: '노르웨이 크로네', DKK: '덴마크 크로네', PLN: '즈워티', CZK: '코루나', HUF: '포린트', RON: '레우', MYR: '링깃', IDR: '루피아', SAR: '리얄', AED: '디르함', QAR: '카타르 리얄', KWD: '쿠웨이트 디나르',
  EGP: '이집트 파운드', PKR: '파키스탄 루피', BDT: '타카', LKR: '스리랑카 루피', KZT: '텡게', ISK: '아이슬란드 크로나', MNT: '투그릭', LAK: '킵', GHS: '세디', CRC: '콜론', PYG: '과라니',
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
  koPattern({ class: 'money', rule: 'money/sign', first: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮', match: new RegExp(`(?<unit>${SIGN})\\s?${PAID}${SHORT_SCALE}?(?:\\s?(?<own>원|달러|유로|엔|위안|파운드))?`, 'iy'), read: readPaid }),
  koPattern({ class: 'money', rule: 'money/sign-alone', first: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮', match: new RegExp(`(?<unit>${SIGN})`, 'y'), read: ({ unit = '' }) => nameOf(unit) }),
];

/** Rules that start at a word: `USD 100`, `US$ 5`. */
export const moneyWordRules: readonly Rule[] = [
  koPattern({ class: 'money', rule: 'money/code', match: new RegExp(`(?<unit>${SIGN}|${CODE})\\s?${PAID}(?:\\s?(?<own>원|달러))?`, 'y'), read: readPaid }),
];

/** Rules that start at a number: `100 USD`, `5$`. */
export const moneyRules: readonly Rule[] = [
  koPattern({ class: 'money', rule: 'money/after', next: '$¥€£₩₹₽฿₫₱₺₴₦₪₿₸₡₲₵₭₮ABCDEFGHIJKLMNOPQRSTUVWXYZ-~.십백천만억조경', match: new RegExp(`${PAID}\\s?(?<unit>${SIGN}|${CODE}(?![A-Za-z]))`, 'y'), read: readPaid }),
];

function readPaid({ unit = '', a = '', b, scale = '', short, own }: Groups, place: Place): string | undefined {
  const name = own ?? nameOf(unit);
  if (name === undefined || (/^[A-Z]{3}$/.test(unit) && (/^\d/.test(place.after(1)) || (WORDLIKE.test(unit) && a.length < 3)))) return undefined;
  return `${short === undefined ? koRange(a, b) + scale : scaled(a, short)} ${name}`;
}

function nameOf(unit: string): string | undefined {
  const found = currencySignAt(unit.toUpperCase(), 0) ?? currencyCodeAt(unit, 0);
  return found === undefined ? undefined : CURRENCIES[found.code];
}

/** 2.5 million → 이백오십만: the point is moved, the rest read as a whole. */
function scaled(written: string, short: string): string {
  const places = SHORT[short.toLowerCase()] ?? 0;
  const [integer = '', decimals = ''] = written.replaceAll(',', '').split('.');
  const whole = integer + decimals.slice(0, places).padEnd(places, '0');
  const rest = decimals.slice(places);
  return koAmount(rest === '' ? whole : `${whole}.${rest}`);
}
