/**
 * Text that arrives while it is spoken → pieces that can be spoken: whole sentences, or words for a language model that reads
 * text and speaks by turns. A source that stalls or never ends is refused; it is asked for more only when more is needed.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_TEXT_CHARACTERS } from '../../shared/limits/index.ts';
import { endsWithSentence, splitForStreaming } from '../../shared/normalize/split.ts';

/** Speakable text, of any size; `flush`: what came so far is to be spoken now. */
export type TextPiece = { readonly text?: string | undefined; readonly flush?: boolean | undefined };

export type SourceLimits = {
  /** Longest pause of the source. */
  readonly idleMs: number;
  readonly maxCharacters: number;
};

export const SOURCE_LIMITS: SourceLimits = { idleMs: 30_000, maxCharacters: MAX_TEXT_CHARACTERS };

/** Throws `deadline_exceeded` when the source pauses too long, `input_too_long` when it has no end. */
export async function* limited(source: AsyncIterable<TextPiece>, { idleMs, maxCharacters }: SourceLimits = SOURCE_LIMITS, signal?: AbortSignal): AsyncGenerator<TextPiece> {
  const iterator = source[Symbol.asyncIterator]();
  let characters = 0;
  try {
    for (;;) {
      const { value, done } = await orIdle(iterator.next(), idleMs, signal);
      if (done) return;
      characters += value.text?.length ?? 0;
      if (characters > maxCharacters) throw new CosyError('input_too_long', `The text has more than ${maxCharacters} characters: speak it in several requests.`);
      yield value;
    }
  } finally {
    // a source that hangs would never answer: it is told and not waited for
    void iterator.return?.().catch(() => {});
  }
}

/** Whole sentences, the first one short so that sound starts early. */
export async function* sentencesOf(source: AsyncIterable<TextPiece>): AsyncGenerator<string> {
  let buffer = '';
  let first = true;
  for await (const { text = '', flush = false } of source) {
    buffer += text;
    const pieces = splitForStreaming(buffer, first ? {} : { firstWeight: LATER_WEIGHT });
    // the last piece may still grow, unless its sentence has ended: who writes it may pause here
    buffer = flush || endsWithSentence(buffer) ? '' : (pieces.pop()?.text ?? '');
    for (const piece of pieces) {
      if (piece.text.trim() !== '') first = false;
      yield piece.text;
    }
  }
  if (buffer.trim() !== '') yield buffer;
}

/** Size of sentences behind the first one, in the splitter's weights. */
const LATER_WEIGHT = 40;

/** A word or a few, cut where a tokenizer cuts too; `ends`: a sentence ends here; `flushed`: all of it is to be spoken before more comes. */
export type Words = { readonly text: string; readonly ends: boolean; readonly flushed: boolean };

export async function* wordsOf(source: AsyncIterable<TextPiece>): AsyncGenerator<Words> {
  let buffer = '';
  for await (const { text = '', flush = false } of source) {
    buffer += text;
    const at = flush ? buffer.length : stableEnd(buffer);
    const words = buffer.slice(0, at);
    buffer = buffer.slice(at);
    if (words !== '' || flush) yield { text: words, ends: SENTENCE_END.test(words), flushed: flush };
  }
  if (buffer !== '') yield { text: buffer, ends: true, flushed: true };
}

const SENTENCE_END = /[.!?。！？…\n]["”’』」)]*\s*$/u;

/** Up to the last blank in front of a word, or behind the last mark or ideograph that something follows. */
function stableEnd(text: string): number {
  const match = /^.*(?:(?=\s\S)|[\p{P}\p{Script=Han}](?=.))/su.exec(text);
  return match ? match[0].length : 0;
}

async function orIdle<T>(next: Promise<T>, idleMs: number, signal: AbortSignal | undefined): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new CosyError('deadline_exceeded', `No text came for ${Math.round(idleMs / 1000)} s: send the rest sooner, or end the text.`)), idleMs);
  const leave = () => reject(new CosyError('cancelled', 'The request was cancelled.'));
  signal?.addEventListener('abort', leave, { once: true });
  if (signal?.aborted) leave();
  try {
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', leave);
    next.catch(() => {}); // it may fail after it was given up
  }
}
