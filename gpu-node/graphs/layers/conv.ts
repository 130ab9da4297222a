/**
 * Convolutions over time with stride 1 on channels-last rows. Written as one matrix product over rows laid side by side:
 * the wide Gemm is faster on CPU than Conv with its transposes, and it quantizes like every other linear layer.
 */
import type { Graph, Value } from '../onnx/graph.ts';
import type { Matrix, Weights } from './weights.ts';

export type ConvOptions = {
  /** Prefix of `.weight` (outputs, inputs, taps) and `.bias`. */
  readonly name: string;
  /** (B, L + taps − 1, inputs) float32: the rows and the taps − 1 rows beside them. */
  readonly padded: Value;
  readonly graph: Graph;
  readonly weights: Weights;
};

/** (B, L + taps − 1, inputs) → [B·L, outputs], valid convolution over axis 1. */
export function convolve({ graph, weights, name, padded }: ConvOptions): Value {
  const [, inputs = 0, taps = 0] = weights.shape(`${name}.weight`);
  const windows = Array.from({ length: taps }, (_, tap) => graph.op('Slice', [padded, graph.ints([tap]), graph.ints([tap === taps - 1 ? LAST : tap - taps + 1]), graph.ints([1])]));
  const wide = graph.op('Reshape', [graph.op('Concat', windows, { axis: 2 }), graph.ints([-1, taps * inputs])]);
  return weights.multiply(graph, wide, kernelMatrix(weights, name), { bias: weights.tensor(`${name}.bias`) });
}

/** Slice end meaning "to the end". */
export const LAST = 2 ** 31;

/** (outputs, inputs, taps) → (outputs, taps · inputs): tap-major columns, as `convolve` lays the rows out. */
function kernelMatrix(weights: Weights, name: string): Matrix {
  const tensor = `${name}.weight`;
  const [outputs = 0, inputs = 0, taps = 0] = weights.shape(tensor);
  const values = (): Float32Array => {
    const kernel = weights.store.float32(tensor);
    const matrix = new Float32Array(kernel.length);
    for (let out = 0; out < outputs; out++) {
      for (let input = 0; input < inputs; input++) {
        for (let tap = 0; tap < taps; tap++) matrix[(out * taps + tap) * inputs + input] = kernel[(out * inputs + input) * taps + tap] ?? 0;
      }
    }
    return matrix;
  };
  return { name: tensor, outputs, inputs: taps * inputs, values };
}
