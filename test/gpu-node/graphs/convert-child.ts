/**
 * A process that converts one stage of the reference checkpoint, slowly: arguments are the checkpoint, the cache, the
 * milliseconds each file takes, and how many bytes it has. Prints `writing` once it has begun, `done N` with how many times it wrote.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { convertStage } from '../../../gpu-node/graphs/convert.ts';
import type { Network } from '../../../gpu-node/graphs/network.ts';

const [directory = '', cacheDirectory = '', pauseMs = '0', bytes = '10'] = process.argv.slice(2);
let writes = 0;
const network: Network = {
  stage: 'llm',
  precisions: ['fp32'],
  write: (checkpoint, folder) => {
    writes++;
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(join(folder, name), Buffer.alloc(Number(bytes), checkpoint.hash));
      if (name === 'a') process.stdout.write('writing\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(pauseMs));
    }
  },
};

try {
  const checkpoint = await openCheckpoint(directory, { cacheDirectory });
  await convertStage({ checkpoint, cacheDirectory, stage: 'llm', networks: [network] });
  process.stdout.write(`done ${writes}\n`);
} catch (error) {
  process.stdout.write(`${error instanceof Error && 'code' in error ? String(error.code) : ''}: ${String(error)}\n`);
  process.exitCode = 3;
}
