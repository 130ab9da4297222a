import { describe, expect, it } from 'vitest';
import { Trace } from '../../../gpu-node/metrics/trace.ts';
import type { Thread } from '../../../gpu-node/runtime/thread.ts';
import { Seeds, read } from '../../../gpu-node/schedule/reading.ts';
import type { Reading } from '../../../gpu-node/schedule/reading.ts';
import type { TokenBatch, TokenMethods } from '../../../gpu-node/schedule/tokens-thread.ts';

/** A thread whose language model goes wrong as told, one answer per call; it notes the seeds it was given. */
function scripted(answers: readonly (readonly TokenBatch[])[]): { readonly tokens: Thread<TokenMethods>; readonly seeds: number[] } {
  const seeds: number[] = [];
  const rest = [...answers];
  const tokens = {
    call: () => Promise.reject(new Error('not asked for here')),
    async *stream(_: string, { seed }: { seed: number }) {
      seeds.push(seed);
      yield* rest.shift() ?? [];
    },
    restart: async () => {},
    close: async () => {},
  };
  return { tokens: tokens as unknown as Thread<TokenMethods>, seeds };
}

const sentence = (index: number, secondTry = false): Reading => ({ index, pieces: undefined, secondTry, breakMs: 0, words: [], said: {}, request: { promptTextIds: [], promptSpeechTokens: [], textIds: [1] } });
const looped: TokenBatch[] = [{ tokens: [1, 1], rows: 1 }, { tokens: [1], rows: 1, end: 'loop' }];
const good: TokenBatch[] = [{ tokens: [4, 5], rows: 2, end: 'stop' }];
const nothing: TokenBatch[] = [{ tokens: [], rows: 1, end: 'stop' }];

async function heard(reading: Reading, answers: readonly (readonly TokenBatch[])[], mayRepeat: boolean, seeds = new Seeds(7)) {
  const { tokens, seeds: used } = scripted(answers);
  const trace = new Trace();
  let result: number[] = [];
  for await (const event of read(reading, { tokens, seeds, trace, signal: new AbortController().signal })) {
    if ('tokens' in event) result.push(...event.tokens);
    else {
      if (mayRepeat) result = [];
      event.again(mayRepeat);
    }
  }
  return { result, used, trace, seeds };
}

describe('a sentence that goes wrong', () => {
  it('is read once more with another seed while nothing of it was sent, and the seed of the request becomes that one', async () => {
    const { result, used, trace, seeds } = await heard(sentence(0), [looped, good], true);
    expect(result).toEqual([4, 5]);
    expect(trace).toMatchObject({ guards: ['loop'], retries: ['loop'], batchRows: [1, 1, 2] });
    expect(used).toEqual([7, seeds.base]);
    expect(seeds.base).not.toBe(7);
    // that seed alone gives the same
    expect((await heard(sentence(0), [good], true, new Seeds(seeds.base))).used).toEqual([used[1]]);
    expect(seeds.of(1)).toBe(new Seeds(seeds.base).of(1));
  });

  it('is kept when some of it was sent', async () => {
    const { result, used, trace } = await heard(sentence(0), [looped, good], false);
    expect([result, used, trace.retries, trace.guards]).toEqual([[1, 1, 1], [7], [], ['loop']]);
  });

  it('is read again only once', async () => {
    const { used, trace } = await heard(sentence(0), [looped, looped, good], true);
    expect([used.length, trace.guards]).toEqual([2, ['loop', 'loop']]);
  });

  it('leaves the other sentences their seeds when it is a later one, and is marked for a node that goes on', async () => {
    const { seeds, used } = await heard(sentence(2), [looped, good], true);
    expect([seeds.base, seeds.of(1), seeds.isSecond(2), seeds.isSecond(1)]).toEqual([7, new Seeds(7).of(1), true, false]);
    const resumed = await heard(sentence(2, true), [good], true);
    expect(resumed.used).toEqual([used[1]]);
  });

  it('fails when it has no tokens twice', async () => {
    await expect(heard(sentence(0), [nothing, nothing], true)).rejects.toMatchObject({ code: 'generation_failed' });
    expect((await heard(sentence(0), [nothing, good], true)).trace.guards).toEqual(['empty']);
  });
});
