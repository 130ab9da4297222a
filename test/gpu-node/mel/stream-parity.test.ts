import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { flow } from '../../../gpu-node/graphs/flow.ts';
import { vocoder } from '../../../gpu-node/graphs/vocoder.ts';
import { runners } from '../../../gpu-node/parity/stream.ts';
import { openCases, runCase } from '../../../gpu-node/parity/run.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { goldenDirectory } from '../../golden/index.ts';
import type { ParityContext } from '../../../gpu-node/parity/case.ts';

const folder = mkdtempSync(join(tmpdir(), 'cosyvoice-stream-'));
let context: ParityContext;

beforeAll(async () => {
  const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: folder });
  flow.write(checkpoint, folder, 'fp32');
  vocoder.write(checkpoint, folder, 'fp32');
  context = { checkpoint, casesDirectory: join(goldenDirectory, 'cases'), readCase: openCases(goldenDirectory).read, open: graphOpener({ device: 'cpu', threads: 1 }), graphs: async () => folder };
});

afterAll(() => {
  context.checkpoint.close();
  rmSync(folder, { recursive: true });
});

const recorded = new Set(openCases(goldenDirectory).ids);

test.each(Object.keys(runners).filter((id) => recorded.has(id)))('%s equals what the official loop gives', async (id) => {
  const report = await runCase(id, runners, context);
  const failures = report.outputs.filter(({ passed }) => !passed);
  expect({ error: report.error, failures }).toEqual({ error: undefined, failures: [] });
});
