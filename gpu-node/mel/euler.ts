/**
 * The flow's solve as the paper's loop: one estimator call per Euler step, guidance and update in plain code. Slow and easy
 * to check; `flow-solve.onnx` does the same in one run, and a test compares them. Needs the single-call graph
 * (`estimatorGraph`), which serving does not convert.
 */
import { floats } from './solver.ts';
import type { Schedule } from './schedule.ts';
import type { GraphSession, Tensor } from '../runtime/session.ts';

export type EulerInputs = {
  /** (F, melBins) each, float32. */
  readonly mu: Float32Array;
  readonly condition: Float32Array;
  readonly noise: Float32Array;
  /** (melBins): the projected speaker. */
  readonly speaker: Float32Array;
  readonly frames: number;
  readonly schedule: Pick<Schedule, 'time' | 'dt'>;
  readonly guidance: number;
  /** Frames of a block that see each other and everything before, or where the blocks end; undefined: all see all. */
  readonly blockFrames?: number | readonly number[] | undefined;
};

/** x before and velocities (2, F, melBins) of one step. */
export type EulerStep = { readonly x: Float32Array; readonly velocity: Float32Array };

/** mel (F, melBins), and every step on the way. */
export async function eulerLoop(estimator: GraphSession, inputs: EulerInputs): Promise<{ readonly mel: Float32Array; readonly steps: readonly EulerStep[] }> {
  const { time, dt } = inputs.schedule;
  const steps: EulerStep[] = [];
  let x = inputs.noise;
  for (const [index, t] of time.entries()) {
    const velocity = floats((await estimator.run(estimatorFeeds({ ...inputs, x, time: Float32Array.of(t) }), ['velocity']))['velocity']);
    steps.push({ x, velocity });
    const size = x.length;
    x = x.map((value, i) => value + (dt[index] ?? 0) * ((1 + inputs.guidance) * (velocity[i] ?? 0) - inputs.guidance * (velocity[size + i] ?? 0)));
  }
  return { mel: x, steps };
}

/** Inputs of the single-call graph. */
export function estimatorFeeds({ x, mu, condition, speaker, time, frames, blockFrames }: Pick<EulerInputs, 'mu' | 'condition' | 'speaker' | 'frames' | 'blockFrames'> & { readonly x: Float32Array; readonly time: Float32Array }): Record<string, Tensor> {
  const shaped = (data: Float32Array): Tensor => ({ type: 'float32', dims: [1, frames, data.length / frames], data });
  return {
    x: shaped(x),
    mu: shaped(mu),
    condition: shaped(condition),
    speaker: { type: 'float32', dims: [1, speaker.length], data: speaker },
    time: { type: 'float32', dims: [time.length], data: time },
    bias: { type: 'float32', dims: [1, 1, frames, frames], data: blockMask(frames, blockFrames ?? frames) },
  };
}

/** (F, F): 0 where frame j is in the block of frame i or before it, else −1e10 (cosyvoice/utils/common.py mask_to_bias). */
export function blockMask(frames: number, blocks: number | readonly number[]): Float32Array {
  const end = (frame: number): number => (typeof blocks === 'number' ? (Math.floor(frame / blocks) + 1) * blocks : (blocks.find((each) => each > frame) ?? frames));
  return Float32Array.from({ length: frames * frames }, (_, index) => (index % frames < end(Math.floor(index / frames)) ? 0 : -1e10));
}
