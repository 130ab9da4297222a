/** `cosyvoice parity DIR` */
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { openCheckpoint } from '../checkpoint/index.ts';
import { convertStage } from '../graphs/convert.ts';
import { runners } from '../parity/index.ts';
import { openCases, runCase } from '../parity/run.ts';
import type { CaseReport } from '../parity/run.ts';
import { graphOpener } from '../runtime/session.ts';
import { Progress, print, table } from './terminal.ts';

/** Exit code 1 when a case fails or no stage computes it. */
export async function parityCommand(options: Record<string, unknown>, [[directory = ''] = []]: readonly (readonly string[])[]): Promise<number> {
  const only = typeof options['only'] === 'string' ? options['only'] : '';
  const cases = openCases(directory);
  const checkpoint = await openCheckpoint(join(directory, 'checkpoint'));
  const scratch = await mkdtemp(join(tmpdir(), 'cosyvoice-parity-'));
  const progress = new Progress();
  try {
    const reports: CaseReport[] = [];
    const context = {
      checkpoint,
      casesDirectory: join(directory, 'cases'),
      readCase: cases.read,
      open: graphOpener({ device: 'cpu', threads: 0 }),
      graphs: (stage: Parameters<typeof convertStage>[0]['stage'], precision: Parameters<typeof convertStage>[0]['precision'] = 'fp32') =>
        convertStage({ checkpoint, cacheDirectory: scratch, stage, precision }),
    };
    for (const id of cases.ids.filter((name) => name.includes(only))) {
      progress.show(id, reports.length / cases.ids.length);
      reports.push(await runCase(id, runners, context));
    }
    progress.done();
    if (options['json'] === true) print(JSON.stringify(reports, (_, value: unknown) => (value === Infinity ? 'Infinity' : value), 2));
    else printReports(reports);
    return reports.every(({ status }) => status === 'passed') ? 0 : 1;
  } finally {
    progress.done();
    checkpoint.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

function printReports(reports: readonly CaseReport[]): void {
  const rows = reports.flatMap(({ id, stage, status, outputs, error }) =>
    outputs.length === 0
      ? [[stage, id, '', '', '', '', `${status}${error === undefined ? '' : `: ${error}`}`]]
      : outputs.map((output) => [
          stage,
          id,
          output.name,
          figure(output.maxDifference),
          figure(output.meanDifference),
          output.tolerance.exact ? 'exact' : `${figure(output.tolerance.atol ?? 0)} / ${figure(output.tolerance.rms ?? Infinity)}`,
          output.passed ? 'ok' : `FAILED${output.note === undefined ? '' : `: ${output.note}`}`,
        ]),
  );
  print(table([['stage', 'case', 'output', 'max', 'mean', 'tolerance (max / rms)', ''], ...rows]));
  const count = (status: CaseReport['status']) => reports.filter((report) => report.status === status).length;
  print(`\n${reports.length} cases: ${count('passed')} passed, ${count('failed')} failed, ${count('unsupported')} not supported`);
}

function figure(value: number): string {
  return value === 0 ? '0' : value === Infinity ? '–' : value.toExponential(1);
}
