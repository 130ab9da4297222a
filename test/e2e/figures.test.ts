/** What a node tells of its work: counters, stage times, spans; and that a sentence which went wrong is seen in all of them. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../gpu-node/engine.ts';
import { SpanExporter, nodeMetrics } from '../../gpu-node/metrics/index.ts';
import { Admission } from '../../gpu-node/schedule/admission.ts';
import { nodeApp } from '../../gpu-node/server/app.ts';
import type { Synthesis } from '../../gpu-node/server/app.ts';
import { runJob } from '../../gpu-node/server/job.ts';
import type { Frame } from '../../shared/contract/frames.ts';
import { jobSchema } from '../../shared/contract/job.ts';
import { SIGNATURE_HEADER, SignatureVerifier, sign } from '../../shared/signing/index.ts';
import { goldenDirectory } from '../golden/index.ts';
import { collector } from '../gpu-node/metrics/collector.ts';
import { NEVER, bundledEngine, joined } from './engine.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const KEY = { id: 'a', secret: 'a secret of at least thirty-two bytes' };
const TEXT = 'Hello, and welcome to the show.';

const jobOf = (changes: Record<string, unknown> = {}) => jobSchema.parse({ version: 1, id: 'a', text: TEXT, voice: { kind: 'preset', name: 'default' }, format: 'pcm', sampleRateHz: 24000, speed: 1, volume: 1, streaming: true, seed: 3, ...changes });

describe('a job of the bundled voice', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await bundledEngine();
  });
  afterAll(() => engine.close());

  it('shows in the counters, each with help and unit, and in the stage times of its end', async () => {
    const metrics = nodeMetrics();
    const frames: Frame[] = [];
    for (const format of ['pcm', 'mp3']) frames.push(...(await Array.fromAsync(runJob(jobOf({ format }), engine, { signal: NEVER, metrics, admission: new Admission() }))));
    const end = frames.at(-1);
    expect(end?.type === 'end' && end.value.timings).toMatchObject(Object.fromEntries(['queueMs', 'voiceMs', 'prefillMs', 'tokensMs', 'turnMs', 'melMs', 'waveMs', 'encodeMs', 'firstHopMs', 'audibleMs', 'underrunMs', 'firstAudioMs', 'totalMs'].map((name) => [name, expect.any(Number)])));

    const text = await metrics.text(await engine.stats(), 7);
    const value = (line: string): number => Number(new RegExp(`^cosyvoice_${line.replaceAll('{', '\\{').replaceAll('}', '\\}')} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
    for (const histogram of ['queue_seconds', 'prefill_seconds', 'first_hop_seconds', 'audible_seconds', 'first_audio_seconds', 'real_time_factor']) expect([histogram, value(`${histogram}_count`)]).toEqual([histogram, 2]);
    for (const stage of ['queue', 'voice', 'prefill', 'tokens', 'turn', 'mel', 'wave', 'encode']) expect([stage, value(`stage_seconds_count{stage="${stage}"}`)]).toEqual([stage, 2]);
    expect(value('jobs_total{outcome="ok"}')).toBe(2);
    expect(value('audio_seconds_total')).toBeGreaterThan(1);
    expect(value('batch_rows_count')).toBeGreaterThan(2);
    expect(value('voice_cache_hits_total')).toBeGreaterThan(0);
    expect(value('voice_cache_misses_total')).toBeGreaterThan(0);
    expect(value('trimmed_seconds_total{end="lead"}')).toBeGreaterThan(0);
    expect(value('trimmed_seconds_total{end="tail"}')).toBeGreaterThanOrEqual(0);
    expect(value('words_total{source="attention"}')).toBe(12);
    expect(value('spans_dropped_total')).toBe(7);
    for (const gauge of ['jobs_running', 'token_rows', 'token_rows_waiting', 'streams', 'sound_queue', 'stream_bytes', 'underruns_total', 'underrun_seconds_total']) expect([gauge, value(gauge) >= 0]).toEqual([gauge, true]);
    for (const bytes of ['token_cache_bytes', 'voice_cache_bytes']) expect([bytes, value(bytes) > 0]).toEqual([bytes, true]);
    // whatever is told has a help line
    for (const [, name] of text.matchAll(/^# TYPE (cosyvoice_\w+)/gm)) expect(text).toMatch(new RegExp(`^# HELP ${name} \\S+`, 'm'));
    expect(text).not.toContain('welcome');
  });

  it('is a trace below its caller: queue, voice, prefill, tokens, mel, wave and encode inside the job, and no word of the text', async () => {
    const { url, spans, posts, close } = await collector();
    try {
      const exporter = new SpanExporter({ url });
      const run: Synthesis['run'] = (job, signal, traceparent) => runJob(job, engine, { signal, metrics: nodeMetrics(), admission: new Admission(), spans: exporter, traceparent });
      const app = nodeApp({ run, voices: () => [], health: () => ({ status: 'ok', model: '', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' }, new SignatureVerifier([KEY]));
      const body = new TextEncoder().encode(JSON.stringify(jobOf()));
      const signature = await sign({ method: 'POST', path: '/v1/synthesize', body }, KEY, Date.now());
      const response = await app.request('/v1/synthesize', { method: 'POST', body, headers: { [SIGNATURE_HEADER]: signature, traceparent: `00-${TRACE}-${PARENT}-01` } });
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(24000);
      await expect(Array.fromAsync(runJob(jobOf({ voice: { kind: 'preset', name: 'nobody' } }), engine, { signal: NEVER, metrics: nodeMetrics(), admission: new Admission(), spans: exporter }))).rejects.toMatchObject({ code: 'voice_not_found' });
      await exporter.flush();
      const [whole, ...parts] = spans().filter(({ traceId }) => traceId === TRACE);
      expect(whole).toMatchObject({ name: 'job', parentSpanId: PARENT });
      expect(new Set(parts.map(({ name }) => name))).toEqual(new Set(['queue', 'voice', 'prefill', 'tokens', 'turn', 'mel', 'wave', 'encode']));
      for (const part of parts) {
        expect(part.parentSpanId).toBe(whole?.spanId);
        // a clock that is read twice may differ by a rounding
        expect(BigInt(part.startTimeUnixNano) >= BigInt(whole?.startTimeUnixNano ?? 0) - 2_000_000n && BigInt(part.endTimeUnixNano) <= BigInt(whole?.endTimeUnixNano ?? 0) + 2_000_000n).toBe(true);
      }
      const failed = spans().find(({ traceId, name }) => traceId !== TRACE && name === 'job');
      expect(failed).toMatchObject({ status: { code: 2 } });
      expect(failed?.attributes).toContainEqual({ key: 'cosyvoice.outcome', value: { stringValue: 'voice_not_found' } });
      expect(JSON.stringify(posts)).not.toMatch(/welcome|Hello|nobody/);
    } finally {
      close();
    }
  });
});

describe('a sentence that goes wrong in real decoding', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await bundledEngine(join(goldenDirectory, 'checkpoint'));
  });
  afterAll(() => engine.close());

  type Heard = { readonly seed: number | undefined; readonly samples: Float32Array; readonly metrics: string };

  /** Random weights stop where chance has it; some seeds run to the limit. */
  async function heard(seed: number, streaming: boolean): Promise<Heard> {
    const metrics = nodeMetrics();
    const frames = await Array.fromAsync(runJob(jobOf({ text: '好。', seed, streaming }), engine, { signal: NEVER, metrics, admission: new Admission() }));
    const start = frames.find((frame) => frame.type === 'start');
    const audio = frames.flatMap((frame) => (frame.type === 'audio' ? [new Float32Array(new Int16Array(new Uint8Array(frame.value).buffer))] : []));
    return { seed: start?.value.seed, samples: joined(audio), metrics: await metrics.text(await engine.stats()) };
  }

  async function runaway(streaming: boolean): Promise<{ readonly seed: number; readonly found: Heard }> {
    for (let seed = 0; seed < 200; seed++) {
      const found = await heard(seed, streaming);
      if (/guards_total\{reason="length"\} 1$/m.test(found.metrics)) return { seed, found };
    }
    throw new Error('none of 200 seeds ran away');
  }

  it('is read once more with another seed while nothing was sent; that seed is told, and alone gives the same samples', async () => {
    const { seed, found } = await runaway(false);
    expect(found.metrics).toMatch(/^cosyvoice_retries_total\{reason="length"\} 1$/m);
    expect(found.seed).not.toBe(seed);
    const again = await heard(found.seed ?? -1, false);
    expect(again.metrics).not.toMatch(/guards_total\{/);
    expect(again.seed).toBe(found.seed);
    expect(again.samples).toEqual(found.samples);
  });

  it('is kept when its sound is on its way: counted, ended at the limit, and the seed stays', async () => {
    const { seed, found } = await runaway(true);
    expect(found.seed).toBe(seed);
    expect(found.metrics).not.toMatch(/retries_total\{/);
    expect(found.samples.length).toBeGreaterThan(24000);
  });
});
