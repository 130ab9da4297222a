import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { estimatorGraph, flow as network, speakerGraph } from '../../../gpu-node/graphs/flow.ts';
import { writeModel } from '../../../gpu-node/graphs/onnx/write.ts';
import { eulerLoop } from '../../../gpu-node/mel/euler.ts';
import { openFlow } from '../../../gpu-node/mel/index.ts';
import { FixedNoise } from '../../../gpu-node/mel/noise.ts';
import { cosineSchedule } from '../../../gpu-node/mel/schedule.ts';
import { Solver, floats } from '../../../gpu-node/mel/solver.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { goldenDirectory } from '../../golden/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import type { Flow, FlowPrompt, FlowVoice } from '../../../gpu-node/mel/index.ts';
import type { Job } from '../../../gpu-node/mel/solver.ts';
import type { GraphSession } from '../../../gpu-node/runtime/session.ts';

const folder = mkdtempSync(join(tmpdir(), 'cosyvoice-mel-'));
const open = graphOpener({ device: 'cpu', threads: 1 });
const STEPS = 2;
/** float32 rounding of two steps on mel values up to 6; the reference cases allow 7e-5 after ten. */
const ROUNDING = 5e-5;
/** Rounding of a step beside the constants that hold the last LayerNorm still, and what twelve leave of it and of the noise; the mel's root mean square is 5. */
const PULLED = 3e-3;
let checkpoint: Checkpoint;
let exact: Flow;
let bounded: Flow;
let estimator: GraphSession;
let speaker: GraphSession;
let solver: Solver;

beforeAll(async () => {
  checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: folder });
  network.write(checkpoint, folder, 'fp32');
  const options = { store: checkpoint.flow, config: checkpoint.config.flow, format: 'float32' } as const;
  writeModel(estimatorGraph(options), join(folder, 'estimator.onnx'));
  writeModel(speakerGraph(options), join(folder, 'speaker.onnx'));
  [estimator, speaker] = await Promise.all([open(join(folder, 'estimator.onnx')), open(join(folder, 'speaker.onnx'))]);
  const files = { directory: folder, config: checkpoint.config.flow, open };
  exact = await openFlow({ ...files, leftBlocks: -1, promptBlocks: -1, encoderBlocks: -1 });
  bounded = await openFlow({ ...files, leftBlocks: 2, promptBlocks: 1, encoderBlocks: 3 });
  solver = await Solver.open(folder, checkpoint.config.flow, open);
});

afterAll(async () => {
  await Promise.all([exact.close(), bounded.close(), solver.release(), estimator.release(), speaker.release()]);
  checkpoint.close();
  rmSync(folder, { recursive: true });
});

test('all Euler steps in one run equal the plain loop', async () => {
  const voice = voiceOf(30, 1);
  const speechTokens = tokensOf(41, 2);
  const mel = await exact.offline({ ...voice, speechTokens });
  expect(distance(mel, await plain(voice, speechTokens, 'offline'))).toBeLessThan(ROUNDING);
});

test('a field that pulls to one mel takes one step: the bundled voice, against twelve of the official schedule', { timeout: 60_000 }, async () => {
  const nano = await openCheckpoint(join(import.meta.dirname, '../../../gpu-node/models/nano'), { cacheDirectory: folder });
  const { flow: config } = nano.config;
  const directory = join(folder, 'nano');
  mkdirSync(directory);
  network.write(nano, directory, 'fp32');
  const flow = await openFlow({ directory, config, open });
  const voice = { embedding: new Float32Array(config.speakerDim).fill(0.05), speechTokens: tokensOf(70, 5) };
  const mel = await flow.offline(voice);
  expect([config.steps, config.pull]).toEqual([1, 5]);
  expect(rms(mel, await flow.offline({ ...voice, steps: 12 }))).toBeLessThan(PULLED);
  const blocks = async (steps?: number) => flow.stream(await flow.voiceState({ ...voice, steps })).push(voice.speechTokens, { last: true });
  expect(rms(await blocks(), await blocks(12))).toBeLessThan(PULLED);
  // what would be wrong: an ordinary schedule of one step goes five times too far
  expect(rms(mel, await flow.offline({ ...voice, steps: 2 }))).toBeGreaterThan(100 * PULLED);
  await flow.close();
  nano.close();
});

