/**
 * Pronunciation lexicon: words and phrases that are always said the same way, per tenant or request. An Aho–Corasick
 * automaton (Aho, Corasick 1975) finds the leftmost longest matches in one pass, whatever the number of entries.
 * In: entries. Out: matches with readings; they are applied before every rule and no rule touches them.
 */
import { CosyError } from '../errors/index.ts';
import type { Language, LexiconEntry, Span } from './contract.ts';
import { findControls } from './control.ts';
import { pronounce } from './pronounce/index.ts';
import { fold } from './written/fold.ts';

/** Bounds the automaton (about a million states) and the walk along shorter matches at one place. */
export const LEXICON_LIMITS = { entries: 50_000, textUnits: 64, readingUnits: 256 } as const;

/** An entry found in a text, in code units, with what to say. */
export type LexiconMatch = Span & { entry: LexiconEntry; reading: string };

/** Compiled entries; `find` runs in time linear in the text. Build one with compileLexicon. */
export type Lexicon = {
  size: number;
  /** Leftmost longest matches in `text`, in order, never overlapping; `languageAt` is asked once per candidate. */
  find(text: string, languageAt: (offset: number) => Language | undefined): LexiconMatch[];
};

type Automaton = {
  /** state × 65536 + code unit → state */
  next: Map<number, number>;
  fail: Int32Array;
  /** Nearest suffix state that ends an entry, 0 for none. */
  output: Int32Array;
  depth: Int32Array;
  entries: Map<number, LexiconEntry[]>;
  /** What each entry says, pronunciations respelled. */
  readings: Map<LexiconEntry, string>;
};

/**
 * Compiles entries to an automaton. An entry without reading or pronunciation, with an empty text or beyond
 * LEXICON_LIMITS throws CosyError invalid_value naming its index.
 */
export function compileLexicon(entries: readonly LexiconEntry[]): Lexicon {
  if (entries.length > LEXICON_LIMITS.entries) throw refused(`Lexicon has more than ${LEXICON_LIMITS.entries} entries.`);
  entries.forEach(checkEntry);
  const automaton = build(entries);
  return { size: entries.length, find: (text, languageAt) => findAll(automaton, text, languageAt) };
}

function refused(problem: string): CosyError {
  return new CosyError('invalid_value', problem, { param: 'pronunciations' });
}

function checkEntry(entry: LexiconEntry, index: number): void {
  const { text, reading, pronunciation } = entry;
  if (text.trim() === '' || text.length > LEXICON_LIMITS.textUnits) {
    throw refused(`Lexicon entry ${index}: text must have 1 to ${LEXICON_LIMITS.textUnits} characters.`);
  }
  if (reading === undefined && pronunciation === undefined) throw refused(`Lexicon entry ${index}: give a reading or a pronunciation.`);
  if ((reading ?? '').length > LEXICON_LIMITS.readingUnits || (pronunciation ?? '').length > LEXICON_LIMITS.readingUnits) {
    throw refused(`Lexicon entry ${index}: reading longer than ${LEXICON_LIMITS.readingUnits} characters.`);
  }
}

function readingOf(entry: LexiconEntry, index: number): string {
  const { reading, pronunciation = '', alphabet = 'pinyin' } = entry;
  const said = reading ?? pronounce(pronunciation, alphabet);
  if (said === undefined) throw refused(`Lexicon entry ${index}: pronunciation is not valid ${alphabet}.`);
  if (findControls(said).length > 0) throw refused(`Lexicon entry ${index}: reading holds a control token.`);
  return said;
}

function build(entries: readonly LexiconEntry[]): Automaton {
  const next = new Map<number, number>();
  const depths: number[] = [0];
  const units: number[] = [0];
  const parents: number[] = [0];
  const ends = new Map<number, LexiconEntry[]>();
  for (const entry of entries) {
    let state = 0;
    for (const unit of key(entry.text)) {
      const edge = state * 65536 + unit;
      let child = next.get(edge);
      if (child === undefined) {
        child = depths.length;
        next.set(edge, child);
        depths.push((depths[state] ?? 0) + 1);
        units.push(unit);
        parents.push(state);
      }
      state = child;
    }
    ends.set(state, [...(ends.get(state) ?? []), entry]);
  }
  const readings = new Map(entries.map((entry, index) => [entry, readingOf(entry, index)]));
  return link({ next, depths, units, parents, ends }, readings);
}

