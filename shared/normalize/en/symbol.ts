/** Symbols by themselves and between words; what is only decoration falls silent. */
import type { Replacement, Scope } from '../contract.ts';
import { romanValue } from './roman.ts';
import { match, say } from './look.ts';
import { cardinal } from './number.ts';

const NAMES: Record<string, string> = {
  '%': 'percent', '&': 'and', '@': 'at', '=': 'equals', '+': 'plus', '×': 'times', '÷': 'divided by', '±': 'plus or minus', '≠': 'not equal to', '≈': 'approximately', '≤': 'less than or equal to', '≥': 'greater than or equal to', '<': 'less than', '>': 'greater than',
  '°': 'degrees', '℃': 'degrees Celsius', '℉': 'degrees Fahrenheit', '§': 'section', '¶': 'paragraph', '©': 'copyright', '®': 'registered', '™': 'trademark', '√': 'the square root of', '∞': 'infinity', '∑': 'the sum of', '∫': 'the integral of', '∈': 'in', '∂': 'partial', '∆': 'delta',
  '‰': 'per mille', '‱': 'basis points', '№': 'number', '℡': 'telephone', '⇒': 'implies', '→': 'to', '←': 'from', '↔': 'to and from', '⟶': 'to', '∝': 'proportional to', '∪': 'union', '∩': 'intersection', '∴': 'therefore', '∵': 'because', '⊂': 'subset of', '∀': 'for all', '∃': 'there exists', '¬': 'not', '∧': 'and', '∨': 'or',
  '$': 'dollar', '€': 'euro', '£': 'pound', '¥': 'yen', '₩': 'won', '₹': 'rupee', '¢': 'cents', '¤': 'currency', '²': 'squared', '³': 'cubed', '#': 'hash', '\\': 'backslash', '^': 'caret', '_': 'underscore', '~': 'tilde', '|': 'vertical bar', '*': 'asterisk',
  '㏒': 'log', '㏑': 'natural log', '′': 'prime', '″': 'double prime',
};
/** Marks that are layout, not words. */
const SILENT = new Set([...'•▪▫■□●○◆◇▶►◀★☆✓✔✗✘♪♫♥♠♣♦❤┃│─━┄═║╔╗╚╝▲△▼▽◎※†‡`´¨¯¸', '\u20e3', '\ufe0f']);
const SUPERSCRIPT = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const SUBSCRIPT = '₀₁₂₃₄₅₆₇₈₉';
const LETTER = /[\p{L}\p{N}]/u;

