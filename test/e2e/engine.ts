/** The engine in this process with the bundled voice, and what tests hear of it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BUNDLED_MODEL } from '../../gpu-node/cli/options.ts';
import { openEngine } from '../../gpu-node/engine.ts';
import type { Engine, EngineRequest } from '../../gpu-node/engine.ts';

/** The same cache of converted graphs as the command line's. */
export function bundledEngine(model: string = BUNDLED_MODEL): Promise<Engine> {
  const cacheDirectory = process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice');
  return openEngine({ model, cacheDirectory, device: 'cpu', threads: 1, precisions: {} });
}

export const NEVER = new AbortController().signal;

export const spokenBy = (engine: Engine, request: Partial<EngineRequest> & Pick<EngineRequest, 'text'>, signal = NEVER) =>
  engine.speak({ voice: undefined, speed: 1, streaming: true, seed: 3, ...request }, signal);

/** All samples and tokens of a request. */
export async function heardFrom(engine: Engine, request: Partial<EngineRequest> & Pick<EngineRequest, 'text'>): Promise<{ readonly samples: Float32Array; readonly tokens: readonly number[] }> {
  const sounds = await Array.fromAsync(spokenBy(engine, request).sounds);
  return { samples: joined(sounds.map(({ samples }) => samples)), tokens: sounds.flatMap(({ speechTokens }) => speechTokens) };
}

export function joined(pieces: readonly Float32Array[]): Float32Array {
  return Float32Array.from(pieces.flatMap((piece) => [...piece]));
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}
