/**
 * 8-bit products turn a value that is not a number into an ordinary one: their activations are rounded to what is nearest.
 * A watch sums up what goes into such products and lets a NaN or an infinity come out at the end of the network, where it
 * is seen. Sums over values that stay in a residual stream are enough: what is no number there stays so. Costs about 1 %.
 */
import type { Graph, Value } from '../onnx/graph.ts';
import type { WeightFormat } from './quantize.ts';

export class Watch {
  readonly #graph: Graph;
  readonly #isNeeded: boolean;
  readonly #sums: Value[] = [];

  /** `format` of the network's weights: floats carry such values on by themselves. */
  constructor(graph: Graph, format: WeightFormat) {
    this.#graph = graph;
    this.#isNeeded = format !== 'float32' && format !== 'float16';
  }

  see(values: Value): void {
    if (this.#isNeeded) this.#sums.push(this.#graph.op('ReduceSum', [values], { keepdims: 0 }));
  }

  /** `value`, float32; NaN everywhere when anything seen was not finite. */
  over(value: Value): Value {
    if (this.#sums.length === 0) return value;
    return this.#graph.op('Add', [value, this.#graph.op('Mul', [this.#graph.op('Sum', this.#sums), this.#graph.float(0)])]);
  }
}
