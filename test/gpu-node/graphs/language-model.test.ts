import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { languageModel } from '../../../gpu-node/graphs/language-model.ts';
import type { ParityContext } from '../../../gpu-node/parity/case.ts';
import { runners } from '../../../gpu-node/parity/lm.ts';
import { openCases, runCase } from '../../../gpu-node/parity/run.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
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
