/**
 * Walks the forms of one language span and asks the rules of that kind of form, in order. In: scope and rule book.
 * Out: replacements in text order. Each form is visited once, so linear rules make a linear whole.
 */
import type { Replacement, RuleBook, Scope } from './contract.ts';

/** All replacements the rule book makes in scope.from … scope.to. */
export function applyRules(book: RuleBook, scope: Scope): Replacement[] {
  const found: Replacement[] = [];
  let floor = scope.from;
  for (let index = firstForm(scope); index < scope.forms.length; index++) {
    const form = scope.forms[index];
    if (form === undefined || form.start >= scope.to) break;
    if (form.start < floor || form.end > scope.to) continue;
    for (const rule of book[form.kind] ?? []) {
      const made = rule(scope, index, floor);
      if (made === undefined || made.start < floor || made.end > scope.to || cutsForm(scope, index, made.end)) continue;
      found.push(made);
      floor = Math.max(made.end, form.start + 1);
      break;
    }
  }
  return found;
}

/** A replacement that ends inside a number would leave digits behind: the next rule is asked instead. */
function cutsForm(scope: Scope, index: number, end: number): boolean {
  for (let at = index; ; at++) {
    const form = scope.forms[at];
    if (form === undefined || form.start >= end) return false;
    if (form.end > end) return form.kind === 'number' && !/^[-+±]$/.test(scope.folded.slice(form.start, end));
  }
}

/** Index of the first form that starts at or after scope.from (binary search). */
function firstForm(scope: Scope): number {
  let low = 0;
  let high = scope.forms.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((scope.forms[middle]?.start ?? 0) < scope.from) low = middle + 1;
    else high = middle;
  }
  return low;
}
