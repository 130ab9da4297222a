/** Runs that are called out digit by digit, with の where the hyphens stand: telephone, postal codes, cards, serial numbers. */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { jaAmount, jaPattern } from './amount.ts';
import { jaCardinal, jaDigits } from './numbers.ts';

const CODE_BEFORE =
  /(?:電話|電話番号|携帯|TEL|Tel|tel|FAX|内線|暗証番号|認証コード|確認コード|コード|パスワード|口座番号?|会員番号|社員番号|学籍番号|受付番号|予約番号|注文番号|製造番号|型番|品番|管理番号|整理番号|登録番号|証券コード|銘柄コード|郵便番号|〒|ID|id|PIN|カード番号|シリアル番号?|お問い合わせ番号|追跡番号|マイナンバー|フリーダイヤル|ナンバー)\s?(?:は|が|を|の|:|：|、)?\s?[「(]?$/;

/** Rules that start at a number, before all others. */
export const telephoneRules: readonly Rule[] = [
  jaPattern({
    class: 'telephone',
    rule: 'digits/international',
    match: /\+(?<cc>[1-9]\d{0,2})(?<s>[\s-])?(?<rest>\(?\d{1,4}\)?(?:[\s-]?\d{2,4}){1,4}|\d{6,12})(?!\d)/y,
    read: ({ cc = '', s, rest = '' }) => (rest.replaceAll(/\D/g, '').length < 6 ? undefined : `プラス${jaDigits(cc)}${s === '-' ? 'の' : ''}${grouped(rest)}`),
  }),
  jaPattern({
    class: 'telephone',
    rule: 'digits/telephone',
    match: /(?<n>0\d{1,4}[-\s(]{1,2}\d{1,4}[-\s)]{1,2}\d{3,4}|0[5789]0\d{8}|0120\d{6}|0800\d{7})(?![\d.:/])/y,
    read: ({ n = '' }) => grouped(n),
  }),
  jaPattern({
    class: 'telephone',
    rule: 'digits/bracketed-area',
    next: ')',
    match: /(?<=\()(?<n>\d{2,5}\)[-\s]{0,2}\d{1,4}[-\s]\d{4})(?![\d.:/-])/y,
    read: ({ n = '' }, { start }) => ({ reading: grouped(n), start: start - 1 }),
  }),
  jaPattern({
    class: 'telephone',
    rule: 'digits/local',
    next: '-',
    match: /(?<n>(?<a>\d{3,4})-(?<b>\d{4}))(?![\d.:/-]|\s?[年円人個名万億])/y,
    read: ({ n = '', a = '', b = '' }, place) => (place.scope.hints.dash !== undefined || isYearRange(a, b) ? undefined : grouped(n)),
  }),
  jaPattern({
    class: 'digits',
    rule: 'digits/card',
    match: /(?<n>\d{4}(?:[-\s]\d{4}){3}|\d{3}-\d{3,4}-\d{4})(?![\d.:/-])/y,
    read: ({ n = '' }) => grouped(n),
  }),
];

function isYearRange(a: string, b: string): boolean {
  return /^(?:1[0-9]|20|21)\d\d$/.test(a) && /^(?:1[0-9]|20|21)\d\d$/.test(b);
}

/** Codes told by the words before them, or by their zeros. */
export const codeRules: readonly Rule[] = [
  jaPattern({ class: 'digits', rule: 'digits/code', match: /(?<n>\d{3,40}(?:-\d{1,12}){0,4})(?![\d.:,/%-])/y, read: readCode }),
  jaPattern({
    class: 'digits',
    rule: 'digits/address',
    next: '-',
    match: /(?<n>\d{1,4}(?:-\d{1,4}){2,4})(?![\d.:/-])/y,
    read: ({ n = '' }, place) => (place.scope.hints.dash === undefined ? n.split('-').map((one) => (one.startsWith('0') ? jaDigits(one) : jaCardinal(one))).join('の') : undefined),
  }),
  jaPattern({
    class: 'digits',
    rule: 'digits/block',
    next: '-',
    match: /(?<=丁目\s?|番地?\s?)(?<a>\d{1,4})-(?<b>\d{1,4})(?![\d.:/-])/y,
    read: ({ a = '', b = '' }) => `${jaCardinal(a)}の${jaCardinal(b)}`,
  }),
  jaPattern({
    class: 'digits',
    rule: 'digits/model',
    next: '-.',
    match: /(?<=[A-Za-z])(?<a>\d{1,6}(?:\.\d{1,4})?)-(?<b>\d{1,8}(?:\.\d{1,4})?)(?![\d.:/]|-\d)/y,
    read: ({ a = '', b = '' }) => [a, b].map((n) => (n.length > 2 && !n.includes('.') ? jaDigits(n) : jaAmount(n))).join('の'),
  }),
  jaPattern({
    class: 'digits',
    rule: 'digits/after-letters',
    match: /(?<=[A-Za-z]-?)(?<n>\d{3,12})(?:-(?<m>\d{1,8}))?(?![\d:/.])/y,
    read: ({ n = '', m }, place) => {
      if (!/[A-Za-z]-?$/.test(place.before(2)) || /\d[xX]$/.test(place.before(2)) || (n.endsWith('00') && m === undefined)) return undefined;
      return { reading: jaDigits(n) + (m === undefined ? '' : `の${jaDigits(m)}`), alternatives: [jaCardinal(n)] };
    },
  }),
  jaPattern({
    class: 'digits',
    rule: 'digits/version',
    next: '.',
    match: /(?<n>\d{1,6}(?:\.\d{1,6}){2,5})(?!\d|[:/-]\d)/y,
    read: ({ n = '' }) => n.split('.').map((part) => (part.length > 2 || /^0\d/.test(part) ? jaDigits(part) : jaCardinal(part))).join('点'),
  }),
  jaPattern({
    class: 'digits',
    rule: 'digits/called',
    next: '番',
    match: /(?<n>110|119|117|118|104|171|177|188|189)(?=番)/y,
    read: ({ n = '' }) => ({ reading: n === '110' ? '百十' : jaDigits(n), alternatives: [jaCardinal(n)] }),
  }),
];

function readCode({ n = '' }: Groups, place: Place): string | { reading: string; alternatives: string[] } | undefined {
  const { integer } = place.scope.hints;
  if (integer === 'cardinal') return undefined;
  const told = CODE_BEFORE.test(place.before(12)) && !/^\s?(?:個|人|件|円|枚|本|万|億|種類|歳|桁|年|月|日|回|ページ|台)/.test(place.after(3));
  if (integer !== 'digits' && !told && !(n.startsWith('0') && !n.includes('-'))) return undefined;
  return { reading: grouped(n), alternatives: n.includes('-') ? [] : [jaCardinal(n)] };
}

/** Groups of digits with の between them. */
function grouped(written: string): string {
  return (written.match(/\d+/g) ?? []).map(jaDigits).join('の');
}
