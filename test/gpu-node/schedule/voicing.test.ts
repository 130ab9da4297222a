/** What a request asks of the two threads of sound, and in which order. The threads are stood in for; theirs are threads.test.ts and the engine's tests. */
import { describe, expect, it } from 'vitest';
import { Trace } from '../../../gpu-node/metrics/index.ts';
import { Transfer } from '../../../gpu-node/runtime/thread.ts';
import type { Thread } from '../../../gpu-node/runtime/thread.ts';
import type { AcousticMethods } from '../../../gpu-node/schedule/acoustic-thread.ts';
import { Playback } from '../../../gpu-node/schedule/playback.ts';
import { Seeds } from '../../../gpu-node/schedule/reading.ts';
import type { Read, Reading } from '../../../gpu-node/schedule/reading.ts';
import { Rounds } from '../../../gpu-node/schedule/rounds.ts';
import { voiced } from '../../../gpu-node/schedule/voicing.ts';
import type { Manner, ReadSentence, Voiced } from '../../../gpu-node/schedule/voicing.ts';
import type { WaveMethods } from '../../../gpu-node/schedule/wave-thread.ts';
import { CosyError } from '../../../shared/errors/index.ts';

const RATE_HZ = 24_000;
type Asked = { readonly thread: string; readonly method: string; readonly args: Record<string, unknown> };
type Answers = Record<string, (args: Record<string, unknown>) => unknown>;

/** Answers `METHOD` of `thread`; the rest is answered with nothing. */
function threads(answers: { readonly acoustic: Answers; readonly wave: Answers }) {
  const asked: Asked[] = [];
  const side = (thread: 'acoustic' | 'wave') => ({
    async call(method: string, given: unknown): Promise<unknown> {
      const args = (given instanceof Transfer ? given.value : given) as Record<string, unknown>;
      asked.push({ thread, method, args });
      return answers[thread][method]?.(args);
    },
  });
  return { asked, acoustic: side('acoustic') as unknown as Thread<AcousticMethods>, wave: side('wave') as unknown as Thread<WaveMethods> };
}

const said = (asked: readonly Asked[]): string[] => asked.map(({ thread, method }) => `${thread} ${method}`);
const tone = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => Math.sin(i / 10) / 2);
const solved = (last: boolean) => ({ pieces: [{ mel: new Float32Array(80), early: false }], needed: last ? 0 : 25, blocks: 1, turnMs: 1, melMs: 20 });

async function hear(parts: ReturnType<typeof threads>, sentences: readonly (() => AsyncGenerator<Read>)[], manner: Partial<Manner>, seeds = new Seeds(7)): Promise<Voiced[]> {
  async function* reading(): AsyncGenerator<ReadSentence> {
    for (const [index, items] of sentences.entries()) yield { source: { index, request: {} } as Reading, items: items() };
  }
  const context = { ...parts, rounds: new Rounds(), sampleRateHz: RATE_HZ, blockTokens: 25, seeds, trace: new Trace(), playback: new Playback(RATE_HZ), signal: new AbortController().signal };
  const heard: Voiced[] = [];
  for await (const { items } of voiced(reading(), { key: 'a', prompt: true, steps: undefined, speed: 1, streaming: true, ...manner }, context)) for await (const item of items) heard.push(item);
  return heard;
}

async function* tokens(...batches: readonly number[][]): AsyncGenerator<Read> {
  for (const batch of batches) yield { tokens: batch };
}

describe('sentences on their way through the threads of sound', () => {
  it('are solved whole while the one before is in the vocoder', async () => {
    const second = Promise.withResolvers<void>();
    let solving = 0;
    const parts = threads({
      acoustic: { whole: () => (++solving === 2 && second.resolve(), { mel: new Float32Array(80), turnMs: 1, melMs: 20 }) },
      // the first one has its sound only when the second one is being solved
      wave: { whole: async () => (await second.promise, { samples: tone(RATE_HZ), turnMs: 1, waveMs: 20 }) },
    });
    const heard = await hear(parts, [() => tokens([1, 2]), () => tokens([3])], { streaming: false });
    expect(heard.map(({ speechTokens }) => speechTokens)).toEqual([[1, 2], [3]]);
    expect(said(parts.asked).slice(0, 2)).toEqual(['acoustic whole', 'wave whole']);
    const seeds = new Seeds(7);
    expect(parts.asked.filter(({ thread }) => thread === 'wave').map(({ args }) => args['seed'])).toEqual([seeds.of(0), seeds.of(1)]);
  });

  it('have the same id on both threads, are opened on that of the vocoder with their first frames, and are closed on both', async () => {
    const parts = threads({ acoustic: { open: () => ({ needed: 2 }), push: ({ last }) => solved(last === true) }, wave: { push: () => ({ samples: tone(4800), turnMs: 1, waveMs: 20 }) } });
    await hear(parts, [() => tokens([1, 2], Array.from({ length: 25 }, () => 3))], { speed: 1.3 });
    expect(said(parts.asked)).toEqual(['acoustic open', 'acoustic push', 'wave push', 'acoustic push', 'wave push', 'acoustic push', 'wave push', 'acoustic close', 'wave close']);
    expect(new Set(parts.asked.map(({ args }) => args['id'])).size).toBe(1);
    expect(parts.asked.filter(({ thread, method }) => thread === 'wave' && method === 'push').map(({ args }) => args['begin'])).toEqual([{ seed: 7, speed: 1.3 }, undefined, undefined]);
  });

  it('begin anew on both threads when they are read again', async () => {
    const silence = { samples: new Float32Array(4800), turnMs: 1, waveMs: 20 };
    let pushes = 0;
    const parts = threads({ acoustic: { open: () => ({ needed: 2 }), push: ({ last }) => solved(last === true) }, wave: { push: () => (++pushes === 1 ? silence : { ...silence, samples: tone(4800) }) } });
    const seeds = new Seeds(7);
    async function* again(): AsyncGenerator<Read> {
      yield { tokens: [1, 2] };
      yield { ended: 'loop', again: (yes) => yes && seeds.secondTry(0) };
      yield { tokens: [3] };
    }
    const heard = await hear(parts, [again], {}, seeds);
    expect(heard.flatMap(({ speechTokens }) => speechTokens)).toEqual([3]);
    expect(said(parts.asked)).toEqual(['acoustic open', 'acoustic push', 'wave push', 'acoustic close', 'wave close', 'acoustic open', 'acoustic push', 'wave push', 'acoustic close', 'wave close']);
    const begun = parts.asked.filter(({ args }) => args['begin'] !== undefined).map(({ args }) => args);
    expect(begun.map(({ begin }) => begin)).toEqual([{ seed: 7, speed: 1 }, { seed: seeds.of(0), speed: 1 }]);
    expect(begun[0]?.['id']).not.toBe(begun[1]?.['id']);
  });

  it('cost idle voices their place when the vocoder finds no memory, and give theirs back', async () => {
    const full = new CosyError('overloaded', 'This node has no memory left for the request: try again in 2 s.', { retryAfterMs: 2000 });
    const parts = threads({ acoustic: { open: () => ({ needed: 2 }), push: ({ last }) => solved(last === true) }, wave: { push: () => Promise.reject(full) } });
    await expect(hear(parts, [() => tokens([1, 2])], {})).rejects.toBe(full);
    expect(said(parts.asked)).toEqual(['acoustic open', 'acoustic push', 'wave push', 'acoustic spare', 'acoustic close', 'wave close']);
  });
});
