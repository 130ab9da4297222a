/** Word times come from the model's own attention: that it can be read, that the heads are found, and that a model without such heads is not believed. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { convertStage } from '../../../gpu-node/graphs/convert.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { openTextFrontEnd } from '../../../gpu-node/text/index.ts';
import { LanguageModel, MIN_FOCUS, align, generate } from '../../../gpu-node/tokens/index.ts';
import type { Alignment, TokenRequest } from '../../../gpu-node/tokens/index.ts';
import { AttentionRecord } from '../../../gpu-node/tokens/attention.ts';
import { goldenDirectory } from '../../golden/index.ts';

const cacheDirectory = process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice');

async function opened<T>(path: string, use: (model: LanguageModel, ids: (text: string) => number[]) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(path, { cacheDirectory });
  const directory = await convertStage({ checkpoint, stage: 'llm', cacheDirectory, precision: 'fp32' });
  const model = await LanguageModel.open({ open: graphOpener({ device: 'cpu', threads: 1 }), directory, config: checkpoint.config.llm, precision: 'fp32' });
  const front = await openTextFrontEnd(checkpoint);
  try {
    return await use(model, (text) => [...front.ids(text)]);
  } finally {
    await model.close();
    checkpoint.close();
  }
}

async function said(model: LanguageModel, text: readonly number[], changes: Partial<TokenRequest> = {}): Promise<{ readonly alignment: Alignment | undefined; readonly tokens: number[] }> {
  const tokens: number[] = [];
  for await (const event of generate(model, { promptText: new Int32Array(), promptSpeech: new Int32Array(), text: Int32Array.from(text), seed: 3, aligned: true, ...changes })) {
    if (event.kind === 'end') return { alignment: event.alignment, tokens };
    if (event.kind === 'token') tokens.push(event.token);
  }
  throw new Error('the row did not end');
}

describe('the path through attention', () => {
  it('goes forward only, passes what has no time, and starts each id where it is first said', () => {
    const at = [0, 0, 1, 1, 3, 3, 3, 4];
    const rows = at.map((t) => Float32Array.from({ length: 5 }, (_, i) => (i === t ? 0.9 : 0.025)));
    const { starts, focus } = align(rows);
    expect(starts).toEqual([0, 2, 4, 4, 7]);
    expect(focus).toBeGreaterThan(0.8);
  });

  it('is not drawn away by one look elsewhere', () => {
    const at = [0, 0, 1, 4, 2, 2, 3, 3, 4];
    const { starts } = align(at.map((t) => Float32Array.from({ length: 5 }, (_, i) => (i === t ? 0.9 : 0.025))));
    expect(starts).toEqual([0, 2, expect.toSatisfy((start: number) => start >= 3 && start <= 4), 6, 8]);
  });

  it('has no focus where attention is even, or rests on one id', () => {
    expect(align(Array.from({ length: 30 }, () => new Float32Array(10).fill(0.1))).focus).toBeLessThan(0.01);
    expect(align(Array.from({ length: 30 }, () => Float32Array.from({ length: 10 }, (_, i) => (i === 0 ? 1 : 0)))).focus).toBeLessThan(0.5);
    expect(align([])).toMatchObject({ starts: [], focus: 0 });
  });

  it('waits for text that is not there yet', () => {
    const rows = [0, 0, 1, 1, 2, 3].map((t, step) => Float32Array.from({ length: step < 3 ? 2 : 4 }, (_, i) => (i === t ? 0.9 : 0.05)));
    expect(align(rows).starts).toEqual([0, 2, 4, 5]);
  });
});

describe('attention made beside the graph', () => {
  it('is that of rotated queries over rotated keys', () => {
    const config = { textVocabSize: 10, heads: 2, kvHeads: 1, headDim: 4, ropeTheta: 100 } as ConstructorParameters<typeof AttentionRecord>[0];
    const record = new AttentionRecord(config, [{ layer: 0, head: 1 }], 1);
    record.fed([1, 2, 3, 20], 5); // the first is the prompt's, the last is no text
    const rotated = (v: readonly [number, number], position: number, frequency: number): [number, number] => [v[0] * Math.cos(position * frequency) - v[1] * Math.sin(position * frequency), v[1] * Math.cos(position * frequency) + v[0] * Math.sin(position * frequency)];
    const keys = new Float32Array(40);
    const key = [0.3, -0.2, 0.5, 0.9] as const;
    for (const position of [6, 7]) {
      const [a, c] = rotated([key[0], key[2]], position, 1);
      const [b, d] = rotated([key[1], key[3]], position, 1 / Math.sqrt(100));
      keys.set([a, b, c, d], position * 4);
    }
    record.note(9, () => [0, 0, 0, 0, 1, 2, 3, 4], () => keys);
    // rotation of query and key leaves only their distance: 3 and 2 positions
    const score = (distance: number): number => {
      const [a, c] = rotated([1, 3], distance, 1);
      const [b, d] = rotated([2, 4], distance, 0.1);
      return (a * key[0] + b * key[1] + c * key[2] + d * key[3]) / 2;
    };
    const [far, near] = [Math.exp(score(3)), Math.exp(score(2))];
    expect(record.steps[0]?.[0]).toBeCloseTo(far / (far + near), 5);
    expect(record.steps[0]?.[1]).toBeCloseTo(near / (far + near), 5);
  });
});

describe('heads that follow the text', () => {
  it('are found by the bundled voice speaking, and change no token', async () => {
    await opened(BUNDLED_MODEL, async (model, ids) => {
      const text = ids('Hello, and welcome to the speech demo.');
      const plain = await said(model, text, { aligned: false });
      for (let i = 0; i < 4; i++) {
        const { alignment, tokens } = await said(model, text);
        expect(tokens).toEqual(plain.tokens);
        expect(alignment?.focus).toBeGreaterThan(0.8);
        expect(alignment?.starts.length).toBe(text.length);
        expect(alignment?.starts).toEqual(alignment?.starts.toSorted((a, b) => a - b));
      }
      // replayed, as on a node that goes on: the same places
      const whole = await said(model, text);
      const rest = await said(model, text, { previousTokens: Int32Array.from(plain.tokens.slice(0, 20)) });
      expect(rest.alignment?.starts).toEqual(whole.alignment?.starts);
    });
  });

  it('are not found in a model of random weights, and then nothing is recorded any more', async () => {
    await opened(join(goldenDirectory, 'checkpoint'), async (model) => {
      for (let seed = 0; seed < 5; seed++) {
        const { alignment } = await said(model, Array.from({ length: 12 }, (_, i) => 300 + ((i * 37 + seed) % 700)), { seed, minTokens: 40, maxTokens: 60, guards: false });
        expect(alignment).toBeUndefined();
      }
    });
    expect(MIN_FOCUS).toBeGreaterThan(0.4);
  });
});
