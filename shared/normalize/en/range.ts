/** Ranges, ratios, scores and sums: `2-5`, `16:9`, `won 3-1`, `1 - 2 = 5`, `from 5 - 10`. */
import type { NumberPart, Replacement, Scope } from '../contract.ts';
import { match, say, shaped, single, wordBefore } from './look.ts';
import { cardinal, isOne, number, power, unsigned } from './number.ts';

const SCORE_BEFORE = new Set('won lost beat win wins score scored victory defeat led leads tied draw drew loss final'.split(' '));

/** `1-2=5`, `1- 2 = 5`, `7 - 3`, `6/2=3`: a chain or spaced dash with an equals sign behind. */
export function sums(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number') return undefined;
  if (/^N(?:[-/]N){1,3}$/.test(form.shape) && (scope.hints.dash === 'minus' || match(/\s?=/y, scope, form.end) !== undefined)) {
    const words = form.parts.map((part, at) => (at === 0 ? number(part) : `${scope.folded[part.start - 1] === '/' ? 'divided by' : 'minus'} ${number(part)}`));
    return say('range/sum', 'math', form.start, form.end, words.join(' '));
  }
  const part = single(form);
  const dash = part && match(/\s?-\s/y, scope, form.end);
  const next = single(scope.forms[index + 1]);
  if (part === undefined || dash === undefined || next === undefined || next.start !== form.end + dash[0].length) return undefined;
  const equals = match(/\s?[=+*×÷]/y, scope, next.end) !== undefined || /[=+*×÷]\s?$/.test(scope.folded.slice(Math.max(0, form.start - 2), form.start));
  return equals ? say('range/sum', 'math', form.start, next.end, `${number(part)} minus ${number(next)}`) : undefined;
}

/** `2-5`, `3~5`, `100-200`, `3.5–4.5`; also a chain that hints call a score or digits. */
export function range(scope: Scope, index: number): Replacement | undefined {
  const form = shaped(scope, index, 'N-N') ?? shaped(scope, index, 'N~N');
  const [first, second] = form?.parts ?? [];
  if (form === undefined || first === undefined || second === undefined) return undefined;
  const score = scope.hints.dash === 'score' || (scope.hints.dash === undefined && form.shape === 'N-N' && SCORE_BEFORE.has(wordBefore(scope, index)));
  const coded = scope.hints.dash === undefined && /[A-Za-z]-?$/.test(scope.folded.slice(Math.max(0, form.start - 2), form.start));
  const join = coded || scope.hints.dash === 'digits' ? ' ' : scope.hints.dash === 'minus' ? ' minus ' : ' to ';
  return say(score ? 'range/score' : 'range/dash', score ? 'score' : 'range', form.start, form.end, number(first) + join + number(second), [`${number(first)} minus ${number(second)}`]);
}

/** `2 - 5`, `10 – 20 people`: a dash between blanks, low to high. */
export function spacedRange(scope: Scope, index: number): Replacement | undefined {
  const first = single(scope.forms[index]);
  const second = single(scope.forms[index + 1]);
  const dash = first && match(/\s[-~]\s/y, scope, first.end);
  if (first === undefined || second === undefined || dash === undefined || second.start !== first.end + 3) return undefined;
  if (!ascends(first, second)) return undefined;
  return say('range/spaced', 'range', first.start, second.start, `${number(first)} to`);
}

function ascends(first: NumberPart, second: NumberPart): boolean {
  if (second.sign !== '' || first.digits.length > 15 || second.digits.length > 15) return false;
  return Number(`${first.sign}${first.digits}.${first.decimals ?? 0}`) < Number(`${second.digits}.${second.decimals ?? 0}`);
}

/** `16:9`, `2:1`, `25:61`: not a clock time. */
export function ratio(scope: Scope, index: number): Replacement | undefined {
  const form = shaped(scope, index, 'N:N');
  const [first, second] = form?.parts ?? [];
  if (form === undefined || first === undefined || second === undefined) return undefined;
  const score = scope.hints.colon === 'score' || SCORE_BEFORE.has(wordBefore(scope, index));
  return say(score ? 'range/score' : 'range/ratio', score ? 'score' : 'ratio', form.start, form.end, `${number(first)} to ${number(second)}`);
}

/** `3×10^8`, `3 x 10^-8`, `10^6`, `10³`, `2^10`, `5²`. */
export function powers(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  if (part === undefined) return undefined;
  const times = match(/\s?[x×*·]\s?10(?:\^\(?([+-]?\d{1,4})\)?|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}))/y, scope, part.end);
  if (times !== undefined) {
    return say('range/power', 'scientific', part.start, part.end + times[0].length, `${number(part)} times ten to the ${power(times[1] ?? plainDigits(times[2] ?? ''))}`);
  }
  const raised = match(/\^\(?([+-]?\d{1,4})\)?|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4})/y, scope, part.end);
  if (raised === undefined) return undefined;
  const exponent = raised[1] ?? plainDigits(raised[2] ?? '');
  const words = exponent === '2' ? 'squared' : exponent === '3' ? 'cubed' : `to the ${power(exponent)}`;
  return say('range/power', 'math', part.start, part.end + raised[0].length, `${number(part)} ${words}`);
}

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** `⁻³` → -3 */
export function plainDigits(raised: string): string {
  return Array.from(raised, (one) => (one === '⁻' ? '-' : one === '⁺' ? '' : String(RAISED.indexOf(one)))).join('');
}

/** `5 / 2`, `3 * 4`, spaced or not, is left to the symbols; here only `3 : 1` between blanks. */
export function spacedRatio(scope: Scope, index: number): Replacement | undefined {
  const first = single(scope.forms[index]);
  const second = single(scope.forms[index + 1]);
  const colon = first && match(/\s:\s/y, scope, first.end);
  if (first === undefined || second === undefined || colon === undefined || second.start !== first.end + 3) return undefined;
  return say('range/ratio', 'ratio', first.start, second.end, `${number(first)} to ${number(second)}`);
}

/** `1,5` with a decimal comma, when the request says so. */
export function decimalComma(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const found = part && scope.hints.decimalMark === 'comma' ? match(/,(\d{1,12})(?![\d,])/y, scope, part.end) : undefined;
  if (part === undefined || found === undefined || part.decimals !== undefined) return undefined;
  const words = number({ ...part, decimals: found[1] });
  return say('range/decimal-comma', 'decimal', part.start, part.end + found[0].length, words);
}

/** Words for a count and its noun. */
export function counted(part: NumberPart, one: string, many: string): string {
  return `${unsigned(part)} ${isOne(part) ? one : many}`;
}

/** `v1.2`, `version 1.2.3`, `Python 3.10`: a point between whole numbers. */
export function version(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const before = wordBefore(scope, index);
  if (part === undefined || part.decimals === undefined || part.sign !== '' || !/^(?:v|ver|version|release|python|ios|android|chapter|section)$/.test(before)) return undefined;
  if (part.decimals.length > 3 || part.decimals.startsWith('0')) return undefined;
  return say('range/version', 'digits', part.start, part.end, `${cardinal(part.digits)} point ${cardinal(part.decimals)}`);
}
