/**
 * Door of the stage mel → 24 kHz samples. mel is always (F, 80) row-major, natural logarithm, 50 frames a second
 * (`framesFirst` turns (80, F) into it); samples are mono float32 within ±0.99. Nothing here knows about speech tokens,
 * formats or the network.
 */
import type { VocoderConfig } from '../checkpoint/types.ts';
import type { OpenGraph } from '../runtime/session.ts';
import { VocoderEngine } from './engine.ts';
import { OfficialStream, inference } from './official.ts';
import type { SourceNoise } from './source.ts';
import { VocoderStream } from './stream.ts';
import type { StreamOptions } from './stream.ts';
import { offline } from './offline.ts';
import type { Part } from './offline.ts';
import { resizeMel } from './tempo.ts';

export { VocoderEngine, binsFirst, framesFirst } from './engine.ts';
export { HarmonicSource } from './source.ts';
export { resizeMel, TempoStretch } from './tempo.ts';
export { Joiner, amplify, silence } from './join.ts';
export type { JoinOptions } from './join.ts';
export { Trimmer } from './trim.ts';
export type { TrimOptions } from './trim.ts';
export { createResampler, resample } from './resample.ts';
export type { Resampler, ResamplerOptions } from './resample.ts';
export type { SourceNoise } from './source.ts';
export type { StreamOptions, VocoderStream } from './stream.ts';
export type { Part } from './offline.ts';
export type { OfficialPiece, OfficialStream } from './official.ts';

/** Noise and speed of a whole utterance. */
export type OfflineOptions = {
  readonly noise: SourceNoise;
  /** 0.5…2: the mel is resampled in time before, as the official code does. 1 when absent. */
  readonly speed?: number;
  /** Only this part, out of several that others make. */
  readonly part?: Part | undefined;
};

/** A loaded vocoder. Streams of one vocoder may be used in turns; a run occupies the thread. */
export interface Vocoder {
  readonly sampleRateHz: number;
  /** 480 at full size. */
  readonly samplesPerFrame: number;
  /** Frames by which an exact stream lags behind its mel. */
  readonly lookaheadFrames: number;
  /** mel (F, 80) → (480·F,) samples, or those of the part; F = 0 gives none. Throws `invalid_value`, `generation_failed`. */
  offline(mel: Float32Array, options: OfflineOptions): Promise<Float32Array>;
  /** Pieces in, pieces out, the same samples as `offline` without `speed` (for a tempo see `TempoStretch`). */
  stream(options: StreamOptions): VocoderStream;
  /** The official piecewise way, with its seams. For comparison. */
  officialStream(noise: SourceNoise): OfficialStream;
  /** The official call on one mel, in one window. For comparison. */
  inference(mel: Float32Array, options: { noise: SourceNoise; cacheSource?: Float32Array }): Promise<{ samples: Float32Array; source: Float32Array; f0: Float32Array }>;
  release(): Promise<void>;
}

/** Opens the graphs that `graphs/vocoder.ts` wrote into `directory`. Throws what `open` throws. */
export async function openVocoder({ directory, config, open }: { directory: string; config: VocoderConfig; open: OpenGraph }): Promise<Vocoder> {
  const engine = await VocoderEngine.open(directory, config, open);
  return {
    sampleRateHz: config.sampleRateHz,
    samplesPerFrame: engine.samplesPerFrame,
    lookaheadFrames: engine.context.f0 + engine.context.total,
    offline: (mel, { noise, speed = 1, part }) => offline(engine, speed === 1 ? mel : resizeMel(mel, config.melBins, speed), { noise, part }),
    stream: (options) => new VocoderStream(engine, options),
    officialStream: (noise) => new OfficialStream(engine, noise),
    inference: (mel, options) => inference(engine, mel, options),
    release: () => engine.release(),
  };
}