/** Any symbol form no class rule took. */
export function symbol(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined) return undefined;
  const sign = scope.folded.slice(form.start, form.end);
  const before = scope.folded[form.start - 1] ?? ' ';
  const after = scope.folded[form.end] ?? ' ';
  const made = (reading: string, end = form.end, kind: Replacement['class'] = 'symbol'): Replacement => say('symbol/name', kind, form.start, end, reading);
  const counted = countedSign(sign);
  if (counted !== undefined) return made(counted, form.end, 'cardinal');
  if (sign === '/') return divided(before, after, scope.folded[form.start - 2], scope.folded[form.end + 1]) ? made('divided by', form.end, 'math') : undefined;
  if (SILENT.has(sign)) return made('');
  const tag = sign === '<' ? match(/<\/?[A-Za-z][\w-]{0,15}(?:\s[^<>]{0,100})?\/?>/y, scope, form.start) : undefined;
  if (tag !== undefined) return made('', form.start + tag[0].length);
  if ('*_~|#=^+-<>'.includes(sign)) {
    const run = match(/[*_~|#=^+<>`-]{2,2000}/y, scope, form.start)?.[0] ?? sign;
    if (sign === '+' && LETTER.test(before) && /^\++$/.test(run)) return made(Array.from(run, () => 'plus').join(' ').slice(0, 400), form.start + run.length);
    if (run === '==' || run === '<=' || run === '>=') return made(run === '==' ? 'equals' : `${run[0] === '<' ? 'less' : 'greater'} than or equal to`, form.end + 1, 'math');
    if (/^(?:->|=>|<-)$/.test(run)) return made('', form.start + 2);
    if (run.length > 1) return made('', form.start + run.length);
  }
  if (sign === '*') return star(before, after, scope, form.end) ?? made('', form.end);
  if (sign === '_') return LETTER.test(before) && LETTER.test(after) ? made('underscore') : made('');
  if (sign === '~') return /[\d$€£¥]/.test(after) || match(/ ?\d/y, scope, form.end) ? made('about') : made('');
  if (sign === '^') return match(/\^\(?([+-]?\d{1,4})\)?/y, scope, form.start) === undefined ? made('') : raised(scope, form.start);
  if (sign === '#') return /[A-Za-z]/.test(before) ? made('sharp') : /\d/.test(after) ? made('number') : made('hash');
  if (sign === '<' || sign === '>') return mathLike(before, after, scope, form) ? made(NAMES[sign] ?? '', form.end, 'math') : made('');
  if (sign === '|' ) return made('');
  return NAMES[sign] === undefined ? unknown(sign, form.start, form.end) : made(NAMES[sign]);
}

/** `3m x 4m`: the letter between two measures. */
export function by(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || !/^[xX]$/.test(scope.folded.slice(form.start, form.end))) return undefined;
  const measured = /\d\s?[A-Za-z"']{0,6} $/.test(scope.folded.slice(Math.max(0, form.start - 12), form.start));
  return measured && match(/[xX] [\d.]/y, scope, form.start) !== undefined ? say('symbol/by', 'measure', form.start, form.end, 'by') : undefined;
}

/** `①` one, `Ⅳ` four, `x₂` two, `x⁴`; other numerals by their compatibility form. */
function countedSign(sign: string): string | undefined {
  const raisedAt = SUPERSCRIPT.indexOf(sign);
  if (raisedAt >= 0) return raisedAt === 2 ? 'squared' : raisedAt === 3 ? 'cubed' : `to the power of ${cardinal(String(raisedAt))}`;
  if (SUBSCRIPT.includes(sign)) return cardinal(String(SUBSCRIPT.indexOf(sign)));
  const plain = sign.normalize('NFKC').replaceAll(/[().]/g, '');
  if (/^\d{1,3}$/.test(plain)) return cardinal(plain);
  if (/[\u2160-\u2188]/.test(sign) && /^[IVXLCDM]+$/i.test(plain)) return cardinal(String(romanValue(plain.toUpperCase())));
  return undefined;
}

function raised(scope: Scope, start: number): Replacement {
  const found = match(/\^\(?([+-]?)(\d{1,4})\)?/y, scope, start);
  const digits = found?.[2] ?? '';
  const words = found?.[1] === '-' ? `to the power of minus ${cardinal(digits)}` : digits === '2' ? 'squared' : digits === '3' ? 'cubed' : `to the power of ${cardinal(digits)}`;
  return say('symbol/power', 'math', start, start + (found?.[0].length ?? 1), words);
}

/** `2 * 10`, `a*b` multiply; `and*8`, `2*8` name the sign; emphasis (`*word*`) is silent. */
function star(before: string, after: string, scope: Scope, end: number): Replacement | undefined {
  const made = (reading: string): Replacement => say('symbol/star', 'math', end - 1, end, reading);
  if (before === ' ' && after === ' ') return made('times');
  const inWord = /\p{L}\p{L}\*|\*\p{L}\p{L}/u.test(scope.folded.slice(Math.max(0, end - 3), end + 2)) && !/\d/.test(before + after);
  if (LETTER.test(before) && LETTER.test(after) && !inWord) return made(/\d/.test(before + after) && !scope.folded.slice(end, end + 12).includes('=') ? 'asterisk' : 'times');
  return undefined;
}

function divided(before: string, after: string, further: string | undefined, next: string | undefined): boolean {
  return before === ' ' && after === ' ' && /[\d)]/.test(further ?? '') && /[\d(]/.test(next ?? '');
}

function mathLike(before: string, after: string, scope: Scope, form: { start: number; end: number }): boolean {
  const left = before === ' ' ? (scope.folded[form.start - 2] ?? ' ') : before;
  const right = after === ' ' ? (scope.folded[form.end + 1] ?? ' ') : after;
  return LETTER.test(left) && /[\p{L}\p{N}$-]/u.test(right);
}

/** A symbol without a name: its compatibility form when that is plain letters, otherwise silence. */
function unknown(sign: string, start: number, end: number): Replacement {
  const plain = sign.normalize('NFKC');
  const reading = plain !== sign && /^[\p{L} ]+$/u.test(plain) ? plain : '';
  return say('symbol/unknown', 'symbol', start, end, reading);
}
