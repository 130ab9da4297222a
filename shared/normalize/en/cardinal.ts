/** Plain numbers: cardinals, decimals, years, codes, ordinals, decades, and numbers glued to letters. */
import type { NumberPart, Replacement, Scope } from '../contract.ts';
import { integer, match, say, shaped, single, word, wordAfter, wordBefore } from './look.ts';
import { cardinal, number, ordinal, pairs, plural, spell, twoDigits, unsigned, year } from './number.ts';

const YEAR_BEFORE = new Set(
  ('in since by from until till during year years of before after late early mid circa ca around between and to spring summer autumn fall winter ' +
    'january february march april may june july august september october november december copyright class season').split(' '),
);
const CODE_BEFORE = new Set(
  ('code pin zip zipcode postcode phone tel telephone fax mobile cell call dial ssn id account acct card isbn imei passport serial password ' +
    'pwd otp cvv sku extension ext').split(' '),
);
const NOT_PLURAL = new Set('is was has as this his its us thus plus yes always perhaps versus does across news series less besides'.split(' '));
/** Above this many bare digits nobody hears an amount. */
const LONGEST_AMOUNT = 9;

const MAGNITUDE = /\s?(hundred|thousand|million|billion|trillion|quadrillion|lakh|crore|dozen|mln|mn|bln|bn|tn|K|M|B|T)(?![A-Za-z])/y;
const MAGNITUDES: Record<string, string> = {
  mln: 'million', mn: 'million', M: 'million', bln: 'billion', bn: 'billion', B: 'billion', tn: 'trillion', T: 'trillion', K: 'thousand', k: 'thousand',
};

/** `million` after a number, and where it ends; `K M B T` only with decimals or when money asks for it. */
export function magnitude(scope: Scope, at: number, letters: boolean): { words: string; end: number } | undefined {
  const found = match(MAGNITUDE, scope, at) ?? (letters ? match(/\s?(k|m|b)(?![A-Za-z/²³])/y, scope, at) : undefined);
  const written = found?.[1];
  if (found === undefined || written === undefined) return undefined;
  if (written.length === 1 && !letters) return undefined;
  const small: Record<string, string> = { m: 'million', b: 'billion' };
  return { words: MAGNITUDES[written] ?? small[written] ?? written, end: at + found[0].length };
}

/** `1st`, `1,000th`, `23 rd`. */
export function ordinals(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  if (part === undefined || part.decimals !== undefined || part.exponent !== undefined) return undefined;
  const suffix = match(/(?:st|nd|rd|th|ST|ND|RD|TH|ˢᵗ|ⁿᵈ|ʳᵈ|ᵗʰ)(s?)(?![\p{L}\d])/uy, scope, part.end);
  if (suffix === undefined) return undefined;
  const words = ordinal(part.digits) + (suffix[1] ?? '');
  return say('cardinal/ordinal', 'ordinal', part.start, part.end + suffix[0].length, part.sign === '-' ? `minus ${words}` : words);
}

/** `1980s`, `1980 s`, `'80s`, `80s`, `mid-90s`. */
export function decades(scope: Scope, index: number, floor: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const digits = integer(part);
  if (part === undefined || digits === undefined) return undefined;
  if (/^[1-9]\d\d$/.test(digits) && match(/s(?![A-Za-z])/y, scope, part.end) !== undefined) return say('cardinal/plural', 'cardinal', part.start, part.end + 1, plural(pairs(digits)));
  if (!/^(?:[1-9]\d)?[0-9]0$/.test(digits)) return undefined;
  const suffix = match(digits.length === 4 ? /'?\s?s(?![A-Za-z])/y : /'?s(?![A-Za-z])/y, scope, part.end);
  if (suffix === undefined) return undefined;
  const quote = scope.folded[part.start - 1] === "'" && part.start > floor;
  const end = part.end + suffix[0].length;
  const until = match(/\s?[-~]\s?(?='?\d{2,4}'?s(?![A-Za-z]))/y, scope, end);
  const words = plural(digits === '00' ? 'two thousand' : year(digits));
  return say('cardinal/decade', 'date', quote ? part.start - 1 : part.start, end + (until?.[0].length ?? 0), until === undefined ? words : `${words} to`);
}

/** `12.5 billion`, `0.1 M`, `100 million`: the number with its magnitude word. */
export function magnitudes(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  if (part === undefined) return undefined;
  const scale = magnitude(scope, part.end, part.decimals !== undefined);
  if (scale === undefined) return undefined;
  return say('cardinal/magnitude', part.decimals === undefined ? 'cardinal' : 'decimal', part.start, scale.end, `${number(part)} ${scale.words}`);
}

/** Everything else that is one number. */
export function plainNumber(scope: Scope, index: number): Replacement | undefined {
  const form = shaped(scope, index, 'N');
  const part = form?.parts[0];
  if (form === undefined || part === undefined) return undefined;
  const bare = integer(part);
  if (bare !== undefined) return bareInteger(scope, index, { ...part, end: form.end }, bare);
  const kind = part.exponent !== undefined ? 'scientific' : part.decimals === undefined ? 'cardinal' : 'decimal';
  return say('cardinal/number', kind, form.start, form.end, number(part));
}

