/**
 * Weights of one network on their way into a graph. Rows are two-dimensional here, [rows, channels], so that a linear layer
 * is one Gemm with its bias inside. Weights belong to the outermost graph; bodies of Scan use them from there.
 */
import { concatenate } from '../../runtime/floats.ts';
import { CosyError } from '../../../shared/errors/index.ts';
import { MICROSOFT, NONE, bytesOf } from '../onnx/graph.ts';
import { BLOCK, floatWeight, once, quantizeBlocks, quantizeColumns } from './quantize.ts';
import { exactWeightLevels } from './vnni.ts';
import type { TensorStore } from '../../checkpoint/types.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import type { WeightFormat } from './quantize.ts';

/** W (outputs, inputs) row-major; read when the file is written. */
export type Matrix = { readonly name: string; readonly outputs: number; readonly inputs: number; readonly values: () => Float32Array };

/** Names the tensors of a checkpoint as graph values and multiplies by them. */
export class Weights {
  readonly root: Graph;
  readonly store: TensorStore;
  /** How matrices are stored; vectors stay float32. */
  readonly format: WeightFormat;

  /** What the rows are: float16 with float16 weights, else float32. */
  readonly type: 'float32' | 'float16';

  constructor(root: Graph, store: TensorStore, format: WeightFormat) {
    this.root = root;
    this.store = store;
    this.format = format;
    this.type = format === 'float16' ? 'float16' : 'float32';
  }

  /** The same tensors in float32, for parts that are small and should be exact. */
  wide(): Weights {
    return this.type === 'float32' ? this : new Weights(this.root, this.store, 'float32');
  }

  /** A number of the rows' type. */
  scalar(graph: Graph, value: number): Value {
    return this.type === 'float32' ? graph.float(value) : graph.weight(`half/${value}`, 'float16', [], () => bytesOf(Float16Array.of(value)));
  }

  #weight(name: string, shape: readonly number[], values: () => Float32Array): Value {
    return floatWeight(this.root, this.type === 'float32' ? name : `${name}/half`, { shape, type: this.type, values });
  }

  /** Throws `checkpoint_invalid` naming an absent tensor. */
  shape(name: string): readonly number[] {
    const info = this.store.tensors.get(name);
    if (info === undefined) throw new CosyError('checkpoint_invalid', `The checkpoint has no tensor ${name}: download it again, or check that the files belong together.`);
    return info.shape;
  }

  /** The tensor as it is stored, in the rows' type. */
  tensor(name: string): Value {
    return this.#weight(name, this.shape(name), () => this.store.float32(name));
  }

  /** rows [M, inputs] → [M, outputs] with `name.weight` (outputs, inputs[, 1]) and, unless `bias` is false, `name.bias`. */
  linear(graph: Graph, rows: Value, name: string, options: { readonly bias?: boolean; readonly exact?: boolean } = {}): Value {
    const [outputs = 0, inputs = 0] = this.shape(`${name}.weight`);
    const matrix = { name: `${name}.weight`, outputs, inputs, values: () => this.store.float32(`${name}.weight`) };
    return this.multiply(graph, rows, matrix, { bias: options.bias === false ? NONE : this.tensor(`${name}.bias`), exact: options.exact ?? false });
  }

  /** Several linear layers of the same rows as one product, without biases: [M, inputs] → [M, outputs₀ + outputs₁ + …]. */
  stacked(graph: Graph, rows: Value, names: readonly string[]): Value {
    const tensors = names.map((name) => `${name}.weight`);
    const outputs = tensors.reduce((sum, tensor) => sum + (this.shape(tensor)[0] ?? 0), 0);
    const inputs = this.shape(tensors[0] ?? '')[1] ?? 0;
    return this.multiply(graph, rows, { name: tensors.join('+'), outputs, inputs, values: () => concatenate(tensors.map((tensor) => this.store.float32(tensor))) });
  }

  /** rows [M, inputs] · Wᵀ + bias. `bias`: a value of shape [outputs] or [M, outputs]. `exact` keeps this matrix in the rows' type. */
  multiply(graph: Graph, rows: Value, matrix: Matrix, { bias = NONE, exact = false }: { readonly bias?: Value; readonly exact?: boolean } = {}): Value {
    const { name, outputs, inputs, values } = matrix;
    const format = exact || (this.format !== 'int8-column' && inputs % BLOCK !== 0) ? this.type : this.format;
    if (format === 'int8' || format === 'int4') {
      const bits = format === 'int8' ? 8 : 4;
      const shared = once(() => quantizeBlocks(values(), { outputs, inputs, bits }), 2);
      const packed = this.root.weight(`${name}/int${bits}`, 'uint8', [outputs, inputs / BLOCK, (BLOCK * bits) / 8], () => shared().packed);
      const scales = this.root.weight(`${name}/scales`, 'float32', [outputs, inputs / BLOCK], () => bytesOf(shared().scales));
      const product = graph.op('MatMulNBits', [rows, packed, scales], { K: inputs, N: outputs, bits, block_size: BLOCK, accuracy_level: 4 }, { domain: MICROSOFT });
      return bias === NONE ? product : graph.op('Add', [product, bias]);
    }
    if (format === 'int8-column') {
      const shared = once(() => quantizeColumns(values(), outputs, inputs, exactWeightLevels()), 2);
      const packed = this.root.weight(`${name}/int8`, 'int8', [inputs, outputs], () => bytesOf(shared().values));
      const scales = this.root.weight(`${name}/scales`, 'float32', [outputs], () => bytesOf(shared().scales));
      return graph.op('DynamicQuantizeMatMul', [rows, packed, scales, NONE, ...(bias === NONE ? [] : [bias])], {}, { domain: MICROSOFT });
    }
    return graph.op('Gemm', [rows, this.#weight(name, [outputs, inputs], values), ...(bias === NONE ? [] : [bias])], { transB: 1 });
  }

  /** LayerNorm over channels with `name.weight` and `name.bias`. */
  layerNorm(graph: Graph, rows: Value, name: string, epsilon: number): Value {
    return graph.op('LayerNormalization', [rows, this.tensor(`${name}.weight`), this.tensor(`${name}.bias`)], { axis: -1, epsilon: { float: epsilon } });
  }
}
