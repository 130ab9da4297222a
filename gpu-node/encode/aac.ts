/** AAC in ADTS frames by FFmpeg's encoder in wasm. The library takes a thread for each stream, so streams are limited. */
import { AdtsOutputFormat, AudioSample, AudioSampleSource, Output, StreamTarget } from 'mediabunny';
import { registerAacEncoder } from '@mediabunny/aac-encoder';
import { CosyError } from '../../shared/errors/index.ts';
import { joinBytes } from './encoder.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';

export const AAC_RATES_HZ = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000] as const;

const DEFAULT_BITRATE = 64_000;
/** Each takes a thread and about 10 MB. */
const MAX_STREAMS = 16;

let streams = 0;
let registered = false;

/** Throws `overloaded` when too many AAC streams are open. */
export async function aacEncoder({ sampleRateHz, bitrate = DEFAULT_BITRATE }: EncoderOptions): Promise<Encoder> {
  if (streams >= MAX_STREAMS) throw new CosyError('overloaded', `At most ${MAX_STREAMS} AAC streams run at once here. Ask for mp3 or opus, or try again in a moment.`, { retryAfterMs: 2000 });
  if (!registered) registerAacEncoder();
  registered = true;
  streams++;
  let open = true;
  const release = (): void => {
    if (open) streams--;
    open = false;
  };
  const written: Uint8Array[] = [];
  const target = new StreamTarget(new WritableStream({ write: ({ data }) => void written.push(data) }));
  const source = new AudioSampleSource({ codec: 'aac', bitrate });
  const output = new Output({ format: new AdtsOutputFormat(), target });
  output.addAudioTrack(source);
  let samplesIn = 0;
  const take = (): Uint8Array => joinBytes(written.splice(0));
  try {
    await output.start();
  } catch (error) {
    release();
    throw error;
  }
  return {
    contentType: 'audio/aac',
    async push(samples) {
      if (samples.length === 0) return take();
      const data = samples.map((value) => (value > 1 ? 1 : value < -1 ? -1 : value || 0));
      const sample = new AudioSample({ data, format: 'f32', numberOfChannels: 1, sampleRate: sampleRateHz, timestamp: samplesIn / sampleRateHz });
      samplesIn += samples.length;
      await source.add(sample);
      sample.close();
      return take();
    },
    async end() {
      try {
        await (samplesIn === 0 ? output.cancel() : output.finalize());
        return take();
      } finally {
        release();
      }
    },
    close() {
      if (open) void output.cancel().catch(() => undefined);
      release();
    },
  };
}
