/**
 * The speech tokens that travel beside the audio, as 16-bit numbers: ids of the code book (25 a second) and marks above it.
 * They hold all that another node needs to go on: which sentences are complete, how many samples those made, and what was
 * read of the sentence under way.
 *
 *   sentence = [SECOND_TRY] id* SENTENCE_END low high       low + 65536 · high: samples (model's rate) made up to here
 */

/** Ends a sentence; two numbers with a count of samples follow. */
export const SENTENCE_END = 0xffff;
/** Begins a sentence that was read once more with another seed before anything of it was sent. */
export const SECOND_TRY = 0xfffe;

export type ResumePoint = {
  /** Complete sentences, and the samples at the model's rate that they made. */
  readonly sentences: number;
  readonly samples: number;
  /** Of the sentence under way. */
  readonly tokens: readonly number[];
  readonly secondTry: boolean;
};

export function sentenceEnd(samples: number): readonly [number, number, number] {
  return [SENTENCE_END, samples & 0xffff, Math.floor(samples / 0x1_0000) & 0xffff];
}

/** Where a stream that sent these tokens stood. A count cut off at the end is no end of a sentence. */
export function resumePoint(stream: readonly number[]): ResumePoint {
  let sentences = 0;
  let samples = 0;
  let secondTry = false;
  let tokens: number[] = [];
  for (let i = 0; i < stream.length; i++) {
    const id = stream[i] ?? 0;
    if (id === SENTENCE_END) {
      const [low, high] = stream.slice(i + 1, i + 3);
      if (low === undefined || high === undefined) break;
      sentences += 1;
      samples = low + 0x1_0000 * high;
      secondTry = false;
      tokens = [];
      i += 2;
    } else if (id === SECOND_TRY) secondTry = true;
    else tokens.push(id);
  }
  return { sentences, samples, tokens, secondTry };
}
