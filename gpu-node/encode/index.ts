/** Samples → bytes of a format, piece by piece or as a whole file. Input is mono at the format's rate; resampling comes before. */
import { CosyError } from '../../shared/errors/index.ts';
import type { AudioFormat } from '../../shared/limits/index.ts';
import { AAC_RATES_HZ, aacEncoder } from './aac.ts';
import { joinBytes } from './encoder.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';
import { flacEncoder, flacHeader, flacMd5 } from './flac.ts';
import { MP3_RATES_HZ, mp3Encoder } from './mp3.ts';
import { OPUS_RATES_HZ, oggOpusEncoder, webmOpusEncoder } from './opus.ts';
import { alawEncoder, mulawEncoder, pcmEncoder, wavEncoder } from './plain.ts';

export type { Encoder, EncoderOptions } from './encoder.ts';

/** Rates a format can carry; absent: any from 1 to 655,350 Hz. */
export const FORMAT_RATES_HZ: Readonly<Partial<Record<AudioFormat, readonly number[]>>> = {
  mp3: MP3_RATES_HZ,
  opus: OPUS_RATES_HZ,
  webm: OPUS_RATES_HZ,
  aac: AAC_RATES_HZ,
};

const ENCODERS: Readonly<Record<AudioFormat, (options: EncoderOptions) => Encoder | Promise<Encoder>>> = {
  pcm: pcmEncoder,
  wav: wavEncoder,
  mp3: mp3Encoder,
  opus: oggOpusEncoder,
  webm: webmOpusEncoder,
  aac: aacEncoder,
  flac: flacEncoder,
  mulaw: mulawEncoder,
  alaw: alawEncoder,
};

/** Throws `unsupported_format` when the format cannot carry the rate, `overloaded` when too many AAC streams are open. */
export async function createEncoder(format: AudioFormat, options: EncoderOptions): Promise<Encoder> {
  const rates = FORMAT_RATES_HZ[format];
  if (rates && !rates.includes(options.sampleRateHz)) {
    throw new CosyError('unsupported_format', `${format} cannot carry ${options.sampleRateHz} Hz: choose one of ${rates.join(', ')}.`, { param: 'sample_rate' });
  }
  return ENCODERS[format](options);
}

/** (N,) samples → a whole file, with its length (and for FLAC the hash of its samples) in the header. Throws like `createEncoder`. */
export async function encodeFile(format: AudioFormat, samples: Float32Array, options: Omit<EncoderOptions, 'totalSamples'>): Promise<Uint8Array> {
  const encoder = await createEncoder(format, { ...options, totalSamples: samples.length });
  try {
    const file = joinBytes([await encoder.push(samples), await encoder.end()]);
    if (format === 'flac') file.set(flacHeader({ sampleRateHz: options.sampleRateHz, totalSamples: samples.length, md5: flacMd5(samples) }));
    return file;
  } finally {
    encoder.close();
  }
}
