import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { LanguageModelConfig } from '../../../gpu-node/checkpoint/types.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { openEngine } from '../../../gpu-node/engine.ts';
import { embeddingRows, languageModel } from '../../../gpu-node/graphs/language-model.ts';
import type { Precision } from '../../../gpu-node/graphs/network.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import type { OpenGraph, Tensor } from '../../../gpu-node/runtime/session.ts';
import { AttentionRecord, allHeads } from '../../../gpu-node/tokens/attention.ts';
import { DecodingLoop, DrawnIds } from '../../../gpu-node/tokens/loop.ts';
import { LanguageModel, generate, repetitionAwareSampler, wholeTextScript } from '../../../gpu-node/tokens/index.ts';
import type { LanguageModelLimits, TokenEvent, TokenRequest } from '../../../gpu-node/tokens/index.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { around } from './around.ts';

const cpu = graphOpener({ device: 'cpu', threads: 1 });
const STEPS = 8;
/** Some roundings of a float16 of size 1, 2⁻¹¹. */
const HALF_STEP = 4e-3;
const MODELS = { golden: join(goldenDirectory, 'checkpoint'), bundled: BUNDLED_MODEL } as const;
type Model = keyof typeof MODELS;

let folder: string;
const configs = new Map<Model, LanguageModelConfig>();
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'loop-'));
  for (const [name, directory] of Object.entries(MODELS) as [Model, string][]) {
    const checkpoint = await openCheckpoint(directory, { cacheDirectory: folder });
    configs.set(name, checkpoint.config.llm);
    for (const precision of PRECISIONS) {
      mkdirSync(join(folder, name, precision), { recursive: true });
      languageModel.write(checkpoint, join(folder, name, precision), precision);
    }
    checkpoint.close();
  }
});
const PRECISIONS = ['fp32', 'fp16', 'int8'] as const;
const opened: LanguageModel[] = [];
afterEach(async () => {
  for (const model of opened.splice(0)) await model.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function open(name: Model, limits: Partial<LanguageModelLimits>, { precision = 'fp32', opener = cpu }: { readonly precision?: Precision; readonly opener?: OpenGraph } = {}): Promise<LanguageModel> {
  const model = await LanguageModel.open({ open: opener, directory: join(folder, name, precision), config: configs.get(name)!, precision, limits });
  opened.push(model);
  return model;
}

/** Prompts and texts of different lengths, minimum lengths above and below the maximum. */
function request(name: Model, seed: number, changes: Partial<TokenRequest> = {}): TokenRequest {
  const { textVocabSize, speechTokenSize } = configs.get(name)!;
  return {
    promptText: Int32Array.from({ length: seed % 4 }, (_, i) => (10 + i * seed) % textVocabSize),
    promptSpeech: Int32Array.from({ length: (seed * 13) % 30 }, (_, i) => (i * 97 + seed) % speechTokenSize),
    text: Int32Array.from({ length: 4 + (seed % 5) }, (_, i) => (30 + i * 7 + seed) % textVocabSize),
    seed,
    minTokens: seed % 2 === 0 ? 5 : 25,
    maxTokens: 30 + (seed % 3) * 10,
    guards: false,
    ...changes,
  };
}

/** Tokens, fills and the reason of the end. */
async function spoken(model: LanguageModel, wanted: TokenRequest): Promise<readonly (number | string)[]> {
  const found: (number | string)[] = [];
  for await (const event of generate(model, wanted)) {
    if (event.kind === 'end') found.push(event.reason);
    else if (event.kind !== 'error') found.push(event.token);
  }
  return found;
}

describe.each([
  ['golden', 'fp32'],
  ['golden', 'int8'],
  ['bundled', 'fp32'],
  ['bundled', 'int8'],
] as const)('several steps in one run: the %s model in %s', (name, precision) => {
  it('speaks the tokens of one step per run, alone and by fours', async () => {
    const plain = await open(name, {}, { precision });
    const looped = await open(name, { stepsPerRun: STEPS }, { precision });
    const seeds = [1, 2, 3, 4];
    const expected: (readonly (number | string)[])[] = [];
    for (const seed of seeds) expected.push(await spoken(plain, request(name, seed)));
    for (const [index, seed] of seeds.entries()) expect(await spoken(looped, request(name, seed))).toEqual(expected[index]);
    expect(await Promise.all(seeds.map((seed) => spoken(looped, request(name, seed))))).toEqual(expected);
    expect(looped.rows).toBe(0);
  });
});

describe('several steps in one run', () => {
  it('in half precision compute the same keys and values up to rounding, the same tokens fed', async () => {
    const { layers, kvHeads, headDim } = configs.get('golden')!;
    const directory = join(folder, 'golden', 'fp16');
    const [capacity, fed] = [32, 5];
    const fill = (part: number): Float16Array => Float16Array.from({ length: kvHeads * capacity * headDim }, (_, i) => Math.sin(i * (part + 1.7)));
    const parts = Array.from({ length: layers * 2 }, (_, i) => ({ name: `${i >> 1}.${i % 2 === 0 ? 'key' : 'value'}`, data: fill(i) }));
    const tensors = (prefix: string): Record<string, Tensor> => Object.fromEntries(parts.map(({ name, data }) => [`${prefix}.${name}`, { type: 'float16', dims: [1, kvHeads, capacity, headDim], data }]));
    const rows = embeddingRows(configs.get('golden')!);
    const forced = Array.from({ length: STEPS }, (_, i) => (i * 577 + 3) % 6561);
    const loop = await DecodingLoop.open({ open: cpu, directory, config: configs.get('golden')! });
    const run = await loop.run([{ id: rows.speech + 9, fed, seed: 1, foresight: { steps: STEPS, masked: [0, 0, 0], forced, history: [] } }], { steps: STEPS, total: fed + STEPS + 1, past: tensors('past'), layers: [] });
    const session = await cpu(join(directory, 'llm.onnx'));
    for (const [step, id] of [9, ...forced.slice(0, -1)].entries()) {
      const lengths = { seqlens_k: { type: 'int32', dims: [1], data: Int32Array.of(fed + step) }, total_length: { type: 'int32', dims: [], data: Int32Array.of(fed + step + 1) } } as const;
      await session.run({ ...tensors('past'), ...lengths, positions: { type: 'int64', dims: [1, 1], data: BigInt64Array.of(BigInt(fed + step)) }, ids: { type: 'int64', dims: [1, 1], data: BigInt64Array.of(BigInt(rows.speech + id)) } }, { logits: null, ...tensors('present') });
    }
    for (const { name, data } of parts) {
      for (let head = 0; head < kvHeads; head += 1) {
        const own = run.values(name).subarray(head * STEPS * headDim, (head + 1) * STEPS * headDim);
        const plain = data.subarray((head * capacity + fed) * headDim, (head * capacity + fed + STEPS) * headDim);
        for (const [i, value] of own.entries()) expect(Math.abs(value - plain[i]!)).toBeLessThan(HALF_STEP * Math.max(1, Math.abs(plain[i]!)));
      }
    }
    await loop.release();
    await session.release();
  });

  it('serve rows that join and leave between runs', async () => {
    const plain = await open('golden', {});
    const looped = await open('golden', { stepsPerRun: STEPS });
    const requests = [1, 2, 3, 4, 5, 6, 7].map((seed) => request('golden', seed));
    const tokens = new Map<number, (number | string)[]>();
    const rows: number[] = [];
    for (let step = 0; rows.length < requests.length || looped.rows > 0; step += 1) {
      if (step % 2 === 0 && rows.length < requests.length) {
        rows.push(looped.add(requests[rows.length]!));
        tokens.set(rows.at(-1)!, []);
      }
      for (const event of await looped.step()) {
        if (event.kind === 'error') throw event.error;
        tokens.get(event.row)!.push(event.kind === 'end' ? event.reason : event.token);
      }
    }
    for (const [index, row] of rows.entries()) expect(tokens.get(row)).toEqual(await spoken(plain, requests[index]!));
  });

  it('make fewer runs, and carry only new keys and values out', async () => {
    const fetched: { readonly file: string; readonly count: number; readonly values: number }[] = [];
    const counting = around(cpu, async (file, inner, feeds, fetches) => {
      const results = await inner(feeds, fetches);
      fetched.push({ file, count: Object.keys(results).length, values: Object.values(results).reduce((sum, { data }) => sum + data.length, 0) });
      return results;
    });
    const looped = await open('golden', { stepsPerRun: STEPS }, { opener: counting });
    const { layers, kvHeads, headDim } = configs.get('golden')!;
    const tokens = await spoken(looped, request('golden', 1, { minTokens: 40, maxTokens: 40 }));
    expect(tokens).toHaveLength(41);
    const runs = fetched.filter(({ file }) => file.endsWith('llm-loop.onnx'));
    // the prompt's own run draws the first token
    expect(runs).toHaveLength(Math.ceil(39 / STEPS));
    expect(runs[0]!.values).toBe(STEPS + layers * 2 * kvHeads * STEPS * headDim);
    expect(fetched).toHaveLength(runs.length + 1);
  });

  it('hold the order of text in pieces: fills, waiting for text, and a push while a run is under way', async () => {
    const { mixRatio, textVocabSize, speechTokenSize } = configs.get('golden')!;
    const text = Int32Array.from({ length: mixRatio[0] * 3 + 2 }, (_, i) => (40 + i * 11) % textVocabSize);
    const speak = async (model: LanguageModel, seed: number): Promise<(number | string)[]> => {
      const found: (number | string)[] = [];
      const row = model.add(request('golden', seed, { pieces: true, text: new Int32Array(0) }), (event) => found.push(event.kind === 'end' ? event.reason : event.kind === 'error' ? event.error.code : event.token));
      for (let at = 0; at < text.length; at += 4) {
        model.push(row, text.subarray(at, at + 4));
        const running = model.step();
        if (at === 8) model.push(row, new Int32Array(0));
        await running;
        while (model.busy) await model.step();
      }
      model.endText(row);
      while (model.rows > 0) await model.step();
      return found;
    };
    for (const seed of [1, 2, 9]) {
      const expected = await speak(await open('golden', {}), seed);
      expect(expected.filter((token) => token === speechTokenSize + 2).length).toBeGreaterThanOrEqual(2);
      expect(await speak(await open('golden', { stepsPerRun: STEPS }), seed)).toEqual(expected);
    }
  });

  it('resume exactly behind previous tokens', async () => {
    const looped = await open('golden', { stepsPerRun: STEPS });
    const whole = (await spoken(looped, request('golden', 2))) as (number | string)[];
    for (const count of [1, 7, 8, 9, whole.length - 1]) {
      const previousTokens = Int32Array.from(whole.slice(0, count).filter((token) => typeof token === 'number'));
      expect(await spoken(looped, request('golden', 2, { previousTokens }))).toEqual(whole.slice(count));
    }
  });

  it('are watched token by token: a guard ends the row inside a run', async () => {
    const guards = { maxRun: 1000, window: 12, minDistinct: 13 };
    const expected = await spoken(await open('golden', {}), request('golden', 1, { guards }));
    expect(expected).toHaveLength(13);
    expect(expected.at(-1)).toBe('loop');
    expect(await spoken(await open('golden', { stepsPerRun: STEPS }), request('golden', 1, { guards }))).toEqual(expected);
  });

  it('keep the cache whole while it grows, and end at the last position', async () => {
    const long = request('golden', 3, { promptSpeech: Int32Array.from({ length: 240 }, (_, i) => (i * 31) % 6561), minTokens: 60, maxTokens: 60 });
    expect(await spoken(await open('golden', { stepsPerRun: STEPS }), long)).toEqual(await spoken(await open('golden', {}), long));
    const short = { maxPositions: 280 };
    const expected = await spoken(await open('golden', short), long);
    expect(expected.at(-1)).toBe('positions');
    expect(await spoken(await open('golden', { ...short, stepsPerRun: STEPS }), long)).toEqual(expected);
  });

  it('note the same attention to the text', async () => {
    const config = configs.get('golden')!;
    const noted = async (limits: Partial<LanguageModelLimits>): Promise<readonly Float32Array[]> => {
      const model = await open('golden', limits);
      const record = new AttentionRecord(config, allHeads(config), 0);
      const drawn = new DrawnIds(repetitionAwareSampler(config.sampling, 4), 4);
      model.addScript(wholeTextScript({ config, sampler: drawn.sampler, previous: [], maxTokens: 20, promptText: [], promptSpeech: [], text: [30, 31, 32] }), { record, drawn });
      while (model.rows > 0) await model.step();
      return record.steps;
    };
    const expected = await noted({});
    expect(expected.length).toBeGreaterThan(10);
    expect(await noted({ stepsPerRun: STEPS })).toEqual(expected);
  });

  it('draw by another sampling than the checkpoint’s, one step per run', async () => {
    const wanted = request('golden', 5, { sampling: { topK: 3 } });
    expect(await spoken(await open('golden', { stepsPerRun: STEPS }), wanted)).toEqual(await spoken(await open('golden', {}), wanted));
  });

  it('fail alone when a row’s logits are not numbers', async () => {
    const breaking = around(cpu, async (path, inner, feeds, fetches) => {
      const past = feeds['past.0.value'];
      if (path.endsWith('llm-loop.onnx') && past?.dims[0] === 2) (past.data as Float32Array).fill(NaN, 0, 64);
      return inner(feeds, fetches);
    });
    const looped = await open('golden', { stepsPerRun: STEPS }, { opener: breaking });
    const events: TokenEvent[] = [];
    const first = looped.add(request('golden', 1));
    const second = looped.add(request('golden', 2));
    while (looped.rows > 0) events.push(...(await looped.step()));
    expect(events.filter(({ row, kind }) => row === first && kind === 'error')).toEqual([{ row: first, kind: 'error', error: expect.objectContaining({ code: 'generation_failed' }) }]);
    const others = events.flatMap((event) => (event.row === second ? [event.kind === 'token' ? event.token : event.kind === 'end' ? event.reason : event.kind] : []));
    expect(others).toEqual(await spoken(await open('golden', {}), request('golden', 2)));
  });

  it('are a setting of the engine, and make the same samples', async () => {
    const sounds: Float32Array[][] = [];
    for (const stepsPerRun of [1, STEPS]) {
      const engine = await openEngine({ model: BUNDLED_MODEL, cacheDirectory: folder, device: 'cpu', threads: 1, precisions: {}, stepsPerRun });
      const samples: Float32Array[] = [];
      for await (const sound of engine.speak({ text: 'The train was late again.', voice: undefined, seed: 3, speed: 1, streaming: true }, new AbortController().signal).sounds) samples.push(sound.samples);
      await engine.close();
      sounds.push(samples);
    }
    const joined = sounds.map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))));
    expect(joined[0]!.length).toBeGreaterThan(4 * 12_000);
    expect(joined[1]!.equals(joined[0]!)).toBe(true);
  });
});
