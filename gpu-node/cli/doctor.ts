/** `cosyvoice doctor`: what is here, which providers load, what would be used. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/index.ts';
import { Graph } from '../graphs/onnx/graph.ts';
import { writeModel } from '../graphs/onnx/write.ts';
import { graphOpener, providers } from '../runtime/session.ts';
import type { Device } from '../runtime/session.ts';
import { engineOptions } from './options.ts';
import { print, table } from './terminal.ts';

/** Exit code 3 when the chosen device or model would not work. */
export async function doctorCommand(options: Record<string, unknown>): Promise<number> {
  const settings = engineOptions(options);
  const rows: string[][] = [
    ['node', process.version],
    ['system', `${process.platform} ${process.arch}, ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['providers', providers().map(({ name, bundled }) => `${name}${bundled ? '' : ' (not bundled)'}`).join(', ')],
  ];
  const devices = await tryDevices();
  for (const [device, result] of devices) rows.push([`device ${device}`, result]);
  const model = await describeModel(settings.model);
  rows.push(['model', model.text], ['cache', `${settings.cacheDirectory}${existsSync(settings.cacheDirectory) ? '' : ' (made at the first start)'}`]);
  const works = devices.get(settings.device) === 'works' && model.ok;
  rows.push(['would use', works ? `${settings.device}, ${settings.threads || 'all'} threads` : 'nothing: see above']);
  print(table(rows));
  return works ? 0 : 3;
}

async function tryDevices(): Promise<Map<Device, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'cosyvoice-doctor-'));
  const results = new Map<Device, string>();
  try {
    const graph = new Graph('probe');
    graph.output('y', graph.op('Neg', [graph.input('x', 'float32', [1])]), 'float32', [1]);
    const path = join(folder, 'probe.onnx');
    writeModel(graph, path);
    for (const device of ['cpu', 'cuda', 'tensorrt'] as const) {
      try {
        await (await graphOpener({ device, threads: 1 })(path)).release();
        results.set(device, 'works');
      } catch (error) {
        results.set(device, `does not load: ${error instanceof Error ? (/\((.*)\)/.exec(error.message)?.[1] ?? error.message) : 'unknown reason'}`);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

async function describeModel(directory: string): Promise<{ readonly ok: boolean; readonly text: string }> {
  try {
    const checkpoint = await openCheckpoint(directory);
    const { llm, flow, hift } = checkpoint.config;
    const text = `${directory}: language model ${llm.layers} × ${llm.hiddenSize}, flow ${flow.estimator.channels}, vocoder ${hift.baseChannels}, ${checkpoint.speakers.size} voices`;
    checkpoint.close();
    return { ok: true, text };
  } catch (error) {
    return { ok: false, text: error instanceof Error ? error.message : String(error) };
  }
}