test('without guidance only the conditioned rows are computed, and the frames are the same', async () => {
  const config = { ...checkpoint.config.flow, inferenceCfgRate: 0 };
  const directory = join(folder, 'unguided');
  mkdirSync(directory);
  network.write({ ...checkpoint, config: { ...checkpoint.config, flow: config } }, directory, 'fp32');
  const unguided = await openFlow({ directory, config, open, leftBlocks: -1 });
  const voice = voiceOf(30, 31);
  const speechTokens = tokensOf(70, 32);
  expect(distance(await unguided.offline({ ...voice, speechTokens }), await plain(voice, speechTokens, 'offline', config))).toBeLessThan(ROUNDING);
  const streams = [unguided.stream(await unguided.voiceState(voice)), exact.stream(await exact.voiceState(voice))];
  const made = await Promise.all(streams.map((stream) => stream.push(speechTokens, { last: false })));
  expect(distance(made[0] ?? new Float32Array(0), (await plain(voice, speechTokens, 'blocks', config)).subarray(0, 45 * 2 * config.melBins))).toBeLessThan(ROUNDING);
  const [without = 0, both = 1] = streams.map(({ bytes }) => bytes);
  // what the encoder keeps is the same in both
  expect(without).toBeLessThan(0.8 * both);
  await unguided.close();
});

test('block by block equals one pass over everything, for any prompt, length and cut into pushes', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 60 }), fc.array(fc.integer({ min: 0, max: 70 }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 1e6 }), async (promptTokens, hops, seed) => {
      const voice = voiceOf(promptTokens, seed);
      const speechTokens = tokensOf(hops.reduce((sum, hop) => sum + hop, 0), seed + 1);
      const made = await inHops(exact, voice, speechTokens, hops);
      expect(made.length).toBe(speechTokens.length * 2 * exact.config.melBins);
      expect(distance(made, await plain(voice, speechTokens, 'blocks'))).toBeLessThan(ROUNDING);
    }),
    { numRuns: 8 },
  );
});

test('with a bounded context the frames do not depend on the cut either, and memory stays level', async () => {
  const voice = voiceOf(60, 5);
  const speechTokens = tokensOf(300, 6);
  const state = await bounded.voiceState(voice);
  const stream = bounded.stream(state);
  const bytes: number[] = [];
  const parts: Float32Array[] = [];
  for (let at = 0; at < speechTokens.length; at += 25) {
    parts.push(await stream.push(speechTokens.slice(at, at + 25), { last: at + 25 >= speechTokens.length }));
    bytes.push(stream.bytes);
  }
  expect(joined(parts)).toEqual(await inHops(bounded, voice, speechTokens, [17, 200, 83]));
  expect(new Set(bytes.slice(4, -1)).size).toBe(1);
});

test('two blocks to the left are all that a bounded stream sees: earlier tokens change nothing once they are out of sight', async () => {
  const voice: FlowVoice = { embedding: voiceOf(0, 7).embedding, steps: STEPS };
  const speechTokens = tokensOf(250, 8);
  const [whole, again] = [await inHops(bounded, voice, speechTokens, [250]), await inHops(exact, voice, speechTokens, [250])];
  const frame = 2 * exact.config.melBins;
  expect(distance(whole.subarray(0, 75 * frame), again.subarray(0, 75 * frame))).toBeLessThan(ROUNDING);
  expect(distance(whole.subarray(75 * frame), again.subarray(75 * frame))).toBeGreaterThan(1e-3);
});

test('streams of one voice do not touch each other or the voice', async () => {
  const voice = voiceOf(60, 9);
  const [a, b] = [tokensOf(120, 10), tokensOf(90, 11)];
  const alone = [await inHops(bounded, voice, a, [120]), await inHops(bounded, voice, b, [90])];
  const state = await bounded.voiceState(voice);
  const [first, second, given] = [bounded.stream(state), bounded.stream(state), bounded.stream(state)];
  await given.push(tokensOf(80, 12), { last: false });
  given.close();
  const parts: [Float32Array[], Float32Array[]] = [[], []];
  for (let at = 0; at < 120; at += 30) {
    parts[0].push(await first.push(a.slice(at, at + 30), { last: at === 90 }));
    if (at < 90) parts[1].push(await second.push(b.slice(at, at + 30), { last: at === 60 }));
  }
  expect([joined(parts[0]), joined(parts[1])]).toEqual(alone);
});

