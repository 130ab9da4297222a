/** A job that one node began and another one goes on with. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../gpu-node/engine.ts';
import { nodeMetrics } from '../../gpu-node/metrics/index.ts';
import { Admission } from '../../gpu-node/schedule/admission.ts';
import { runJob } from '../../gpu-node/server/job.ts';
import { jobSchema } from '../../shared/contract/job.ts';
import type { Frame } from '../../shared/contract/frames.ts';
import { NEVER, bundledEngine } from './engine.ts';

const TEXT = 'Hello, and welcome to the show. And this is the end.';

type Received = { readonly samples: Int16Array; readonly tokens: readonly number[]; readonly seed: number | undefined };

describe('a stream that survives its node', () => {
  let first: Engine;
  let second: Engine;
  beforeAll(async () => {
    first = await bundledEngine();
    second = await bundledEngine();
  });
  afterAll(async () => {
    await first.close();
    await second.close();
  });

  function frames(engine: Engine, job: Record<string, unknown>): AsyncGenerator<Frame> {
    const parsed = jobSchema.parse({ version: 1, id: 'a', text: TEXT, voice: { kind: 'preset', name: 'default' }, format: 'pcm', sampleRateHz: 24000, speed: 1, volume: 1, streaming: true, ...job });
    return runJob(parsed, engine, { signal: NEVER, metrics: nodeMetrics(), admission: new Admission() });
  }

  /** `until` ends the stream as a node that dies does: after so many frames. `before`: samples that another node sent. */
  async function receive(source: AsyncGenerator<Frame>, { until = Infinity, before = 0 } = {}): Promise<Received> {
    const audio: Uint8Array[] = [];
    const tokens: number[] = [];
    let seed: number | undefined;
    let count = 0;
    for await (const frame of source) {
      if (frame.type === 'start') seed = frame.value.seed;
      if (frame.type === 'audio') audio.push(frame.value);
      if (frame.type === 'tokens') tokens.push(...frame.value);
      if (frame.type === 'mark') expect(frame.value.samples).toBe(audio.reduce((sum, { length }) => sum + length / 2, before));
      if (++count >= until) break;
    }
    const bytes = Buffer.concat(audio);
    return { samples: new Int16Array(new Uint8Array(bytes).buffer), tokens, seed };
  }

  it.each([
    ['in blocks', { streaming: true, sampleRateHz: 24000 }, [2, 5, 8]],
    ['in blocks at 44.1 kHz, faster', { streaming: true, sampleRateHz: 44100, speed: 1.3 }, [6]],
    ['whole sentences at 16 kHz', { streaming: false, sampleRateHz: 16000 }, [4]],
    ['with a break inside and one at the end', { streaming: true, sampleRateHz: 24000, breaks: [{ at: 6, ms: 300 }, { at: TEXT.length, ms: 200 }] }, [3, 6]],
  ] as const)('goes on at the sample where the other one stopped, %s', async (_, job, seams) => {
    const whole = await receive(frames(first, { ...job, seed: 5 }));
    for (const seam of seams) {
      const begun = await receive(frames(first, { ...job, seed: 5 }), { until: seam });
      expect(begun.samples.length).toBeLessThan(whole.samples.length);
      const rest = await receive(frames(second, { ...job, seed: begun.seed, resume: { tokens: begun.tokens, sampleOffset: begun.samples.length } }), { before: begun.samples.length });
      expect(begun.samples.length + rest.samples.length).toBe(whole.samples.length);
      const expected = whole.samples.subarray(begun.samples.length);
      // one step of 16 bits
      const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (rest.samples[i] ?? NaN))), 0);
      expect([seam, worst <= 1]).toEqual([seam, true]);
      // both together are the tokens of an uninterrupted run, so a third node could go on too
      expect([...begun.tokens, ...rest.tokens]).toEqual(whole.tokens);
    }
  });

  it('is silent as long as the text asks for', async () => {
    const plain = await receive(frames(first, { seed: 5, streaming: false }));
    const at = TEXT.indexOf(' And');
    const broken = await receive(frames(first, { seed: 5, streaming: false, breaks: [{ at, ms: 1500 }] }));
    expect(broken.samples.length - plain.samples.length).toBe(1.5 * 24000);
    let longest = 0;
    let run = 0;
    for (const sample of broken.samples) longest = Math.max(longest, (run = sample === 0 ? run + 1 : 0));
    expect(longest).toBeGreaterThanOrEqual(1.5 * 24000);
  });

  it('misses no sample at a sentence’s end, where the resampler held the last of its fade-out', async () => {
    const job = { streaming: false, sampleRateHz: 48000, seed: 5 };
    const whole = await receive(frames(first, job));
    const begun = await receive(frames(first, job), { until: 6 });
    const before = begun.samples.length;
    const rest = await receive(frames(second, { ...job, resume: { tokens: begun.tokens, sampleOffset: before } }), { before });
    expect(before + rest.samples.length).toBe(whole.samples.length);
    const worst = (from: number, to: number) => whole.samples.subarray(before + from, before + to).reduce((most, value, i) => Math.max(most, Math.abs(value - (rest.samples[from + i] ?? NaN))), 0);
    // 5 ms at most stand for a fade that is nearly silent; behind them all is as it was
    expect(worst(0, 240)).toBeLessThan(0.01 * 32768);
    expect(worst(240, rest.samples.length)).toBeLessThanOrEqual(1);
  });

  it('is refused where it cannot be exact', async () => {
    const resume = { tokens: [], sampleOffset: 0 };
    await expect(receive(frames(second, { resume }))).rejects.toMatchObject({ code: 'invalid_value' });
    await expect(receive(frames(second, { resume, seed: 1, format: 'flac' }))).rejects.toMatchObject({ code: 'unsupported_format' });
  });
});
