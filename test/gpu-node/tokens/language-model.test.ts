import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { LanguageModelConfig } from '../../../gpu-node/checkpoint/types.ts';
import { languageModel } from '../../../gpu-node/graphs/language-model.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import type { OpenGraph } from '../../../gpu-node/runtime/session.ts';
import { LanguageModel, generate } from '../../../gpu-node/tokens/index.ts';
import type { LanguageModelLimits, TokenEvent, TokenRequest } from '../../../gpu-node/tokens/index.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { around } from './around.ts';

const cpu = graphOpener({ device: 'cpu', threads: 1 });
let folder: string;
let config: LanguageModelConfig;
let model: LanguageModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tokens-'));
  const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: folder });
  languageModel.write(checkpoint, folder, 'fp32');
  config = checkpoint.config.llm;
  checkpoint.close();
});
afterEach(() => model.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function open(limits: Partial<LanguageModelLimits> = {}, opener: OpenGraph = cpu): Promise<LanguageModel> {
  model = await LanguageModel.open({ open: opener, directory: folder, config, precision: 'fp32', limits });
  return model;
}

function ids(...values: number[]): Int32Array {
  return Int32Array.from(values);
}

/** Prompts and texts of different lengths; the random weights seldom draw an end, so lengths are limited. */
function request(seed: number, changes: Partial<TokenRequest> = {}): TokenRequest {
  const count = 3 + (seed % 5);
  return {
    promptText: Int32Array.from({ length: seed % 7 }, (_, i) => 100 + i * seed),
    promptSpeech: Int32Array.from({ length: (seed * 13) % 40 }, (_, i) => (i * 97 + seed) % 6561),
    text: Int32Array.from({ length: count }, (_, i) => 300 + i * 7 + seed),
    seed,
    minTokens: 20,
    maxTokens: 20 + (seed % 3) * 10,
    guards: false,
    ...changes,
  };
}

async function collect(events: AsyncIterable<TokenEvent>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const event of events) if (event.kind === 'token' || event.kind === 'fill') tokens.push(event.token);
  return tokens;
}

async function alone(wanted: TokenRequest): Promise<number[]> {
  const single = await LanguageModel.open({ open: cpu, directory: folder, config, precision: 'fp32' });
  try {
    return await collect(generate(single, wanted));
  } finally {
    await single.close();
  }
}

describe('rows of one batch', () => {
  it('get the tokens they get alone, while others join and leave between steps', async () => {
    await open({ pieceRows: 8 });
    const requests = [1, 2, 3, 4, 5, 6, 7].map((seed) => request(seed));
    const tokens = new Map<number, number[]>();
    const seeds = new Map<number, number>();
    let joined = 0;
    for (let step = 0; joined < requests.length || model.rows > 0; step += 1) {
      if (step % 4 === 0 && joined < requests.length) {
        seeds.set(model.add(requests[joined]!), requests[joined]!.seed);
        joined += 1;
      }
      for (const event of await model.step()) {
        if (event.kind === 'token') tokens.set(event.row, [...(tokens.get(event.row) ?? []), event.token]);
        if (event.kind === 'error') throw event.error;
      }
    }
    expect(tokens.size).toBe(requests.length);
    for (const [row, seed] of seeds) expect(tokens.get(row)).toEqual(await alone(request(seed)));
  });

  it('are filled from several generators at once', async () => {
    await open();
    const seeds = [11, 12, 13];
    const together = await Promise.all(seeds.map((seed) => collect(generate(model, request(seed)))));
    for (const [index, seed] of seeds.entries()) expect(together[index]).toEqual(await alone(request(seed)));
    expect(model.rows).toBe(0);
  });

  it('leave when cancelled, free their slot before the next step, and do not disturb the row that moves into it', async () => {
    await open({ maxRows: 2 });
    const leaving = model.add(request(21, { maxTokens: 200 }));
    const staying = model.add(request(22));
    const tokens: number[] = [];
    const step = async (): Promise<void> => {
      for (const event of await model.step()) if (event.row === staying && event.kind === 'token') tokens.push(event.token);
    };
    for (let i = 0; i < 8; i += 1) await step();
    expect(() => model.add(request(23))).toThrow(expect.objectContaining({ code: 'overloaded' }));
    const running = step();
    model.cancel(leaving);
    await running;
    expect(model.freeRows).toBe(1);
    const late = model.add(request(24));
    while (model.busy) await step();
    expect(model.rows).toBe(0);
    expect(late).toBeGreaterThan(staying);
    expect(tokens).toEqual(await alone(request(22)));
  });

  it('wait while held, and go on with the same tokens', async () => {
    await open();
    const row = model.add(request(31));
    const tokens: number[] = [];
    let steps = 0;
    while (model.rows > 0) {
      if (steps === 5) {
        model.hold(row, true);
        expect(model.busy).toBe(false);
        expect(await model.step()).toEqual([]);
        model.hold(row, false);
      }
      for (const event of await model.step()) if (event.kind === 'token') tokens.push(event.token);
      steps += 1;
    }
    expect(tokens).toEqual(await alone(request(31)));
  });

  it('fail alone when their logits are not numbers', async () => {
    let runs = 0;
    await open({}, around(cpu, async (_, inner, feeds, fetches) => {
      const results = await inner(feeds, fetches);
      runs += 1;
      const logits = results['logits']!.data as Float32Array;
      if (runs === 6) logits.fill(NaN, 0, config.speechVocabSize);
      return results;
    }));
    const first = model.add(request(41));
    const second = model.add(request(42));
    const ends: TokenEvent[] = [];
    const tokens: number[] = [];
    while (model.rows > 0) {
      for (const event of await model.step()) {
        if (event.kind === 'token' && event.row === second) tokens.push(event.token);
        if (event.kind === 'end' || event.kind === 'error') ends.push(event);
      }
    }
    expect(ends).toEqual([
      { row: first, kind: 'error', error: expect.objectContaining({ code: 'generation_failed' }) },
      { row: second, kind: 'end', reason: 'length' },
    ]);
    expect(tokens).toEqual(await alone(request(42)));
  });
});

