import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { features } from '../../../gpu-node/graphs/features.ts';
import type { ParityContext } from '../../../gpu-node/parity/case.ts';
import { runners } from '../../../gpu-node/parity/frontend.ts';
import { openCases, runCase } from '../../../gpu-node/parity/run.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { goldenDirectory } from '../../golden/index.ts';

const directory = mkdtempSync(join(tmpdir(), 'features-'));
let checkpoint: Checkpoint;
let context: ParityContext;

beforeAll(async () => {
  checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: directory });
  features.write(checkpoint, directory, 'fp32');
  context = {
    checkpoint,
    casesDirectory: join(goldenDirectory, 'cases'),
    readCase: openCases(goldenDirectory).read,
    open: graphOpener({ device: 'cpu', threads: 1 }),
    graphs: async () => directory,
  };
});

afterAll(() => {
  checkpoint.close();
  rmSync(directory, { recursive: true });
});

test.each(['frontend_resample', 'frontend_mel24k', 'frontend_whisper_mel', 'frontend_fbank', 'frontend_prompt'])('%s equals the official front end', async (id) => {
  const report = await runCase(id, runners, context);
  expect(report).toMatchObject({ status: 'passed' });
});
