/** `cosyvoice convert`: writes the graphs that serving would write at its first start. */
import { openCheckpoint } from '../checkpoint/index.ts';
import { convertCheckpoint } from '../graphs/convert.ts';
import { engineOptions } from './options.ts';
import { Progress, print } from './terminal.ts';

export async function convertCommand(options: Record<string, unknown>): Promise<number> {
  const { model, cacheDirectory, precisions } = engineOptions(options);
  const checkpoint = await openCheckpoint(model);
  const progress = new Progress();
  const startMs = performance.now();
  try {
    const directories = await convertCheckpoint({ checkpoint, cacheDirectory, precisions, onProgress: (stage) => progress.show(`converting ${stage}`) });
    progress.done();
    for (const [stage, directory] of Object.entries(directories)) print(`${stage.padEnd(9)} ${directory}`);
    print(`converted in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    return 0;
  } finally {
    progress.done();
    checkpoint.close();
  }
}
