/**
 * English numbers in words: one grammar for cardinals, ordinals, decimals, digits and years. Input is digit strings, so
 * size is no concern; beyond the named scales a number is read digit by digit.
 */
import type { NumberPart } from '../contract.ts';

const ONES =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(' ');
const TENS = '- - twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
/** Short scale, thousand to vigintillion. */
const SCALES = (
  ' thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion undecillion duodecillion ' +
  'tredecillion quattuordecillion quindecillion sexdecillion septendecillion octodecillion novemdecillion vigintillion'
).split(' ');
const LONGEST_NAMED = SCALES.length * 3;

/** `1234` → one thousand two hundred and thirty-four. */
export function cardinal(digits: string): string {
  const plain = digits.startsWith('0') ? digits.replace(/^0+(?=\d)/, '') : digits;
  if (plain === '' || plain === '0') return 'zero';
  if (plain.length <= 3) return hundreds(Number(plain));
  if (plain.length > LONGEST_NAMED) return spell(plain);
  const groups: string[] = [];
  for (let end = plain.length; end > 0; end -= 3) groups.unshift(plain.slice(Math.max(0, end - 3), end));
  const words: string[] = [];
  groups.forEach((group, index) => {
    const value = Number(group);
    if (value === 0) return;
    const scale = SCALES[groups.length - 1 - index] ?? '';
    if (scale === '' && value < 100 && words.length > 0) words.push('and');
    words.push(hundreds(value), scale);
  });
  return words.filter((word) => word !== '').join(' ');
}

function hundreds(value: number): string {
  if (value < 100) return tens(value);
  const rest = value % 100;
  return `${ONES[Math.floor(value / 100)] ?? ''} hundred${rest === 0 ? '' : ` and ${tens(rest)}`}`;
}

function tens(value: number): string {
  if (value < 20) return ONES[value] ?? '';
  const one = value % 10;
  return `${TENS[Math.floor(value / 10)] ?? ''}${one === 0 ? '' : `-${ONES[one] ?? ''}`}`;
}

const IRREGULAR: Record<string, string> = {
  one: 'first', two: 'second', three: 'third', five: 'fifth', eight: 'eighth', nine: 'ninth', twelve: 'twelfth',
};

/** `21` → twenty-first. */
export function ordinal(digits: string): string {
  const words = cardinal(digits);
  const from = Math.max(words.lastIndexOf(' '), words.lastIndexOf('-')) + 1;
  const last = words.slice(from);
  return words.slice(0, from) + (IRREGULAR[last] ?? (last.endsWith('y') ? `${last.slice(0, -1)}ieth` : `${last}th`));
}

/** `007` → zero zero seven. */
export function spell(digits: string): string {
  return Array.from(digits, (digit) => ONES[Number(digit)] ?? digit).join(' ');
}

/** Two by two, as years, streets and model numbers are said: `1905` → nineteen oh five, `2788` → twenty-seven eighty-eight. */
export function pairs(digits: string): string {
  if (digits.length < 3 || digits.length > 4 || digits.startsWith('0')) return digits.startsWith('0') ? spell(digits) : cardinal(digits);
  const high = Number(digits.slice(0, -2));
  const low = Number(digits.slice(-2));
  if (low === 0) return high % 10 === 0 ? cardinal(digits) : `${tens(high)} hundred`;
  return `${tens(high)} ${twoDigits(digits.slice(-2))}`;
}

/** Two digits after something: `05` → oh five, `00` → oh oh. */
export function twoDigits(digits: string): string {
  if (digits === '00') return 'oh oh';
  return digits.startsWith('0') ? `oh ${ONES[Number(digits)] ?? ''}` : tens(Number(digits));
}

/** `2024` → twenty twenty-four, `2005` → two thousand five, `1900` → nineteen hundred, `340` → three forty. */
export function year(digits: string): string {
  if (digits.length === 4 && /^[1-9]00[0-9]$/.test(digits)) {
    const rest = Number(digits.slice(-1));
    const thousands = `${ONES[Number(digits[0])] ?? ''} thousand`;
    return rest === 0 ? thousands : `${thousands} ${ONES[rest] ?? ''}`;
  }
  return digits.length === 3 || digits.length === 4 ? pairs(digits) : cardinal(digits);
}

/** `twenty` → twenties: decades and denominators. */
export function plural(words: string): string {
  if (words.endsWith('x')) return `${words}es`;
  return words.endsWith('y') ? `${words.slice(0, -1)}ies` : `${words}s`;
}

const SIGNS = { '': '', '-': 'minus ', '+': 'plus ', '±': 'plus or minus ' } as const;

/** A number with its sign, decimals and power of ten. */
export function number(part: NumberPart): string {
  return `${SIGNS[part.sign]}${unsigned(part)}`;
}

/** The same without the sign. */
export function unsigned(part: NumberPart): string {
  const whole = part.digits === '' ? '' : cardinal(part.digits);
  const value = part.decimals === undefined ? whole : `${whole} point ${spell(part.decimals)}`.trim();
  if (part.exponent === undefined) return value;
  return `${value} times ten to the ${power(part.exponent)}`;
}

/** Exponents: `5` → power of five, `-3` → power of minus three. */
export function power(exponent: string): string {
  const digits = exponent.replace(/^[+-]/, '');
  return `power of ${exponent.startsWith('-') ? 'minus ' : ''}${cardinal(digits)}`;
}

/** Exactly one: takes the singular. */
export function isOne(part: NumberPart): boolean {
  return part.decimals === undefined && part.exponent === undefined && /^0*1$/.test(part.digits);
}
