/** Runs that are called out digit by digit: telephone numbers, cards, resident numbers, codes. Zero is 공 (or 영). */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { koAmount, koPattern } from './amount.ts';
import { koDigits, koSino } from './numbers.ts';

const CODE_BEFORE =
  /(?:전화번호|전화|휴대폰|핸드폰|연락처|문의|팩스|TEL|Tel|tel|FAX|내선|비밀번호|인증\s?번호|인증\s?코드|확인\s?코드|승인\s?번호|코드|계좌\s?번호?|카드\s?번호|회원\s?번호|사번|학번|군번|주민\s?번호|주민등록번호|주문\s?번호|송장\s?번호|운송장|예약\s?번호|접수\s?번호|고유\s?번호|일련\s?번호|등록\s?번호|사업자\s?번호|사업자등록번호|우편번호|종목\s?코드|차량\s?번호|핀\s?번호|ID|id|PIN|아이디)\s?(?:는|은|이|가|를|을|로|:)?\s?[「('"]?$/;

/** Rules that start at a number, before all others. */
export const telephoneRules: readonly Rule[] = [
  koPattern({
    class: 'telephone',
    rule: 'digits/international',
    match: /\+(?<cc>[1-9]\d{0,2})[\s-]?(?<rest>\(?\d{1,4}\)?(?:[\s-]?\d{2,4}){1,4}|\d{6,12})(?!\d)/y,
    read: ({ cc = '', rest = '' }) => (rest.replaceAll(/\D/g, '').length < 6 ? undefined : `국가번호 ${koDigits(cc)} ${grouped(rest)}`),
  }),
  koPattern({
    class: 'telephone',
    rule: 'digits/telephone',
    match: /(?<n>0\d{1,3}[-.\s]{1,2}\d{3,4}[-.\s]\d{4}|01[016789]\d{7,8}|1[568]\d\d-\d{4}|\d{3}-\d{3,4}-\d{4}|\d{4}(?:[-\s]\d{4}){3}|\d{6}-\d{7}|\d{3}-\d{2}-\d{5})(?![\d.:/-])/y,
    read: ({ n = '' }) => grouped(n),
  }),
];

/** Bracketed area codes and numbers without one. */
export const localNumberRules: readonly Rule[] = [
  koPattern({
    class: 'telephone',
    rule: 'digits/bracketed-area',
    next: ')',
    match: /(?<=\()(?<n>\d{2,4}\)[-\s]{0,2}\d{3,4}[-\s]\d{4})(?![\d.:/-])/y,
    read: ({ n = '' }, { start }) => ({ reading: grouped(n), start: start - 1 }),
  }),
  koPattern({
    class: 'telephone',
    rule: 'digits/local',
    next: '-',
    match: /(?<a>\d{3,4})-(?<b>\d{4})(?![\d.:/-]|\s?[년원명개만억])/y,
    read: ({ a = '', b = '' }, place) => (place.scope.hints.dash !== undefined || isYearRange(a, b) ? undefined : `${koDigits(a)} ${koDigits(b)}`),
  }),
];

function isYearRange(a: string, b: string): boolean {
  return /^(?:1[0-9]|20|21)\d\d$/.test(a) && /^(?:1[0-9]|20|21)\d\d$/.test(b);
}

/** Codes told by the words before them, or by their zeros. */
export const codeRules: readonly Rule[] = [
  koPattern({ class: 'digits', rule: 'digits/code', match: /(?<n>\d{3,40}(?:-\d{1,12}){0,4})(?![\d.:,/%-])/y, read: readCode }),
  koPattern({
    class: 'digits',
    rule: 'digits/model',
    next: '-.',
    match: /(?<=[A-Za-z])(?<a>\d{1,6}(?:\.\d{1,4})?)-(?<b>\d{1,8}(?:\.\d{1,4})?)(?![\d.:/]|-\d)/y,
    read: ({ a = '', b = '' }) => [a, b].map((n) => (n.length > 2 && !n.includes('.') ? koDigits(n) : koAmount(n))).join(' '),
  }),
  koPattern({
    class: 'digits',
    rule: 'digits/after-letters',
    match: /(?<=[A-Za-z]-?)(?<n>\d{3,12})(?:-(?<m>\d{1,8}))?(?![\d:/.])/y,
    read: ({ n = '', m }, place) => {
      if (!/[A-Za-z]-?$/.test(place.before(2)) || /\d[xX]$/.test(place.before(2)) || (n.endsWith('00') && m === undefined)) return undefined;
      return { reading: koDigits(n) + (m === undefined ? '' : ` 다시 ${koDigits(m)}`), alternatives: [koSino(n)] };
    },
  }),
  koPattern({
    class: 'digits',
    rule: 'digits/version',
    next: '.',
    match: /(?<n>\d{1,6}(?:\.\d{1,6}){2,5})(?!\d|[:/-]\d)/y,
    read: ({ n = '' }) => n.split('.').map((part) => (part.length > 2 || /^0\d/.test(part) ? koDigits(part, '영') : koSino(part))).join('점'),
  }),
  koPattern({
    class: 'digits',
    rule: 'digits/address',
    next: '-',
    match: /(?<a>\d{1,4})-(?<b>\d{1,4})(?=\s?(?:번지|호|동))/y,
    read: ({ a = '', b = '' }) => `${koSino(a)} 다시 ${koSino(b)}`,
  }),
];

function readCode({ n = '' }: Groups, place: Place): string | { reading: string; alternatives: string[] } | undefined {
  const { integer } = place.scope.hints;
  if (integer === 'cardinal') return undefined;
  const told = CODE_BEFORE.test(place.before(14)) && !/^\s?(?:개|명|건|원|장|만|억|종|살|자리|년|월|일|회|번째|쪽|대|여)/.test(place.after(3));
  if (integer !== 'digits' && !told && !(n.startsWith('0') && !n.includes('-'))) return undefined;
  return { reading: grouped(n), alternatives: n.includes('-') ? [] : [koSino(n)] };
}

function grouped(written: string): string {
  return (written.match(/\d+/g) ?? []).map((group) => koDigits(group)).join(' ');
}
