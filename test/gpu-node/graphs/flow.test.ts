import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { flow } from '../../../gpu-node/graphs/flow.ts';
import { openFlow } from '../../../gpu-node/mel/index.ts';
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

/** Root mean square of the difference to fp32, relative to the mel, offline and in blocks. Random weights are harsh: the bundled voice is at a third. */
const LIMITS = { fp32: 0, int8: 0.05, fp16: 0.002 } as const;

test('smaller weights and caches stay within their stated distance of fp32', async () => {
  const mels = new Map<string, Float32Array>();
  for (const precision of ['fp32', 'int8', 'fp16'] as const) {
    const directory = join(folder, precision);
    mkdirSync(directory);
    flow.write(context.checkpoint, directory, precision);
    const stage = await openFlow({ directory, config: context.checkpoint.config.flow, open: context.open });
    const voice = { embedding: new Float32Array(context.checkpoint.config.speakerDim).fill(0.1) };
    const speechTokens = Int32Array.from({ length: 60 }, (_, i) => (i * 397) % context.checkpoint.config.flow.vocabSize);
    const whole = await stage.offline({ ...voice, speechTokens });
    const blocks = await stage.stream(await stage.voiceState(voice)).push(speechTokens, { last: true });
    await stage.close();
    for (const [way, mel] of [['offline', whole], ['blocks', blocks]] as const) {
      mels.set(`${precision} ${way}`, mel);
      expect(relativeRms(mel, mels.get(`fp32 ${way}`) ?? mel), `${precision} ${way}`).toBeLessThanOrEqual(LIMITS[precision]);
    }
  }
});

test.each([
  ['decoder.estimator.mid_blocks.0.1.0.attn1.to_v.weight', Infinity],
  ['decoder.estimator.mid_blocks.0.0.block1.block.0.bias', NaN],
  ['encoder.encoders.0.self_attn.linear_v.bias', NaN],
  ['encoder.up_encoders.0.feed_forward.w_2.bias', Infinity],
])('a value that is no number inside a network with 8-bit weights fails the request, %s', async (broken, value) => {
  const directory = join(folder, `broken-${broken}`);
  mkdirSync(directory);
  const { flow: store, config } = context.checkpoint;
  const float32 = (name: string): Float32Array => {
    const values = store.float32(name);
    if (name === broken) values[0] = value;
    return values;
  };
  flow.write({ ...context.checkpoint, config, flow: { tensors: store.tensors, bytes: (name) => store.bytes(name), close: () => {}, float32 } }, directory, 'int8');
  const stage = await openFlow({ directory, config: config.flow, open: context.open });
  const request = { embedding: new Float32Array(config.speakerDim).fill(0.1), steps: 2, speechTokens: Int32Array.from({ length: 30 }, (_, i) => i) };
  await expect(stage.offline(request)).rejects.toMatchObject({ code: 'generation_failed' });
  await stage.close();
});

function relativeRms(actual: Float32Array, expected: Float32Array): number {
  const squares = expected.reduce((sum, value, i) => sum + (value - (actual[i] ?? Number.NaN)) ** 2, 0);
  return Math.sqrt(squares / expected.reduce((sum, value) => sum + value * value, 0));
}
