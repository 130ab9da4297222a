/** Text that arrives while it is spoken, with real decoding: token by token, flushed, without end, and nobody listening. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../gpu-node/engine.ts';
import { nodeMetrics } from '../../gpu-node/metrics/index.ts';
import { Admission } from '../../gpu-node/schedule/admission.ts';
import { runJob } from '../../gpu-node/server/job.ts';
import { SENTENCE_END } from '../../shared/contract/tokens.ts';
import { jobSchema } from '../../shared/contract/job.ts';
import type { TextPiece } from '../../gpu-node/schedule/source.ts';
import { goldenDirectory } from '../golden/index.ts';
import { NEVER, bundledEngine, heardFrom, spokenBy } from './engine.ts';

const TEXT = 'Good morning, and welcome. We walked along the river today, and then we talked about the summer. That was all.';

/** One character at a time; says how many were asked for, and whether it was told to stop. */
function typed(text: string, flushAt?: number): { readonly source: AsyncIterable<TextPiece>; readonly asked: () => number; readonly left: () => boolean } {
  let asked = 0;
  let left = false;
  async function* characters(): AsyncGenerator<TextPiece> {
    try {
      for (const letter of text) {
        asked += 1;
        yield { text: letter, flush: asked === flushAt };
      }
    } finally {
      left = true;
    }
  }
  return { source: characters(), asked: () => asked, left: () => left };
}

/** A step under way when the listener left ends first. */
async function expectNothingHeld(engine: Engine): Promise<void> {
  const held = async (): Promise<number[]> => {
    const { tokens, acoustic, wave } = await engine.stats();
    return [tokens.rows, tokens.waiting, acoustic.streams + wave.streams, acoustic.queued + wave.queued, acoustic.streamBytes];
  };
  await expect.poll(held, { interval: 5 }).toEqual([0, 0, 0, 0, 0]);
}

describe('text in pieces for a voice that reads whole sentences', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await bundledEngine();
  });
  afterAll(() => engine.close());

  it('is spoken letter by letter: every word once, in order, and sound before the last letter is asked for', async () => {
    const { source, asked } = typed(TEXT);
    const sounds = spokenBy(engine, { text: source }).sounds;
    const first = await sounds.next();
    expect(first.value && first.value.samples.length).toBeGreaterThan(0);
    expect(asked()).toBeLessThan(TEXT.length);
    const rest = await Array.fromAsync(sounds);
    const words = rest.flatMap((sound) => sound.words ?? []);
    expect(words.map(({ text }) => text)).toEqual(TEXT.match(/\w+/g));
    for (const [i, { startMs }] of words.entries()) expect(startMs).toBeGreaterThanOrEqual(words[i - 1]?.endMs ?? 0);
    await expectNothingHeld(engine);
  });

  it('is spoken up to a flush without waiting for the end of a sentence', async () => {
    const { source, asked } = typed(`${TEXT.slice(0, 12)}${' and so on'.repeat(200)}`, 12);
    const sounds = spokenBy(engine, { text: source }).sounds;
    const heard: string[] = [];
    for await (const sound of sounds) {
      heard.push(...(sound.words ?? []).map(({ text }) => text));
      if (heard.length > 0) break;
    }
    expect(heard).toEqual(['Good', 'morning']);
    expect(asked()).toBeLessThan(1000);
    await expectNothingHeld(engine);
  });

  it('fails a job that has no end with the limit, after its beginning was heard; the source is told to stop', async () => {
    const { source, left } = typed('This goes on and on, and nobody knows why. '.repeat(100));
    const speech = spokenBy(engine, { text: source, limits: { idleMs: 10_000, maxCharacters: 300 } });
    let samples = 0;
    await expect(async () => {
      for await (const sound of speech.sounds) samples += sound.samples.length;
    }).rejects.toMatchObject({ code: 'input_too_long' });
    expect(samples).toBeGreaterThan(24000);
    expect(left()).toBe(true);
    await expectNothingHeld(engine);
  });

  it('goes through a job as the server runs it, where a source that fails is the failure', async () => {
    const job = jobSchema.parse({ version: 1, id: 'a', text: '-', voice: { kind: 'preset', name: 'default' }, format: 'pcm', sampleRateHz: 24000, speed: 1, volume: 1, streaming: true, seed: 1 });
    const context = () => ({ signal: NEVER, metrics: nodeMetrics(), admission: new Admission() });
    const frames = await Array.fromAsync(runJob(job, engine, { ...context(), pieces: typed(TEXT).source }));
    expect([frames[0]?.type, frames.at(-1)?.type]).toEqual(['start', 'end']);
    async function* breaks(): AsyncGenerator<TextPiece> {
      yield { text: 'Good morning to you all. And now' };
      throw new Error('the line went dead');
    }
    await expect(Array.fromAsync(runJob(job, engine, { ...context(), pieces: breaks() }))).rejects.toThrow('the line went dead');
    await expectNothingHeld(engine);
  });
});

describe('text in pieces for a language model that learnt to speak by turns', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await bundledEngine(join(goldenDirectory, 'checkpoint'));
  });
  afterAll(() => engine.close());

  it('is spoken before it ends, ends a turn at a flush, and begins the next one', async () => {
    const { source } = typed('今天天气真好我们去公园走一走', 7);
    const { tokens } = await heardFrom(engine, { text: source });
    expect(tokens.filter((token) => token === SENTENCE_END)).toHaveLength(2);
    await expectNothingHeld(engine);
  });

  it('is asked for only as it is read', async () => {
    const { source, asked, left } = typed('今天天气真好我们去公园走一走'.repeat(500));
    const speech = spokenBy(engine, { text: source });
    await speech.sounds.next();
    // 40 ids may wait, and a few have been read
    expect(asked()).toBeLessThan(100);
    await speech.sounds.return(undefined);
    await expectNothingHeld(engine);
    expect(left()).toBe(true);
  });
});
