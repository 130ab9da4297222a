import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { flow } from '../../../gpu-node/graphs/flow.ts';
import type { Network, Precision } from '../../../gpu-node/graphs/network.ts';
import { DATA_TYPE, Graph } from '../../../gpu-node/graphs/onnx/graph.ts';
import { writeModel } from '../../../gpu-node/graphs/onnx/write.ts';
import { decodeGraph, vocoder } from '../../../gpu-node/graphs/vocoder.ts';
import { openFlow } from '../../../gpu-node/mel/index.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { openVocoder } from '../../../gpu-node/wave/index.ts';
import { goldenDirectory } from '../../golden/index.ts';

const open = graphOpener({ device: 'cpu', threads: 2 });
const MODELS = { golden: join(goldenDirectory, 'checkpoint'), bundled: BUNDLED_MODEL } as const;
/** Root mean square of the mel's difference, of a signal of size 1 to 3; signal to error of the samples, dB. */
const LIMITS = { golden: { mel: 0.003, decibels: 48 }, bundled: { mel: 0.003, decibels: 55 } } as const;
/** The same for a vocoder whose every value is rounded. */
const STORED = { golden: 35, bundled: 50 } as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'half-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(network: Network, checkpoint: Checkpoint, precision: Precision, name: string): string {
  const directory = join(folder, name, network.stage, precision);
  mkdirSync(directory, { recursive: true });
  network.write(checkpoint, directory, precision);
  return directory;
}

function rootMeanSquare(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0) / values.length);
}

/**
 * The graph in float32 with every value of half precision rounded where a device would store it: on CPU, ONNX Runtime leaves such
 * graphs' values unrounded between operators it has in float32 only.
 */
function roundedEverywhere(graph: Graph): Graph {
  const out = new Graph(graph.name);
  out.inputs.push(...graph.inputs);
  out.outputs.push(...graph.outputs);
  const half = new Set<string>();
  for (const weight of graph.weights.values()) {
    if (weight.type !== 'float16') out.weight(weight.name, weight.type, weight.shape, weight.bytes);
    else {
      half.add(weight.name);
      out.floats(weight.name, weight.shape, () => {
        const bytes = weight.bytes();
        return new Float32Array(new Float16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2));
      });
    }
  }
  for (const node of graph.nodes) {
    const narrows = node.type === 'Cast' && node.attributes['to'] === DATA_TYPE.float16;
    const isHalf = narrows || (node.type !== 'Cast' && node.type !== 'Shape' && node.inputs.some((input) => half.has(input)));
    if (!isHalf) out.nodes.push(node);
    else {
      const raw = (name: string): string => `${name}@exact`;
      if (!narrows) out.nodes.push({ ...node, outputs: node.outputs.map(raw) });
      for (const [index, name] of node.outputs.entries()) {
        half.add(name);
        out.nodes.push({ type: 'Cast', domain: '', name: `${name}@narrow`, inputs: [narrows ? node.inputs[index]! : raw(name)], outputs: [`${name}@half`], attributes: { to: DATA_TYPE.float16 } });
        out.nodes.push({ type: 'Cast', domain: '', name: `${name}@wide`, inputs: [`${name}@half`], outputs: [name], attributes: { to: DATA_TYPE.float32 } });
      }
    }
  }
  return out;
}

describe('half precision as a device stores it', () => {
  it.each(['golden', 'bundled'] as const)('leaves the samples of the %s vocoder near those of float32', async (name) => {
    const checkpoint = await openCheckpoint(MODELS[name], { cacheDirectory: folder });
    const { hift, config } = checkpoint;
    const frames = 60;
    const mel = Float32Array.from({ length: frames * config.hift.melBins }, (_, i) => 1.5 * Math.sin(i * 0.37) + Math.sin(i * 0.011) - 4);
    const exact = written(vocoder, checkpoint, 'fp32', `${name}-stored`);
    const stored = written(vocoder, checkpoint, 'fp16', `${name}-stored`);
    writeModel(roundedEverywhere(decodeGraph(hift, config.hift, { type: 'float16' })), join(stored, 'decode.onnx'));
    checkpoint.close();
    const sounds: Float32Array[] = [];
    for (const directory of [exact, stored]) {
      const voice = await openVocoder({ directory, config: config.hift, open });
      sounds.push(await voice.offline(mel, { noise: { seed: 1 } }));
      await voice.release();
    }
    const decibels = 20 * Math.log10(rootMeanSquare(sounds[0]!) / rootMeanSquare(sounds[0]!.map((value, i) => value - sounds[1]![i]!)));
    expect(decibels).toBeGreaterThan(STORED[name]);
    expect(decibels).toBeLessThan(90);
  });
});

describe.each(['golden', 'bundled'] as const)('half precision: the %s model', (name) => {
  it('gives the mel and the samples of float32 up to rounding', async () => {
    const checkpoint = await openCheckpoint(MODELS[name], { cacheDirectory: folder });
    const { config } = checkpoint;
    const speechTokens = Int32Array.from({ length: 40 }, (_, i) => (i * 613) % config.flow.vocabSize);
    const embedding = Float32Array.from({ length: config.flow.speakerDim }, (_, i) => Math.sin(i));
    const mels: Float32Array[] = [];
    const sounds: Float32Array[] = [];
    for (const precision of ['fp32', 'fp16'] as const) {
      const solver = await openFlow({ directory: written(flow, checkpoint, precision, name), config: config.flow, open });
      mels.push((await solver.offline({ speechTokens, embedding })) as Float32Array);
      await solver.close();
      const voice = await openVocoder({ directory: written(vocoder, checkpoint, precision, name), config: config.hift, open });
      sounds.push(await voice.offline(mels[0]!, { noise: { seed: 1 } }));
      await voice.release();
    }
    checkpoint.close();
    const difference = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value - b[i]!);
    const mel = rootMeanSquare(difference(mels[0]!, mels[1]!));
    const decibels = 20 * Math.log10(rootMeanSquare(sounds[0]!) / rootMeanSquare(difference(sounds[0]!, sounds[1]!)));
    expect(mel).toBeLessThan(LIMITS[name].mel);
    expect(decibels).toBeGreaterThan(LIMITS[name].decibels);
  });
});
