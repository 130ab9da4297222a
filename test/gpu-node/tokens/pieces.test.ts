import { describe, expect, it } from 'vitest';
import type { LanguageModelConfig } from '../../../gpu-node/checkpoint/types.ts';
import { embeddingRows } from '../../../gpu-node/graphs/language-model.ts';
import { PiecesScript } from '../../../gpu-node/tokens/pieces.ts';
import type { Sampler } from '../../../gpu-node/tokens/sampler.ts';
import { stopIds } from '../../../gpu-node/tokens/script.ts';
import type { ScriptOptions } from '../../../gpu-node/tokens/script.ts';

const config: LanguageModelConfig = {
  hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1, kvHeads: 1, headDim: 8, ropeTheta: 1e6, rmsNormEps: 1e-6,
  textVocabSize: 100, speechTokenSize: 50, speechVocabSize: 53, mixRatio: [2, 3], minTokenTextRatio: 1, maxTokenTextRatio: 4,
  sampling: { topP: 0.8, topK: 25, winSize: 10, tauR: 0.1 },
};
const rows = embeddingRows(config);
const [END, UNUSED, FILL] = stopIds(config);
const speech = (id: number): number => rows.speech + id;

/** Draws 0, 1, 2 … and the end after `last` draws in the final phase. */
function counting(last = 3): { sampler: Sampler; masks: (readonly number[])[] } {
  const masks: (readonly number[])[] = [];
  let rest = 0;
  return {
    masks,
    sampler: ({ masked, history }) => {
      masks.push(masked);
      if (!masked.includes(END)) rest += 1;
      return rest > last ? END : history.length % 50;
    },
  };
}

function script(options: Partial<ScriptOptions> = {}): PiecesScript {
  return new PiecesScript({ config, sampler: counting().sampler, promptText: [], promptSpeech: [], previous: [], ...options });
}

/** Feeds and accepts until the script waits or ends. */
function play(pieces: PiecesScript): { fed: (readonly number[])[]; drawn: number[]; end: string | undefined } {
  const fed: (readonly number[])[] = [];
  const drawn: number[] = [];
  for (let input = pieces.take(); input; input = pieces.take()) {
    fed.push(input);
    const { token, fill, end } = pieces.accept(new Float32Array(53));
    for (const id of [token, fill]) if (id !== undefined) drawn.push(id);
    if (end) return { fed, drawn, end };
  }
  return { fed, drawn, end: undefined };
}

describe('text in pieces', () => {
  it('waits for a block of text, speaks its block, and asks for more behind a fill that is not fed', () => {
    const pieces = script();
    pieces.push([1]);
    expect(pieces.take()).toBeUndefined();
    pieces.push([2, 3]);
    expect(play(pieces)).toEqual({ fed: [[rows.start, 1, 2], [speech(0)], [speech(1)], [speech(2)]], drawn: [0, 1, 2, FILL], end: undefined });
    expect(pieces.bufferedText).toBe(1);
    pieces.push([4]);
    expect(play(pieces)).toEqual({ fed: [[3, 4], [speech(4)], [speech(5)], [speech(6)]], drawn: [4, 5, 6, FILL], end: undefined });
  });

  it('feeds each row once: after the text ends come the rest of it and the task row', () => {
    const pieces = script();
    pieces.push([1, 2, 3]);
    play(pieces);
    pieces.end();
    const { fed, end } = play(pieces);
    expect(fed[0]).toEqual([3, rows.task]);
    expect(end).toBe('stop');
  });

  it('gives the same rows and tokens however the text is cut, also when it ends early', () => {
    const text = [1, 2, 3, 4, 5, 6, 7];
    const whole = script();
    whole.push(text);
    whole.end();
    const expected = play(whole);
    for (const size of [1, 2, 3, 5]) {
      const cut = script();
      const all = { fed: [] as (readonly number[])[], drawn: [] as number[], end: undefined as string | undefined };
      for (let start = 0; start <= text.length; start += size) {
        if (start + size > text.length) {
          cut.push(text.slice(start));
          cut.end();
        } else cut.push(text.slice(start, start + size));
        const { fed, drawn, end } = play(cut);
        all.fed.push(...fed);
        all.drawn.push(...drawn);
        all.end = end;
      }
      expect(all).toEqual(expected);
    }
  });

  it('takes new text at once when the prompt speech fills whole blocks, and goes on inside a block otherwise', () => {
    const full = script({ promptText: [90, 91], promptSpeech: [7, 8, 9] });
    full.push([1]);
    expect(full.take()).toBeUndefined();
    full.push([2]);
    expect(full.take()).toEqual([rows.start, 90, 91, speech(7), speech(8), speech(9), 1, 2]);
    const open = script({ promptText: [90, 91], promptSpeech: [7, 8] });
    open.push([]);
    expect(play(open).drawn).toEqual([0, FILL]);
  });

  it('keeps prompt speech that the text did not suffice for, behind the task row', () => {
    const pieces = script({ promptSpeech: [7, 8, 9, 10, 11] });
    pieces.push([1, 2, 3]);
    expect(pieces.take()).toBeUndefined();
    pieces.end();
    expect(pieces.take()).toEqual([rows.start, 1, 2, speech(7), speech(8), speech(9), 3, rows.task, speech(10), speech(11)]);
  });

  it('never draws the reserved ids, keeps the minimum length, and stops at the maximum', () => {
    const { sampler, masks } = counting(1000);
    const pieces = script({ sampler });
    pieces.push([1, 2, 3, 4, 5, 6]);
    pieces.end();
    const { drawn, end } = play(pieces);
    expect(end).toBe('length');
    expect(drawn.filter((id) => id !== FILL)).toHaveLength(24);
    for (const masked of masks) expect(masked).toContain(UNUSED);
    const short = counting(0);
    const early = script({ sampler: short.sampler });
    early.push([1]);
    early.end();
    play(early);
    expect(short.masks[0]).toEqual([END, UNUSED, FILL]);
    expect(short.masks[1]).toEqual([UNUSED, FILL]);
  });

  it('resumes behind the tokens and fills of an earlier run, with one input for all of them', () => {
    const text = [1, 2, 3, 4, 5];
    const run = script();
    run.push(text);
    run.end();
    const whole = play(run);
    for (let count = 1; count < whole.drawn.length; count += 1) {
      const resumed = script({ previous: whole.drawn.slice(0, count), sampler: ({ masked, history }) => (masked.includes(END) || history.length < whole.drawn.length ? history.length % 50 : END) });
      // The text arrives anew, in two pieces.
      resumed.push(text.slice(0, 3));
      const first = play(resumed);
      resumed.push(text.slice(3));
      resumed.end();
      const second = play(resumed);
      expect([...first.drawn, ...second.drawn]).toEqual(whole.drawn.slice(count));
      expect([...first.fed, ...second.fed].flat()).toEqual(whole.fed.flat());
    }
  });

  it('refuses text behind its end', () => {
    const pieces = script();
    pieces.end();
    expect(() => pieces.push([1])).toThrow(expect.objectContaining({ code: 'invalid_value' }));
  });
});
