/**
 * English words → ARPABET, as the bundled voice was trained (infra/embedded-voice/frontend.py): first pronunciation of
 * the CMU dictionary, function words in their weak form except before a pause, `the` by the sound that follows. Words the
 * dictionary lacks are taken apart (endings, capitals, compounds), spelled, or given to the letter-to-sound network.
 */
import type { Dictionary } from './dictionary.ts';
import type { LetterToSound } from './letter-to-sound.ts';

/** One word: `phones` when the caller decides them. */
export type EnglishWord = { readonly written: string; readonly phones?: readonly string[]; readonly beforePause: boolean };

/** One list of phones a word. `shouted`: the whole text is in capitals, which then say nothing about a word. */
export type English = (words: readonly EnglishWord[], shouted: boolean) => (readonly string[])[];

const VOWEL = /^[AEIOU]/;
const SIBILANTS = new Set(['S', 'Z', 'SH', 'CH', 'ZH', 'JH']);
const VOICELESS = new Set(['P', 'T', 'K', 'F', 'TH']);

/** Weak forms the voice was trained with. */
const FUNCTION_WORDS: ReadonlyMap<string, readonly string[]> = new Map(
  `a AH0|an AH0 N|the DH AH0|and AH0 N D|of AH0 V|to T AH0|in IH0 N|for F ER0|on AA0 N|at AE0 T|by B AY0|with W IH0 DH|from F R AH0 M|or ER0|as AE0 Z
is IH0 Z|are ER0|was W AH0 Z|were W ER0|be B IY0|been B IH0 N|has HH AE0 Z|have HH AE0 V|had HH AE0 D|do D UW0|does D AH0 Z|can K AE0 N|could K UH0 D
would W UH0 D|should SH UH0 D|will W IH0 L|shall SH AE0 L|must M AH0 S T|he HH IY0|she SH IY0|it IH0 T|we W IY0|you Y UW0|they DH EY0|i AY0|me M IY0
him HH IH0 M|her HH ER0|us AH0 S|them DH EH0 M|my M AY0|your Y AO0 R|his HH IH0 Z|its IH0 T S|our AW0 ER0|their DH EH0 R|that DH AE0 T|than DH AE0 N
but B AH0 T|if IH0 F|so S OW0|am AE0 M|into IH0 N T UW0|there DH EH0 R|i'm AY0 M|it's IH0 T S|that's DH AE0 T S|i'll AY0 L|i've AY0 V`
    .split(/[|\n]/)
    .map((entry) => [entry.slice(0, entry.indexOf(' ')), entry.slice(entry.indexOf(' ') + 1).split(' ')] as const),
);

/** Names of the letters; the dictionary has some of them only as words (`a`). */
const LETTERS: ReadonlyMap<string, readonly string[]> = new Map(
  `a EY1|b B IY1|c S IY1|d D IY1|e IY1|f EH1 F|g JH IY1|h EY1 CH|i AY1|j JH EY1|k K EY1|l EH1 L|m EH1 M|n EH1 N|o OW1|p P IY1|q K Y UW1|r AA1 R|s EH1 S|t T IY1|u Y UW1
v V IY1|w D AH1 B AH0 L Y UW0|x EH1 K S|y W AY1|z Z IY1`
    .split(/[|\n]/)
    .map((entry) => [entry.slice(0, 1), entry.slice(2).split(' ')] as const),
);

/** In capitals these are abbreviations, in small letters words. */
const CAPITAL_ABBREVIATIONS = new Set(['AI', 'US', 'IT', 'UN', 'EU', 'ID', 'PM']);

/** Endings of contractions, for stems the dictionary has without them. */
const CONTRACTIONS: readonly (readonly [string, readonly string[]])[] = [
  ["n't", ['AH0', 'N', 'T']], ["'ll", ['AH0', 'L']], ["'ve", ['AH0', 'V']], ["'re", ['ER0']], ["'d", ['AH0', 'D']], ["'m", ['AH0', 'M']],
];

/** Shorter parts of a compound occur inside too many words. */
const MIN_PART = 4;

export function openEnglish(dictionary: Dictionary, letterToSound: LetterToSound): English {
  const reader = new Reader(dictionary, letterToSound);
  return (words, shouted) => {
    const phones = words.map(({ written, phones, beforePause }) => phones ?? reader.word(written, { beforePause, shouted }));
    return phones.map((own, index) => {
      const next = phones[index + 1]?.[0] ?? '';
      const isThe = words[index]?.phones === undefined && words[index]?.written.toLowerCase() === 'the';
      return isThe && words[index]?.beforePause === false && VOWEL.test(next) ? ['DH', 'IY0'] : own;
    });
  };
}

