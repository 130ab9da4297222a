/**
 * Graph → `NAME.onnx` and `NAME.onnx.data`. Large weights go to the data file, page-aligned so that ONNX Runtime maps them
 * instead of reading them; they are produced and written one at a time, so memory stays at one tensor.
 * Schema: onnx.proto3 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
 */
import { basename } from 'node:path';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { CosyError } from '../../../shared/errors/index.ts';
import { Message } from './protobuf.ts';
import { DATA_TYPE, Graph, MICROSOFT } from './graph.ts';
import type { Attribute, Node, Port, Weight } from './graph.ts';

const IR_VERSION = 10;
const OPSET = 21;
const MICROSOFT_OPSET = 1;
/** Weights up to this size stay inside the model file. */
const INLINE_BYTES = 1024;
/** mmap granularity of the supported machines; Apple silicon has 16 KiB pages. */
const ALIGNMENT = 16384;

/**
 * Writes `path` and, when there are large weights, `path + '.data'`. Both are plain writes: the caller makes them atomic by
 * writing into a folder that it renames. Throws `disk_full` when the disk is.
 */
export function writeModel(graph: Graph, path: string): void {
  writeModels([{ graph, path }]);
}

/** Several forms of one network, in one folder: weights of the same name are stored once, beside the first of them. */
export function writeModels(models: readonly { readonly graph: Graph; readonly path: string }[]): void {
  const [first] = models;
  if (!first) return;
  const { path } = first;
  try {
    const data = new DataFile(`${path}.data`);
    try {
      for (const each of models) {
        const model = new Message()
          .int(1, IR_VERSION)
          .string(2, 'cosyvoice')
          .message(7, graphProto(each.graph, data))
          .message(8, new Message().string(1, '').int(2, OPSET))
          .message(8, new Message().string(1, MICROSOFT).int(2, MICROSOFT_OPSET));
        writeFileSync(each.path, model.encode());
      }
    } finally {
      data.close();
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) {
      throw new CosyError('disk_full', `The disk is full while writing ${basename(path)}: free some space (or choose another cache folder) and try again.`, { cause: error });
    }
    throw error;
  }
}

class DataFile {
  readonly #path: string;
  #handle: number | undefined;
  #offset = 0;
  /** Where each weight is. */
  readonly #places = new Map<string, { readonly offset: number; readonly length: number }>();

  constructor(path: string) {
    this.#path = path;
  }

  #append(bytes: Uint8Array): number {
    this.#handle ??= openSync(this.#path, 'w');
    const offset = Math.ceil(this.#offset / ALIGNMENT) * ALIGNMENT;
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#handle, bytes, done, Math.min(bytes.length - done, 1 << 30), offset + done);
    this.#offset = offset + bytes.length;
    return offset;
  }

  /** Where the weight is, appended unless it is there. */
  place(name: string, bytes: () => Uint8Array): { readonly offset: number; readonly length: number } {
    let place = this.#places.get(name);
    if (!place) {
      const values = bytes();
      place = { offset: this.#append(values), length: values.length };
      this.#places.set(name, place);
    }
    return place;
  }

  get location(): string {
    return basename(this.#path);
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
  }
}

function graphProto(graph: Graph, data: DataFile): Message {
  const message = new Message();
  for (const node of graph.nodes) message.message(1, nodeProto(node, data));
  message.string(2, graph.name);
  for (const weight of graph.weights.values()) message.message(5, tensorProto(weight, data));
  for (const port of graph.inputs) message.message(11, valueInfo(port));
  for (const port of graph.outputs) message.message(12, valueInfo(port));
  return message;
}

function nodeProto(node: Node, data: DataFile): Message {
  const message = new Message();
  for (const input of node.inputs) message.string(1, input);
  for (const output of node.outputs) message.string(2, output);
  message.string(3, node.name).string(4, node.type);
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, attributeProto(name, value, data));
  if (node.domain !== '') message.string(7, node.domain);
  return message;
}

/** AttributeProto.AttributeType */
const ATTRIBUTE = { float: 1, int: 2, string: 3, graph: 5, floats: 6, ints: 7, strings: 8 } as const;

function attributeProto(name: string, value: Attribute, data: DataFile): Message {
  const message = new Message().string(1, name);
  if (typeof value === 'number' || typeof value === 'bigint') return message.int(3, value).int(20, ATTRIBUTE.int);
  if (typeof value === 'string') return message.string(4, value).int(20, ATTRIBUTE.string);
  if (value instanceof Graph) return message.message(6, graphProto(value, data)).int(20, ATTRIBUTE.graph);
  if ('float' in value) return message.float(2, value.float).int(20, ATTRIBUTE.float);
  if ('floats' in value) {
    for (const item of value.floats) message.float(7, item);
    return message.int(20, ATTRIBUTE.floats);
  }
  if ('strings' in value) {
    for (const item of value.strings) message.string(9, item);
    return message.int(20, ATTRIBUTE.strings);
  }
  for (const item of value) message.int(8, item);
  return message.int(20, ATTRIBUTE.ints);
}

function tensorProto(weight: Weight, data: DataFile): Message {
  const message = new Message();
  if (weight.shape.length > 0) message.packedInts(1, weight.shape);
  message.int(2, DATA_TYPE[weight.type]).string(8, weight.name);
  if (byteLength(weight) <= INLINE_BYTES) return message.bytes(9, wholeBytes(weight));
  const { offset, length } = data.place(weight.name, () => wholeBytes(weight));
  if (length !== byteLength(weight)) throw new CosyError('conversion_failed', `Weight ${weight.name} has two shapes.`);
  for (const [key, value] of [['location', data.location], ['offset', String(offset)], ['length', String(length)]] as const) {
    message.message(13, new Message().string(1, key).string(2, value));
  }
  return message.int(14, 1);
}

function wholeBytes(weight: Weight): Uint8Array {
  const bytes = weight.bytes();
  const expected = byteLength(weight);
  if (bytes.length !== expected) {
    throw new CosyError('conversion_failed', `Weight ${weight.name} has ${bytes.length} bytes where its shape [${weight.shape.join(', ')}] ${weight.type} needs ${expected}.`);
  }
  return bytes;
}

const BITS = { float32: 32, uint8: 8, int8: 8, int32: 32, int64: 64, bool: 8, float16: 16, float64: 64, uint4: 4, int4: 4 } as const;

function byteLength(weight: Weight): number {
  const count = weight.shape.reduce((product, size) => product * size, 1);
  return Math.ceil((count * BITS[weight.type]) / 8);
}

function valueInfo(port: Port): Message {
  const shape = new Message();
  for (const size of port.shape) shape.message(1, typeof size === 'number' ? new Message().int(1, size) : new Message().string(2, size));
  const tensor = new Message().int(1, DATA_TYPE[port.type]).message(2, shape);
  return new Message().string(1, port.name).message(2, new Message().message(1, tensor));
}
