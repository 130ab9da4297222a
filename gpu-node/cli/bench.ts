/** `cosyvoice bench`: measures and prints; never judges. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CosyError } from '../../shared/errors/index.ts';
import type { Said } from '../bench/child.ts';
import { hardware, measurementRows } from '../bench/measure.ts';
import type { Measurement } from '../bench/measure.ts';
import { TASKS } from '../bench/tasks.ts';
import type { TaskName } from '../bench/tasks.ts';
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
      const input = { settings: { ...settings, model: directory }, samples, bounded: model === 'full' };
      await spoken(process.execPath, [join(import.meta.dirname, '../bench/child.ts'), JSON.stringify({ task, input })], (line) => {
        const said = JSON.parse(line) as Said;
        if ('progress' in said) return progress.show(`${model}: ${task}, ${said.progress}`);
        // shown at once: a whole run takes many minutes, and what was measured is not lost with the rest
        progress.done();
        print(table(measurementRows(said.measured)));
        measurements.push(...said.measured);
      });
    }
    const checkout = text(options['official']);
    const official: Measurement[] = [];
    for (const task of model === 'full' && checkout !== undefined ? tasks : []) {
      progress.show(`official PyTorch code: ${task}`);
      official.push(...(await officialMeasurements(task, { checkout: checkout ?? '', python: text(options['python']) ?? 'python3', samples })));
    }
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

/** What official.py measures, by task; what it has not said after `limitMs` is reported as not finished. */
const OFFICIAL: Partial<Record<TaskName, { readonly limitMs: number; readonly names: readonly string[] }>> = {
  llm: { limitMs: 60_000, names: ['llm step, batch 1'] },
  flow: { limitMs: 120_000, names: ['flow, 2 s + 3 s prompt', 'flow, 10 s + 3 s prompt'] },
  vocoder: { limitMs: 60_000, names: ['vocoder, 2 s', 'vocoder, 10 s'] },
  stream: { limitMs: 150_000, names: ['first audio, 1 listener', 'whole real-time factor, streaming'] },
};

async function officialMeasurements(task: TaskName, { checkout, python, samples }: { readonly checkout: string; readonly python: string; readonly samples: number }): Promise<Measurement[]> {
  const official = OFFICIAL[task];
  if (!official) return [];
  const measurements: Measurement[] = [];
  const args = [join(import.meta.dirname, '../bench/official.py'), checkout, '--what', task, '--samples', String(Math.max(2, Math.round(samples / 2)))];
  await spoken(python, args, (line) => measurements.push(JSON.parse(line) as Measurement), official.limitMs);
  const missing = official.names.filter((name) => !measurements.some((one) => one.name === name));
  return [...measurements, ...missing.map((name) => ({ name, unit: `not finished in ${official.limitMs / 1000} s`, samples: [] }))];
}

/** Runs a program and hands on each line of JSON as it comes; after `limitMs` it is ended. */
async function spoken(command: string, args: readonly string[], heard: (line: string) => void, limitMs?: number): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...(limitMs !== undefined && { timeout: limitMs, killSignal: 'SIGKILL' }) });
  const startMs = performance.now();
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('{')) heard(line);
  const status = await exited;
  const isLate = limitMs !== undefined && performance.now() - startMs >= limitMs;
  if (status !== 0 && !isLate) throw new CosyError('internal_error', `A measurement ended with status ${status}: see above.`);
}
