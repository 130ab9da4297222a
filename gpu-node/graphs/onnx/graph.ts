/**
 * A graph under construction. Values are names; `op` adds a node and returns the name of its output, so a network reads
 * like the formula it implements. Weights stay on disk until the file is written (see write.ts).
 * Schema: onnx.proto3 of ONNX 1.17 (IR version 10), operator set 21 and com.microsoft 1.
 */
import { strict as assert } from 'node:assert';

/** onnx.proto3 TensorProto.DataType */
export const DATA_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint4: 21,
  int4: 22,
} as const;

export type DataType = keyof typeof DATA_TYPE;

/** Name of a tensor in the graph. `NONE` stands for an optional input that is left out. */
export type Value = string;
export const NONE: Value = '';

/** A number is fixed, a string names a size that is known at run time. */
export type Dimension = number | string;

export type Attribute = number | bigint | string | readonly number[] | Graph | { readonly float: number } | { readonly floats: readonly number[] } | { readonly strings: readonly string[] };

/** `bytes` is called once, when the file is written, and may be large: it is not kept. */
export type Weight = { readonly name: string; readonly type: DataType; readonly shape: readonly number[]; readonly bytes: () => Uint8Array };

export type Port = { readonly name: Value; readonly type: DataType; readonly shape: readonly Dimension[] };

export type Node = {
  readonly type: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
};

/** Domain of ONNX Runtime's contributed operators. */
export const MICROSOFT = 'com.microsoft';

export type OpOptions = { readonly domain?: string; readonly name?: string };

export class Graph {
  readonly name: string;
  readonly inputs: Port[] = [];
  readonly outputs: Port[] = [];
  readonly nodes: Node[] = [];
  readonly weights = new Map<string, Weight>();
  #counter = 0;
  #prefix: string;
  #constants = new Map<string, Value>();
  readonly #weightsOf: Graph;

  /**
   * `parent` makes a body for Loop, Scan or If: it may use every value of its parent, and its own names stay distinct.
   * `weightsIn`: the graph that gets the body's named weights, so that a network is written there as it is elsewhere.
   */
  constructor(name: string, parent?: Graph, { weightsIn }: { readonly weightsIn?: Graph } = {}) {
    this.name = name;
    this.#prefix = parent ? `${parent.#prefix}${name}/` : '';
    this.#weightsOf = weightsIn ?? this;
  }

  input(name: string, type: DataType, shape: readonly Dimension[]): Value {
    this.inputs.push({ name, type, shape });
    return name;
  }

  /** Declares `value` as an output called `name` (an Identity is added when the names differ). */
  output(name: string, value: Value, type: DataType, shape: readonly Dimension[]): void {
    if (name !== value) this.nodes.push({ type: 'Identity', domain: '', name: `out/${name}`, inputs: [value], outputs: [name], attributes: {} });
    this.outputs.push({ name, type, shape });
  }

  /** One node with one output. */
  op(type: string, inputs: readonly Value[], attributes: Readonly<Record<string, Attribute>> = {}, options: OpOptions = {}): Value {
    const [out] = this.ops(type, inputs, 1, attributes, options);
    assert(out !== undefined);
    return out;
  }

  /** One node with `count` outputs. */
  ops(type: string, inputs: readonly Value[], count: number, attributes: Readonly<Record<string, Attribute>> = {}, options: OpOptions = {}): Value[] {
    const name = options.name ?? `${this.#prefix}${type}_${this.#counter++}`;
    const outputs = Array.from({ length: count }, (_, i) => (count === 1 ? name : `${name}:${i}`));
    this.nodes.push({ type, domain: options.domain ?? '', name, inputs, outputs, attributes });
    return outputs;
  }

  /** A named initializer whose bytes are produced when the file is written. The same name twice is the same weight. */
  weight(name: string, type: DataType, shape: readonly number[], bytes: () => Uint8Array): Value {
    const { weights } = this.#weightsOf;
    if (!weights.has(name)) weights.set(name, { name, type, shape, bytes });
    return name;
  }

  /** float32 initializer. */
  floats(name: string, shape: readonly number[], values: () => Float32Array): Value {
    return this.weight(name, 'float32', shape, () => bytesOf(values()));
  }

  /** Small int64 constant; `[]` shape for a bare number. Equal constants share one initializer. */
  ints(values: number | readonly number[]): Value {
    const list = typeof values === 'number' ? [values] : values;
    const shape = typeof values === 'number' ? [] : [list.length];
    return this.#constant(`int64[${shape}]:${list}`, 'int64', shape, () => bytesOf(BigInt64Array.from(list, BigInt)));
  }

  /** Small float32 constant; `[]` shape for a bare number. Equal constants share one initializer. */
  float(values: number | readonly number[]): Value {
    const list = typeof values === 'number' ? [values] : values;
    const shape = typeof values === 'number' ? [] : [list.length];
    return this.#constant(`float32[${shape}]:${list}`, 'float32', shape, () => bytesOf(Float32Array.from(list)));
  }

  /** The constant true. */
  truth(): Value {
    return this.#constant('true', 'bool', [], () => Uint8Array.of(1));
  }

  #constant(key: string, type: DataType, shape: readonly number[], bytes: () => Uint8Array): Value {
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = `${this.#prefix}const_${this.#constants.size}`;
      this.weights.set(name, { name, type, shape, bytes });
      this.#constants.set(key, name);
    }
    return name;
  }
}

/** The memory of a typed array, not copied (all supported machines are little-endian, as ONNX raw data is). */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
