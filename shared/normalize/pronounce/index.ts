/**
 * Pronunciations → text the model says that way. The model reads text only, so Mandarin is written with characters that have one
 * reading, and English phonemes are respelled. Rough for English: a hint, not a transcription.
 */
import type { LexiconEntry } from '../contract.ts';
import { SYLLABLES } from './syllables.ts';

const CHARACTERS = new Map(SYLLABLES.split(', ').map((pair) => pair.split(' ') as [string, string]));
const TONED: Record<string, string> = {
  ā: 'a1', á: 'a2', ǎ: 'a3', à: 'a4', ē: 'e1', é: 'e2', ě: 'e3', è: 'e4', ī: 'i1', í: 'i2', ǐ: 'i3', ì: 'i4', ō: 'o1', ó: 'o2', ǒ: 'o3', ò: 'o4',
  ū: 'u1', ú: 'u2', ǔ: 'u3', ù: 'u4', ǖ: 'v1', ǘ: 'v2', ǚ: 'v3', ǜ: 'v4', ü: 'v', ń: 'n2', ň: 'n3', ǹ: 'n4', ḿ: 'm2',
};
const VOWELS: Record<string, string> = {
  AA: 'ah', AE: 'a', AH: 'uh', AO: 'aw', AW: 'ow', AY: 'eye', EH: 'eh', ER: 'er', EY: 'ay', IH: 'ih', IY: 'ee', OW: 'oh', OY: 'oy', UH: 'oo', UW: 'oo',
};
const CONSONANTS: Record<string, string> = {
  B: 'b', CH: 'ch', D: 'd', DH: 'th', F: 'f', G: 'g', HH: 'h', JH: 'j', K: 'k', L: 'l', M: 'm', N: 'n', NG: 'ng', P: 'p', R: 'r', S: 's', SH: 'sh', T: 't', TH: 'th', V: 'v', W: 'w', Y: 'y', Z: 'z', ZH: 'zh',
};
/** IPA of English → ARPABET, longest first. */
const IPA: readonly (readonly [string, string])[] = [
  ['tʃ', 'CH'], ['dʒ', 'JH'], ['t͡ʃ', 'CH'], ['d͡ʒ', 'JH'], ['aɪ', 'AY'], ['aʊ', 'AW'], ['eɪ', 'EY'], ['oʊ', 'OW'], ['əʊ', 'OW'], ['ɔɪ', 'OY'], ['ɜr', 'ER'], ['ɜː', 'ER'], ['ər', 'ER'], ['iː', 'IY'], ['uː', 'UW'], ['ɑː', 'AA'], ['ɔː', 'AO'],
  ['ɝ', 'ER'], ['ɚ', 'ER'], ['ɑ', 'AA'], ['æ', 'AE'], ['ʌ', 'AH'], ['ə', 'AH'], ['ɔ', 'AO'], ['ɒ', 'AA'], ['ɛ', 'EH'], ['e', 'EH'], ['ɪ', 'IH'], ['i', 'IY'], ['ʊ', 'UH'], ['u', 'UW'], ['o', 'OW'], ['a', 'AA'], ['ɜ', 'ER'],
  ['b', 'B'], ['d', 'D'], ['ð', 'DH'], ['f', 'F'], ['ɡ', 'G'], ['g', 'G'], ['h', 'HH'], ['k', 'K'], ['l', 'L'], ['ɫ', 'L'], ['m', 'M'], ['n', 'N'], ['ŋ', 'NG'], ['p', 'P'], ['ɹ', 'R'], ['r', 'R'], ['ɾ', 'D'], ['s', 'S'], ['ʃ', 'SH'], ['t', 'T'], ['θ', 'TH'], ['v', 'V'], ['w', 'W'], ['j', 'Y'], ['z', 'Z'], ['ʒ', 'ZH'],
];
const SILENT_IPA = new Set([...'ˈˌː.\t /[]ʰ‿|', '\u0329']);

/** Text for a pronunciation, or undefined when it is not valid in its alphabet. */
export function pronounce(written: string, alphabet: NonNullable<LexiconEntry['alphabet']>): string | undefined {
  if (alphabet === 'pinyin') return fromPinyin(written);
  if (alphabet === 'arpabet') return fromArpabet(written.toUpperCase().split(/[\s-]+/).filter((one) => one !== ''));
  const phones = ipaPhones(written);
  return phones && fromArpabet(phones);
}

/** `háng zhǎng`, `hang2 zhang3`, `hang2zhang3`; no tone is the neutral tone. */
function fromPinyin(written: string): string | undefined {
  const chunks = written.normalize('NFC').toLowerCase().replaceAll('u:', 'v').split(/[\s'’·-]+/).filter((one) => one !== '');
  const syllables = chunks.flatMap((chunk) => Array.from(markedToNumbered(chunk).matchAll(/([a-z]+)([0-5]?)|(.)/g)));
  const characters = syllables.map(([, syllable, tone, other]) => (other === undefined ? character(syllable ?? '', Number(tone || 5)) : undefined));
  return characters.length === 0 || characters.includes(undefined) ? undefined : characters.join('');
}

function markedToNumbered(chunk: string): string {
  let tone = '';
  const plain = Array.from(chunk, (one) => {
    const toned = TONED[one];
    if (toned === undefined) return one;
    tone = toned[1] ?? tone;
    return toned[0] ?? one;
  }).join('');
  return tone === '' ? plain : plain + tone;
}

/** One character; a syllable that has no neutral one takes the tone it has. */
function character(syllable: string, tone: number): string | undefined {
  if (syllable === 'r') return '儿';
  const row = CHARACTERS.get(syllable) ?? CHARACTERS.get(syllable.replace(/^([jqxy])v/, '$1u').replace(/^([nl])ue$/, '$1ve'));
  const wanted = row?.[(tone === 0 ? 5 : tone) - 1];
  if (wanted !== undefined && wanted !== '-') return wanted;
  return tone === 5 || tone === 0 ? Array.from(row ?? '').findLast((one) => one !== '-') : undefined;
}

/** Syllables with a hyphen between, each consonant run with the vowel after it. */
function fromArpabet(phones: readonly string[]): string | undefined {
  const syllables: string[] = [];
  let onset = '';
  for (const phone of phones) {
    const plain = phone.replace(/[012]$/, '');
    const vowel = VOWELS[plain];
    const consonant = CONSONANTS[plain];
    if (vowel === undefined && consonant === undefined) return undefined;
    if (vowel === undefined) onset += consonant;
    else {
      syllables.push(onset + vowel);
      onset = '';
    }
  }
  if (syllables.length === 0) return onset === '' ? undefined : onset;
  return syllables.join('-') + onset;
}

function ipaPhones(written: string): string[] | undefined {
  const text = written.normalize('NFC');
  const phones: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (SILENT_IPA.has(text[at] ?? '')) {
      at++;
      continue;
    }
    const found = IPA.find(([symbol]) => text.startsWith(symbol, at));
    if (found === undefined) return undefined;
    phones.push(found[1]);
    at += found[0].length;
  }
  return phones.length === 0 ? undefined : phones;
}
