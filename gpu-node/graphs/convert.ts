/**
 * Checkpoint → folders of graphs, one per stage and precision, kept in the cache. An entry is named by the checkpoint's hash
 * and by the version of the code that writes it; the version is the hash of that code, so it cannot be forgotten.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { defaultCacheDirectory } from '../checkpoint/index.ts';
import type { Checkpoint, ModelConfig } from '../checkpoint/types.ts';
import { cachedFolder } from './cache.ts';
import { features } from './features.ts';
import { flow } from './flow.ts';
import { languageModel } from './language-model.ts';
import type { Network, Precision, Stage } from './network.ts';
import { vocoder } from './vocoder.ts';

const NETWORKS: readonly Network[] = [languageModel, flow, vocoder, features];

export type ConvertOptions = {
  readonly checkpoint: Checkpoint;
  /** Default: `defaultCacheDirectory()`. */
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Folders of the converted stages by name; what is not in the cache is written now. `precisions`: other than the network's
 * usual ones. `onProgress`: before each stage. Throws `disk_full`, `conversion_failed`, and what reading the checkpoint throws.
 */
export async function convertCheckpoint({ precisions = {}, onProgress, networks = NETWORKS, ...options }: ConvertOptions & {
  readonly precisions?: Partial<Record<Stage, Precision>> | undefined;
  readonly onProgress?: ((stage: Stage, index: number, count: number) => void) | undefined;
  readonly networks?: readonly Network[];
}): Promise<Record<Stage, string>> {
  const directories: Partial<Record<Stage, string>> = {};
  for (const [index, network] of networks.entries()) {
    onProgress?.(network.stage, index, networks.length);
    directories[network.stage] = await convertStage({ ...options, stage: network.stage, precision: precisions[network.stage], networks });
  }
  return directories as Record<Stage, string>;
}

/** The precision each stage is converted to when `precisions` says nothing else. */
export function chosenPrecisions(config: ModelConfig, precisions: Partial<Record<Stage, Precision>> = {}): Record<Stage, Precision> {
  return Object.fromEntries(NETWORKS.map((network) => [network.stage, precisions[network.stage] ?? usual(network, config)])) as Record<Stage, Precision>;
}

function usual(network: Network, config: ModelConfig): Precision {
  return network.isSmall?.(config) ? 'fp32' : network.precisions[0];
}

/** Folder of one stage. `precision`: the network's usual one unless said; throws `invalid_value` for one it does not have. */
export async function convertStage({ checkpoint, cacheDirectory, signal, stage, precision, networks = NETWORKS }: ConvertOptions & {
  readonly stage: Stage;
  readonly precision?: Precision | undefined;
  readonly networks?: readonly Network[];
}): Promise<string> {
  const network = networks.find((candidate) => candidate.stage === stage);
  if (network === undefined) throw new CosyError('internal_error', `There is no graph writer for ${stage}.`);
  const chosen = precision ?? usual(network, checkpoint.config);
  if (!network.precisions.includes(chosen)) {
    throw new CosyError('invalid_value', `${stage} cannot be stored as ${chosen}: choose one of ${network.precisions.join(', ')}.`, { param: 'precision' });
  }
  const family = `${stage}-${chosen}-`;
  return await cachedFolder({
    directory: join(cacheDirectory ?? defaultCacheDirectory(), 'graphs', checkpoint.hash.slice(0, 16)),
    name: family + converterVersion(),
    family,
    make: (folder) => network.write(checkpoint, folder, chosen),
    signal,
  });
}

let version: string | undefined;

/** Hex. Everything that decides the bytes of a graph: the writers here, and how the checkpoint is read. */
export function converterVersion(): string {
  if (version === undefined) {
    const hash = createHash('sha256');
    for (const path of [...sources(import.meta.dirname), ...sources(join(import.meta.dirname, '../checkpoint'))]) hash.update(readFileSync(path)).update('\0');
    version = hash.digest('hex').slice(0, 12);
  }
  return version;
}

function sources(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.ts')).toSorted().map((name) => join(directory, name));
}
