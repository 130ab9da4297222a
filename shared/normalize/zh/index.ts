/**
 * Mandarin: the rule book in the order in which rules are tried. In: a language span of a scope. Out: replacements in
 * simplified or traditional characters, as the span is written. Cantonese and other dialects are written with the same
 * characters and stay as they are; only numbers and signs are read.
 */
import type { Hints, LanguageRules, Replacement, RuleBook, SayAs, Scope } from '../contract.ts';
import { readAlone } from '../pattern.ts';
import { applyRules } from '../rules.ts';
import { cardinalRules, fractionRules, ordinalRules, rangeRules, tenThousandRules } from './count.ts';
import { dateRules } from './date.ts';
import { codeRules, telephoneRules } from './digits.ts';
import { readAddress } from './electronic.ts';
import { EMOJI } from './emoji.ts';
import { symbolRules } from './math.ts';
import { measureRules, readUnitSign } from './measure.ts';
import { moneyRules, moneySignRules, moneyWordRules } from './money.ts';
import { sayDirectly } from './say.ts';
import { timeRules } from './time.ts';
import { keepScript } from './traditional.ts';
import { wordRules } from './word.ts';

const BOOK: RuleBook = {
  number: [
    ...ordinalRules, ...telephoneRules, ...dateRules, ...timeRules, ...codeRules, ...moneyRules, ...tenThousandRules, ...measureRules, ...fractionRules, ...rangeRules, ...cardinalRules,
  ],
  symbol: [readUnitSign, ...moneySignRules, ...symbolRules],
  word: [...moneyWordRules, ...wordRules],
  address: [readAddress],
};

/** Kinds that the rules read once they are told what an ambiguous shape means. */
const HINTS: Partial<Record<SayAs, Hints>> = { fraction: { slash: 'fraction' }, time: { colon: 'time' }, date: { slash: 'date' }, unit: {}, currency: {} };

/** The rules of Chinese. */
export const zh: LanguageRules = { language: 'zh', read, sayAs, emoji: (sequence) => EMOJI[sequence] };

function read(scope: Scope): Replacement[] {
  return keepScript(scope, applyRules(BOOK, scope));
}

function sayAs(text: string, as: SayAs, format: string | undefined): string | undefined {
  const direct = sayDirectly(text, as, format);
  if (direct !== undefined) return direct;
  const hints = HINTS[as];
  const spoken = hints === undefined ? text : readAlone(zh, text, hints);
  return spoken === text ? undefined : spoken;
}
