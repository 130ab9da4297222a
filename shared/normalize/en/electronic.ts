/** URLs, e-mail, domains, IP numbers, paths, files, handles and hashtags: words, names of the marks, digits one by one. */
import type { AddressForm, Replacement, Scope } from '../contract.ts';
import { say } from './look.ts';
import { cardinal, pairs, spell } from './number.ts';

const MARKS: Record<string, string> = {
  '.': 'dot', '@': 'at', '/': 'slash', ':': 'colon', '-': 'dash', _: 'underscore', '?': 'question mark', '=': 'equals', '&': 'ampersand', '%': 'percent', '#': 'hash', '+': 'plus',
  '~': 'tilde', '\\': 'backslash', $: 'dollar', '!': 'exclamation mark', '*': 'star', "'": 'apostrophe', ',': 'comma',
};
/** Read as letters wherever they stand alone between marks. */
const LETTERS = /^(?:www\d?|https?|ftps?|html?|php|aspx?|jsp|css|js|ts|pdf|csv|json|xml|txt|jpe?g|png|gif|svg|mp[34]|wav|zip|exe|doc|ppt|xls|docx|pptx|xlsx|uk|us|au|nz|jp|cn|kr|tw|hk|de|fr|eu|tv|io|ai|cc|id|api|cdn|faq|ui)$/i;

/** Any address form. */
export function address(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'address') return undefined;
  return say(`electronic/${form.address}`, 'electronic', form.start, form.end, addressWords(scope.folded.slice(form.start, form.end), form.address));
}

/** `https://a.com/b-1` → HTTPS a dot com slash b dash one. */
export function addressWords(written: string, kind: AddressForm['address']): string {
  if (kind === 'hashtag') return `hashtag ${camel(written.slice(1))}`;
  const plain = written.replace('://', ' ').replace(/\/$/, '');
  const pieces = plain.match(/[A-Za-z\u00c0-\uffff]+|\d+|[^A-Za-z\d\s]/g) ?? [];
  const words = pieces.map((piece, at) => pieceWords(piece, kind, pieces[at - 1]));
  return words.filter((word) => word !== '').join(' ');
}

function pieceWords(piece: string, kind: AddressForm['address'], before: string | undefined): string {
  if (/^\d+$/.test(piece)) {
    if (kind === 'ip' && before !== ':') return spell(piece);
    if (before === ':' && piece.length <= 4) return pairs(piece);
    return spell(piece);
  }
  const mark = MARKS[piece];
  if (mark !== undefined) return mark;
  return LETTERS.test(piece) ? Array.from(piece.toUpperCase()).join(' ') : piece;
}

/** `#ThrowbackThursday2024` → Throwback Thursday two zero two four. */
function camel(tag: string): string {
  const pieces = tag.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^A-Za-z\d_]+/g) ?? [];
  return pieces.map((piece) => (/^\d+$/.test(piece) ? (piece.length <= 2 ? cardinal(piece) : spell(piece)) : piece)).join(' ');
}
