/** Audio files of every kind, written by encoders that are not ours where there are such. */
import { registerFlacEncoder } from '@mediabunny/flac-encoder';
import { registerAacEncoder } from '@mediabunny/aac-encoder';
import { Encoder as LibOpus } from '@evan/opus';
import { AudioSample, AudioSampleSource, BufferTarget, EncodedAudioPacketSource, EncodedPacket, FlacOutputFormat, Mp4OutputFormat, OggOutputFormat, Output, WebMOutputFormat } from 'mediabunny';
import type { OutputFormat } from 'mediabunny';
import { createOggEncoder } from 'wasm-media-encoders';

registerFlacEncoder();
registerAacEncoder();

/** Channels of equal length → FLAC (linear prediction, stereo decorrelation) or AAC in MP4. */
export async function mediabunnyFile(codec: 'flac' | 'aac', channels: readonly Float32Array[], sampleRateHz: number): Promise<Uint8Array> {
  const source = new AudioSampleSource({ codec, bitrate: 64_000 });
  const format = codec === 'flac' ? new FlacOutputFormat() : new Mp4OutputFormat();
  return muxed(format, source, async () => {
    const frames = channels[0]?.length ?? 0;
    const data = new Float32Array(frames * channels.length);
    channels.forEach((channel, c) => channel.forEach((value, i) => (data[i * channels.length + c] = value)));
    const sample = new AudioSample({ data, format: 'f32', numberOfChannels: channels.length, sampleRate: sampleRateHz, timestamp: 0 });
    await source.add(sample);
    sample.close();
  });
}

/** libopus packets at 48 kHz in a container of mediabunny's. */
export async function opusFile(container: 'ogg' | 'webm' | 'mp4', samples: Float32Array): Promise<Uint8Array> {
  const opus = new LibOpus({ channels: 1, sample_rate: 48000, application: 'audio' });
  opus.bitrate = 64_000;
  const source = new EncodedAudioPacketSource('opus');
  const format = container === 'ogg' ? new OggOutputFormat() : container === 'webm' ? new WebMOutputFormat() : new Mp4OutputFormat();
  const description = Uint8Array.of(...new TextEncoder().encode('OpusHead'), 1, 1, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0);
  return muxed(format, source, async () => {
    for (let at = 0, index = 0; at + 960 <= samples.length; at += 960, index++) {
      const data = opus.encode(Int16Array.from(samples.subarray(at, at + 960), (value) => value * 32767)).slice();
      const packet = new EncodedPacket(data, 'key', index * 0.02, 0.02);
      await source.add(packet, index === 0 ? { decoderConfig: { codec: 'opus', numberOfChannels: 1, sampleRate: 48000, description } } : undefined);
    }
  });
}

export async function vorbisFile(channels: readonly Float32Array[], sampleRateHz: number): Promise<Uint8Array> {
  const vorbis = await createOggEncoder();
  vorbis.configure({ channels: channels.length as 1 | 2, sampleRate: sampleRateHz, vbrQuality: 5 });
  return new Uint8Array(Buffer.concat([vorbis.encode([...channels]).slice(), vorbis.finalize().slice()]));
}

async function muxed(format: OutputFormat, source: AudioSampleSource | EncodedAudioPacketSource, fill: () => Promise<void>): Promise<Uint8Array> {
  const target = new BufferTarget();
  const output = new Output({ format, target });
  output.addAudioTrack(source);
  await output.start();
  await fill();
  await output.finalize();
  return new Uint8Array(target.buffer ?? new ArrayBuffer());
}

type WavLayout = { readonly code: number; readonly bits: number; readonly channels: number; readonly sampleRateHz: number; readonly extensible?: boolean };

/** `write(view, at, value)` stores one sample of ±1; samples are interleaved. */
export function wavFile(layout: WavLayout, samples: Float32Array, write: (view: DataView, at: number, value: number) => void): Uint8Array {
  const { code, bits, channels, sampleRateHz, extensible = false } = layout;
  const formatBytes = extensible ? 40 : 16;
  const step = bits / 8;
  // an odd chunk that a reader has to skip comes first
  const view = new DataView(new ArrayBuffer(12 + 12 + 8 + formatBytes + 8 + samples.length * step));
  const text = (at: number, value: string): void => void new TextEncoder().encodeInto(value, new Uint8Array(view.buffer, at));
  text(0, 'RIFF');
  view.setUint32(4, view.byteLength - 8, true);
  text(8, 'WAVEodd ');
  view.setUint32(16, 3, true);
  text(24, 'fmt ');
  view.setUint32(28, formatBytes, true);
  view.setUint16(32, extensible ? 0xfffe : code, true);
  view.setUint16(34, channels, true);
  view.setUint32(36, sampleRateHz, true);
  view.setUint16(46, bits, true);
  if (extensible) view.setUint16(56, code, true);
  const data = 32 + formatBytes;
  text(data, 'data');
  view.setUint32(data + 4, samples.length * step, true);
  samples.forEach((value, i) => write(view, data + 8 + i * step, value));
  return new Uint8Array(view.buffer);
}
