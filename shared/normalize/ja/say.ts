/** `say-as`: a text whose kind the caller names, so that nothing is left to context. */
import type { SayAs } from '../contract.ts';
import { jaAmount, jaPlainNumber } from './amount.ts';
import { CURRENCIES } from './money.ts';
import { jaCardinal, jaDigits } from './numbers.ts';

const NUMBER = /^[-+±]?[\d,]*(?:\.\d+)?$/;
const MARKS: Record<string, string> = {
  ',': 'コンマ', '、': '読点', '.': 'ピリオド', '。': '句点', '?': '疑問符', '？': '疑問符', '!': '感嘆符', '！': '感嘆符', ':': 'コロン', '：': 'コロン', ';': 'セミコロン', '；': 'セミコロン', '(': '括弧', ')': '括弧閉じ', '（': '括弧', '）': '括弧閉じ', '「': 'かぎ括弧', '」': 'かぎ括弧閉じ', '"': '引用符', '-': 'ハイフン', '/': 'スラッシュ', '@': 'アット', '#': 'シャープ', '*': 'アスタリスク', '_': 'アンダーバー', '…': '三点リーダー', '&': 'アンド', '%': 'パーセント', '+': 'プラス', '=': 'イコール',
};

/** What needs no rules; undefined sends the text through them or leaves it as it is. */
export function sayDirectly(text: string, as: SayAs, format: string | undefined): string | undefined {
  const written = text.trim();
  const number = NUMBER.test(written) && /\d/.test(written);
  if (as === 'cardinal') return number ? jaAmount(written) : undefined;
  if (as === 'ordinal') return /^\d+$/.test(written) ? `${jaCardinal(written)}番目` : undefined;
  if (as === 'digits' || as === 'telephone') return callOut(written, as === 'telephone');
  if (as === 'characters' || as === 'id') return [...written.replaceAll(/\s/g, '')].map((one) => (/\d/.test(one) ? jaDigits(one) : (MARKS[one] ?? one))).join(' ');
  if (as === 'punctuation') return [...written].map((mark) => MARKS[mark] ?? (/\d/.test(mark) ? jaDigits(mark) : mark)).join('');
  if (as === 'expletive') return 'ピー';
  if (as === 'date') return date(written, format);
  if (as === 'duration') return duration(written);
  if (as === 'currency') return number ? jaAmount(written) + (CURRENCIES[format ?? ''] ?? '円') : undefined;
  if (as === 'address') return /\d/.test(written) ? written.replaceAll(/-(?=\d)/g, 'の').replaceAll(/\d+/g, (run) => jaPlainNumber(run)) : undefined;
  return undefined;
}

function callOut(written: string, groups: boolean): string | undefined {
  if (!/\d/.test(written) || /\p{L}/u.test(written)) return undefined;
  const called = (written.match(/\d+/g) ?? []).map(jaDigits).join(groups ? 'の' : '');
  return (written.startsWith('+') ? 'プラス' : '') + called;
}

/** `format` names the order of the parts (`ymd`, `mdy`, `my` …); without it a four-digit part is the year. */
function date(written: string, format: string | undefined): string | undefined {
  const parts = written.match(/\d+/g);
  if (parts === null || parts.length > 3 || /[^\d\s./年月日-]/.test(written)) return undefined;
  const order = /^[ymd]{1,3}$/.test(format ?? '') ? (format ?? '') : guess(parts);
  if (order.length !== parts.length) return undefined;
  return ['y', 'm', 'd'].map((name, at) => (order.includes(name) ? jaCardinal(parts[order.indexOf(name)] ?? '') + '年月日'[at] : '')).join('');
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
  return c === undefined ? `${jaCardinal(a)}分${jaCardinal(b)}秒` : `${jaCardinal(a)}時間${jaCardinal(b)}分${jaCardinal(c)}秒`;
}
