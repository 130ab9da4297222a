/** Addresses: names keep their letters, digits are called out, signs are named (`a@b.com` → a艾特b点com). */
import type { Replacement, Scope } from '../contract.ts';
import { zhCardinal, zhDigits } from './numbers.ts';

const SIGNS: Record<string, string> = {
  '.': '点', '@': '艾特', '/': '斜杠', '\\': '反斜杠', ':': '冒号', '-': '杠', '_': '下划线', '?': '问号', '=': '等于', '&': '和', '#': '井号', '%': '百分号', '+': '加', '~': '波浪号', '$': '美元符', '*': '星号', '!': '感叹号', "'": '撇',
};

/** Any address form. A handle is 艾特…, a hashtag only its words, an IP's last part behind `/` a number. */
export function readAddress(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || form.kind !== 'address') return undefined;
  const written = scope.folded.slice(form.start, form.end);
  const body = form.address === 'hashtag' ? written.slice(1).replaceAll('_', ' ') : written;
  const mask = form.address === 'ip' ? /\/(\d+)$/.exec(body) : null;
  const spelled = spell(mask === null ? body : body.slice(0, mask.index));
  const reading = mask === null ? spelled : `${spelled}斜杠${zhCardinal(mask[1] ?? '')}`;
  return { start: form.start, end: form.end, class: 'electronic', rule: `electronic/${form.address}`, reading };
}

function spell(written: string): string {
  let out = '';
  for (const piece of written.match(/\d+|\s+|[^\d\s]/gu) ?? []) {
    out += /^\d/.test(piece) ? zhDigits(piece) : (SIGNS[piece] ?? piece);
  }
  return out.trim();
}
