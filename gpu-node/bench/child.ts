/** One task in one process: its input as JSON in the first argument, its answer as one JSON line. */
import { TASKS } from './tasks.ts';
import type { TaskInput, TaskName } from './tasks.ts';

const { task, input } = JSON.parse(process.argv[2] ?? '{}') as { task: TaskName; input: TaskInput };
const measurements = await TASKS[task](input);
// maxRSS is in KiB on every platform of Node (libuv)
process.stdout.write(`\n${JSON.stringify([...measurements, { name: `peak memory, ${task}`, unit: 'MB', samples: [(process.resourceUsage().maxRSS * 1024) / 1e6] }])}\n`);
process.exit(0);