/** A bare digit run: code, year or amount, by length and neighbours. */
function bareInteger(scope: Scope, index: number, part: NumberPart, digits: string): Replacement {
  const { start, end } = part;
  const asCode = (): Replacement => say('cardinal/digits', 'digits', start, end, spell(digits), [cardinal(digits)]);
  const asYear = (): Replacement => say('cardinal/year', 'date', start, end, year(digits), [cardinal(digits), spell(digits)]);
  const asAmount = (): Replacement => say('cardinal/amount', 'cardinal', start, end, cardinal(digits));
  if (scope.hints.integer === 'digits') return asCode();
  if (scope.hints.integer === 'year') return asYear();
  if (scope.hints.integer === 'cardinal') return asAmount();
  if (glued(scope, index)) {
    const offset = /(?:UTC|GMT)-$/.test(scope.folded.slice(Math.max(0, start - 4), start));
    return offset ? say('cardinal/offset', 'time', start - 1, end, `minus ${cardinal(digits)}`) : gluedNumber(part, digits);
  }
  if (digits.length === 2 && match(/(?<![\p{L}\p{N}])'\d\d(?!['\d])/uy, scope, start - 1) !== undefined) {
    return say('cardinal/short-year', 'date', start - 1, end, digits.startsWith('0') ? twoDigits(digits) : cardinal(digits));
  }
  if (/^0\d/.test(digits) || digits.length > LONGEST_AMOUNT) return asCode();
  if (digits.length > 2 && isCode(scope, index)) return asCode();
  return looksLikeYear(scope, index, digits, end) ? asYear() : asAmount();
}

function isCode(scope: Scope, index: number): boolean {
  const before = wordBefore(scope, index);
  if (CODE_BEFORE.has(before)) return true;
  return before === 'is' && CODE_BEFORE.has(word(scope, scope.forms[index - 2]).toLowerCase());
}

function looksLikeYear(scope: Scope, index: number, digits: string, end: number): boolean {
  if (!/^(?:1\d|20)\d\d$/.test(digits)) return false;
  const before = wordBefore(scope, index);
  const after = wordAfter(scope, end);
  const counted = /^[a-z]+s$/.test(after) && !NOT_PLURAL.has(after) && scope.folded[end] === ' ';
  if (counted) return false;
  if (YEAR_BEFORE.has(before)) return true;
  return /^(?:19|20)\d\d$/.test(digits) && digits !== '2000';
}

/** Letters right before or after: `MP3`, `B2B`, `4K`, `COVID-19`. */
function glued(scope: Scope, index: number): boolean {
  const form = scope.forms[index];
  const before = scope.forms[index - 1];
  if (form === undefined || before?.kind !== 'word') return false;
  return before.end === form.start || (before.end === form.start - 1 && scope.folded[before.end] === '-');
}

function gluedNumber(part: NumberPart, digits: string): Replacement {
  const words = digits.length > 4 || digits.startsWith('0') ? spell(digits) : digits.length === 4 ? pairs(digits) : cardinal(digits);
  return say('cardinal/glued', 'digits', part.start, part.end, words);
}

/** `#5`, `No. 5`, `Nos. 5`, `№ 5`: the sign is read with the number after it. */
export function numbered(scope: Scope, index: number): Replacement | undefined {
  const sign = scope.forms[index];
  if (sign === undefined) return undefined;
  const found = match(/(?:#|№|Nos?\.|nos?\.|NOS?\.)\s?(?=\d)/y, scope, sign.start);
  return found && say('cardinal/numbered', 'abbreviation', sign.start, sign.start + found[0].trimEnd().length, /s/i.test(found[0]) ? 'numbers' : 'number');
}

/** `1 000 000`: thousands apart by blanks, as long as the last three are zeros. */
export function spacedThousands(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const found = part && integer(part) !== undefined ? match(/[1-9]\d{0,2}(?: \d{3}){0,6} 000(?![\d,.]*\d)(?! \d)/y, scope, part.start) : undefined;
  return part && found && say('cardinal/spaced', 'cardinal', part.start, part.start + found[0].length, cardinal(found[0].replaceAll(' ', '')));
}

/** A chain nobody else wanted: `1.2.3` with points, otherwise part by part. */
export function chain(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number') return undefined;
  const names: Record<string, string> = { '.': ' point ', '/': ', ', ':': ' ', '-': ' ', '~': ' to ' };
  const dotted = /^N(?:\.N)+$/.test(form.shape);
  const code = /^N(?:-N){3,}$/.test(form.shape) || isCode(scope, index);
  const pieces = form.parts.map((part, at) => {
    const join = at === 0 ? '' : (names[scope.folded[part.start - 1] ?? ''] ?? ' ');
    const integers = part.decimals === undefined && part.exponent === undefined && !part.grouped;
    const coded = integers && (code || part.digits.length > 4 || part.digits.startsWith('0'));
    const words = coded ? `${part.sign === '' ? '' : 'minus '}${spell(part.digits)}` : at === 0 ? number(part) : unsigned(part);
    return join + words;
  });
  return say(dotted ? 'cardinal/version' : 'cardinal/chain', 'digits', form.start, form.end, pieces.join(''));
}