class Reader {
  readonly #dictionary: Dictionary;
  readonly #letterToSound: LetterToSound;

  constructor(dictionary: Dictionary, letterToSound: LetterToSound) {
    this.#dictionary = dictionary;
    this.#letterToSound = letterToSound;
  }

  /** Letters and apostrophes; never empty, whatever is written. */
  word(written: string, { beforePause, shouted }: { beforePause: boolean; shouted: boolean }): readonly string[] {
    if (!shouted && CAPITAL_ABBREVIATIONS.has(written)) return spell(written);
    const word = written.toLowerCase();
    const weak = FUNCTION_WORDS.get(word);
    if (weak !== undefined && !beforePause) return weak;
    return this.#dictionary(word) ?? weak ?? this.#unknown(written, word, shouted);
  }

  #unknown(written: string, word: string, shouted: boolean): readonly string[] {
    const stem = this.#withEnding(word);
    if (stem !== undefined) return stem;
    const plain = written.replaceAll("'", '');
    const parts = plain.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? [];
    if (parts.length > 1) return parts.flatMap((part) => this.word(part, { beforePause: true, shouted }));
    const isCapital = !shouted && /^[A-Z]{2,}$/.test(plain);
    if (!/[aeiouy]/.test(word) || (isCapital && plain.length <= MIN_PART)) return spell(word);
    return this.#inflected(word) ?? this.#compound(word) ?? this.#letterToSound(word);
  }

  /** Possessives and contractions of known stems. */
  #withEnding(word: string): readonly string[] | undefined {
    if (word.endsWith("'s")) {
      const stem = this.#stem(word.slice(0, -2));
      return [...stem, ...sibilantEnding(stem)];
    }
    const ending = CONTRACTIONS.find(([letters]) => word.endsWith(letters) && word.length > letters.length);
    return ending === undefined ? undefined : [...this.#stem(word.slice(0, -ending[0].length)), ...ending[1]];
  }

  #stem(word: string): readonly string[] {
    return this.#dictionary(word) ?? this.#unknown(word, word, true);
  }

  /** Regular plural, past and participle of a word of the dictionary. */
  #inflected(word: string): readonly string[] | undefined {
    const known = (...stems: string[]): readonly string[] | undefined => {
      for (const stem of stems) {
        const phones = stem.length >= 3 ? this.#dictionary(stem) : undefined;
        if (phones !== undefined) return phones;
      }
      return undefined;
    };
    const undoubled = word.replace(/([bdgklmnprtvz])\1(?=ing$|ed$)/, '$1');
    const plural = word.endsWith('s') && !word.endsWith('ss') ? known(word.slice(0, -1), word.endsWith('es') ? word.slice(0, -2) : '') : undefined;
    if (plural !== undefined) return [...plural, ...sibilantEnding(plural)];
    const past = word.endsWith('ed') ? known(word.slice(0, -2), word.slice(0, -1), undoubled.slice(0, -2)) : undefined;
    if (past !== undefined) return [...past, ...pastEnding(past)];
    const participle = word.endsWith('ing') ? known(word.slice(0, -3), `${word.slice(0, -3)}e`, undoubled.slice(0, -3)) : undefined;
    return participle === undefined ? undefined : [...participle, 'IH0', 'NG'];
  }

  /** Two words of the dictionary written as one; the main stress is on the first. */
  #compound(word: string): readonly string[] | undefined {
    for (let cut = word.length - MIN_PART; cut >= MIN_PART; cut--) {
      const first = this.#dictionary(word.slice(0, cut));
      const second = first === undefined ? undefined : this.#dictionary(word.slice(cut));
      if (first !== undefined && second !== undefined) return [...first, ...second.map((phone) => phone.replace('1', '2'))];
    }
    return undefined;
  }
}

/** Names of the letters of a word, one after the other. */
export function spell(word: string): readonly string[] {
  return [...word.toLowerCase()].flatMap((letter) => LETTERS.get(letter) ?? []);
}

/** -s after a stem. */
function sibilantEnding(stem: readonly string[]): readonly string[] {
  const last = stem.at(-1) ?? '';
  return SIBILANTS.has(last) ? ['IH0', 'Z'] : VOICELESS.has(last) ? ['S'] : ['Z'];
}

/** -ed after a stem. */
function pastEnding(stem: readonly string[]): readonly string[] {
  const last = stem.at(-1) ?? '';
  if (last === 'T' || last === 'D') return ['AH0', 'D'];
  return VOICELESS.has(last) || last === 'S' || last === 'SH' || last === 'CH' ? ['T'] : ['D'];
}
