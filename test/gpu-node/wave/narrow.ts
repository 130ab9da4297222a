/** The vocoder of the narrow reference checkpoint, converted once per test file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { vocoder } from '../../../gpu-node/graphs/vocoder.ts';
import type { ParityContext } from '../../../gpu-node/parity/case.ts';
import { openCases } from '../../../gpu-node/parity/run.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { goldenDirectory } from '../../golden/index.ts';

export type Narrow = { readonly checkpoint: Checkpoint; readonly directory: string; readonly context: ParityContext; readonly ids: readonly string[]; readonly close: () => void };

export async function openNarrow(): Promise<Narrow> {
  const directory = mkdtempSync(join(tmpdir(), 'cosyvoice-hift-'));
  const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'), { cacheDirectory: directory });
  vocoder.write(checkpoint, directory, 'fp32');
  const cases = openCases(goldenDirectory);
  return {
    checkpoint,
    directory,
    ids: cases.ids,
    context: { checkpoint, casesDirectory: join(goldenDirectory, 'cases'), readCase: cases.read, open: graphOpener({ device: 'cpu', threads: 1 }), graphs: async () => directory },
    close: () => {
      checkpoint.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A mel with pitch and level that change: smoothed noise around −3, (F, 80). */
export function wanderingMel(frames: number, seed = 1): Float32Array {
  let state = seed;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const values = new Float32Array(80).map(draw);
  const mel = new Float32Array(frames * 80);
  for (let frame = 0; frame < frames; frame++) {
    for (let bin = 0; bin < 80; bin++) {
      values[bin] = 0.8 * (values[bin] as number) + 2 * draw();
      mel[frame * 80 + bin] = (values[bin] as number) * 1.2;
    }
  }
  return mel;
}

/** Largest difference of two signals of one length. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`lengths ${a.length} and ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs((a[i] as number) - (b[i] as number)));
  return largest;
}

export function rootMeanSquare(samples: Float32Array): number {
  return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
}
