/**
 * Rules as patterns: most written forms of Chinese, Japanese and Korean are told by what stands directly around the
 * number (`年`, `号`, `개`), so their rules are sticky regular expressions on the folded text, anchored at a form.
 * Every repetition in such a pattern is bounded, so one attempt costs a constant and the whole stays linear.
 */
import type { Form, Hints, LanguageRules, Replacement, Rule, Scope, TokenClass } from './contract.ts';
import { fold } from './written/fold.ts';
import { scan } from './written/scan.ts';

/** Digits of one amount, grouped or plain, with decimals; longer runs are left to the last rule, which takes any length. */
export const AMOUNT = String.raw`(?:\d{1,3}(?:,\d{3}){1,8}(?!\d)|\d{1,40})(?:\.\d{1,40})?|\.\d{1,40}`;

export type Groups = Record<string, string | undefined>;

/** Where a pattern matched: [start, end) and the text around it. */
export type Place = {
  scope: Scope;
  start: number;
  end: number;
  /** Up to `length` folded characters before the match. */
  before(length: number): string;
  /** Up to `length` folded characters after the match. */
  after(length: number): string;
};

/** A reading, or one with other possible readings, or with a start or end other than the match's. */
export type Spoken = string | { reading: string; alternatives?: readonly string[]; start?: number; end?: number };

export type Pattern = {
  class: TokenClass;
  /** Name for the trace: `date/iso`. */
  rule: string;
  /** For rules at numbers: characters of which one must follow the first digits (a blank may stand between). Saves the attempt. */
  next?: string;
  /** Characters of which one must stand at the start of the form. Saves the attempt. */
  first?: string;
  /** Sticky; tried at the start of the form, or behind its minus when that minus joins (see {@link patterns}). */
  match: RegExp;
  read: (groups: Groups, place: Place) => Spoken | undefined;
};

/**
 * Makes the pattern-to-rule function of one language. `join` says what a minus directly before a number means when it is
 * no sign: the word for a range (`5月1日-7日` → 到), '' for a mere hyphen (`歼-20`), undefined for a sign.
 */
export function patterns(join: (scope: Scope, at: number) => string | undefined): (pattern: Pattern) => Rule {
  return (pattern) => (scope, index, floor) => {
    const form = scope.forms[index];
    if (form === undefined || (pattern.first !== undefined && !pattern.first.includes(scope.folded[form.start] ?? '')) || (pattern.next !== undefined && !pattern.next.includes(follower(scope, form)))) return undefined;
    const joined = form.kind === 'number' && scope.folded[form.start] === '-' ? join(scope, form.start) : undefined;
    const at = form.start + (joined === undefined ? 0 : 1);
    pattern.match.lastIndex = at;
    const match = pattern.match.exec(scope.folded);
    if (match === null || match[0] === '') return undefined;
    const place = placeOf(scope, at, at + match[0].length);
    const spoken = pattern.read(match.groups ?? {}, place);
    if (spoken === undefined) return undefined;
    const plain = typeof spoken === 'string' ? { reading: spoken } : spoken;
    const start = Math.max(floor, plain.start ?? form.start);
    const end = plain.end ?? place.end;
    if (end > scope.to || cutsForm(scope, index, end)) return undefined;
    return {
      start,
      end,
      class: pattern.class,
      rule: pattern.rule,
      reading: ((joined ?? '') + plain.reading).trim(),
      ...(plain.alternatives === undefined ? {} : { alternatives: plain.alternatives }),
    };
  };
}

/** The character after the first digits of a number, over one blank; '\0' at the end of the text. */
export function follower({ folded }: Scope, form: Form): string {
  const part = form.kind === 'number' ? form.parts[0] : undefined;
  if (part === undefined) return '\0';
  const end = part.grouped ? (part.decimals === undefined ? part.end : part.end - part.decimals.length - 1) : part.start + part.sign.length + part.digits.length;
  const next = folded[end] ?? '\0';
  return next === ' ' ? (folded[end + 1] ?? '\0') : next;
}

/** Reads a piece of text on its own with the rules of one language, as `say-as` needs it. */
export function readAlone(rules: Pick<LanguageRules, 'language' | 'read'>, text: string, hints: Hints = {}): string {
  const folded = fold(text);
  const forms = scan(folded);
  const scope: Scope = { text, folded, forms, from: 0, to: text.length, base: rules.language, hints };
  return assemble(text, rules.read(scope));
}

function assemble(text: string, replacements: readonly Replacement[]): string {
  let out = '';
  let from = 0;
  for (const replacement of replacements) {
    out += text.slice(from, replacement.start) + replacement.reading;
    from = replacement.end;
  }
  return out + text.slice(from);
}

/** The text around [start, end) as rules written by hand need it too. */
export function placeOf(scope: Scope, start: number, end: number): Place {
  return {
    scope,
    start,
    end,
    before: (length) => scope.folded.slice(Math.max(0, start - length), start),
    after: (length) => scope.folded.slice(end, end + length),
  };
}

/** A match may neither end inside a form (its rest would never be read) nor run over one that is already decided. */
export function cutsForm(scope: Scope, index: number, end: number): boolean {
  for (let at = index; at < scope.forms.length; at++) {
    const form = scope.forms[at];
    if (form === undefined || form.start >= end) return false;
    if (form.end > end && form.kind !== 'script') return true;
    if (form.kind === 'fixed') return true;
  }
  return false;
}
