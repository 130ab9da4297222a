/** Measuring and printing: warm-up, samples, median and spread, and the machine they were taken on. */
import { availableParallelism, cpus, totalmem } from 'node:os';

/** No samples: it was not finished, and the unit says so. */
export type Measurement = { readonly name: string; readonly unit: string; readonly samples: readonly number[] };

/** What a long task says while it runs: what it does now, and figures as soon as they are known. */
export type Report = { readonly progress: (what: string) => void; readonly measured: (measurements: readonly Measurement[]) => void };

export type Hardware = { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly node: string; readonly platform: string; readonly device: string };

export function hardware(device: string): Hardware {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    device,
  };
}

/** Milliseconds of each of `count` calls, after one that is not counted. */
export async function timeEach(count: number, call: () => Promise<unknown>): Promise<number[]> {
  await call();
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    await call();
    samples.push(performance.now() - startMs);
  }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** name, median, least and greatest sample, unit, count; `others` adds a ratio column by equal names. */
export function measurementRows(measurements: readonly Measurement[], others: readonly Measurement[] = []): string[][] {
  const other = new Map(others.map((entry) => [entry.name, entry]));
  const head = ['', 'median', 'min', 'max', 'unit', 'n'];
  const rows = measurements.map(({ name, unit, samples }) => {
    const row = samples.length === 0 ? [name, '–', '–', '–', unit, '0'] : [name, figure(median(samples)), figure(Math.min(...samples)), figure(Math.max(...samples)), unit, String(samples.length)];
    if (others.length === 0) return row;
    const theirs = other.get(name);
    if (!theirs || theirs.samples.length === 0) return [...row, theirs?.unit ?? '–', '–'];
    return [...row, figure(median(theirs.samples)), samples.length === 0 ? '–' : `${figure(median(theirs.samples) / median(samples))} ×`];
  });
  return [others.length === 0 ? head : [...head, 'official', 'faster'], ...rows];
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}
