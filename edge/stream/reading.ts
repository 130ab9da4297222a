/**
 * Written text that arrives in pieces → speakable pieces, each with the way back to what was written. Numbers and dates are
 * read with what stands around them, so a piece is a whole sentence (or a clause of a very long one); the rest waits for more.
 */
import { endsWithSentence, normalize, splitForStreaming } from '../../shared/normalize/index.ts';
import type { NormalizeOptions, TraceSpan } from '../../shared/normalize/index.ts';

/** A piece as it is spoken. `start`: of its source in all that was written. */
export type SpokenPiece = { readonly text: string; readonly source: string; readonly start: number; readonly spans: readonly Pick<TraceSpan, 'start' | 'end' | 'spokenStart' | 'spokenEnd'>[] };

/** Longer than this without the end of a sentence, text is cut at a clause or between words, never in a number. */
const MAX_HELD_CHARACTERS = 300;
/** Where a sentence may end: a blank behind its mark, or a line break; behind a mark of ideographs whatever is no closer. */
const SENTENCE = /[.!?…]["'”’)\]]*\s+|\n\s*|[。！？]["'”’」』）)。！？]*\s*(?=[^"'”’」』）)。！？\s])/gu;
export class PieceReader {
  readonly #options: NormalizeOptions;
  #held = '';
  #start = 0;

  /** `read: false`: what is written is spoken as it is, and nothing waits. */
  constructor(options: NormalizeOptions) {
    this.#options = options;
  }

  /** What can be read now. */
  push(text: string): SpokenPiece[] {
    this.#held += text;
    return this.#options.read === false ? this.flush() : this.#take(this.#cut());
  }

  /** All that waits. */
  flush(): SpokenPiece[] {
    return this.#take(this.#held.length);
  }

  #take(length: number): SpokenPiece[] {
    const source = this.#held.slice(0, length);
    if (source === '') return [];
    const start = this.#start;
    this.#held = this.#held.slice(length);
    this.#start += length;
    if (this.#options.read === false) return [{ text: source, source, start, spans: [] }];
    const { text, spans } = normalize(source, this.#options);
    // the normalizer trims, and the next word must not grow onto this one
    return [{ text: /\s$/.test(source) && !/\s$/.test(text) ? `${text} ` : text, source, start, spans }];
  }

  /** Up to the last end of a sentence. */
  #cut(): number {
    let cut = 0;
    for (const { 0: mark, index } of this.#held.matchAll(SENTENCE)) {
      const end = index + mark.length;
      if (/^[.!?…]/.test(mark) && (!endsWithSentence(this.#held.slice(0, end)) || /[a-z]/.test(this.#held[end] ?? ''))) continue;
      cut = end;
    }
    if (this.#held.length - cut <= MAX_HELD_CHARACTERS) return cut;
    return splitForStreaming(this.#held, { firstWeight: 60 }).at(-1)?.start ?? cut;
  }
}