test('a stream says how many tokens the next frames need', async () => {
  const stream = exact.stream(await exact.voiceState(voiceOf(30, 13)));
  // One prompt block is known with the voice; 5 prompt tokens are left over for the block that ends after 20 more.
  expect(stream.needed).toBe(20 + 3);
  expect((await stream.push(tokensOf(22, 14), { last: false })).length).toBe(0);
  expect(stream.needed).toBe(1);
  expect((await stream.push(tokensOf(1, 15), { last: false })).length).toBe(20 * 2 * exact.config.melBins);
  expect(stream.needed).toBe(25);
});

test('a voice in whole blocks leaves none of them to the first chunk, and is the end of its prompt', async () => {
  const voice = voiceOf(70, 16);
  const speechTokens = tokensOf(40, 17);
  const cut = exact.stream(await exact.voiceState(voice, { wholeBlocks: true }));
  // 53 of the 70 tokens: two blocks and the look-ahead, which is the beginning of the third
  expect(cut.needed).toBe(22 + 3);
  const prompt = voice.prompt as FlowPrompt;
  const end = { ...voice, prompt: { speechTokens: prompt.speechTokens.slice(17), mel: prompt.mel.slice(17 * 2 * exact.config.melBins) } };
  expect(await cut.push(speechTokens, { last: true })).toEqual(await exact.stream(await exact.voiceState(end)).push(speechTokens, { last: true }));
  for (const tokens of [0, 27, 28, 53]) {
    const whole = voiceOf(tokens, 18);
    expect((await exact.voiceState(whole, { wholeBlocks: true })).prompt?.speechTokens).toEqual(whole.prompt?.speechTokens);
  }
});

test('early blocks: equal one pass with their mask, whatever the cut into pushes, and later blocks end where they would without', { timeout: 60_000 }, async () => {
  const early = [10];
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 60 }), fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 1e6 }), async (promptTokens, hops, seed) => {
      const voice = voiceOf(promptTokens, seed);
      const speechTokens = tokensOf(hops.reduce((sum, hop) => sum + hop, 0), seed + 1);
      const made = await inHops(exact, voice, speechTokens, hops, early);
      expect(made).toEqual(await inHops(exact, voice, speechTokens, [speechTokens.length], early));
      const end = promptTokens + 10;
      // shorter than six tokens towards the model's own borders it is not worth a run; shorter than its look-ahead it cannot be one
      const isUsed = speechTokens.length >= 10 + 3 && end % 25 >= 6 && end % 25 <= 19 && end - Math.max(0, Math.floor((promptTokens - 3) / 25) * 25) >= 6;
      expect(distance(made, await plain(voice, speechTokens, isUsed ? [end] : 'blocks'))).toBeLessThan(ROUNDING);
    }),
    { numRuns: 8 },
  );
});

test('two early blocks behind a prompt of whole blocks: equal one pass with their mask', async () => {
  const [voice, speechTokens] = [voiceOf(53, 31), tokensOf(45, 32)];
  const made = await inHops(exact, voice, speechTokens, [10, 7, 28], [7, 14]);
  expect(distance(made, await plain(voice, speechTokens, [60, 67]))).toBeLessThan(ROUNDING);
  expect(distance(made, await plain(voice, speechTokens, [60]))).toBeGreaterThan(ROUNDING);
});

test('an early block makes its frames come with ten tokens and their look-ahead', async () => {
  const stream = exact.stream(await exact.voiceState(voiceOf(0, 21)), { early: [10] });
  expect(stream.needed).toBe(13);
  stream.add(tokensOf(13, 22), { last: false });
  expect(stream.next?.isEarly).toBe(true);
  expect((await stream.push(new Int32Array(0), { last: false })).length).toBe(20 * exact.config.melBins);
  expect(stream.needed).toBe(15);
  expect((await stream.push(tokensOf(15, 23), { last: false })).length).toBe(30 * exact.config.melBins);
  expect(stream.needed).toBe(25);
});

