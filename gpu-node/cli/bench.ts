/** `cosyvoice bench`: measures and prints; never judges. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { CosyError } from '../../shared/errors/index.ts';
import { hardware, measurementRows } from '../bench/measure.ts';
import type { Measurement } from '../bench/measure.ts';
import { TASKS } from '../bench/tasks.ts';
import type { TaskInput, TaskName } from '../bench/tasks.ts';
import { writeRandomCheckpoint } from '../checkpoint/random.ts';
import { engineOptions, number, text } from './options.ts';
import { Progress, print, table } from './terminal.ts';

export async function benchCommand(options: Record<string, unknown>, [what = []]: readonly (readonly string[])[]): Promise<number> {
  const tasks = chosenTasks(what);
  const settings = engineOptions(options);
  const samples = number(options['samples']) ?? 5;
  const progress = new Progress();
  const results: { readonly model: string; readonly measurements: readonly Measurement[]; readonly official: readonly Measurement[] }[] = [];

  for (const model of options['full'] === true ? ['full'] : options['bundled'] === true || text(options['model']) !== undefined ? ['given'] : ['given', 'full']) {
    progress.show(`preparing the ${model} model`);
    const directory = model === 'given' ? settings.model : await fullSizeModel(settings.cacheDirectory);
    const measurements: Measurement[] = [];
    for (const task of tasks) {
      progress.show(`${model}: ${task}`);
      const taken = await inProcess(task, { settings: { ...settings, model: directory }, samples, bounded: model === 'full' });
      progress.done();
      // shown at once: a whole run takes many minutes, and what was measured is not lost with the rest
      print(table(measurementRows(taken)));
      measurements.push(...taken);
    }
    const checkout = text(options['official']);
    if (model === 'full' && checkout !== undefined) progress.show('official PyTorch code');
    const official = model === 'full' && checkout !== undefined ? await officialMeasurements(checkout, text(options['python']) ?? 'python3', samples) : [];
    progress.done();
    const name = model === 'given' ? directory : 'full size, random weights';
    results.push({ model: name, measurements, official });
    print(`\n${name}`);
    print(table(measurementRows(measurements, official)));
  }

  const json = JSON.stringify({ date: new Date().toISOString(), hardware: hardware(settings.device), results }, null, 2);
  const target = text(options['json']);
  if (target === undefined) print(`\n${json}`);
  else await writeFile(target, json);
  return 0;
}

function chosenTasks(what: readonly string[]): TaskName[] {
  const names = Object.keys(TASKS) as TaskName[];
  if (what.includes('all')) return names;
  const unknown = what.find((name) => !names.some((task) => task === name));
  if (unknown !== undefined) throw new CosyError('invalid_value', `There is no benchmark ${JSON.stringify(unknown)}: choose from all, ${names.join(', ')}.`);
  return names.filter((name) => what.includes(name));
}

/** Official shapes, random weights; made once and kept in the cache. */
async function fullSizeModel(cacheDirectory: string): Promise<string> {
  const directory = join(cacheDirectory, 'bench-full-size');
  if (!existsSync(join(directory, 'cosyvoice2.yaml'))) await writeRandomCheckpoint(directory, { seed: 1, size: 'full' });
  return directory;
}

async function inProcess(task: TaskName, input: TaskInput): Promise<Measurement[]> {
  const output = await run(process.execPath, [join(import.meta.dirname, '../bench/child.ts'), JSON.stringify({ task, input })]);
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '[]') as Measurement[];
}

async function officialMeasurements(checkout: string, python: string, samples: number): Promise<Measurement[]> {
  const output = await run(python, [join(import.meta.dirname, '../bench/official.py'), checkout, '--samples', String(Math.max(2, Math.round(samples / 2)))]);
  return output.trim().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Measurement);
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const output = await readAll(child.stdout);
  const status = await exited;
  if (status !== 0) throw new CosyError('internal_error', `A measurement ended with status ${status}: see above.`);
  return output;
}
