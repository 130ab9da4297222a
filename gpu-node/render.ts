/** Sound → bytes of a format: volume, rate, encoding. */
import type { AudioFormat } from '../shared/limits/index.ts';
import { createEncoder, encodeFile } from './encode/index.ts';
import type { Sound } from './synthesize.ts';
import { amplify, createResampler, resample } from './wave/index.ts';

export type RenderOptions = {
  readonly format: AudioFormat;
  readonly fromHz: number;
  readonly sampleRateHz: number;
  /** Factor on the samples, softly limited. */
  readonly volume: number;
};

export type RenderedPiece = { readonly bytes: Uint8Array; readonly speechTokens: readonly number[]; readonly durationMs: number };

export type Rendered = { readonly contentType: string; readonly pieces: AsyncGenerator<RenderedPiece> };

/** Streams: the first bytes leave with the first sound. Throws `unsupported_format` when the format cannot carry the rate. */
export async function renderBytes(sounds: AsyncIterable<Sound>, options: RenderOptions): Promise<Rendered> {
  const encoder = await createEncoder(options.format, { sampleRateHz: options.sampleRateHz });
  const resampler = createResampler(options.fromHz, options.sampleRateHz);

  async function* pieces(): AsyncGenerator<RenderedPiece> {
    try {
      for await (const { samples, speechTokens } of sounds) {
        yield { bytes: await encoder.push(resampler.push(options.volume === 1 ? samples : amplify(samples.slice(), options.volume))), speechTokens, durationMs: (1000 * samples.length) / options.fromHz };
      }
      const rest = await encoder.push(resampler.flush());
      yield { bytes: Buffer.concat([rest, await encoder.end()]), speechTokens: [], durationMs: 0 };
    } finally {
      encoder.close();
    }
  }

  return { contentType: encoder.contentType, pieces: pieces() };
}

/** Whole sound, whole file: its headers know the length. Throws like `renderBytes`. */
export async function renderFile(sounds: AsyncIterable<Sound>, options: RenderOptions): Promise<{ readonly bytes: Uint8Array; readonly durationMs: number }> {
  const samples = joinSamples((await Array.fromAsync(sounds)).map((sound) => sound.samples));
  if (options.volume !== 1) amplify(samples, options.volume);
  const bytes = await encodeFile(options.format, resample(samples, options.fromHz, options.sampleRateHz), { sampleRateHz: options.sampleRateHz });
  return { bytes, durationMs: (1000 * samples.length) / options.fromHz };
}

function joinSamples(pieces: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(pieces.reduce((count, piece) => count + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