describe.each(['int8', 'int4'] as const)('weights in %s', (precision) => {
  it('keep batches and resumed runs as they are alone', async () => {
    const directory = join(folder, precision);
    mkdirSync(directory);
    const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: folder });
    languageModel.write(checkpoint, directory, precision);
    checkpoint.close();
    model = await LanguageModel.open({ open: cpu, directory, config, precision });
    const seeds = [51, 52, 53, 54];
    const single: number[][] = [];
    for (const seed of seeds) single.push(await collect(generate(model, request(seed))));
    expect(await Promise.all(seeds.map((seed) => collect(generate(model, request(seed)))))).toEqual(single);
    for (const [index, seed] of seeds.entries()) {
      const previousTokens = ids(...single[index]!.slice(0, 9));
      expect(await collect(generate(model, request(seed, { previousTokens })))).toEqual(single[index]!.slice(9));
    }
  });
});

describe('one request', () => {
  it('gives the same tokens for the same seed and others for another', async () => {
    await open();
    const tokens = await collect(generate(model, request(1)));
    expect(await collect(generate(model, request(1)))).toEqual(tokens);
    expect(await collect(generate(model, { ...request(1), seed: 2 }))).not.toEqual(tokens);
  });

  it('resumes behind its previous tokens as if it had not stopped', async () => {
    await open();
    const whole = await collect(generate(model, request(2)));
    for (const count of [1, 7, whole.length - 1, whole.length]) {
      const previousTokens = ids(...whole.slice(0, count));
      expect(await collect(generate(model, request(2, { previousTokens })))).toEqual(whole.slice(count));
      expect(await collect(generate(model, request(2, { previousTokens, replay: 'fast' })))).toEqual(whole.slice(count));
    }
  });

  it('has its prompt fed in pieces of any size', async () => {
    const whole = await alone(request(3));
    for (const alonePieceRows of [4, 5, 16]) {
      await open({ alonePieceRows });
      expect(await collect(generate(model, request(3)))).toEqual(whole);
      await model.close();
    }
    await open();
  });

  it('keeps its tokens while the cache grows', async () => {
    await open();
    const wanted = request(4, { promptSpeech: Int32Array.from({ length: 1000 }, (_, i) => (i * 31) % 6561), minTokens: 60, maxTokens: 60 });
    const before: number[] = [];
    const tokens: number[] = [];
    for await (const event of generate(model, wanted)) {
      if (event.kind === 'token') tokens.push(event.token);
      before.push(model.cacheBytes);
    }
    expect(new Set(before).size).toBe(2);
    // This run starts in the large cache.
    expect(await collect(generate(model, wanted))).toEqual(tokens);
  });

  it('takes its text as it arrives, and resumes with the fills it reported', async () => {
    await open();
    async function* pieces(): AsyncGenerator<Int32Array> {
      for (const id of [300, 301, 302, 303, 304, 305, 306]) yield ids(id);
    }
    const wanted = request(5, { text: ids(), minTokens: 30, maxTokens: 40 });
    const whole = await collect(generate(model, wanted, { pieces: pieces() }));
    expect(whole).toContain(config.speechTokenSize + 2);
    for (const replay of ['exact', 'fast'] as const) {
      expect(await collect(generate(model, { ...wanted, previousTokens: ids(...whole.slice(0, 25)), replay }, { pieces: pieces() }))).toEqual(whole.slice(25));
    }
  });

  it('passes on the failure of its text source and frees the row', async () => {
    await open();
    async function* broken(): AsyncGenerator<Int32Array> {
      yield ids(300);
      throw new Error('text source broke');
    }
    await expect(collect(generate(model, request(6, { text: ids() }), { pieces: broken() }))).rejects.toThrow('text source broke');
    expect(model.rows).toBe(0);
  });

  it('ends at once when aborted, also while it waits for text', async () => {
    await open();
    const controller = new AbortController();
    async function* silent(): AsyncGenerator<Int32Array> {
      yield ids(300);
      await new Promise<void>((resolve) => controller.signal.addEventListener('abort', () => resolve()));
    }
    const tokens = collect(generate(model, request(7, { text: ids(), promptSpeech: ids() }), { pieces: silent(), signal: controller.signal }));
    await model.step();
    await model.step();
    controller.abort(new Error('listener left'));
    await expect(tokens).rejects.toThrow('listener left');
    expect(model.rows).toBe(0);
  });

  it('ends with the reason of a guard', async () => {
    await open();
    const events: TokenEvent[] = [];
    for await (const event of generate(model, request(8, { minTokens: 100, maxTokens: 100, guards: { window: 10, minDistinct: 1000 } }))) events.push(event);
    expect(events).toHaveLength(11);
    expect(events.at(-1)).toMatchObject({ kind: 'end', reason: 'loop' });
  });

  it('is stopped by the guards as they are when its decoding gets stuck, long before its limit', async () => {
    await open();
    let stopped = 0;
    // without chance and second draws some of them get stuck
    for (let seed = 0; seed < 8; seed++) {
      const tokens: number[] = [];
      let reason = '';
      for await (const event of generate(model, request(seed, { minTokens: 600, maxTokens: 600, guards: {}, sampling: { topK: 1, tauR: 100 } }))) {
        if (event.kind === 'token') tokens.push(event.token);
        if (event.kind === 'end') reason = event.reason;
      }
      const last = tokens.length - 40;
      const repeats = Array.from({ length: 100 }, (_, i) => i + 1).some((period) => tokens.slice(last).every((token, i) => token === tokens[last + i - period]));
      // stuck and stopped, or neither
      expect([seed, reason]).toEqual([seed, repeats ? expect.stringMatching(/^(loop|silence)$/) : 'length']);
      if (repeats) {
        stopped += 1;
        expect(tokens.length).toBeLessThan(600);
      }
    }
    expect(stopped).toBeGreaterThan(0);
  });

  it('ends when the cache has no more positions, and is refused when its prompt alone needs them', async () => {
    await open({ maxPositions: 64 });
    const wanted = request(9, { promptText: ids(), promptSpeech: ids(), minTokens: 500, maxTokens: 500 });
    const events: TokenEvent[] = [];
    for await (const event of generate(model, wanted)) events.push(event);
    expect(events.at(-1)).toMatchObject({ kind: 'end', reason: 'positions' });
    expect(events.length - 1).toBe(64 - wanted.text.length - 2 + 1);
    expect(() => model.add({ ...wanted, promptSpeech: new Int32Array(60) })).toThrow(expect.objectContaining({ code: 'input_too_long' }));
  });

  it('is refused when it is empty, or has ids or a seed that cannot be', async () => {
    await open();
    for (const [changes, code] of [
      [{ text: ids(), minTokens: undefined, maxTokens: undefined }, 'input_empty'],
      [{ text: ids(config.textVocabSize) }, 'invalid_value'],
      [{ text: ids(-1) }, 'invalid_value'],
      [{ promptSpeech: ids(6561) }, 'invalid_value'],
      [{ seed: 0.5 }, 'invalid_value'],
      [{ seed: -1 }, 'invalid_value'],
      [{ maxTokens: -5 }, 'invalid_value'],
    ] as const) {
      expect(() => model.add({ ...request(1), ...changes } as TokenRequest)).toThrow(expect.objectContaining({ code }));
    }
    expect(model.rows).toBe(0);
  });
});
