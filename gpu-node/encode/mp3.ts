/** MP3 by LAME in wasm, constant bit rate, in the calling thread: about a hundredth of real time. */
import { readFile } from 'node:fs/promises';
import { createEncoder } from 'wasm-media-encoders';
import type { Encoder, EncoderOptions } from './encoder.ts';

export const MP3_RATES_HZ = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000] as const;

/** kbit/s that every rate of the three MPEG versions can carry; 8 to 12 kHz end at 64. */
const BITRATES_KBPS = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320] as const;
const DEFAULT_BITRATE = 96_000;
const LOW_RATE_BITRATE = 48_000;

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiled once, off this thread: tens of milliseconds that each stream would take from the others. */
function lameModule(): Promise<WebAssembly.Module> {
  compiled ??= readFile(new URL(import.meta.resolve('wasm-media-encoders/wasm/mp3'))).then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

export async function mp3Encoder({ sampleRateHz, bitrate }: EncoderOptions): Promise<Encoder> {
  const lame = await createEncoder('audio/mpeg', await lameModule());
  lame.configure({ channels: 1, sampleRate: sampleRateHz, bitrate: nearestKbps(bitrate ?? (sampleRateHz < 16000 ? LOW_RATE_BITRATE : DEFAULT_BITRATE), sampleRateHz) as 96 });
  return {
    contentType: 'audio/mpeg',
    // what LAME returns lies in its own memory and is overwritten by the next call
    push: async (samples) => (samples.length === 0 ? new Uint8Array() : lame.encode([saturate(samples)]).slice()),
    end: async () => lame.finalize().slice(),
    close: () => undefined,
  };
}

/** LAME itself does not limit its input. */
function saturate(samples: Float32Array): Float32Array {
  return samples.map((sample) => (sample > 1 ? 1 : sample < -1 ? -1 : sample || 0));
}

function nearestKbps(bitrate: number, sampleRateHz: number): number {
  const highest = sampleRateHz < 16000 ? 64 : sampleRateHz < 32000 ? 160 : 320;
  const allowed = BITRATES_KBPS.filter((kbps) => kbps <= highest && (sampleRateHz < 32000 || kbps >= 32));
  return allowed.reduce<number>((best, kbps) => (Math.abs(kbps * 1000 - bitrate) < Math.abs(best * 1000 - bitrate) ? kbps : best), 64);
}
