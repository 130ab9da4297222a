/**
 * The format of a folder of reference cases: `checkpoint/`, `cases/index.json`, one safetensors file per case. A runner
 * computes the outputs of a case with our stages; the comparison applies the tolerances written beside each output.
 */
import type { Checkpoint } from '../checkpoint/types.ts';
import type { OpenGraph } from '../runtime/session.ts';
import type { Precision, Stage } from '../graphs/network.ts';

export type NumberArray = Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array | BigInt64Array;

export type CaseTensor = { readonly dtype: string; readonly shape: readonly number[]; readonly data: NumberArray };

/** `exact`, or |actual − expected| ≤ atol + rtol·|expected| for each value and the root mean square of the difference ≤ rms. */
export type Tolerance = { readonly exact?: boolean; readonly atol?: number; readonly rtol?: number; readonly rms?: number };

export type ParityCase = {
  readonly id: string;
  readonly group: string;
  readonly stage: string;
  /** `params` of index.json; its form depends on the case. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: ReadonlyMap<string, CaseTensor>;
  readonly outputs: ReadonlyMap<string, CaseTensor & { readonly tolerance: Tolerance }>;
  readonly inputsFrom: string | undefined;
};

export type ParityContext = {
  readonly checkpoint: Checkpoint;
  /** Folder of the cases, for clips (`clip24k.wav`) and other cases. */
  readonly casesDirectory: string;
  readonly readCase: (id: string) => Promise<ParityCase>;
  readonly open: OpenGraph;
  /** Directory holding the converted graphs of a stage (made on first use, fp32 unless said). */
  readonly graphs: (stage: Stage, precision?: Precision) => Promise<string>;
};

/** Values by output name, row-major, in the output's shape; plus conditions that are not tensors (lists in `params`). */
export type ParityAnswer = {
  readonly outputs: Readonly<Record<string, NumberArray>>;
  readonly checks?: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
};

export type ParityRunner = (parityCase: ParityCase, context: ParityContext) => Promise<ParityAnswer>;
