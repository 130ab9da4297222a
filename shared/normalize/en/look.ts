/** Looking around a form: bounded, so that rules stay linear. */
import type { Form, NumberForm, NumberPart, Replacement, Rule, Scope, TokenClass } from '../contract.ts';

const LONGEST_WORD = 24;

/** Matches a sticky pattern at an offset of the folded text. */
export function match(pattern: RegExp, scope: Scope, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(scope.folded) ?? undefined;
}

/**
 * Lets a rule start only when the first character after the form (one blank skipped) is one of `marks`, where `§` stands for
 * any letter, `0` for any digit and `£` for anything outside ASCII. Most rules end here, at the price of one look.
 */
export function followedBy(marks: string, rule: Rule): Rule {
  const allowed = new Uint8Array(128);
  for (const mark of marks) if (mark !== '§' && mark !== '£') allowed[mark.charCodeAt(0)] = 1;
  for (let code = 0; code < 128; code++) {
    const character = String.fromCharCode(code);
    if ((marks.includes('§') && /[A-Za-z]/.test(character)) || (marks.includes('0') && /\d/.test(character))) allowed[code] = 1;
  }
  const far = marks.includes('£');
  return (scope, index, floor) => {
    const end = scope.forms[index]?.end ?? 0;
    const first = scope.folded.charCodeAt(end);
    const code = first === 32 ? scope.folded.charCodeAt(end + 1) : first;
    return (code < 128 ? allowed[code] === 1 : far && code > 127) ? rule(scope, index, floor) : undefined;
  };
}

/** Only for one number, or only for a chain of them. */
export function ofShape(kind: 'single' | 'chain', rule: Rule): Rule {
  return (scope, index, floor) => {
    const form = scope.forms[index];
    return form?.kind === 'number' && (form.shape === 'N') === (kind === 'single') ? rule(scope, index, floor) : undefined;
  };
}

/** The number form at `index` when it has this shape. */
export function shaped(scope: Scope, index: number, shape: string): NumberForm | undefined {
  const form = scope.forms[index];
  return form?.kind === 'number' && form.shape === shape ? form : undefined;
}

/** The only part of a plain number, or undefined for chains. */
export function single(form: Form | undefined): NumberPart | undefined {
  return form?.kind === 'number' && form.shape === 'N' ? form.parts[0] : undefined;
}

/** The part when it is a bare integer: no sign, point, grouping or exponent. */
export function integer(part: NumberPart | undefined): string | undefined {
  if (part === undefined || part.sign !== '' || part.decimals !== undefined || part.exponent !== undefined || part.grouped) return undefined;
  return part.digits;
}

/** Text of a word form, as written; '' when it is none or too long to matter. */
export function word(scope: Scope, form: Form | undefined): string {
  if (form?.kind !== 'word' || form.end - form.start > LONGEST_WORD) return '';
  return scope.folded.slice(form.start, form.end);
}

/** The word before the form, in small letters, with at most blanks and a stop between. */
export function wordBefore(scope: Scope, index: number): string {
  const before = scope.forms[index - 1];
  const form = scope.forms[index];
  if (before === undefined || form === undefined || form.start - before.end > 3) return '';
  return /^[ .:(]*$/.test(scope.folded.slice(before.end, form.start)) ? word(scope, before).toLowerCase() : '';
}

/** The word right after an offset, as written, with at most one blank or hyphen between. */
export function wordAfter(scope: Scope, at: number): string {
  return match(/[ -]?([A-Za-z]{1,24})(?![A-Za-z])/y, scope, at)?.[1] ?? '';
}

/**
 * Where an abbreviation ends: its last stop is left in the text when it also ends the sentence (end of text, or a
 * capital follows), so that the pause is not lost.
 */
export function keepStop(scope: Scope, end: number): number {
  if (scope.folded[end - 1] !== '.') return end;
  return /\s*(?:$|["')\]]|\s[A-Z])/y.test(rest(scope, end)) ? end - 1 : end;
}

function rest(scope: Scope, at: number): string {
  return scope.folded.slice(at, at + 8);
}

/** A replacement. */
export function say(name: string, kind: TokenClass, start: number, end: number, reading: string, alternatives?: readonly string[]): Replacement {
  const made: Replacement = { start, end, class: kind, rule: name, reading };
  return alternatives === undefined ? made : { ...made, alternatives };
}
