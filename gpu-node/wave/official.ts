/**
 * The official way to stream, for comparison only (cosyvoice/cli/model.py CosyVoice2Model.token2wav, lines of the
 * `hift_cache_dict`): each piece is vocoded on its own behind 8 repeated frames, with a new phase, the last 3840 source
 * samples of the piece before, and a Hamming fade whose halves add up to 1.08 (MODEL.md §6, §10 items 7 and 8).
 */
import type { VocoderEngine } from './engine.ts';
import { HarmonicSource } from './source.ts';
import type { SourceNoise } from './source.ts';
import { concatenate } from '../runtime/floats.ts';

const CACHED_FRAMES = 8;

/** `mel`: what the vocoder was given, (F + 8, 80); `raw`, `source`: (480·(F + 8),) before the fade; `samples`: what is sent. */
export type OfficialPiece = { readonly samples: Float32Array; readonly mel: Float32Array; readonly raw: Float32Array; readonly source: Float32Array };

/** `HiFTGenerator.inference`: mel (F, 80) → samples and source; `cacheSource` replaces the first source samples. */
export async function inference(engine: VocoderEngine, mel: Float32Array, options: { noise: SourceNoise; cacheSource?: Float32Array }): Promise<{ samples: Float32Array; source: Float32Array; f0: Float32Array }> {
  const frames = mel.length / engine.config.melBins;
  if (frames === 0) return { samples: new Float32Array(0), source: new Float32Array(0), f0: new Float32Array(0) };
  const f0 = await engine.pitch(mel, 0, frames);
  const generator = new HarmonicSource({ config: engine.config, weights: engine.weights, noise: options.noise });
  const source = concatenate([generator.push(f0), generator.tail()]);
  if (options.cacheSource) source.set(options.cacheSource.subarray(0, source.length));
  return { samples: await engine.decode({ mel, source, from: 0, to: frames, first: true, last: true }), source, f0 };
}

export class OfficialStream {
  readonly #engine: VocoderEngine;
  readonly #noise: SourceNoise;
  #before: { readonly mel: Float32Array; readonly source: Float32Array; readonly samples: Float32Array } | undefined;

  /** `noise` starts anew with every piece, as the reference cases have it. */
  constructor(engine: VocoderEngine, noise: SourceNoise) {
    this.#engine = engine;
    this.#noise = noise;
  }

  /** New frames of mel (F, 80) → the samples sent for them: 3840 are held back until the next piece, unless `last`. */
  async push(mel: Float32Array, { last = false } = {}): Promise<OfficialPiece> {
    const before = this.#before;
    const cached = CACHED_FRAMES * this.#engine.samplesPerFrame;
    const input = before ? concatenate([before.mel, mel]) : mel;
    const { samples: raw, source } = await inference(this.#engine, input, before ? { noise: this.#noise, cacheSource: before.source } : { noise: this.#noise });
    const faded = before ? hammingFade(raw, before.samples, cached) : raw.slice();
    if (last) return { samples: faded, mel: input, raw, source };
    this.#before = { mel: input.slice(-CACHED_FRAMES * this.#engine.config.melBins), source: source.slice(-cached), samples: faded.slice(-cached) };
    return { samples: faded.slice(0, -cached), mel: input, raw, source };
  }
}

/** cosyvoice/utils/common.py fade_in_out: numpy's symmetric Hamming window of twice the length, in double. */
function hammingFade(raw: Float32Array, before: Float32Array, length: number): Float32Array {
  const out = raw.slice();
  const weight = (i: number) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (2 * length - 1));
  for (let i = 0; i < length; i++) out[i] = (raw[i] as number) * weight(i) + (before[i] as number) * weight(length + i);
  return out;
}

