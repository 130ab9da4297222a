import type { Checkpoint, ModelConfig } from '../checkpoint/types.ts';

/** How weights are stored in a graph. Activations are float32 except in fp16. int8 and int4 keep sensitive parts in float. */
export type Precision = 'fp32' | 'fp16' | 'int8' | 'int4';

export const STAGES = ['llm', 'flow', 'hift', 'features'] as const;
export type Stage = (typeof STAGES)[number];

/** A family of graph files that one stage of the node runs. */
export type Network = {
  readonly stage: Stage;
  /** First entry: the default on CPU, unless the network is small. */
  readonly precisions: readonly [Precision, ...Precision[]];
  /** Whether it is so small that 8 bits save too little: then fp32 is the default. */
  readonly isSmall?: (config: ModelConfig) => boolean;
  /** Writes every `.onnx` file of the stage into `directory`. Names are those the stage's door opens. */
  readonly write: (checkpoint: Checkpoint, directory: string, precision: Precision) => void;
};
