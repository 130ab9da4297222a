import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { flow } from '../../../gpu-node/graphs/flow.ts';
import { runners } from '../../../gpu-node/parity/flow.ts';
import { openCases, runCase } from '../../../gpu-node/parity/run.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { goldenDirectory } from '../../golden/index.ts';
import type { ParityContext } from '../../../gpu-node/parity/case.ts';

const folder = mkdtempSync(join(tmpdir(), 'cosyvoice-flow-'));
let context: ParityContext;

beforeAll(async () => {
  const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: folder });
  flow.write(checkpoint, folder, 'fp32');
  context = { checkpoint, casesDirectory: join(goldenDirectory, 'cases'), readCase: openCases(goldenDirectory).read, open: graphOpener({ device: 'cpu', threads: 1 }), graphs: async () => folder };
});

afterAll(() => {
  context.checkpoint.close();
  rmSync(folder, { recursive: true });
});

test.each(Object.keys(runners))('%s equals the official modules within its tolerance', async (id) => {
  const report = await runCase(id, runners, context);
  const failures = report.outputs.filter(({ passed }) => !passed).map(({ name, maxDifference, rmsDifference, tolerance, note }) => ({ name, maxDifference, rmsDifference, tolerance, note }));
  expect({ error: report.error, failures }).toEqual({ error: undefined, failures: [] });
});
