/** Addresses: names keep their letters, digits are called out, signs are named (`a@b.com` → aアットbドットcom). */
import type { Replacement, Scope } from '../contract.ts';
import { jaCardinal, jaDigits } from './numbers.ts';

const SIGNS: Record<string, string> = {
  '.': 'ドット', '@': 'アット', '/': 'スラッシュ', '\\': 'バックスラッシュ', ':': 'コロン', '-': 'ハイフン', '_': 'アンダーバー', '?': 'クエスチョン', '=': 'イコール', '&': 'アンド', '#': 'シャープ', '%': 'パーセント', '+': 'プラス', '~': 'チルダ', '$': 'ドル', '*': 'アスタリスク', '!': 'ビックリマーク', "'": 'アポストロフィ',
};

/** Any address form. A handle is アット…, a hashtag ハッシュタグ…; the mask behind an IP's slash is a number. */
export function readAddress(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || form.kind !== 'address') return undefined;
  const written = scope.folded.slice(form.start, form.end);
  const mask = form.address === 'ip' ? /\/(\d+)$/.exec(written) : null;
  const tag = form.address === 'hashtag';
  const spelled = (tag ? 'ハッシュタグ' : '') + spell(tag ? written.slice(1) : mask === null ? written : written.slice(0, mask.index));
  const reading = mask === null ? spelled : `${spelled}スラッシュ${jaCardinal(mask[1] ?? '')}`;
  return { start: form.start, end: form.end, class: 'electronic', rule: `electronic/${form.address}`, reading };
}

function spell(written: string): string {
  let out = '';
  for (const piece of written.match(/\d+|\s+|[^\d\s]/gu) ?? []) out += /^\d/.test(piece) ? jaDigits(piece) : (SIGNS[piece] ?? piece);
  return out.trim();
}