describe('blocks of several requests in one run', () => {
  test('are those of each request alone, whatever their voices and pasts', async () => {
    await solver.openBatches();
    expect(solver.batches).toEqual([1, 2, 4]);
    const requests = [0, 30, 60, 12].map((promptTokens, index) => ({ voice: voiceOf(promptTokens, 40 + index), speechTokens: tokensOf(150, 50 + index), before: 25 * index }));
    const blocks = await Promise.all(requests.map((request) => jobOf(request)));
    for (const size of [2, 4]) {
      const alone = await Promise.all(blocks.slice(0, size).map((job) => solver.run(fresh(job))));
      const together = await solver.runEach(blocks.slice(0, size).map(fresh));
      for (const [index, result] of together.entries()) {
        if (result.status === 'rejected') throw result.reason;
        expect(distance(result.value.mel, alone[index]?.mel ?? new Float32Array(0))).toBeLessThan(ROUNDING);
        expect(distance(floats(result.value.next.tails), floats(alone[index]?.next.tails))).toBeLessThan(ROUNDING);
      }
    }
  });

  test('numbers that are none fail their request alone', async () => {
    await solver.openBatches();
    const jobs = await Promise.all([60, 61, 62, 63].map((seed) => jobOf({ voice: voiceOf(0, seed), speechTokens: tokensOf(40, seed), before: 0 })));
    const alone = await Promise.all(jobs.map((job) => solver.run(fresh(job))));
    const broken = jobs.map((job, index) => fresh(index === 2 ? { ...job, run: { ...job.run, embedding: job.run.embedding.map(() => Number.NaN) } } : job));
    const results = await solver.runEach(broken);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(results[2]).toMatchObject({ reason: { code: 'generation_failed' } });
    for (const [index, result] of results.entries()) if (result.status === 'fulfilled') expect(result.value.mel).toEqual(alone[index]?.mel);
  });

  /** A block of 25 tokens behind `before` tokens. */
  async function jobOf({ voice, speechTokens, before }: { readonly voice: FlowVoice; readonly speechTokens: Int32Array; readonly before: number }): Promise<Job> {
    let state = solver.empty(STEPS);
    for (let at = 0; at < before; at += 25) {
      const page = solver.pool.take(50, STEPS);
      const solved = await solver.run({ ...blockOf(voice, speechTokens, at), state, page });
      state = { ...solved.next, pages: [...state.pages, page], pinned: 0 };
    }
    return { ...blockOf(voice, speechTokens, before), state, page: solver.pool.take(50, STEPS) };
  }

  function blockOf({ embedding }: FlowVoice, tokens: Int32Array, at: number): Omit<Job, 'state'> {
    return { run: { tokens: tokens.slice(at, at + 25), ahead: tokens.slice(at + 25, at + 28), condition: new Float32Array(50 * exact.config.melBins), embedding }, encoderTokens: 1000 };
  }

  function fresh(job: Job): Job {
    return { ...job, page: solver.pool.take(50, STEPS) };
  }
});

test('prompt mel beyond the prompt tokens does not reach the speech', async () => {
  const voice = voiceOf(30, 23);
  const speechTokens = tokensOf(30, 24);
  const mel = joined([voice.prompt?.mel ?? new Float32Array(0), new Float32Array(5 * exact.config.melBins).fill(3)]);
  const longer = { ...voice, prompt: { speechTokens: voice.prompt?.speechTokens ?? new Int32Array(0), mel } };
  expect(await exact.offline({ ...longer, speechTokens })).toEqual(await exact.offline({ ...voice, speechTokens }));
});

test('no tokens make no frames', async () => {
  const voice = voiceOf(30, 16);
  expect((await exact.offline({ ...voice, speechTokens: new Int32Array(0) })).length).toBe(0);
  expect((await exact.stream(await exact.voiceState(voice)).push(new Int32Array(0), { last: true })).length).toBe(0);
});

