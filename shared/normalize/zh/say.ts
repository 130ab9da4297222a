/** `say-as`: a text whose kind the caller names, so that nothing is left to context. */
import type { SayAs } from '../contract.ts';
import { zhAmount, zhPlainNumber } from './amount.ts';
import { CURRENCIES } from './money.ts';
import { zhCardinal, zhCount, zhDigits } from './numbers.ts';

const NUMBER = /^[-+±]?[\d,]*(?:\.\d+)?$/;
const MARKS: Record<string, string> = {
  ',': '逗号', '，': '逗号', '.': '句号', '。': '句号', '?': '问号', '？': '问号', '!': '感叹号', '！': '感叹号', ':': '冒号', '：': '冒号', ';': '分号', '；': '分号', '、': '顿号', '(': '左括号', ')': '右括号', '（': '左括号', '）': '右括号', '"': '引号', '“': '左引号', '”': '右引号', '-': '横杠', '/': '斜杠', '@': '艾特', '#': '井号', '*': '星号', '_': '下划线', '…': '省略号', '《': '左书名号', '》': '右书名号', '&': '和', '%': '百分号', '+': '加号', '=': '等号',
};

/** What needs no rules; undefined sends the text through them (`measure`, `unit`) or leaves it as it is. */
export function sayDirectly(text: string, as: SayAs, format: string | undefined): string | undefined {
  const written = text.trim();
  const number = NUMBER.test(written) && /\d/.test(written);
  if (as === 'cardinal') return number ? zhAmount(written) : undefined;
  if (as === 'ordinal') return /^\d+$/.test(written) ? `第${zhCardinal(written, true)}` : undefined;
  if (as === 'digits' || as === 'telephone') return callOut(written, as === 'telephone');
  if (as === 'characters' || as === 'id') return spell(written);
  if (as === 'punctuation') return [...written].map((mark) => MARKS[mark] ?? zhAloud(mark)).join('');
  if (as === 'expletive') return '哔';
  if (as === 'date') return date(written, format);
  if (as === 'time' || as === 'duration') return clock(written, as === 'duration');
  if (as === 'currency') return number ? zhAmount(written) + (CURRENCIES[format ?? ''] ?? '元') : undefined;
  if (as === 'address') return /\d/.test(written) ? written.replaceAll(/\d+/g, (run) => (run.length > 2 ? zhDigits(run, true) : zhPlainNumber(run))) : undefined;
  return undefined;
}

function callOut(written: string, yao: boolean): string | undefined {
  if (!/\d/.test(written) || /\p{L}/u.test(written)) return undefined;
  return written.startsWith('+') ? `加${zhDigits(written.replaceAll(/\D/g, ''), yao)}` : zhDigits(written.replaceAll(/\D/g, ''), yao);
}

/** Letter by letter; marks by name, so that `a_1` can be written down. */
function spell(written: string): string {
  return [...written.replaceAll(/\s/g, '')].map((one) => (/\d/.test(one) ? zhDigits(one) : (MARKS[one] ?? one))).join(' ');
}

function zhAloud(mark: string): string {
  return /\d/.test(mark) ? zhDigits(mark) : mark;
}

/** `format` names the order of the parts (`ymd`, `mdy`, `my` …); without it a four-digit part is the year. */
function date(written: string, format: string | undefined): string | undefined {
  const parts = written.match(/\d+/g);
  if (parts === null || parts.length > 3 || /[^\d\s./年月日号-]/.test(written)) return undefined;
  const order = /^[ymd]{1,3}$/.test(format ?? '') ? (format ?? '') : guess(parts);
  if (order.length !== parts.length) return undefined;
  const part = (name: string): string | undefined => parts[order.indexOf(name)];
  const [y, m, d] = [part('y'), part('m'), part('d')];
  return (y === undefined ? '' : `${zhDigits(y)}年`) + (m === undefined ? '' : `${zhCardinal(m, true)}月`) + (d === undefined ? '' : `${zhCardinal(d, true)}日`);
}

function guess(parts: readonly string[]): string {
  if (parts.length === 3) return (parts[2]?.length ?? 0) > 2 ? 'mdy' : 'ymd';
  if (parts.length === 2) return (parts[0]?.length ?? 0) > 2 ? 'ym' : (parts[1]?.length ?? 0) > 2 ? 'my' : 'md';
  return (parts[0]?.length ?? 0) > 2 ? 'y' : 'd';
}

function clock(written: string, lasting: boolean): string | undefined {
  const match = /^(\d{1,3}):(\d{1,2})(?::(\d{1,2}))?$/.exec(written);
  if (match === null) return undefined;
  const [, a = '', b = '', c] = match;
  if (!lasting) return undefined;
  if (c === undefined) return `${zhCount(a)}分${zhCardinal(b, true)}秒`;
  return `${zhCount(a)}小时${zhCount(b)}分${zhCardinal(c, true)}秒`;
}
