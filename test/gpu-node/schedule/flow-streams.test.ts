/** Streams of the flow, and of the vocoder behind it, beside one another with the bundled voice: samples, turns, memory. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { convertStage } from '../../../gpu-node/graphs/convert.ts';
import type { Precision } from '../../../gpu-node/graphs/network.ts';
import { openFlow } from '../../../gpu-node/mel/index.ts';
import type { Flow, FlowVoiceState } from '../../../gpu-node/mel/index.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { FlowStreams, defaultBudgetBytes, earlyEnds } from '../../../gpu-node/schedule/flow-streams.ts';
import { Turns } from '../../../gpu-node/schedule/turns.ts';
import { WaveStreams } from '../../../gpu-node/schedule/wave-streams.ts';
import { openVocoder } from '../../../gpu-node/wave/index.ts';
import type { Vocoder } from '../../../gpu-node/wave/index.ts';
import { CosyError } from '../../../shared/errors/index.ts';

/** One vocoder, one run at a time. */
const vocoderTurns = new Turns();
const NEVER = new AbortController().signal;
const TOKENS = Array.from({ length: 70 }, (_, i) => (i * 397) % 6561);

describe('streams of the threads of sound', () => {
  let checkpoint: Checkpoint;
  let flow: Flow;
  let vocoder: Vocoder;
  let state: FlowVoiceState;
  const directory = (stage: 'flow' | 'hift', precision: Precision): Promise<string> => convertStage({ checkpoint, cacheDirectory: process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice'), stage, precision });
  beforeAll(async () => {
    checkpoint = await openCheckpoint(BUNDLED_MODEL, { cacheDirectory: join(homedir(), '.cache', 'cosyvoice') });
    const open = graphOpener({ device: 'cpu', threads: 1 });
    flow = await openFlow({ directory: await directory('flow', 'fp32'), config: checkpoint.config.flow, open });
    vocoder = await openVocoder({ directory: await directory('hift', 'fp32'), config: checkpoint.config.hift, open });
    const [speaker] = checkpoint.speakers.values();
    state = await flow.voiceState({ embedding: speaker?.embedding ?? new Float32Array(checkpoint.config.speakerDim), steps: 2 });
  });
  afterAll(async () => {
    await flow.close();
    await vocoder.release();
    checkpoint.close();
  });

  function streams(turns: Turns, { budgetBytes = Infinity, shrinkVoices = (_: number): void => {} } = {}): FlowStreams {
    return new FlowStreams({ flow, turns, budgetBytes, shrinkVoices });
  }

  async function spoken(all: FlowStreams, id: number, cuts: readonly number[]): Promise<{ readonly samples: Float32Array; readonly sizes: readonly number[] }> {
    const waves = new WaveStreams({ vocoder, turns: vocoderTurns, melBins: flow.config.melBins });
    const needed = all.open(state, { id, early: true });
    expect(needed).toBe(15);
    const pieces: Float32Array[] = [];
    let at = 0;
    for (const [i, cut] of [...cuts, TOKENS.length].entries()) {
      const last = i === cuts.length;
      const solved = await all.push({ id, speechTokens: TOKENS.slice(at, cut), last, deadlineMs: i, signal: NEVER });
      pieces.push((await waves.push({ id, begin: i === 0 ? { seed: 5, speed: 1 } : undefined, pieces: solved.pieces, last, deadlineMs: i, signal: NEVER })).samples);
      at = cut;
    }
    all.close(id);
    waves.close(id);
    expect(waves.count).toBe(0);
    return { samples: Float32Array.from(pieces.flatMap((piece) => [...piece])), sizes: pieces.map(({ length }) => length) };
  }

  it('begin with still less where a block takes long', () => {
    const { estimator } = flow.config;
    expect(earlyEnds({ estimator: { ...estimator, heads: 8, headDim: 64 } })).toEqual([7, 14]);
    expect(earlyEnds(flow.config)).toEqual([12]);
  });

  it('sound after fifteen tokens, and give the same samples however their tokens come', async () => {
    const all = streams(new Turns());
    const first = await spoken(all, 1, [15, 28, 53]);
    // 24 frames less those that decide about the last ones
    expect(first.sizes[0]).toBe((24 - 10) * 480);
    expect(first.samples.length).toBe(TOKENS.length * 960);
    const others = [await spoken(all, 2, [1, 2, 3, 27, 40]), await spoken(all, 3, [])];
    for (const { samples } of others) expect(largest(samples, first.samples)).toBeLessThan(1 / 65536);
    expect(all.count).toBe(0);
    expect(all.bytes).toBe(0);
  });

  it('share runs when this machine is faster that way, and sound as they do alone', async () => {
    await flow.prepareBatches();
    const turns = new Turns();
    const all = streams(turns);
    const alone = await spoken(all, 1, [15, 28, 53]);
    const before = turns.shared;
    const together = await Promise.all([11, 12, 13, 14, 15].map((id) => spoken(all, id, [15, 28, 53])));
    for (const { samples } of together) expect(largest(samples, alone.samples)).toBeLessThan(1 / 65536);
    const runs = turns.shared.turns - before.turns;
    const blocks = turns.shared.items - before.items;
    expect(blocks).toBe(5 * 4);
    if (flow.batches.length > 1) expect(runs).toBeLessThan(blocks);
    else expect(runs).toBe(blocks);
  });

  it('take memory from idle voices first, then refuse newcomers and say when to come again; one alone is always let in', async () => {
    const shrunk: number[] = [];
    const budgetBytes = flow.runBytes + 2.5 * flow.maxStreamBytes;
    const all = streams(new Turns(), { budgetBytes, shrinkVoices: (bytes) => shrunk.push(bytes) });
    for (const id of [1, 2]) {
      all.reserve();
      all.open(state, { id, early: false });
    }
    expect(shrunk).toEqual([1.5 * flow.maxStreamBytes, 0.5 * flow.maxStreamBytes]);
    expect(() => all.reserve()).toThrow(expect.objectContaining({ code: 'overloaded', retryAfterMs: 2000 }));
    all.close(1);
    all.reserve();
    const small = streams(new Turns(), { budgetBytes: 1 });
    expect(() => small.reserve()).not.toThrow();
    expect([defaultBudgetBytes(100, 0), defaultBudgetBytes(100, 60)]).toEqual([50, 30]);
  });

  it('give idle voices up when a run finds no memory, and say that the node is busy', async () => {
    const full = new CosyError('overloaded', 'This node has no memory left for the request: try again in 2 s.', { retryAfterMs: 2000 });
    const poor = { config: flow.config, batches: flow.batches, maxStreamBytes: flow.maxStreamBytes, runBytes: flow.runBytes, stream: flow.stream.bind(flow), advance: () => Promise.reject(full) };
    const kept: number[] = [];
    const all = new FlowStreams({ flow: poor as unknown as Flow, turns: new Turns(), budgetBytes: Infinity, shrinkVoices: (bytes) => kept.push(bytes) });
    all.open(state, { id: 1, early: true });
    await expect(all.push({ id: 1, speechTokens: TOKENS, last: true, deadlineMs: 0, signal: NEVER })).rejects.toBe(full);
    expect(kept).toEqual([0]);
    all.close(1);
  });

  it('never hold more than is reserved for them', async () => {
    const all = streams(new Turns());
    const full = await flow.voiceState({ embedding: state.embedding });
    all.open(full, { id: 1, early: true });
    let most = 0;
    for (let i = 0; i < 12; i++) {
      await all.push({ id: 1, speechTokens: TOKENS.slice(0, 25), last: false, deadlineMs: 0, signal: NEVER });
      most = Math.max(most, all.bytes);
    }
    expect(most).toBeGreaterThan(0.7 * flow.maxStreamBytes);
    expect(most).toBeLessThanOrEqual(flow.maxStreamBytes);
    all.close(1);
  });
});

function largest(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? NaN))), 0);
}
