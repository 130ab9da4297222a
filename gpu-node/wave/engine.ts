/** The vocoder's two graphs and the constants around them: mel frames → pitch, a window of mel and source → samples. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VocoderConfig } from '../checkpoint/types.ts';
import { contextFrames } from '../graphs/vocoder.ts';
import type { VocoderContext, VocoderFiles } from '../graphs/vocoder.ts';
import { edgeGains } from '../graphs/layers/hift.ts';
import { exactWeightLevels } from '../graphs/layers/vnni.ts';
import type { GraphSession, OpenGraph } from '../runtime/session.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { samplesPerFrame } from './source.ts';
import type { SourceWeights } from './source.ts';

/** Part of an utterance: frames `from` … `to` of `mel` are decoded, those around them are context. */
export type Window = {
  /** (W, 80) row-major */
  readonly mel: Float32Array;
  /** (480·W,) */
  readonly source: Float32Array;
  readonly from: number;
  readonly to: number;
  /** Whether the window begins, and ends, where the utterance does. */
  readonly first: boolean;
  readonly last: boolean;
};

export class VocoderEngine {
  readonly config: VocoderConfig;
  readonly context: VocoderContext;
  readonly samplesPerFrame: number;
  readonly weights: SourceWeights;
  readonly #f0: GraphSession;
  readonly #decode: GraphSession;
  readonly #edge: ReturnType<typeof edgeGains>;

  private constructor(config: VocoderConfig, weights: SourceWeights, sessions: { f0: GraphSession; decode: GraphSession }) {
    this.config = config;
    this.context = contextFrames(config);
    this.samplesPerFrame = samplesPerFrame(config);
    this.weights = weights;
    this.#f0 = sessions.f0;
    this.#decode = sessions.decode;
    this.#edge = edgeGains(config.istft);
  }

  /** Opens `f0.onnx` and `decode.onnx` of `directory`. Throws what `open` throws. */
  static async open(directory: string, config: VocoderConfig, open: OpenGraph): Promise<VocoderEngine> {
    const { source, weightLevels } = JSON.parse(readFileSync(join(directory, 'vocoder.json'), 'utf8')) as VocoderFiles;
    if (weightLevels > exactWeightLevels()) throw new CosyError('checkpoint_invalid', 'The vocoder was converted on a machine with other arithmetic (VNNI): remove the converted graphs, they are made again for this one.');
    const f0 = await open(join(directory, 'f0.onnx'));
    const decode = await open(join(directory, 'decode.onnx'));
    return new VocoderEngine(config, source, { f0, decode });
  }

  /** Pitch in Hz of the frames `from` … `to` of mel (W, 80). Five frames around a value decide it. Throws `generation_failed` as `decode` does. */
  async pitch(mel: Float32Array, from: number, to: number): Promise<Float32Array> {
    const frames = mel.length / this.config.melBins;
    const { f0 } = await this.#f0.run({ mel: { type: 'float32', dims: [1, this.config.melBins, frames], data: binsFirst(mel, this.config.melBins) } });
    if (f0?.type !== 'float32') throw new CosyError('internal_error', 'The pitch graph has no float32 output f0.');
    const pitch = f0.data.slice(from, to);
    // one that is no number would silently count as unvoiced
    if (!pitch.every(Number.isFinite)) throw notANumber();
    return pitch;
  }

  /**
   * Samples (480·(to − from),) of the window, limited to ±0.99. Exact when there are `context.total` frames on each side
   * that is not an end of the utterance. Throws `generation_failed` when the network gives something that is no number.
   */
  async decode({ mel, source, from, to, first, last }: Window): Promise<Float32Array> {
    const frames = mel.length / this.config.melBins;
    const { samples } = await this.#decode.run({
      mel: { type: 'float32', dims: [1, this.config.melBins, frames], data: binsFirst(mel, this.config.melBins) },
      source: { type: 'float32', dims: [1, source.length], data: source },
      left: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(from)) },
      right: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(frames - to)) },
    });
    if (samples?.type !== 'float32') throw new CosyError('internal_error', 'The vocoder graph has no float32 output samples.');
    const out = samples.data;
    if (first && from === 0) this.#edge.head.forEach((gain, i) => (out[i] = (out[i] as number) * gain));
    if (last && to === frames) this.#edge.tail.forEach((gain, i) => (out[out.length - 1 - i] = (out[out.length - 1 - i] as number) * gain));
    limit(out, this.config.audioLimit);
    return out;
  }

  async release(): Promise<void> {
    await Promise.all([this.#f0.release(), this.#decode.release()]);
  }
}

/** (F, bins) → (bins, F) */
export function binsFirst(mel: Float32Array, bins: number): Float32Array {
  return transpose(mel, mel.length / bins, bins);
}

/** (bins, F) → (F, bins) */
export function framesFirst(mel: Float32Array, bins: number): Float32Array {
  return transpose(mel, bins, mel.length / bins);
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column] as number;
  return out;
}

function limit(samples: Float32Array, bound: number): void {
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] as number;
    if (!Number.isFinite(value)) throw notANumber();
    if (value > bound) samples[i] = bound;
    else if (value < -bound) samples[i] = -bound;
  }
}

function notANumber(): CosyError {
  return new CosyError('generation_failed', 'The vocoder gave a value that is not a number: try again with another seed, and check the checkpoint if it repeats.');
}
