/**
 * Control tokens. The model's tokenizer turns certain strings into special tokens wherever they stand
 * (cosyvoice/tokenizer/tokenizer.py), so user text that holds `<|endofprompt|>` would end the prompt early. Here `<|…|>` is
 * always taken out, and the inline marks of the tokenizer pass whole or are taken out, as the request says.
 */
import type { Span } from './contract.ts';

/** Inline marks of the CosyVoice2 tokenizer, exactly as written there; case matters. */
export const INLINE_MARKS = [
  '[breath]', '<strong>', '</strong>', '[noise]', '[laughter]', '[cough]', '[clucking]', '[accent]', '[quick_breath]', '<laughter>', '</laughter>',
  '[hissing]', '[sigh]', '[vocalized-noise]', '[lipsmack]', '[mn]',
] as const;

/** A control token (`<|…|>` or half of one) or an inline mark, in code units. */
export type ControlSpan = Span & { kind: 'token' | 'mark' };

/** A token with its name, or its halves; a run of bars is looked at once, from its first. */
const TOKEN = String.raw`<\|+(?:[A-Za-z0-9_ -]{1,64}\|+>)?|(?<!\|)\|+>`;
const FIND = new RegExp(`${INLINE_MARKS.map((mark) => mark.replaceAll(/[[\]]/g, String.raw`\$&`)).join('|')}|${TOKEN}`, 'g');

/** All control tokens and marks in `text`, in order. A broken `<|` or `|>` counts as a token of its own. */
export function findControls(text: string): ControlSpan[] {
  const found: ControlSpan[] = [];
  for (const match of text.matchAll(FIND)) {
    const kind = match[0].includes('|') ? 'token' : 'mark';
    found.push({ start: match.index, end: match.index + match[0].length, kind });
  }
  return found;
}