/** Fail and output links, breadth first (states of one depth only need shallower ones). */
function link(trie: { next: Map<number, number>; depths: number[]; units: number[]; parents: number[]; ends: Map<number, LexiconEntry[]> }, readings: Map<LexiconEntry, string>): Automaton {
  const { next, depths, units, parents, ends } = trie;
  const fail = new Int32Array(depths.length);
  const output = new Int32Array(depths.length);
  const order = depths.map((_, state) => state).toSorted((a, b) => (depths[a] ?? 0) - (depths[b] ?? 0));
  for (const state of order) {
    if ((depths[state] ?? 0) < 2) continue;
    let from = fail[parents[state] ?? 0] ?? 0;
    const unit = units[state] ?? 0;
    while (from !== 0 && !next.has(from * 65536 + unit)) from = fail[from] ?? 0;
    const target = next.get(from * 65536 + unit) ?? 0;
    fail[state] = target;
    output[state] = ends.has(target) ? target : (output[target] ?? 0);
  }
  return { next, fail, output, depth: Int32Array.from(depths), entries: ends, readings };
}

function findAll(automaton: Automaton, text: string, languageAt: (offset: number) => Language | undefined): LexiconMatch[] {
  const { next, fail, output, depth, entries, readings } = automaton;
  const kept: LexiconMatch[] = [];
  const units = key(text);
  let state = 0;
  for (let at = 0; at < units.length; at++) {
    const unit = units[at] ?? 0;
    while (state !== 0 && !next.has(state * 65536 + unit)) state = fail[state] ?? 0;
    state = next.get(state * 65536 + unit) ?? 0;
    let ending = entries.has(state) ? state : (output[state] ?? 0);
    for (; ending !== 0; ending = output[ending] ?? 0) {
      const start = at + 1 - (depth[ending] ?? 0);
      const entry = (entries.get(ending) ?? []).findLast((one) => fits(one, { text, start, end: at + 1 }, languageAt));
      if (entry !== undefined && keep(kept, { start, end: at + 1, entry, reading: readings.get(entry) ?? '' })) break;
    }
  }
  return kept;
}

/** Leftmost longest: a match replaces those that start inside it, and yields to one that started before. */
function keep(kept: LexiconMatch[], match: LexiconMatch): boolean {
  let left = kept.length;
  while (left > 0 && (kept[left - 1]?.start ?? 0) >= match.start) left--;
  if (left > 0 && (kept[left - 1]?.end ?? 0) > match.start) return false;
  kept.length = left;
  kept.push(match);
  return true;
}

/** Whole words only where the entry begins or ends in an alphabet; case and language as the entry asks. */
function fits(entry: LexiconEntry, place: Span & { text: string }, languageAt: (offset: number) => Language | undefined): boolean {
  const { text, start, end } = place;
  const letter = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\d]/u;
  if (letter.test(text[start] ?? '') && letter.test(text[start - 1] ?? '')) return false;
  if (letter.test(text[end - 1] ?? '') && letter.test(text[end] ?? '')) return false;
  if (entry.caseSensitive === true && fold(text.slice(start, end)) !== fold(entry.text)) return false;
  return entry.language === undefined || entry.language === languageAt(start);
}

/** Code units compared: folded, small letters, one unit for one unit. */
function key(text: string): Uint16Array {
  const folded = fold(text);
  const units = new Uint16Array(folded.length);
  for (let at = 0; at < folded.length; at++) {
    const code = folded.charCodeAt(at);
    const small = code < 128 ? (code >= 65 && code <= 90 ? code + 32 : code) : smallUnit(folded[at] ?? '');
    units[at] = small;
  }
  return units;
}

function smallUnit(unit: string): number {
  const small = unit.toLowerCase();
  return small.length === 1 ? small.charCodeAt(0) : unit.charCodeAt(0);
}
