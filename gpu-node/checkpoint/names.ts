/**
 * A store seen under the names the graphs use: `generator.` removed, weight norm folded into plain weights
 * (Salimans & Kingma 2016: w = g · v / ‖v‖, the norm over all axes but the first; torch parametrizations.weight_norm, dim 0).
 */
import { CosyError } from '../../shared/errors/index.ts';
import { elementCount } from './store.ts';
import type { TensorInfo, TensorStore } from './types.ts';

/** Parts of a normed weight: names in the file. */
type Fold = { readonly g: string; readonly v: string };

/** Direction suffix → magnitude suffix, of both generations of torch's weight norm. */
const FORMS = [
  { v: '.parametrizations.weight.original1', g: '.parametrizations.weight.original0' },
  { v: '.weight_v', g: '.weight_g' },
] as const;

/** Every occurrence is removed, as the official loader does (cosyvoice/cli/model.py `load`). */
const PREFIX = 'generator.';

/** `file`: name for messages. Throws `checkpoint_invalid` when two tensors share a name or half of a pair is absent. */
export function plainNames(store: TensorStore, file: string): TensorStore {
  const sources = new Map<string, string>();
  for (const name of store.tensors.keys()) {
    const plain = name.replaceAll(PREFIX, '');
    if (sources.has(plain)) throw new CosyError('checkpoint_invalid', `${file} has the tensor ${plain} twice.`);
    sources.set(plain, name);
  }
  return new PlainStore(store, sources, file);
}

class PlainStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #store: TensorStore;
  readonly #file: string;
  readonly #plain = new Map<string, string>();
  readonly #folds = new Map<string, Fold>();

  constructor(store: TensorStore, sources: ReadonlyMap<string, string>, file: string) {
    this.#store = store;
    this.#file = file;
    const tensors = new Map<string, TensorInfo>();
    for (const [plain, source] of sources) {
      const info = store.tensors.get(source);
      if (info === undefined) continue;
      const form = FORMS.find(({ v, g }) => plain.endsWith(v) || plain.endsWith(g));
      if (form === undefined) {
        tensors.set(plain, { name: plain, dtype: info.dtype, shape: info.shape });
        this.#plain.set(plain, source);
      } else if (plain.endsWith(form.v)) {
        const base = plain.slice(0, -form.v.length);
        const g = sources.get(base + form.g);
        if (g === undefined) throw new CosyError('checkpoint_invalid', `${file} lacks the tensor ${base}${form.g}.`);
        this.#checkMagnitude(info, store.tensors.get(g));
        tensors.set(`${base}.weight`, { name: `${base}.weight`, dtype: 'float32', shape: info.shape });
        this.#folds.set(`${base}.weight`, { g, v: source });
      } else if (!sources.has(plain.slice(0, -form.g.length) + form.v)) {
        throw new CosyError('checkpoint_invalid', `${file} lacks the tensor ${plain.slice(0, -form.g.length)}${form.v}.`);
      }
    }
    this.tensors = tensors;
  }

  float32(name: string): Float32Array {
    const fold = this.#folds.get(name);
    return fold === undefined ? this.#store.float32(this.#source(name)) : foldWeight(this.#store.float32(fold.g), this.#store.float32(fold.v));
  }

  bytes(name: string): Uint8Array {
    return this.#folds.has(name) ? new Uint8Array(this.float32(name).buffer) : this.#store.bytes(this.#source(name));
  }

  close(): void {
    this.#store.close();
  }

  #source(name: string): string {
    const source = this.#plain.get(name);
    if (source === undefined) throw new CosyError('checkpoint_invalid', `${this.#file} has no tensor ${name}.`);
    return source;
  }

  #checkMagnitude(direction: TensorInfo, magnitude: TensorInfo | undefined): void {
    if (magnitude !== undefined && elementCount(magnitude.shape) === direction.shape[0]) return;
    throw new CosyError('checkpoint_invalid', `${this.#file}: tensor ${magnitude?.name ?? direction.name} has shape [${magnitude?.shape.join(', ') ?? ''}], it should have ${direction.shape[0]} values.`);
  }
}

/** g (rows), v (rows, …) → g · v / ‖v‖ per row. The norm is summed in double. */
function foldWeight(g: Float32Array, v: Float32Array): Float32Array {
  const width = v.length / g.length;
  for (let row = 0; row < g.length; row++) {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i++) sum += (v[i] as number) ** 2;
    const scale = (g[row] as number) / Math.sqrt(sum);
    for (let i = row * width; i < (row + 1) * width; i++) v[i] = (v[i] as number) * scale;
  }
  return v;
}
