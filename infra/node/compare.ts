/**
 * What a device computes beside what is known: every stage against the recorded outputs of the official modules, and the
 * language model with several steps in one run against one step per run.
 *
 *   node infra/node/compare.ts <cpu|cuda|tensorrt> [--quick]
 *
 * Exit code 1 when a case is outside its tolerance or a stage fails. On a GPU, set NVIDIA_TF32_OVERRIDE=0: the tolerances are those of float32.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../gpu-node/checkpoint/index.ts';
import { BUNDLED_MODEL } from '../../gpu-node/cli/options.ts';
import { table } from '../../gpu-node/cli/terminal.ts';
import { convertStage } from '../../gpu-node/graphs/convert.ts';
import type { Precision } from '../../gpu-node/graphs/network.ts';
import { runners } from '../../gpu-node/parity/index.ts';
import { openCases, runCase } from '../../gpu-node/parity/run.ts';
import { graphOpener } from '../../gpu-node/runtime/session.ts';
import type { Device } from '../../gpu-node/runtime/session.ts';
import { LanguageModel, STEPS_PER_RUN, generate } from '../../gpu-node/tokens/index.ts';
import { goldenDirectory } from '../../test/golden/index.ts';
import unpackGolden from '../../test/golden/unpack.ts';

const [device = 'cpu', ...flags] = process.argv.slice(2) as [Device, ...string[]];
const isQuick = flags.includes('--quick');
const cacheDirectory = mkdtempSync(join(tmpdir(), 'cosyvoice-compare-'));
try {
  const passed = await parity();
  const same = await loops();
  process.exitCode = passed && same ? 0 : 1;
} finally {
  rmSync(cacheDirectory, { recursive: true, force: true });
}

/** Cases of the official modules; with `--quick` only those of language model and vocoder. */
async function parity(): Promise<boolean> {
  unpackGolden();
  const cases = openCases(goldenDirectory);
  const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory });
  const rows = [['case', 'largest difference', '']];
  let failed = 0;
  try {
    for (const id of cases.ids.filter((name) => !isQuick || /^(lm|hift|ras)/.test(name))) {
      const report = await runCase(id, runners, {
        checkpoint,
        casesDirectory: join(goldenDirectory, 'cases'),
        readCase: cases.read,
        open: graphOpener({ device, threads: 0 }),
        graphs: (stage, precision = 'fp32') => convertStage({ checkpoint, cacheDirectory, stage, precision }),
      });
      if (report.status !== 'passed') failed += 1;
      const worst = report.outputs.toSorted((a, b) => b.maxDifference - a.maxDifference)[0];
      rows.push([id, worst ? `${worst.name} ${worst.maxDifference.toExponential(1)}` : '–', report.error ?? report.status]);
    }
  } finally {
    checkpoint.close();
  }
  console.log(table(rows));
  console.log(`${rows.length - 1} cases on ${device}, ${failed} of them not passed\n`);
  return failed === 0;
}

/** The bundled voice speaks with one and with several steps per run. In half precision rounding may part them, later than at the first token. */
async function loops(): Promise<boolean> {
  const precision: Precision = device === 'cpu' ? 'fp32' : 'fp16';
  const checkpoint = await openCheckpoint(BUNDLED_MODEL, { cacheDirectory });
  const config = checkpoint.config.llm;
  const directory = await convertStage({ checkpoint, cacheDirectory, stage: 'llm', precision });
  checkpoint.close();
  const spoken = async (stepsPerRun: number): Promise<{ readonly tokens: number[]; readonly ms: number }> => {
    const model = await LanguageModel.open({ open: graphOpener({ device, threads: 0 }), directory, config, precision, limits: { stepsPerRun } });
    const tokens: number[] = [];
    const startMs = performance.now();
    const text = Int32Array.from({ length: 12 }, (_, i) => (20 + i * 7) % config.textVocabSize);
    for await (const event of generate(model, { promptText: new Int32Array(0), promptSpeech: new Int32Array(0), text, seed: 7, minTokens: 64, maxTokens: 64, guards: false })) if (event.kind === 'token') tokens.push(event.token);
    const ms = performance.now() - startMs;
    await model.close();
    return { tokens, ms };
  };
  const plain = await spoken(1);
  const steps = Math.max(STEPS_PER_RUN[device], 8);
  const looped = await spoken(steps);
  const parted = plain.tokens.findIndex((token, i) => token !== looped.tokens[i]);
  const common = parted === -1 ? plain.tokens.length : parted;
  console.log(`language model in ${precision}: ${common} of ${plain.tokens.length} tokens the same with ${steps} steps per run; ${plain.ms.toFixed(0)} ms one by one, ${looped.ms.toFixed(0)} ms together\n`);
  return precision === 'fp32' ? common === plain.tokens.length : common > 0;
}
