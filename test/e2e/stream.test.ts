/** The engine that serves listeners: sound before the text has ended, and everything given back whatever happens. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../gpu-node/engine.ts';
import { nodeMetrics } from '../../gpu-node/metrics/index.ts';
import { Admission } from '../../gpu-node/schedule/admission.ts';
import type { TextPiece } from '../../gpu-node/schedule/source.ts';
import { frameStream } from '../../gpu-node/server/app.ts';
import { runJob } from '../../gpu-node/server/job.ts';
import { jobSchema } from '../../shared/contract/job.ts';
import { goldenDirectory } from '../golden/index.ts';
import { NEVER, bundledEngine, heardFrom, largestDifference, spokenBy } from './engine.ts';

const TEXT = 'Hello, and welcome to the show. And this is the end.';
const LONG = 'This goes on for quite a while, and nobody knows when it will end. '.repeat(20);

describe('streaming with the bundled voice', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await bundledEngine();
  });
  afterAll(() => engine.close());

  /** A question is answered between two runs, and a step has two at most: what a step under way still holds is gone at the third. */
  async function expectNothingHeld(): Promise<void> {
    const nothing = { rows: 0, waiting: 0, streams: 0, queued: 0, streamBytes: 0 };
    const looks: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const { tokens, acoustic, wave } = await engine.stats();
      looks.push({ rows: tokens.rows, waiting: tokens.waiting, streams: acoustic.streams + wave.streams, queued: acoustic.queued + wave.queued, streamBytes: acoustic.streamBytes });
    }
    expect(looks.at(-1)).toEqual(nothing);
  }

  it('gives the same samples for the same seed, alone and among others', async () => {
    const alone = await heardFrom(engine, { text: TEXT });
    const [among] = await Promise.all([heardFrom(engine, { text: TEXT }), ...[11, 12].map((seed) => heardFrom(engine, { text: 'Somebody else speaks as well.', seed }))]);
    expect(among?.tokens).toEqual(alone.tokens);
    expect(among?.samples.length).toBe(alone.samples.length);
    expect(largestDifference(alone.samples, among?.samples ?? alone.samples)).toBeLessThan(1e-5);
    await expectNothingHeld();
  });

  it('reads the same text in the rhythm of each fixed voice', async () => {
    const read = async (name: string) => (await heardFrom(engine, { text: TEXT, voice: { kind: 'preset', name } })).tokens;
    const [woman, man, again] = [await read('af_heart'), await read('am_michael'), await read('af_heart')];
    expect(again).toEqual(woman);
    expect(man).not.toEqual(woman);
  });

  it('sends sound in pieces, and traces what it took', async () => {
    const speech = spokenBy(engine, { text: TEXT });
    const sizes: number[] = [];
    for await (const { samples } of speech.sounds) sizes.push(samples.length);
    expect(sizes.filter((size) => size > 0).length).toBeGreaterThan(3);
    expect(speech.trace.timings()).toMatchObject({ prefillMs: expect.any(Number), firstHopMs: expect.any(Number), audibleMs: expect.any(Number), melMs: expect.any(Number), waveMs: expect.any(Number) });
    expect(sizes.find((size) => size > 0)).toBeLessThan(sizes.reduce((sum, size) => sum + size, 0) / 2);
    expect(speech.trace.audibleMs).toBeLessThan(speech.trace.elapsedMs);
  });

  it('serves the first sound of a new listener before the later sound of an old one', async () => {
    const old = spokenBy(engine, { text: LONG });
    await old.sounds.next();
    const late = spokenBy(engine, { text: 'Me too.' });
    let before = 0;
    const others = (async () => {
      for await (const { samples } of old.sounds) if ((before += samples.length) > 40 * engine.sampleRateHz) break;
    })();
    const { value } = await late.sounds.next();
    expect((value as { samples: Float32Array }).samples.length).toBeGreaterThan(0);
    expect(before).toBeLessThan(10 * engine.sampleRateHz);
    await late.sounds.return(undefined);
    await old.sounds.return(undefined);
    await others.catch(() => {});
    await expectNothingHeld();
  });

  describe('text in pieces', () => {
    it('is spoken before it has ended, is not read ahead of need, and holds nothing when it is left', async () => {
      let asked = 0;
      async function* endless(): AsyncGenerator<TextPiece> {
        for (;;) {
          asked += 1;
          yield { text: 'and then we walked along the river, ' };
        }
      }
      const speech = spokenBy(engine, { text: endless(), limits: { idleMs: 10_000, maxCharacters: 1e6 } });
      const first = await speech.sounds.next();
      expect(first.value && first.value.samples.length).toBeGreaterThan(0);
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      expect(asked).toBeLessThan(60);
      await speech.sounds.return(undefined);
      await expectNothingHeld();
    });

    it('goes on when it is flushed, and fails when it stalls or does not end', async () => {
      async function* stalls(): AsyncGenerator<TextPiece> {
        yield { text: 'Wait for it', flush: true };
        await new Promise(() => {});
      }
      const speech = spokenBy(engine, { text: stalls(), limits: { idleMs: 3000, maxCharacters: 1000 } });
      const heard: number[] = [];
      await expect(async () => {
        for await (const { samples } of speech.sounds) heard.push(samples.length);
      }).rejects.toMatchObject({ code: 'deadline_exceeded' });
      expect(heard.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5000);
      await expectNothingHeld();
    });
  });

  describe('a language model that learnt to speak by turns with its text', () => {
    it('speaks words as they come, in the order of training, and asks for more only when it needs them', async () => {
      const official = await bundledEngine(join(goldenDirectory, 'checkpoint'));
      try {
        async function* words(): AsyncGenerator<TextPiece> {
          for (const text of '今天天气真好，我们一起去公园里走一走吧。'.repeat(3)) yield { text };
        }
        const { tokens, samples } = await heardFrom(official, { text: words() });
        expect(tokens.length).toBeGreaterThan(15);
        expect(samples.length).toBeGreaterThan(0);
        await official.stats();
        expect((await official.stats()).tokens.rows).toBe(0);
      } finally {
        await official.close();
      }
    });
  });

  describe('a listener who leaves', () => {
    it('frees row, stream and queue places within one step and one run', async () => {
      const stop = new AbortController();
      const speeches = [1, 2, 3, 4].map((seed) => spokenBy(engine, { text: LONG, seed }, stop.signal));
      await Promise.all(speeches.map(({ sounds }) => sounds.next()));
      expect((await engine.stats()).acoustic.streams).toBeGreaterThan(0);
      const going = speeches.map(({ sounds }) => sounds.next());
      stop.abort();
      await Promise.allSettled(going);
      await expectNothingHeld();
    });

    it('is one who never reads, too: one frame waits, then the work is stopped', async () => {
      const admission = new Admission();
      const job = jobSchema.parse({ version: 1, id: 'a', text: LONG, voice: { kind: 'preset', name: 'default' }, format: 'pcm', sampleRateHz: 24000, speed: 1, volume: 1, streaming: true });
      const cancel = new AbortController();
      let made = 0;
      const frames = runJob(job, engine, { signal: cancel.signal, metrics: nodeMetrics(), admission });
      const counted = (async function* () {
        try {
          for await (const frame of frames) {
            made += 1;
            yield frame;
          }
        } finally {
          await frames.return(undefined);
        }
      })();
      const first = await counted.next();
      const stream = frameStream(first, counted, cancel, 50);
      await new Promise((resolve) => cancel.signal.addEventListener('abort', resolve));
      await expect(stream.getReader().closed).rejects.toMatchObject({ code: 'cancelled' });
      expect(made).toBeLessThan(4);
      await expect.poll(() => admission.running).toBe(0);
      await expectNothingHeld();
    });
  });

  it('fails a job that misses its deadline, and gives everything back', async () => {
    const admission = new Admission();
    const job = jobSchema.parse({ version: 1, id: 'a', text: LONG, voice: { kind: 'preset', name: 'default' }, format: 'pcm', sampleRateHz: 24000, speed: 1, volume: 1, streaming: true, deadlineMs: 300 });
    await expect(Array.fromAsync(runJob(job, engine, { signal: NEVER, metrics: nodeMetrics(), admission }))).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(admission.running).toBe(0);
    await expectNothingHeld();
  });

  it.each(['tokens', 'acoustic', 'wave'] as const)('outlives its %s thread: the request fails with a retryable error, the next one is spoken', async (thread) => {
    const speech = spokenBy(engine, { text: LONG });
    await speech.sounds.next();
    const rest = Array.fromAsync(speech.sounds);
    rest.catch(() => {});
    await engine.restart(thread);
    await expect(rest).rejects.toMatchObject({ code: 'internal_error', retryable: true });
    expect((await heardFrom(engine, { text: 'Here again.' })).samples.length).toBeGreaterThan(5000);
    await expectNothingHeld();
  });
});
