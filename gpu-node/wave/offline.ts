/** A whole utterance, or one of several parts of it that threads make side by side. The parts one behind the other are the whole. */
import type { VocoderEngine } from './engine.ts';
import type { SourceNoise } from './source.ts';
import { VocoderStream } from './stream.ts';

/** `index` counts from 0. */
export type Part = { readonly index: number; readonly of: number };

/** Frames (1.2 s) under which the first part is the whole: context on both sides would cost more than a second thread saves. */
const SHARED_FRAMES = 60;

/** mel (F, 80) → samples of the part. A later part needs all pitch before it, because the phase runs on, and no samples. */
export async function offline(engine: VocoderEngine, mel: Float32Array, { noise, part = { index: 0, of: 1 } }: { readonly noise: SourceNoise; readonly part?: Part | undefined }): Promise<Float32Array> {
  const { config, samplesPerFrame } = engine;
  const frames = mel.length / config.melBins;
  const of = frames < SHARED_FRAMES ? 1 : part.of;
  if (part.index >= of) return new Float32Array(0);
  const from = Math.round((frames * part.index) / of);
  const to = Math.round((frames * (part.index + 1)) / of);
  const stream = new VocoderStream(engine, { noise, startSample: from * samplesPerFrame });
  const seen = Math.min(frames, to + stream.lookaheadFrames);
  const samples = await stream.push(mel.subarray(0, seen * config.melBins), { last: seen === frames });
  return samples.subarray(0, (to - from) * samplesPerFrame);
}