test('an utterance beyond 300 s is refused', async () => {
  await expect(exact.offline({ ...voiceOf(0, 17), speechTokens: tokensOf(7501, 18) })).rejects.toMatchObject({ code: 'input_too_long' });
});

test('numbers that are none fail the request and not the next one', async () => {
  const speechTokens = tokensOf(10, 19);
  const broken = { ...voiceOf(0, 20), embedding: new Float32Array(exact.config.speakerDim).fill(Number.NaN) };
  await expect(exact.offline({ ...broken, speechTokens })).rejects.toMatchObject({ code: 'generation_failed' });
  expect((await exact.offline({ ...voiceOf(0, 20), speechTokens })).every(Number.isFinite)).toBe(true);
});

/** The same mel from the encoder and one masked estimator call per step. */
async function plain({ prompt, embedding }: FlowVoice, speechTokens: Int32Array, mode: 'offline' | 'blocks' | readonly number[], config = exact.config): Promise<Float32Array> {
  if (speechTokens.length === 0) return new Float32Array(0);
  const tokens = Int32Array.from([...(prompt?.speechTokens ?? []), ...speechTokens]);
  const frames = tokens.length * config.tokenMelRatio;
  const chunk = mode === 'offline' ? tokens.length : config.encoder.chunkTokens;
  const grid = Array.from({ length: Math.ceil(tokens.length / chunk) }, (_, index) => Math.min((index + 1) * chunk, tokens.length));
  const ends = typeof mode === 'string' ? grid : [...new Set([...grid, ...mode])].toSorted((a, b) => a - b);
  const means: Float32Array[] = [];
  let state = solver.empty(STEPS);
  for (const [index, end] of ends.entries()) {
    const { mu, encoder } = await solver.encode({ tokens: tokens.slice(ends[index - 1] ?? 0, end), ahead: tokens.slice(end, end + config.preLookaheadTokens) }, state, tokens.length);
    means.push(floats(mu));
    state = { ...state, encoder };
  }
  const condition = new Float32Array(frames * config.melBins);
  if (prompt) condition.set(prompt.mel);
  const projected = floats((await speaker.run({ embedding: { type: 'float32', dims: [1, embedding.length], data: embedding } }))['speaker']);
  const { mel } = await eulerLoop(estimator, {
    mu: joined(means),
    condition,
    noise: new FixedNoise(config.melBins).frames(0, frames),
    speaker: projected,
    frames,
    schedule: cosineSchedule(STEPS),
    guidance: config.inferenceCfgRate,
    blockFrames: mode === 'offline' ? undefined : mode === 'blocks' ? config.estimator.chunkFrames : ends.map((end) => end * config.tokenMelRatio),
  });
  return mel.subarray((prompt?.speechTokens.length ?? 0) * config.tokenMelRatio * config.melBins);
}

async function inHops(flow: Flow, voice: FlowVoice, speechTokens: Int32Array, hops: readonly number[], early: readonly number[] = []): Promise<Float32Array> {
  const stream = flow.stream(await flow.voiceState(voice), { early });
  const parts: Float32Array[] = [];
  let at = 0;
  for (const [index, hop] of hops.entries()) {
    parts.push(await stream.push(speechTokens.slice(at, at + hop), { last: index === hops.length - 1 }));
    at += hop;
  }
  return joined(parts);
}

function voiceOf(promptTokens: number, seed: number): FlowVoice {
  const random = uniform(seed);
  const embedding = Float32Array.from({ length: exact.config.speakerDim }, () => random() - 0.5);
  const mel = Float32Array.from({ length: promptTokens * 2 * exact.config.melBins }, () => 4 * (random() - 0.5));
  return { embedding, steps: STEPS, prompt: promptTokens === 0 ? undefined : { speechTokens: tokensOf(promptTokens, seed + 77), mel } };
}

function tokensOf(count: number, seed: number): Int32Array {
  const random = uniform(seed);
  return Int32Array.from({ length: count }, () => Math.floor(random() * exact.config.vocabSize));
}

function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

function rms(a: Float32Array, b: Float32Array): number {
  return a.length === b.length ? Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length) : Infinity;
}

/** Largest absolute difference; infinite when the lengths differ. */
function distance(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}
