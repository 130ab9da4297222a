/**
 * When each word is heard: an estimate, no alignment. Where a sentence begins and ends in the sound is exact; inside it the
 * words share the time by their phones where the voice reads phones, else by their letters. Pauses inside a sentence and held
 * sounds are not seen.
 */

export type WordTime = { readonly text: string; readonly startMs: number; readonly endMs: number };

export type Word = { readonly text: string; readonly weight: number };

const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]|[\p{L}\p{N}][\p{L}\p{N}\p{M}'’-]*/gu;
const WIDE = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
/** An ideograph or syllable takes about as long as four letters; every word has a little of its own. */
const WIDE_LETTERS = 4;
const BASE_LETTERS = 1.5;

/** Words of a text; in scripts without blanks each sign is one. */
export function wordsIn(text: string): Word[] {
  return (text.match(WORD) ?? []).map((word) => ({ text: word, weight: WIDE.test(word) ? WIDE_LETTERS : BASE_LETTERS + word.length }));
}

/**
 * Words of `text` for each of its sentences as the language model reads them. Sentences of phones show their words by blanks;
 * where that does not come out even, words go to sentences in proportion to the ids.
 */
export function wordsBySentence(text: string, sentences: readonly { readonly text: string; readonly ids: readonly number[] }[], phones: boolean): Word[][] {
  if (!phones) return sentences.map((sentence) => wordsIn(sentence.text));
  const words = wordsIn(text);
  const groups = sentences.map((sentence) => sentence.text.split(/[ ,.?!]+/).filter((group) => group !== ''));
  if (groups.flat().length === words.length) {
    let at = 0;
    return groups.map((group) => group.map((part) => ({ text: words[at++]?.text ?? '', weight: part.split('[').length - 1 })));
  }
  const perId = words.reduce((sum, { weight }) => sum + weight, 0) / sentences.reduce((sum, { ids }) => sum + ids.length, 0);
  let at = 0;
  let given = 0;
  let until = 0;
  return sentences.map(({ ids }, i) => {
    until += ids.length * perId;
    const from = at;
    while (at < words.length && (i === sentences.length - 1 || given + (words[at]?.weight ?? 0) / 2 <= until)) given += words[at++]?.weight ?? 0;
    return words.slice(from, at);
  });
}

/** Shares the samples `from` … `to` among the words. */
export function spread(words: readonly Word[], { from, to }: { readonly from: number; readonly to: number }, sampleRateHz: number): WordTime[] {
  const total = words.reduce((sum, { weight }) => sum + weight, 0);
  const ms = (weight: number): number => Math.round((1000 * (from + ((to - from) * weight) / total)) / sampleRateHz);
  let at = 0;
  return words.map(({ text, weight }) => {
    const startMs = ms(at);
    at += weight;
    return { text, startMs, endMs: ms(at) };
  });
}
