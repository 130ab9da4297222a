import { describe, expect, it } from 'vitest';
import { limited, sentencesOf, wordsOf } from '../../../gpu-node/schedule/source.ts';
import type { TextPiece } from '../../../gpu-node/schedule/source.ts';

const TEXT = 'Dr. Smith paid 3.50 dollars for it yesterday. And then, after a while, he went home again! 你好，今天天气很好。我们走吧。 Bye.';

async function* pieces(text: string, size: number): AsyncGenerator<TextPiece> {
  for (let at = 0; at < text.length; at += size) yield { text: text.slice(at, at + size) };
}

async function* hanging(): AsyncGenerator<TextPiece> {
  yield { text: 'Hello' };
  await new Promise(() => {});
}

async function* endless(): AsyncGenerator<TextPiece> {
  for (;;) yield { text: 'more and ' };
}

describe('text that arrives while it is spoken', () => {
  it.each([1, 3, 7, 1000])('is cut into whole sentences and nothing is lost, %i characters at a time', async (size) => {
    const sentences = await Array.fromAsync(sentencesOf(pieces(TEXT, size)));
    expect(sentences.join('')).toBe(TEXT);
    expect(sentences[0]).not.toBe('Dr. ');
    for (const sentence of sentences) expect(sentence.trimEnd()).toMatch(/[.!,。，]$/);
  });

  it('is spoken without waiting for the end of a sentence when it is flushed', async () => {
    async function* source(): AsyncGenerator<TextPiece> {
      yield { text: 'One moment' };
      yield { flush: true };
      await new Promise(() => {});
    }
    const first = await sentencesOf(source()).next();
    expect(first.value).toBe('One moment');
  });

  it.each([1, 2, 5, 1000])('is cut into words where a tokenizer cuts, %i characters at a time', async (size) => {
    const words = await Array.fromAsync(wordsOf(pieces(TEXT, size)));
    expect(words.map(({ text }) => text).join('')).toBe(TEXT);
    for (const { text } of words.slice(1)) expect(text).toMatch(/^\s|^[\p{P}\p{Script=Han}\d]|^[A-Za-z]/u);
    if (size === 1) expect(words.map(({ text }) => text)).toContain(' yesterday.');
    expect(words.at(-1)?.ends).toBe(true);
  });

  it('is refused when it stalls', async () => {
    const source = limited(hanging(), { idleMs: 20, maxCharacters: 100 });
    expect((await source.next()).value).toEqual({ text: 'Hello' });
    await expect(source.next()).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('is refused when it does not end', async () => {
    await expect(Array.fromAsync(limited(endless(), { idleMs: 1000, maxCharacters: 100 }))).rejects.toMatchObject({ code: 'input_too_long' });
  });

  it('is left when the listener leaves', async () => {
    const stop = new AbortController();
    const source = limited(hanging(), { idleMs: 60_000, maxCharacters: 100 }, stop.signal);
    await source.next();
    const next = source.next();
    stop.abort();
    await expect(next).rejects.toMatchObject({ code: 'cancelled' });
  });
});
