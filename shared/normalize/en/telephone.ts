/** Telephone, card, account and social-security numbers: digit by digit, a comma where the writer left a gap. */
import type { Replacement, Scope } from '../contract.ts';
import { match, say } from './look.ts';
import { spell } from './number.ts';

const PATTERNS: readonly RegExp[] = [
  // +1 123-123-5678, 1 (234) 567-8901, (555) 123-4567, 123.555.1111
  /(?:\+?\d{1,3}[ .-]?)?\(\d{2,5}\)[ .-]?\d{3,4}[ .-]\d{3,4}(?:[ .-]\d{3,4})?/y,
  /(?:\+?\d{1,2}[ .-])?\d{3}([ .-])\d{3}\1\d{4}(?:-\d{4})?/y,
  // 020 7946 0958, 0171-946-0958
  /0\d{2,4}([ -])\d{3,4}\1\d{3,4}/y,
  // +44 20 7946 0958, +8613912345678
  /\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){1,6}/y,
  // 1-800-GO-2-HAUL, 1-800-FLOWERS
  /1-8(?:00|33|44|55|66|77|88)-(?=[A-Z\d-]*[A-Z])[A-Z\d]{1,9}(?:-[A-Z\d]{1,9}){0,3}/y,
  // 211-11-1111, 555-1234, 1234-5678-9012-3456
  /\d{3}-\d{2}-\d{4}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{3}-\d{4}/y,
];
const TAIL = /(?:,?\s?(?:ext\.?|extension|x)\s?(\d{1,6}))?(?![\p{L}\d%]|[.,]\d|-\d|\s?[=°])/uy;

/** Starts at the number, its sign, or the bracket before it. */
export function telephone(scope: Scope, index: number, floor: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number') return undefined;
  const bracket = scope.folded[form.start - 1] === '(' && form.start > floor;
  const start = bracket ? form.start - 1 : form.start;
  for (const pattern of PATTERNS) {
    const found = match(pattern, scope, start);
    if (found === undefined || !enoughDigits(found[0])) continue;
    const end = start + found[0].length;
    const tail = match(TAIL, scope, end);
    if (tail === undefined || end < form.end) continue;
    const extension = tail[1] === undefined ? '' : `, extension ${spell(tail[1])}`;
    return say('telephone/number', 'telephone', start, end + tail[0].length, phoneWords(found[0]) + extension);
  }
  return undefined;
}

function enoughDigits(written: string): boolean {
  const digits = written.replaceAll(/\D/g, '').length;
  return /[A-Z]/.test(written) || (written.startsWith('+') ? digits >= 8 && digits <= 15 : digits >= 7);
}

/** `+1 (234) 567` → plus one, two three four, five six seven. Letters stay words. */
export function phoneWords(written: string): string {
  const groups = written.replace('+', '').split(/[^A-Za-z\d]+/).filter((group) => group !== '');
  const words = groups.map((group) => group.replaceAll(/\d+/g, (digits) => ` ${spell(digits)} `).replaceAll(/\s+/g, ' ').trim());
  return (written.includes('+') ? 'plus ' : '') + words.join(', ');
}
