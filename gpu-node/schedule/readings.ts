/** A request's text → its readings: what the language model is given, sentence after sentence. */
import type { ResumePoint } from '../../shared/contract/tokens.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { TextFrontEnd } from '../text/index.ts';
import type { Reading } from './reading.ts';
import { limited, sentencesOf, wordsOf } from './source.ts';
import type { SourceLimits, TextPiece, Words } from './source.ts';
import { wordsBySentence, wordsWithin } from './word-times.ts';
import type { Word } from './word-times.ts';

export type ReadingsOptions = {
  /** Speakable; normalization has happened. */
  readonly text: string | AsyncIterable<TextPiece>;
  /** Silence behind `at` characters of a text that is whole; ascending. */
  readonly breaks?: readonly { readonly at: number; readonly ms: number }[] | undefined;
  readonly language: string | undefined;
  /** What stands before the text in the language model's input. */
  readonly prompt: { readonly promptTextIds: readonly number[]; readonly promptSpeechTokens: readonly number[] };
  readonly frontEnd: TextFrontEnd;
  /** The language model learnt to speak while text arrives (official checkpoints; phones need whole sentences). */
  readonly speaksPieces: boolean;
  readonly resume: ResumePoint | undefined;
  readonly limits?: SourceLimits | undefined;
  readonly signal: AbortSignal;
};

/** Text that is spoken in one go by turns ends at a flush, at the first sentence behind this many ids, or at any word behind the second. */
const TURNS_IDS = 80;
const MAX_TURNS_IDS = 240;

/** Throws `input_empty` when nothing of the text can be spoken. */
export async function* readings(options: ReadingsOptions): AsyncGenerator<Reading> {
  const { text, resume, limits, signal } = options;
  if (typeof text !== 'string' && resume) throw new CosyError('invalid_value', 'A request whose text arrives in pieces cannot be resumed: send the whole text.', { param: 'resume' });
  let count = 0;
  const source = typeof text === 'string' ? whole(options, text) : options.speaksPieces ? byTurns(options, limited(text, limits, signal)) : bySentence(options, limited(text, limits, signal));
  for await (const { textIds, pieces, words, breakMs = 0 } of source) {
    const index = count++;
    if (resume && index < resume.sentences) continue;
    const current = resume?.sentences === index ? resume : undefined;
    yield { index, pieces, words, breakMs, said: {}, secondTry: current?.secondTry ?? false, request: { ...options.prompt, textIds, previousTokens: current?.tokens } };
  }
  if (count === 0) throw new CosyError('input_empty', 'The text has nothing that can be spoken: give at least one word.');
}

type Input = { readonly textIds: readonly number[]; readonly words: readonly Word[]; readonly breakMs?: number; readonly pieces?: AsyncIterable<readonly number[]> };

/** A break ends a sentence; the silence belongs to the sentence before it, so none stands before the first. */
async function* whole(options: ReadingsOptions, text: string): AsyncGenerator<Input> {
  let from = 0;
  for (const { at, ms } of [...(options.breaks ?? []), { at: text.length, ms: 0 }]) {
    const inputs = inputsOf(options, text.slice(from, at));
    yield* inputs.slice(0, -1);
    const last = inputs.at(-1);
    if (last) yield { ...last, breakMs: ms };
    from = Math.max(from, at);
  }
}

function inputsOf({ frontEnd, language, speaksPieces }: ReadingsOptions, text: string): Input[] {
  const sentences = frontEnd.segments(text, language);
  const words = wordsBySentence(text, sentences, speaksPieces ? (before) => frontEnd.tokenizer.encode(before).length : undefined);
  return sentences.map(({ ids }, i) => ({ textIds: ids, words: words[i] ?? [] }));
}

async function* bySentence(options: ReadingsOptions, source: AsyncIterable<TextPiece>): AsyncGenerator<Input> {
  for await (const sentence of sentencesOf(source)) yield* whole(options, sentence);
}

/** Each reading takes words while it is spoken; the next one begins where it stopped. */
async function* byTurns({ frontEnd, language }: ReadingsOptions, source: AsyncIterable<TextPiece>): AsyncGenerator<Input> {
  const words = wordsOf(source);
  try {
    for (;;) {
      const first = await nextSpeakable(words);
      if (!first) return;
      let ended = false;
      const spoken: Word[] = [];
      async function* rest(): AsyncGenerator<readonly number[]> {
        let count = 0;
        for (let current: Words | undefined = first; current; current = await nextWords(words)) {
          const ids = wordIds(frontEnd, current.text, language);
          spoken.push(...wordsWithin(current.text, { first: count, count: ids.length }));
          if (ids.length > 0) yield ids;
          count += ids.length;
          if (current.flushed || count >= (current.ends ? TURNS_IDS : MAX_TURNS_IDS)) break;
        }
        ended = true;
      }
      yield { textIds: [], words: spoken, pieces: rest() };
      if (!ended) return; // its reader left
    }
  } finally {
    void words.return(undefined).catch(() => {});
  }
}

/** Ids of words in the middle of a text: the blank in front of a word is part of its token, and `ids` would trim it. */
function wordIds(frontEnd: TextFrontEnd, text: string, language: string | undefined): readonly number[] {
  return /^\s+\S/.test(text) ? frontEnd.ids(`${BEFORE}${text}`, language).slice(frontEnd.ids(BEFORE, language).length) : frontEnd.ids(text, language);
}

const BEFORE = 'a';

async function nextSpeakable(words: AsyncGenerator<Words>): Promise<Words | undefined> {
  for (let next = await nextWords(words); next; next = await nextWords(words)) if (/[\p{L}\p{N}]/u.test(next.text)) return next;
  return undefined;
}

async function nextWords(words: AsyncGenerator<Words>): Promise<Words | undefined> {
  const { value, done } = await words.next();
  return done ? undefined : value;
}
