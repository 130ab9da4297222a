/** How far a text was spoken: words as the node tells them, found again in what was written. */
import type { StreamMark } from '../../shared/contract/frames.ts';
import type { SpokenPiece } from './reading.ts';

/** A word with its place in what was written; `end` is exclusive. */
export type HeardWord = { readonly text: string; readonly startMs: number; readonly endMs: number; readonly start: number; readonly end: number };

/** A word is looked for this far ahead: a node may leave one out. */
const LOOK_AHEAD = 80;

export class Progress {
  readonly #pieces: (SpokenPiece & { readonly spokenStart: number })[] = [];
  readonly #words: HeardWord[] = [];
  #spoken = '';
  #written = '';
  #at = 0;

  /** In the order in which they are sent. */
  add(piece: SpokenPiece): void {
    this.#pieces.push({ ...piece, spokenStart: this.#spoken.length });
    this.#spoken += piece.text;
    this.#written += piece.source;
  }

  /** Characters as they are spoken. */
  get characters(): number {
    return this.#spoken.length;
  }

  /** The words of a mark. */
  hear({ words = [] }: StreamMark): HeardWord[] {
    return words.map(({ text, startMs, endMs }) => {
      const found = this.#spoken.slice(this.#at, this.#at + LOOK_AHEAD + text.length).indexOf(text);
      const from = found < 0 ? this.#at : this.#at + found;
      this.#at = found < 0 ? this.#at : from + text.length;
      const word = { text, startMs, endMs, start: this.#writtenAt(from, 'start'), end: this.#writtenAt(this.#at, 'end') };
      this.#words.push(word);
      return word;
    });
  }

  /** Whether all up to this many spoken characters was heard: nothing that can be spoken is left before them. */
  passed(characters: number): boolean {
    return this.#at >= characters || !/[\p{L}\p{N}]/u.test(this.#spoken.slice(this.#at, characters));
  }

  /** What a listener heard who stopped at `playedMs`, in the words of who wrote it. A word counts when it was heard whole. */
  split(playedMs: number): { readonly spoken: string; readonly remaining: string } {
    const last = this.#words.findLast(({ endMs }) => endMs <= playedMs);
    const at = last?.end ?? 0;
    return { spoken: this.#written.slice(0, at), remaining: this.#written.slice(at) };
  }

  /** Place in what was written of a place in what is spoken; inside of a replacement, its start or its end. */
  #writtenAt(spoken: number, edge: 'start' | 'end'): number {
    const piece = this.#pieces.findLast(({ spokenStart }) => (edge === 'start' ? spokenStart <= spoken : spokenStart < spoken)) ?? this.#pieces[0];
    if (!piece) return 0;
    const offset = spoken - piece.spokenStart;
    const before = piece.spans.findLast((span) => (edge === 'start' ? span.spokenStart <= offset : span.spokenStart < offset));
    if (!before) return piece.start + Math.min(offset, piece.source.length);
    if (offset < before.spokenEnd || (edge === 'end' && offset === before.spokenEnd)) return piece.start + (edge === 'start' ? before.start : before.end);
    return piece.start + Math.min(piece.source.length, before.end + offset - before.spokenEnd);
  }
}
