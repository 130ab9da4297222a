/**
 * Korean: the rule book in the order in which rules are tried. In: a language span of a scope. Out: replacements in Hangul.
 * Latin words stay: the model reads them.
 */
import type { Hints, LanguageRules, Replacement, RuleBook, SayAs, Scope } from '../contract.ts';
import { readAlone } from '../pattern.ts';
import { applyRules } from '../rules.ts';
import { cardinalRules, fractionRules, rangeRules } from './count.ts';
import { counterRules } from './counters.ts';
import { dateRules, weekdayRules } from './date.ts';
import { codeRules, localNumberRules, telephoneRules } from './digits.ts';
import { fileEndingRules, readAddress } from './electronic.ts';
import { EMOJI } from './emoji.ts';
import { symbolRules } from './math.ts';
import { measureRules, readUnitSign } from './measure.ts';
import { moneyRules, moneySignRules, moneyWordRules } from './money.ts';
import { sayDirectly } from './say.ts';
import { halfDayRules, timeRules } from './time.ts';
import { wordRules } from './word.ts';

const BOOK: RuleBook = {
  number: [
    ...telephoneRules, ...localNumberRules, ...dateRules, ...timeRules, ...codeRules, ...moneyRules, ...measureRules, ...fractionRules, ...counterRules, ...rangeRules, ...cardinalRules,
  ],
  symbol: [readUnitSign, ...moneySignRules, ...symbolRules],
  word: [...moneyWordRules, ...halfDayRules, ...fileEndingRules, ...wordRules],
  script: weekdayRules,
  address: [readAddress],
};

/** Kinds that the rules read once they are told what an ambiguous shape means. */
const HINTS: Partial<Record<SayAs, Hints>> = { fraction: { slash: 'fraction' }, time: { colon: 'time' }, date: { slash: 'date' }, unit: {}, currency: {} };

/** The rules of Korean. */
export const ko: LanguageRules = { language: 'ko', read, sayAs, emoji: (sequence) => EMOJI[sequence] };

function read(scope: Scope): Replacement[] {
  return applyRules(BOOK, scope);
}

function sayAs(text: string, as: SayAs, format: string | undefined): string | undefined {
  const direct = sayDirectly(text, as, format);
  if (direct !== undefined) return direct;
  const hints = HINTS[as];
  const spoken = hints === undefined ? text : readAlone(ko, text, hints);
  return spoken === text ? undefined : spoken;
}
