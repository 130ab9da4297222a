/**
 * Speakable text → sentences → text token ids. In: text that has been normalized. Out: for each sentence the ids that the
 * language model reads. A checkpoint whose text is phones gets them here; numbers, dates and markup are not this stage's.
 */
import { containsChinese, officialSplit } from '../../shared/normalize/official.ts';
import { splitForStreaming } from '../../shared/normalize/split.ts';
import type { Checkpoint } from '../checkpoint/types.ts';
import { openDictionary } from './dictionary.ts';
import { openEnglish } from './english.ts';
import { speedAsked } from './instruction.ts';
import { openLetterToSound } from './letter-to-sound.ts';
import { splitPhones } from './segments.ts';
import { CONTROL_TOKENS, openTokenizer } from './tokenizer.ts';
import type { TextTokenizer } from './tokenizer.ts';

export { openTokenizer } from './tokenizer.ts';
export type { TextTokenizer } from './tokenizer.ts';

/** A minute of speech without a mark; the official splitter has no upper limit, a language model has. */
const LONG_TOKENS = 240;
/** Marks without a sentence, on which the official splitter fails. */
const LEADING_MARKS = /^(?:[\s。？！；：、.?!;:]["”]?)+/;

/** One sentence. `text`: as the language model reads it (phones in brackets for a phone checkpoint). */
export type TextSegment = { readonly text: string; readonly ids: readonly number[] };

/** `language`: BCP 47 tag, undefined when not known. Control tokens of the chat format in a text are never obeyed: they are left out. */
export interface TextFrontEnd {
  readonly tokenizer: TextTokenizer;
  /** Sentences in order, none of them empty; no sentence for a text that has nothing to speak. Throws `unsupported_language`. */
  segments(text: string, language?: string): readonly TextSegment[];
  /** Ids of a whole text, such as the transcript of a prompt. Throws like `segments`. */
  ids(text: string, language?: string): readonly number[];
  /**
   * What an instruction asks for: the language model reads its ids, ended with `<|endofprompt|>` (official code leaves that to
   * the caller). A voice that was not trained on instructions gets none, and a speed where they name one; it throws
   * `invalid_value` for what it cannot follow.
   */
  instruct(instruction: string): { readonly ids: readonly number[]; readonly speed: number };
}

/** Throws `checkpoint_invalid` when the tokenizer's files are broken. */
export async function openTextFrontEnd({ tokenizerDirectory, config }: Pick<Checkpoint, 'tokenizerDirectory' | 'config'>): Promise<TextFrontEnd> {
  const tokenizer = openTokenizer(tokenizerDirectory);
  return config.textFrontEnd === 'phones' ? await phoneFrontEnd(tokenizer) : wordFrontEnd(tokenizer);
}

function wordFrontEnd(tokenizer: TextTokenizer): TextFrontEnd {
  return {
    tokenizer,
    segments: (text) => splitWords(withoutControls(text), tokenizer).map((piece) => ({ text: piece, ids: tokenizer.encode(piece) })),
    ids: (text) => tokenizer.encode(withoutControls(text).trim()),
    instruct: (instruction) => ({ ids: tokenizer.encode(`${withoutControls(instruction).trim()}<|endofprompt|>`), speed: 1 }),
  };
}

/** As cosyvoice/cli/frontend.py `text_normalize` splits; only what has no end within `LONG_TOKENS` is cut further. */
function splitWords(text: string, tokenizer: TextTokenizer): string[] {
  const begun = text.trim().replace(LEADING_MARKS, '');
  if (!isSpeakable(begun)) return [];
  const countTokens = (piece: string): number => tokenizer.encode(piece).length;
  const sentences = officialSplit(begun, { language: containsChinese(begun) ? 'zh' : 'en', countTokens });
  const pieces = sentences.flatMap((sentence) => (countTokens(sentence) <= LONG_TOKENS ? [sentence] : splitForStreaming(sentence).map((piece) => piece.text.trim())));
  return pieces.filter((piece) => isSpeakable(piece));
}

async function phoneFrontEnd(tokenizer: TextTokenizer): Promise<TextFrontEnd> {
  // the pinyin tables take 0.2 s to load, which checkpoints that read words need not pay
  const { toPhones } = await import('./phones.ts');
  const english = openEnglish(openDictionary(), openLetterToSound());
  const isToken = (token: string): boolean => tokenizer.idOf(token) !== undefined;
  const phones = (text: string, language: string | undefined): string[] => toPhones(withoutControls(text), { english, isToken, language });
  return {
    tokenizer,
    segments: (text, language) =>
      splitPhones(phones(text, language)).map((piece) => {
        const joined = piece.join('');
        return { text: joined, ids: tokenizer.encode(joined) };
      }),
    ids: (text, language) => tokenizer.encode(phones(text, language).join('')),
    instruct: (instruction) => ({ ids: [], speed: speedAsked(instruction) }),
  };
}

/** Taking one away may put another together; after a few rounds none can be begun. */
function withoutControls(text: string): string {
  let rest = text;
  for (let round = 0; CONTROL_TOKENS.some((token) => rest.includes(token)); round++) {
    rest = round < 3 ? CONTROL_TOKENS.reduce((kept, token) => kept.replaceAll(token, ''), rest) : rest.replaceAll('<|', '');
  }
  return rest;
}

function isSpeakable(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}
