/** What can be said of a sound without ears. */
import { readFileSync } from 'node:fs';

export type Sound = { readonly samples: Float32Array; readonly sampleRateHz: number; readonly seconds: number };

/** A 16-bit mono WAV file whose header is exact. */
export function readSound(path: string): Sound {
  const file = readFileSync(path);
  if (file.toString('latin1', 0, 4) !== 'RIFF' || file.readUInt32LE(4) !== file.length - 8) throw new Error('not a whole WAV file');
  const sampleRateHz = file.readUInt32LE(24);
  const count = file.readUInt32LE(40) / 2;
  const samples = Float32Array.from({ length: count }, (_, i) => file.readInt16LE(44 + 2 * i) / 32768);
  return { samples, sampleRateHz, seconds: count / sampleRateHz };
}

/** Root mean square of the loudest tenth of a second. */
export function loudest({ samples, sampleRateHz }: Sound): number {
  const window = sampleRateHz / 10;
  let best = 0;
  for (let at = 0; at + window <= samples.length; at += window / 2) {
    let squares = 0;
    for (let i = at; i < at + window; i++) squares += (samples[i] ?? 0) ** 2;
    best = Math.max(best, Math.sqrt(squares / window));
  }
  return best;
}

/** Greatest step between neighbouring samples: a click is a step that speech does not have. */
export function greatestStep({ samples }: Sound): number {
  let greatest = 0;
  for (let i = 1; i < samples.length; i++) greatest = Math.max(greatest, Math.abs((samples[i] ?? 0) - (samples[i - 1] ?? 0)));
  return greatest;
}
