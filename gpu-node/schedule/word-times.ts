/**
 * When each word is heard. Where a sentence begins and ends in the sound is exact. Inside it words stand where the language
 * model's attention says it read them (tokens/alignment.ts), or, where that says nothing, they share the time by their phones or
 * letters: then pauses inside a sentence and held sounds are not seen. Each answer says which of the two it is.
 */
import type { Alignment } from '../tokens/index.ts';

export type WordTime = { readonly text: string; readonly startMs: number; readonly endMs: number };

/** `estimate`: shared by length. Start of a word on the bundled voice against a recogniser's: see the README. */
export type WordSource = 'attention' | 'estimate';

/** A word, and which ids of its sentence it is: from `first` up to `end`, parts of an id where it shares one. */
export type Word = { readonly text: string; readonly weight: number; readonly first: number; readonly end: number };

const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]|[\p{L}\p{N}][\p{L}\p{N}\p{M}'’-]*/gu;
const WIDE = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
/** An ideograph or syllable takes about as long as four letters; every word has a little of its own. */
const WIDE_LETTERS = 4;
const BASE_LETTERS = 1.5;

type Plain = { readonly text: string; readonly weight: number; readonly at: number };

/** Words of a text with their places in it; in scripts without blanks each sign is one. */
function wordsIn(text: string): Plain[] {
  return Array.from(text.matchAll(WORD), ({ 0: word, index }) => ({ text: word, at: index, weight: WIDE.test(word) ? WIDE_LETTERS : BASE_LETTERS + word.length }));
}

/** Words of a text whose ids are `count` ones from `first` on, by their share of it. */
export function wordsWithin(text: string, { first, count }: { readonly first: number; readonly count: number }): Word[] {
  return shared(wordsIn(text), { first, count });
}

/**
 * Words of `text` for each of its sentences as the language model reads them. `idsBefore`: how many ids a beginning of a sentence
 * has; absent for sentences of phones, which show their words themselves. Where that does not come out even, words go to
 * sentences and ids in proportion.
 */
export function wordsBySentence(text: string, sentences: readonly { readonly text: string; readonly ids: readonly number[] }[], idsBefore?: (text: string) => number): Word[][] {
  if (idsBefore) return sentences.map((sentence) => wordsIn(sentence.text).map(({ text: word, weight, at }) => ({ text: word, weight, first: idsBefore(sentence.text.slice(0, at)), end: idsBefore(sentence.text.slice(0, at + word.length)) })));
  const words = wordsIn(text);
  const groups = sentences.map(({ text: phones, ids }) => unitsOf(phones, ids.length));
  if (groups.flat().length === words.reduce((sum, word) => sum + partsOf(word), 0)) return inOrder(words, groups);
  return inProportion(words, sentences.map(({ ids }) => ids.length));
}

/** Words in phones are cut at hyphens. */
function partsOf({ text }: Plain): number {
  return text.split('-').filter((part) => part !== '').length;
}

type Unit = { readonly first: number; readonly end: number };

/** Words of a row of phones: groups between blanks and marks, and in pinyin each syllable, which its tone ends. None if phones are not ids one by one. */
function unitsOf(phones: string, ids: number): Unit[] {
  const tokens = phones.match(/\[[^\]]+\]|[ ,.?!]/g) ?? [];
  if (tokens.length !== ids) return [];
  const units: Unit[] = [];
  let first: number | undefined;
  for (const [i, token] of tokens.entries()) {
    if (token.startsWith('[')) first ??= i;
    const next = tokens[i + 1];
    const ends = /^\[[a-z]+[1-5]\]$/.test(token) || !next?.startsWith('[') || (/^\[[A-Z]/.test(token) && !/^\[[A-Z]/.test(next));
    if (first === undefined || !ends) continue;
    units.push({ first, end: i + 1 });
    first = undefined;
  }
  return units;
}

/** A word that a sentence's end cuts goes to the sentence where it begins. */
function inOrder(words: readonly Plain[], groups: readonly (readonly Unit[])[]): Word[][] {
  let word = 0;
  let left = 0;
  return groups.map((units) => {
    const found: Word[] = [];
    for (const { first, end } of units) {
      const last = found.at(-1);
      if (left > 0) {
        left -= 1;
        if (last) found[found.length - 1] = { ...last, weight: last.weight + end - first, end };
        continue;
      }
      const next = words[word++];
      if (!next) break;
      left = partsOf(next) - 1;
      found.push({ text: next.text, weight: end - first, first, end });
    }
    return found;
  });
}

function inProportion(words: readonly Plain[], ids: readonly number[]): Word[][] {
  const perId = words.reduce((sum, { weight }) => sum + weight, 0) / ids.reduce((sum, count) => sum + count, 0);
  let at = 0;
  let given = 0;
  let until = 0;
  return ids.map((count, i) => {
    until += count * perId;
    const from = at;
    while (at < words.length && (i === ids.length - 1 || given + (words[at]?.weight ?? 0) / 2 <= until)) given += words[at++]?.weight ?? 0;
    return shared(words.slice(from, at), { first: 0, count });
  });
}

function shared(words: readonly Plain[], { first, count }: { readonly first: number; readonly count: number }): Word[] {
  const perWeight = count / words.reduce((sum, { weight }) => sum + weight, 0);
  let at = first;
  return words.map(({ text, weight }) => ({ text, weight, first: at, end: (at += weight * perWeight) }));
}

/** A sentence in the sound: its samples `from` … `to` after a pause of `pause` samples, and what was trimmed at its ends. */
export type Placed = { readonly from: number; readonly to: number; readonly pause: number; readonly removed: { readonly lead: number; readonly tail: number } };

/** When the words of one sentence are heard, at the sound's `sampleRateHz`. */
export function wordTimes(words: readonly Word[], alignment: Alignment | undefined, placed: Placed, sampleRateHz: number): { readonly words: readonly WordTime[]; readonly source: WordSource } {
  const { to } = placed;
  const from = placed.from + placed.pause;
  const ms = (sample: number): number => Math.round((1000 * Math.min(to, Math.max(from, sample))) / sampleRateHz);
  if (!alignment) {
    const total = words.reduce((sum, { weight }) => sum + weight, 0);
    let at = 0;
    const sampleAt = (weight: number): number => from + ((to - from) * weight) / total;
    return { source: 'estimate', words: words.map(({ text, weight }) => ({ text, startMs: ms(sampleAt(at)), endMs: ms(sampleAt((at += weight))) })) };
  }
  const { lead, tail } = placed.removed;
  const samplesPerToken = (to - from + lead + tail) / alignment.speechTokens;
  const sampleAt = (id: number): number => from - lead + tokenAt(alignment, id) * samplesPerToken;
  return { source: 'attention', words: words.map(({ text, first, end }) => ({ text, startMs: ms(sampleAt(first)), endMs: ms(sampleAt(end)) })) };
}

/** When an id begins, in speech tokens: somewhere in the first one that says it, so in its middle. Between two ids for a part of one. */
function tokenAt({ starts, speechTokens }: Alignment, id: number): number {
  const begin = (at: number): number => (at === 0 ? 0 : Math.min(speechTokens, (starts[at] ?? speechTokens) + 0.5));
  const whole = Math.floor(id);
  return begin(whole) + (begin(whole + 1) - begin(whole)) * (id - whole);
}
