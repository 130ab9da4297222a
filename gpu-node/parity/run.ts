/** Runs the cases of a folder and compares: the answer of `cosyvoice parity` and of the parity tests. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import type { CaseTensor, NumberArray, ParityAnswer, ParityCase, ParityContext, ParityRunner, Tolerance } from './case.ts';

export type OutputReport = {
  readonly name: string;
  readonly maxDifference: number;
  readonly meanDifference: number;
  readonly rmsDifference: number;
  readonly tolerance: Tolerance;
  readonly passed: boolean;
  readonly note?: string;
};

export type CaseReport = {
  readonly id: string;
  readonly stage: string;
  readonly status: 'passed' | 'failed' | 'unsupported';
  readonly outputs: readonly OutputReport[];
  readonly error?: string;
  readonly milliseconds: number;
};

type IndexTensor = { readonly shape: readonly number[]; readonly dtype: string; readonly tolerance?: Tolerance };
type IndexCase = {
  readonly id: string;
  readonly group: string;
  readonly stage: string;
  readonly file: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, IndexTensor>>;
  readonly outputs: Readonly<Record<string, IndexTensor>>;
  readonly inputs_from?: string;
};

/** Cases of `directory/cases`, in the order of their index. Throws `checkpoint_invalid` when there is no index. */
export function openCases(directory: string): { readonly ids: readonly string[]; readonly read: (id: string) => Promise<ParityCase> } {
  const indexPath = join(directory, 'cases', 'index.json');
  if (!existsSync(indexPath)) throw new CosyError('not_found', `There is no cases/index.json in ${directory}: give a folder of reference cases.`);
  const { cases } = JSON.parse(readFileSync(indexPath, 'utf8')) as { cases: readonly IndexCase[] };
  const byId = new Map(cases.map((entry) => [entry.id, entry]));
  return {
    ids: [...byId.keys()],
    async read(id) {
      const entry = byId.get(id);
      if (!entry) throw new CosyError('not_found', `The folder has no case ${id}.`);
      const tensors = readTensors(join(directory, 'cases', entry.file));
      const pick = (name: string): CaseTensor => {
        const tensor = tensors.get(name);
        if (!tensor) throw new CosyError('checkpoint_invalid', `${entry.file} lacks the tensor ${name}.`);
        return tensor;
      };
      return {
        id,
        group: entry.group,
        stage: entry.stage,
        params: entry.params,
        inputs: new Map(Object.keys(entry.inputs).map((name) => [name, pick(name)])),
        outputs: new Map(Object.entries(entry.outputs).map(([name, { tolerance }]) => [name, { ...pick(name), tolerance: tolerance ?? { exact: true } }])),
        inputsFrom: entry.inputs_from,
      };
    },
  };
}

export async function runCase(id: string, runners: Readonly<Record<string, ParityRunner>>, context: ParityContext): Promise<CaseReport> {
  const startMs = performance.now();
  const parityCase = await context.readCase(id);
  const report = (rest: Pick<CaseReport, 'status' | 'outputs' | 'error'>): CaseReport => ({ id, stage: parityCase.stage, ...rest, milliseconds: performance.now() - startMs });
  const runner = runners[id];
  if (!runner) return report({ status: 'unsupported', outputs: [], error: 'no stage computes this case' });
  try {
    const outputs = compareAll(parityCase, await runner(parityCase, context));
    return report({ status: outputs.every(({ passed }) => passed) ? 'passed' : 'failed', outputs });
  } catch (error) {
    return report({ status: 'failed', outputs: [], error: error instanceof Error ? error.message : String(error) });
  }
}

function compareAll(parityCase: ParityCase, answer: ParityAnswer): OutputReport[] {
  const tensors = [...parityCase.outputs].map(([name, expected]) => compare(name, expected, expected.tolerance, answer.outputs[name]));
  const checks = (answer.checks ?? []).map(({ name, ok, detail }) => ({
    name,
    maxDifference: ok ? 0 : Infinity,
    meanDifference: ok ? 0 : Infinity,
    rmsDifference: ok ? 0 : Infinity,
    tolerance: { exact: true },
    passed: ok,
    ...(detail === undefined ? {} : { note: detail }),
  }));
  return [...tensors, ...checks];
}

function compare(name: string, expected: CaseTensor, tolerance: Tolerance, actual: NumberArray | undefined): OutputReport {
  const failed = (note: string): OutputReport => ({ name, maxDifference: Infinity, meanDifference: Infinity, rmsDifference: Infinity, tolerance, passed: false, note });
  if (actual === undefined) return failed('not computed');
  if (actual.length !== expected.data.length) return failed(`${actual.length} values instead of ${expected.data.length}`);
  const { exact = false, atol = 0, rtol = 0, rms = Infinity } = tolerance;
  let max = 0;
  let sum = 0;
  let squares = 0;
  let within = true;
  for (let i = 0; i < actual.length; i++) {
    const wanted = Number(expected.data[i]);
    const difference = Number(actual[i]) === wanted ? 0 : Math.abs(Number(actual[i]) - wanted);
    if (!(difference <= (exact ? 0 : atol + rtol * Math.abs(wanted)))) within = false; // NaN fails
    if (difference > max || Number.isNaN(difference)) max = difference;
    sum += difference;
    squares += difference * difference;
  }
  const count = Math.max(1, actual.length);
  const rmsDifference = Math.sqrt(squares / count);
  return { name, maxDifference: max, meanDifference: sum / count, rmsDifference, tolerance, passed: within && rmsDifference <= rms };
}

const ARRAYS = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
  I64: BigInt64Array,
} as const;

/** All tensors of a (small) safetensors file. */
function readTensors(path: string): Map<string, CaseTensor> {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<string, { dtype: keyof typeof ARRAYS; shape: number[]; data_offsets: [number, number] }>;
  const tensors = new Map<string, CaseTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    const bytes = file.subarray(8 + headerBytes + from, 8 + headerBytes + to);
    const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, data: new ARRAYS[entry.dtype](copy as ArrayBuffer) });
  }
  return tensors;
}
