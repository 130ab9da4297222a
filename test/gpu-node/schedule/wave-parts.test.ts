/** Whole sentences shared by two wave threads. The threads are stood in for; the samples of parts are wave/stream.test.ts. */
import { describe, expect, it } from 'vitest';
import { Transfer } from '../../../gpu-node/runtime/thread.ts';
import type { Thread } from '../../../gpu-node/runtime/thread.ts';
import { WaveHelper, fillsOneCore, wholeSound } from '../../../gpu-node/schedule/wave-parts.ts';
import type { WaveMethods } from '../../../gpu-node/schedule/wave-thread.ts';
import { randomConfig, RANDOM_SIZES } from '../../../gpu-node/checkpoint/random-size.ts';
import { CosyError } from '../../../shared/errors/index.ts';

type Asked = { readonly name: string; readonly method: string; readonly part: unknown; readonly moved: boolean; readonly frames: number };

/** Answers with samples of its own value. `ready` and `whole` are what the thread does. */
function thread(asked: Asked[], name: string, does: { readonly ready?: () => Promise<void>; readonly whole?: () => Promise<unknown> } = {}): Thread<WaveMethods> {
  const call = async (method: 'ready' | 'whole', given: unknown): Promise<unknown> => {
    const moved = given instanceof Transfer;
    const args = (moved ? given.value : given) as { part?: unknown; mel: Float32Array } | null;
    asked.push({ name, method, part: args?.part, moved, frames: (args?.mel.length ?? 0) / 80 });
    if (method === 'ready') return does.ready?.();
    return does.whole?.() ?? { samples: new Float32Array(2).fill(name === 'first' ? 0.1 : 0.2), turnMs: name === 'first' ? 1 : 2, waveMs: name === 'first' ? 30 : 20 };
  };
  return { call } as unknown as Thread<WaveMethods>;
}

const sentence = () => ({ mel: new Float32Array(80 * 100), seed: 3, speed: 1, deadlineMs: 9 });
const { signal } = new AbortController();
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a whole sentence', () => {
  it('is shared once the second thread is ready; before, the first one makes the same parts', async () => {
    const asked: Asked[] = [];
    const ready = Promise.withResolvers<void>();
    const second = new WaveHelper(thread(asked, 'second', { ready: () => ready.promise }));
    const wave = thread(asked, 'first');
    second.start();
    expect((await wholeSound({ wave, second }, sentence(), signal)).samples).toEqual(Float32Array.of(0.1, 0.1, 0.1, 0.1));
    expect(asked.filter(({ method }) => method === 'whole')).toEqual([
      { name: 'first', method: 'whole', part: { index: 1, of: 2 }, moved: false, frames: 100 },
      { name: 'first', method: 'whole', part: { index: 0, of: 2 }, moved: true, frames: 100 },
    ]);
    ready.resolve();
    await settled();
    asked.length = 0;
    const { samples, turnMs, waveMs } = await wholeSound({ wave, second }, sentence(), signal);
    expect([samples, turnMs, waveMs]).toEqual([Float32Array.of(0.1, 0.1, 0.2, 0.2), 2, 30]);
    expect(asked.map(({ name, part, moved, frames }) => ({ name, part, moved, frames }))).toEqual([
      { name: 'second', part: { index: 1, of: 2 }, moved: false, frames: 100 },
      { name: 'first', part: { index: 0, of: 2 }, moved: true, frames: 100 },
    ]);
  });

  it('fails with the second thread, which is started again, and is the first one’s until it is back', async () => {
    const asked: Asked[] = [];
    const starts: PromiseWithResolvers<void>[] = [];
    const ready = () => {
      starts.push(Promise.withResolvers<void>());
      return starts.at(-1)!.promise;
    };
    const second = new WaveHelper(thread(asked, 'second', { ready, whole: async () => Promise.reject(new CosyError('internal_error', 'The second wave thread stopped.')) }));
    const wave = thread(asked, 'first');
    second.start();
    starts[0]!.resolve();
    await settled();
    await expect(wholeSound({ wave, second }, sentence(), signal)).rejects.toMatchObject({ code: 'internal_error' });
    expect([starts.length, second.ready]).toEqual([2, false]);
    expect((await wholeSound({ wave, second }, sentence(), signal)).samples).toEqual(Float32Array.of(0.1, 0.1, 0.1, 0.1));
    starts[1]!.resolve();
    await settled();
    expect(second.ready).toBe(true);
  });

  it('is the first thread’s where the second one does not start, and whole where there is none', async () => {
    const second = new WaveHelper(thread([], 'second', { ready: async () => Promise.reject(new Error('no memory')) }));
    second.start();
    await settled();
    const asked: Asked[] = [];
    const wave = thread(asked, 'first');
    expect((await wholeSound({ wave, second }, sentence(), signal)).samples).toEqual(Float32Array.of(0.1, 0.1, 0.1, 0.1));
    expect((await wholeSound({ wave }, sentence(), signal)).samples).toEqual(Float32Array.of(0.1, 0.1));
    expect(asked.map(({ part }) => part)).toEqual([{ index: 1, of: 2 }, { index: 0, of: 2 }, undefined]);
  });
});

it('a vocoder of the official size fills the cores by itself, the bundled voice’s does not', () => {
  const { hift } = randomConfig(RANDOM_SIZES.full);
  expect(fillsOneCore(hift)).toBe(false);
  expect(fillsOneCore({ ...hift, baseChannels: 128 })).toBe(true);
});
