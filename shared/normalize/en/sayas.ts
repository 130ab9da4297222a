/** `say-as` in English: the caller has said what it is, so the text is parsed as that and nothing else. */
import type { SayAs } from '../contract.ts';
import { cardinal, number, ordinal, spell } from './number.ts';
import { fractionWords } from './fraction.ts';
import { fullYear } from './date.ts';
import { phoneWords } from './telephone.ts';
import { scanNumber, startsNumber } from '../written/number.ts';
import { fold } from '../written/fold.ts';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const MARKS: Record<string, string> = {
  '.': 'dot', ',': 'comma', '-': 'dash', '/': 'slash', '@': 'at', '#': 'hash', '&': 'and', '+': 'plus', '*': 'star', '_': 'underscore', ':': 'colon', ';': 'semicolon', '!': 'exclamation mark', '?': 'question mark', '(': 'open parenthesis', ')': 'close parenthesis', '"': 'quote', "'": 'apostrophe', '%': 'percent', '$': 'dollar', '=': 'equals', '\\': 'backslash', '<': 'less than', '>': 'greater than',
};

/** Reading, or undefined when the text does not parse as `as`. */
export function sayAs(text: string, as: SayAs, format: string | undefined): string | undefined {
  const plain = fold(text).trim();
  if (as === 'cardinal') return startsNumber(plain, 0) && scanNumber(plain, 0).end === plain.length && scanNumber(plain, 0).shape === 'N' ? number(scanNumber(plain, 0).parts[0] as never) : undefined;
  if (as === 'ordinal') return ordinalText(plain);
  if (as === 'digits' || as === 'id') return /^[\dA-Za-z\s.-]+$/.test(plain) ? characters(plain.replaceAll(/[\s.-]+/g, ' ')) : undefined;
  if (as === 'characters') return characters(plain);
  if (as === 'punctuation') return Array.from(plain, (one) => (MARKS[one] === undefined ? one : ` ${MARKS[one]} `)).join('').replaceAll(/\s+/g, ' ').trim();
  if (as === 'telephone') return /\d/.test(plain) ? phoneWords(plain) : undefined;
  if (as === 'fraction') return fraction(plain);
  if (as === 'date') return date(plain, format ?? 'mdy');
  if (as === 'expletive') return 'beep';
  return undefined;
}

function ordinalText(plain: string): string | undefined {
  const digits = /^([\d,]+)(?:st|nd|rd|th)?$/i.exec(plain)?.[1];
  return digits === undefined ? undefined : ordinal(digits.replaceAll(',', ''));
}

function characters(plain: string): string {
  return Array.from(plain, (one) => (/\d/.test(one) ? spell(one) : (MARKS[one] ?? (/\s/.test(one) ? ',' : one.toUpperCase())))).join(' ').replaceAll(' ,', ',');
}

function fraction(plain: string): string | undefined {
  const found = /^(?:(\d+)[ +])?(\d+)\/(\d+)$/.exec(plain);
  if (found === null) return undefined;
  const words = fractionWords(found[2] ?? '', found[3] ?? '');
  return found[1] === undefined ? words : `${cardinal(found[1])} and ${words}`;
}

/** Digits grouped as the format says: `mdy`, `dmy`, `ymd`, `md`, `dm`, `ym`, `my`, `y`, `m`, `d`. */
function date(plain: string, format: string): string | undefined {
  const compact = /^\d{8}$/.test(plain) && format.startsWith('y') ? [plain.slice(0, 4), plain.slice(4, 6), plain.slice(6)] : (plain.match(/\d+/g) ?? []);
  const order = format.toLowerCase().replaceAll(/(.)\1+/g, '$1').replaceAll(/[^ymd]/g, '');
  if (compact.length !== order.length || order === '') return undefined;
  const value = (letter: string): string | undefined => compact[order.indexOf(letter)];
  const month = value('m') === undefined ? undefined : MONTHS[Number(value('m')) - 1];
  if (value('m') !== undefined && month === undefined) return undefined;
  const day = value('d') === undefined ? undefined : ordinal(value('d') ?? '');
  const of = value('y') === undefined ? undefined : fullYear(value('y') ?? '');
  return [month, day === undefined ? undefined : day + (of === undefined ? '' : ','), of].filter((piece) => piece !== undefined).join(' ');
}
