/** One task in one process: its input as JSON in the first argument; a JSON line for each thing it has to say (`Said`). */
import type { Measurement } from './measure.ts';
import { TASKS } from './tasks.ts';
import type { TaskInput, TaskName } from './tasks.ts';

/** What it does now, or figures that are known now. */
export type Said = { readonly progress: string } | { readonly measured: readonly Measurement[] };

const { task, input } = JSON.parse(process.argv[2] ?? '{}') as { task: TaskName; input: TaskInput };
const measurements = await TASKS[task](input, { progress: (what) => say({ progress: what }), measured: (some) => say({ measured: some }) });
// maxRSS is in KiB on every platform of Node (libuv)
say({ measured: [...measurements, { name: `peak memory, ${task}`, unit: 'MB', samples: [(process.resourceUsage().maxRSS * 1024) / 1e6] }] });
process.exit(0);

function say(said: Said): void {
  process.stdout.write(`\n${JSON.stringify(said)}\n`);
}
