/** English: the order in which rules are tried, per kind of written form. */
import type { LanguageRules, Replacement, Rule, RuleBook, Scope } from '../contract.ts';
import { applyRules } from '../rules.ts';
import { CURRENCY_WORDS } from '../written/currencies.ts';
import { abbreviation, ABBREVIATED } from './abbreviation.ts';
import { chain, decades, magnitudes, numbered, ordinals, plainNumber, spacedThousands } from './cardinal.ts';
import { dayFirst, eraFirst, eras, monthFirst, numeric, MONTH_WORDS, quarters, WEEKDAY_WORDS, weekdays, yearRange } from './date.ts';
import { address } from './electronic.ts';
import { emojiName } from './emoji.ts';
import { followedBy, ofShape } from './look.ts';
import { mixed, mixedVulgar, slashed, vulgar } from './fraction.ts';
import { coordinate, feet, measure, percent, sizes, times } from './measure.ts';
import { rupees, signAfter, signAlone, signFirst } from './money.ts';
import { decimalComma, powers, range, ratio, spacedRange, spacedRatio, sums, version } from './range.ts';
import { roman } from './roman.ts';
import { sayAs } from './sayas.ts';
import { state, STATE_WORDS, street } from './street.ts';
import { by, symbol } from './symbol.ts';
import { telephone } from './telephone.ts';
import { clock, duration, isoJoin } from './time.ts';

/** One number by itself; what may follow it decides which rules are worth asking. */
const SINGLES: readonly Rule[] = [
  followedBy('aApPhH.-~:', clock), followedBy('hHmM', duration), followedBy('§0', street), followedBy('-./sSnNrRtTjJfFmMaAoOdD', dayFirst), followedBy('QH', quarters), followedBy('-', sums),
  followedBy('0', spacedThousands), telephone, followedBy('aAbBcC', eras), followedBy('sSnNrRtT£', ordinals), followedBy("s'", decades), followedBy('0-', mixed), followedBy('£', mixedVulgar),
  followedBy('£', coordinate), followedBy("f'£", feet), followedBy('%£', percent), followedBy('§$£', signAfter), followedBy('x*^£', powers), followedBy('xX£', sizes),
  followedBy('§-£', measure), followedBy('§', magnitudes), followedBy(':', spacedRatio), followedBy('-~', spacedRange), version, followedBy(',', decimalComma), plainNumber,
];
/** Numbers joined without blanks. */
const CHAINS: readonly Rule[] = [
  clock, dayFirst, sums, telephone, followedBy('aAbBcC', eras), numeric, yearRange, followedBy('%£', percent), followedBy('§$£', signAfter), followedBy('§-£', measure), followedBy('xX£', times), range, ratio, slashed, chain,
];
const NUMBERS: readonly Rule[] = [...SINGLES.map((rule) => ofShape('single', rule)), ...CHAINS.map((rule) => ofShape('chain', rule)), chain];
const WORD_RULES: readonly Rule[] = [isoJoin, signFirst, rupees, monthFirst, quarters, weekdays, eraFirst, numbered, state, abbreviation, roman, by];
/** Words some rule starts at, in small letters: most words of a text are none, and cost one look-up. */
const STARTERS = new Set([...MONTH_WORDS, ...WEEKDAY_WORDS, ...STATE_WORDS, ...ABBREVIATED, ...CURRENCY_WORDS, 't', 'x', 'rs', 'q', 'h', 'ad', 'a', 'no', 'nos']);
const LONGEST_STARTER = 9;
/** Single letters that start something without a stop, slash or currency sign behind them. */
const LONE = new Set('IVXxTQH');
const WORDS: readonly Rule[] = [words];

const SYMBOLS: readonly Rule[] = [signFirst, numbered, vulgar, signAlone, symbol];

const BOOK: RuleBook = { number: NUMBERS, word: WORDS, symbol: SYMBOLS, address: [address] };

function words(scope: Scope, index: number, floor: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || form.end - form.start > LONGEST_STARTER) return undefined;
  const written = scope.folded.slice(form.start, form.end);
  if (!STARTERS.has(written.toLowerCase()) && !/^[IVXLCDM]+$/.test(written)) return undefined;
  if (written.length === 1 && !LONE.has(written) && !'./$¥'.includes(scope.folded[form.end] ?? ' ')) return undefined;
  for (const rule of WORD_RULES) {
    const made = rule(scope, index, floor);
    if (made !== undefined) return made;
  }
  return undefined;
}

/** English rules. */
export const en: LanguageRules = {
  language: 'en',
  read: (scope) => applyRules(BOOK, scope),
  sayAs,
  emoji: emojiName,
};
