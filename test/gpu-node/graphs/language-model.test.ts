import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { languageModel } from '../../../gpu-node/graphs/language-model.ts';
import type { Precision } from '../../../gpu-node/graphs/network.ts';
import type { ParityContext } from '../../../gpu-node/parity/case.ts';
import { runners } from '../../../gpu-node/parity/lm.ts';
import { openCases, runCase } from '../../../gpu-node/parity/run.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { LanguageModel, maskedSoftmax, wholeTextScript } from '../../../gpu-node/tokens/index.ts';
import type { Sampler } from '../../../gpu-node/tokens/index.ts';
import { goldenDirectory } from '../../golden/index.ts';

let folder: string;
let checkpoint: Checkpoint;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'language-model-'));
  checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: folder });
  languageModel.write(checkpoint, folder, 'fp32');
});
afterAll(() => {
  checkpoint.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the language model in float32 gives what the official modules give', () => {
  it.each(Object.keys(runners))('case %s', async (id) => {
    const context: ParityContext = {
      checkpoint,
      casesDirectory: join(goldenDirectory, 'cases'),
      readCase: openCases(goldenDirectory).read,
      open: graphOpener({ device: 'cpu', threads: 1 }),
      graphs: async () => folder,
    };
    const report = await runCase(id, runners, context);
    expect(report.outputs.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.error).toBeUndefined();
    expect(report.status).toBe('passed');
  });
});

/** Mean KL divergence from float32 that the README states, with room for other weights. */
const DISTANCE = { int8: 0.01, int4: 0.06, fp16: 0.0001 } as const;

describe('the language model with smaller weights stays near float32', () => {
  it.each(Object.keys(DISTANCE) as (keyof typeof DISTANCE)[])('%s', async (precision) => {
    const directory = join(folder, precision);
    mkdirSync(directory);
    languageModel.write(checkpoint, directory, precision);
    const exact = await distributions(folder, 'fp32');
    const rounded = await distributions(directory, precision);
    const divergences = exact.map((p, step) => p.reduce((sum, value, id) => (value > 1e-12 ? sum + value * Math.log(value / Math.max(rounded[step]![id]!, 1e-12)) : sum), 0));
    expect(divergences.reduce((a, b) => a + b, 0) / divergences.length).toBeLessThan(DISTANCE[precision]);
  });
});

/** Next-token distributions along fixed tokens. */
async function distributions(directory: string, precision: Precision): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  const config = checkpoint.config.llm;
  const model = await LanguageModel.open({ open: graphOpener({ device: 'cpu', threads: 1 }), directory, config, precision });
  for (let run = 0; run < 4; run += 1) {
    const sampler: Sampler = ({ logits, history }) => {
      found.push(maskedSoftmax(logits, []));
      return (history.length * 997 + run * 131) % config.speechTokenSize;
    };
    model.addScript(wholeTextScript({ config, sampler, previous: [], maxTokens: 25, promptText: [], promptSpeech: [], text: [300 + run, 400, 500 + run, 600] }));
    while (model.busy) await model.step();
  }
  await model.close();
  return found;
}
