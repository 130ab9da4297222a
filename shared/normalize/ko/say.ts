/** `say-as`: a text whose kind the caller names, so that nothing is left to context. */
import type { SayAs } from '../contract.ts';
import { koAmount, koPlainNumber } from './amount.ts';
import { month } from './date.ts';
import { CURRENCIES } from './money.ts';
import { koDigits, koNative, koSino } from './numbers.ts';

const NUMBER = /^[-+±]?[\d,]*(?:\.\d+)?$/;
const MARKS: Record<string, string> = {
  ',': '쉼표', '.': '마침표', '?': '물음표', '!': '느낌표', ':': '쌍점', ';': '쌍반점', '(': '괄호 열고', ')': '괄호 닫고', '"': '큰따옴표', "'": '작은따옴표', '-': '대시', '/': '슬래시', '@': '골뱅이', '#': '샵', '*': '별표', '_': '언더바', '…': '줄임표', '&': '앤드', '%': '퍼센트', '+': '더하기', '=': '등호', '~': '물결표',
};

/** What needs no rules; undefined sends the text through them or leaves it as it is. */
export function sayDirectly(text: string, as: SayAs, format: string | undefined): string | undefined {
  const written = text.trim();
  const number = NUMBER.test(written) && /\d/.test(written);
  if (as === 'cardinal') return number ? koAmount(written) : undefined;
  if (as === 'ordinal') return /^\d+$/.test(written) ? ordinal(written) : undefined;
  if (as === 'digits' || as === 'telephone') return callOut(written, as === 'telephone');
  if (as === 'characters' || as === 'id') return [...written.replaceAll(/\s/g, '')].map((one) => (/\d/.test(one) ? koDigits(one) : (MARKS[one] ?? one))).join(' ');
  if (as === 'punctuation') return [...written].map((mark) => (MARKS[mark] === undefined ? (/\d/.test(mark) ? koDigits(mark) : mark) : ` ${MARKS[mark]} `)).join('').trim();
  if (as === 'expletive') return '삐';
  if (as === 'date') return date(written, format);
  if (as === 'duration') return duration(written);
  if (as === 'currency') return number ? `${koAmount(written)} ${CURRENCIES[format ?? ''] ?? '원'}` : undefined;
  if (as === 'address') return /\d/.test(written) ? written.replaceAll(/-(?=\d)/g, ' 다시 ').replaceAll(/\d+/g, (run) => koPlainNumber(run)) : undefined;
  return undefined;
}

function ordinal(digits: string): string {
  return Number(digits) === 1 ? '첫 번째' : `${koNative(digits)} 번째`;
}

function callOut(written: string, groups: boolean): string | undefined {
  if (!/\d/.test(written) || /\p{L}/u.test(written)) return undefined;
  const called = (written.match(/\d+/g) ?? []).map((group) => koDigits(group)).join(groups ? ' ' : '');
  return (written.startsWith('+') ? '국가번호 ' : '') + called;
}

/** `format` names the order of the parts (`ymd`, `mdy`, `my` …); without it a four-digit part is the year. */
function date(written: string, format: string | undefined): string | undefined {
  const parts = written.match(/\d+/g);
  if (parts === null || parts.length > 3 || /[^\d\s./년월일-]/.test(written)) return undefined;
  const order = /^[ymd]{1,3}$/.test(format ?? '') ? (format ?? '') : guess(parts);
  if (order.length !== parts.length) return undefined;
  const part = (name: string): string | undefined => parts[order.indexOf(name)];
  const [y, m, d] = [part('y'), part('m'), part('d')];
  const words = [y === undefined ? '' : `${koSino(y)}년`, m === undefined ? '' : `${month(m)}월`, d === undefined ? '' : `${koSino(d)}일`];
  return words.filter((word) => word !== '').join(' ');
}

function guess(parts: readonly string[]): string {
  if (parts.length === 3) return (parts[2]?.length ?? 0) > 2 ? 'mdy' : 'ymd';
  if (parts.length === 2) return (parts[0]?.length ?? 0) > 2 ? 'ym' : (parts[1]?.length ?? 0) > 2 ? 'my' : 'md';
  return (parts[0]?.length ?? 0) > 2 ? 'y' : 'd';
}

function duration(written: string): string | undefined {
  const match = /^(\d{1,3}):(\d{1,2})(?::(\d{1,2}))?$/.exec(written);
  if (match === null) return undefined;
  const [, a = '', b = '', c] = match;
  return c === undefined ? `${koSino(a)}분 ${koSino(b)}초` : `${koNative(a)}시간 ${koSino(b)}분 ${koSino(c)}초`;
}
