/**
 * Japanese: the rule book in the order in which rules are tried. In: a language span of a scope. Out: replacements in
 * kanji for numbers and katakana for units and signs. Latin words stay: the model reads them.
 */
import type { LanguageRules, Replacement, RuleBook, SayAs, Scope } from '../contract.ts';
import { readAlone } from '../pattern.ts';
import { applyRules } from '../rules.ts';
import { cardinalRules, counterRules, fractionRules, rangeRules } from './count.ts';
import { dateRules, eraRules, weekdayRules } from './date.ts';
import { codeRules, telephoneRules } from './digits.ts';
import { readAddress } from './electronic.ts';
import { EMOJI } from './emoji.ts';
import { symbolRules } from './math.ts';
import { measureRules, readUnitSign } from './measure.ts';
import { moneyRules, moneySignRules, moneyWordRules } from './money.ts';
import { sayDirectly } from './say.ts';
import { halfDayRules, timeRules } from './time.ts';
import { wordRules } from './word.ts';

const BOOK: RuleBook = {
  number: [
    ...telephoneRules, ...dateRules, ...timeRules, ...codeRules, ...moneyRules, ...measureRules, ...fractionRules, ...rangeRules, ...counterRules, ...cardinalRules,
  ],
  symbol: [readUnitSign, ...moneySignRules, ...symbolRules],
  word: [...moneyWordRules, ...eraRules, ...halfDayRules, ...wordRules],
  script: weekdayRules,
  address: [readAddress],
};

export const ja: LanguageRules = { language: 'ja', read, sayAs, emoji: (sequence) => EMOJI[sequence] };

function read(scope: Scope): Replacement[] {
  return applyRules(BOOK, scope);
}

function sayAs(text: string, as: SayAs, format: string | undefined): string | undefined {
  const direct = sayDirectly(text, as, format);
  if (direct !== undefined) return direct;
  if (as === 'fraction') return readAlone(ja, text, { slash: 'fraction' });
  if (as === 'time') return readAlone(ja, text, { colon: 'time' });
  if (as === 'date') return readAlone(ja, text, { slash: 'date' });
  return as === 'unit' || as === 'currency' ? readAlone(ja, text) : undefined;
}
