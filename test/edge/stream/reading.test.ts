import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Progress } from '../../../edge/stream/progress.ts';
import { PieceReader } from '../../../edge/stream/reading.ts';
import { normalize } from '../../../shared/normalize/index.ts';

const TEXT = 'Dr. Smith paid $3.50 on May 5, 2024. He left at 10:30 p.m. and went home! “Really?” she asked. 他付了3.5元。“真的吗？”她问。\nIn 1999, e.g. in the U.S. there were 12,000 of them';

function inPieces(text: string, sizes: readonly number[]): string[] {
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) pieces.push(text.slice(at, (at += sizes[i % sizes.length] ?? 1)));
  return pieces;
}

function read(pieces: readonly string[]) {
  const reader = new PieceReader({});
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.flush()];
}

describe('written text that arrives in pieces', () => {
  it.each([[[1]], [[2, 5]], [[1000]]])('is read as it is when it comes at once, %j characters at a time', (sizes) => {
    const pieces = read(inPieces(TEXT, sizes));
    expect(pieces.map(({ source }) => source).join('')).toBe(TEXT);
    expect(pieces.map(({ text }) => text).join('').replaceAll(/\s+/g, ' ')).toBe(normalize(TEXT).text.replaceAll(/\s+/g, ' '));
    for (const { source, start } of pieces) expect(TEXT.slice(start, start + source.length)).toBe(source);
  });

  it('never loses or changes what was written, however it is cut', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 }), (text, sizes) => {
        const pieces = read(inPieces(text, sizes));
        expect(pieces.map(({ source }) => source).join('')).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it('goes on as soon as a sentence is over, and waits in the middle of a number or a title', () => {
    const reader = new PieceReader({});
    expect(reader.push('It is 3.')).toEqual([]);
    expect(reader.push('5 by Dr. ')).toEqual([]);
    expect(reader.push('Rao. ').map(({ text }) => text)).toEqual(['It is three point five by Doctor Rao. ']);
  });

  it('does not wait for ever for the end of a sentence', () => {
    const pieces = read(inPieces('on and on '.repeat(200), [7]));
    expect(pieces.length).toBeGreaterThan(4);
    for (const { source } of pieces) expect(source.length).toBeLessThan(400);
  });

  it('passes untouched and at once when nothing is to be read', () => {
    const reader = new PieceReader({ read: false });
    expect(reader.push('$3')).toMatchObject([{ text: '$3', source: '$3' }]);
  });
});

describe('words that were heard', () => {
  it('are found again in what was written', () => {
    const progress = new Progress();
    const reader = new PieceReader({});
    const written = 'It costs $5 now. Call me at 10:30.';
    for (const piece of [...reader.push(written), ...reader.flush()]) progress.add(piece);
    const spoken = ['It', 'costs', 'five', 'dollars', 'now', 'Call', 'me', 'at', 'ten', 'thirty'];
    const words = progress.hear({ samples: 0, words: spoken.map((text, i) => ({ text, startMs: 100 * i, endMs: 100 * i + 100 })) });
    expect(words.map(({ start, end }) => written.slice(start, end))).toEqual(['It', 'costs', '$5', '$5', 'now', 'Call', 'me', 'at', '10:30', '10:30']);
    expect(progress.split(350)).toEqual({ spoken: 'It costs $5', remaining: ' now. Call me at 10:30.' });
    expect(progress.split(0)).toEqual({ spoken: '', remaining: written });
    expect(progress.passed(progress.characters)).toBe(true);
  });

  it('do not stop at one that the node leaves out', () => {
    const progress = new Progress();
    for (const piece of new PieceReader({ read: false }).push('one two three four')) progress.add(piece);
    expect(progress.hear({ samples: 0, words: [{ text: 'one', startMs: 0, endMs: 1 }, { text: 'three', startMs: 1, endMs: 2 }] }).map(({ start, end }) => [start, end])).toEqual([[0, 3], [8, 13]]);
    expect(progress.passed(13)).toBe(true);
    expect(progress.passed(18)).toBe(false);
  });
});
