/**
 * A loaded graph on a device, in the thread that opened it. The only file that imports onnxruntime-node; stages receive
 * `OpenGraph` and see tensors as dims and typed arrays. `run` occupies the calling thread, so serving opens sessions in
 * worker threads (engine.ts).
 */
import * as ort from 'onnxruntime-node';
import { basename } from 'node:path';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { withoutMemory } from './memory.ts';
import { refuseTelemetry } from './telemetry.ts';

const LOG_LEVELS = ['verbose', 'info', 'warning', 'error', 'fatal'] as const;
// what fails is thrown; ONNX Runtime's own log would print the same again, in its words. At `warning` it tells which graphs copy
// between a device and the host ("Memcpy nodes are added")
ort.env.logLevel = LOG_LEVELS.find((level) => level === process.env['COSYVOICE_ORT_LOG']) ?? 'fatal';
refuseTelemetry();

export type Device = 'cpu' | 'cuda' | 'tensorrt';

/** A tensor in host memory, row-major. float16 is `Float16Array`; int64 is `BigInt64Array`. */
export type Tensor =
  | { readonly type: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: 'float64'; readonly dims: readonly number[]; readonly data: Float64Array }
  | { readonly type: 'float16'; readonly dims: readonly number[]; readonly data: Float16Array }
  | { readonly type: 'int64'; readonly dims: readonly number[]; readonly data: BigInt64Array }
  | { readonly type: 'int32'; readonly dims: readonly number[]; readonly data: Int32Array }
  | { readonly type: 'uint8'; readonly dims: readonly number[]; readonly data: Uint8Array }
  | { readonly type: 'bool'; readonly dims: readonly number[]; readonly data: Uint8Array };

export interface GraphSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph. `fetches`: names of the wanted outputs, or outputs mapped to tensors to write into (their memory may be
   * that of an input where the operator allows it, as GroupQueryAttention does for its cache); all outputs when absent.
   * Throws `overloaded` when memory is missing.
   */
  run(feeds: Readonly<Record<string, Tensor>>, fetches?: readonly string[] | Readonly<Record<string, Tensor | null>>): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

export type SessionOptions = {
  readonly device: Device;
  /** Threads for one operator; 0 lets ONNX Runtime choose (one per core). */
  readonly threads: number;
};

/** Opens `NAME.onnx`. Bound to a device and thread count by `graphOpener`. */
export type OpenGraph = (path: string) => Promise<GraphSession>;

/** Throws `provider_unavailable` at open when the device's provider cannot be loaded: there is no silent fall-back. */
export function graphOpener(options: SessionOptions): OpenGraph {
  return async (path) => {
    try {
      return new OnnxSession(await ort.InferenceSession.create(path, sessionOptions(options)));
    } catch (error) {
      const missing = withoutMemory(error);
      if (isCosyError(missing)) throw missing;
      const detail = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
      if (options.device !== 'cpu' && /provider|cuda|tensorrt|backend/i.test(detail)) {
        throw new CosyError('provider_unavailable', `The ${options.device} provider cannot be loaded on this machine (${detail}). Run \`cosyvoice doctor\`, or choose --device cpu.`, { cause: error });
      }
      throw new CosyError('checkpoint_invalid', `ONNX Runtime cannot load ${basename(path)}: ${detail}`, { cause: error });
    }
  };
}

/** Execution providers inside the installed onnxruntime-node, by its own list; `bundled` ones need no further files. */
export function providers(): { readonly name: string; readonly bundled: boolean }[] {
  return ort.listSupportedBackends().map(({ name, bundled }) => ({ name, bundled }));
}

function sessionOptions({ device, threads }: SessionOptions): ort.InferenceSession.SessionOptions {
  const executionProviders = device === 'cpu' ? ['cpu'] : device === 'cuda' ? ['cuda'] : ['tensorrt', 'cuda'];
  return {
    executionProviders,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Two sessions share the cores in turn; a pool that spins while it waits would take them from the other.
    // Without VNNI, 8-bit products are added in 16 bits and cut off, with weights of 7 bits too (relative error of a layer 0.028 instead of under 0.02):
    // ask for the kernels that do not. No effect on other processors.
    extra: { session: { intra_op: { allow_spinning: '0' }, x64quantprecision: '1' } },
  };
}

class OnnxSession implements GraphSession {
  readonly #session: ort.InferenceSession;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];

  constructor(session: ort.InferenceSession) {
    this.#session = session;
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  async run(feeds: Readonly<Record<string, Tensor>>, fetches?: readonly string[] | Readonly<Record<string, Tensor | null>>): Promise<Record<string, Tensor>> {
    try {
      return await this.#run(feeds, fetches);
    } catch (error) {
      throw withoutMemory(error);
    }
  }

  async #run(feeds: Readonly<Record<string, Tensor>>, fetches?: readonly string[] | Readonly<Record<string, Tensor | null>>): Promise<Record<string, Tensor>> {
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
    if (fetches === undefined) return fromOrt(await this.#session.run(inputs));
    if (isNameList(fetches)) return fromOrt(await this.#session.run(inputs, [...fetches]));
    const outputs = Object.fromEntries(Object.entries(fetches).map(([name, tensor]) => [name, tensor === null ? null : toOrt(tensor)]));
    const values = await this.#session.run(inputs, outputs);
    return Object.fromEntries(Object.entries(fetches).map(([name, tensor]) => [name, tensor ?? fromOrtValue(name, values[name])]));
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function isNameList(fetches: readonly string[] | Readonly<Record<string, Tensor | null>>): fetches is readonly string[] {
  return Array.isArray(fetches);
}

/** Those of a caller that runs with the same tensors again and again, as a language model does with its cache. */
const made = new WeakMap<Tensor, ort.Tensor>();

function toOrt(tensor: Tensor): ort.Tensor {
  const known = made.get(tensor);
  if (known) return known;
  const fresh = new ort.Tensor(tensor.type, tensor.data as ort.Tensor.DataTypeMap[typeof tensor.type], tensor.dims);
  if (tensor.type === 'float16') {
    // The binding of 1.30 takes a Float16Array for empty ("expected 8, got 0"): show it the same memory as 16-bit integers.
    const { buffer, byteOffset, length } = tensor.data;
    Object.defineProperty(fresh, 'data', { value: new Uint16Array(buffer, byteOffset, length) });
  }
  made.set(tensor, fresh);
  return fresh;
}

const TYPES = new Set(['float32', 'float64', 'float16', 'int64', 'int32', 'uint8', 'bool']);

function fromOrt(values: ort.InferenceSession.OnnxValueMapType): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fromOrtValue(name, value)]));
}

function fromOrtValue(name: string, value: ort.OnnxValue | undefined): Tensor {
  if (!(value instanceof ort.Tensor) || !TYPES.has(value.type)) throw new CosyError('internal_error', `Graph output ${name} is not a supported tensor.`);
  return { type: value.type, dims: value.dims, data: value.data } as Tensor;
}
