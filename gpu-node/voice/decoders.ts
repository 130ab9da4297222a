/**
 * Containers and codecs → `Collector`. Compressed input goes to the decoders in small pieces, so that what they give back at
 * once stays small and the limit is met early. Runs in the worker of decode.ts, which bounds time and heap.
 */
import { decoder as mp3Decoder } from '@audio/decode-mp3';
import { decoder as vorbisDecoder } from '@audio/decode-vorbis';
import { BufferSource, EncodedPacketSink, Input, MATROSKA, MP4, OGG, QTFF, WEBM } from 'mediabunny';
import type { InputAudioTrack } from 'mediabunny';
import { OpusDecoder } from 'opus-decoder';
import { CosyError } from '../../shared/errors/index.ts';
import type { Collector } from './collect.ts';
import type { DecodeTask } from './decode.ts';
import { decodeFlac, flacFromOgg } from './flac.ts';
import type { Container } from './sniff.ts';

/** Silent Vorbis takes about a byte for 1000 samples. */
const PIECE_BYTES = 1024;

/** Every container but wav. Throws `audio_invalid`, `audio_too_long`, `unsupported_format`. */
export async function decodeInto(collector: Collector, container: Exclude<Container, 'wav'>, { bytes, maxSeconds }: DecodeTask): Promise<void> {
  switch (container) {
    case 'flac':
      return decodeFlac(collector, bytes, maxSeconds);
    case 'ogg-flac':
      return decodeFlac(collector, flacFromOgg(bytes), maxSeconds);
    case 'ogg-vorbis':
      return feed(collector, await vorbisDecoder(), bytes);
    case 'mp3':
      return feed(collector, await mp3Decoder(), bytes);
    case 'ogg-opus':
    case 'mp4':
    case 'webm':
      return demux(collector, bytes);
    case 'adts':
      throw aacUnsupported();
  }
}

type Pieces = { readonly channelData: readonly Float32Array[]; readonly sampleRate: number };
type StreamDecoder = { decode(data: Uint8Array): Pieces; flush?: () => Pieces; free(): void };

function feed(collector: Collector, decoder: StreamDecoder, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const { channelData, sampleRate } = decoder.decode(bytes.subarray(at, at + PIECE_BYTES));
      collector.add(channelData, sampleRate);
    }
    const rest = decoder.flush?.();
    if (rest) collector.add(rest.channelData, rest.sampleRate);
  } finally {
    decoder.free();
  }
}

async function demux(collector: Collector, bytes: Uint8Array): Promise<void> {
  const input = new Input({ source: new BufferSource(bytes), formats: [OGG, WEBM, MATROSKA, MP4, QTFF] });
  try {
    const track = await input.getPrimaryAudioTrack();
    if (!track) throw new CosyError('audio_invalid', 'The file holds no sound, or is cut off.');
    const codec = await track.getCodec();
    if (codec === 'opus') return await decodeOpus(collector, track);
    if (codec === 'mp3') return await decodeMp3Packets(collector, track);
    if (codec === 'aac') throw aacUnsupported();
    throw new CosyError('unsupported_format', `The file's sound is ${codec ?? 'in an unknown encoding'}, which cannot be decoded here. Send WAV, FLAC, MP3, Ogg or WebM.`);
  } finally {
    input.dispose();
  }
}

/** RFC 7845: `OpusHead` states channels, samples to skip at the start (at 48 kHz) and the channel mapping. */
async function decodeOpus(collector: Collector, track: InputAudioTrack): Promise<void> {
  const channels = await track.getNumberOfChannels();
  const head = opusHead((await track.getDecoderConfig())?.description);
  const decoder = new OpusDecoder({ channels, preSkip: head.preSkip, ...head.streams });
  await decoder.ready;
  try {
    let endSeconds = 0;
    for await (const packet of new EncodedPacketSink(track).packets()) {
      const { channelData, sampleRate } = decoder.decodeFrame(packet.data);
      collector.add(channelData, sampleRate);
      endSeconds = packet.timestamp + packet.duration;
    }
    // the last packet is filled up with silence; the container knows where the sound ends
    collector.cut(Math.round(endSeconds * 48000));
  } finally {
    decoder.free();
  }
}

type OpusStreams = { readonly streamCount: number; readonly coupledStreamCount: number; readonly channelMappingTable: number[] };

/** RFC 7845 5.1; without it (WebM from a browser may lack it) the defaults of mono and stereo. */
function opusHead(description: AllowSharedBufferSource | undefined): { preSkip: number; streams?: OpusStreams } {
  if (description === undefined) return { preSkip: 0 };
  const bytes = ArrayBuffer.isView(description) ? new Uint8Array(description.buffer, description.byteOffset, description.byteLength) : new Uint8Array(description);
  if (bytes.length < 19) return { preSkip: 0 };
  const preSkip = (bytes[10] ?? 0) | ((bytes[11] ?? 0) << 8);
  const channels = bytes[9] ?? 0;
  if (bytes[18] === 0 || bytes.length < 21 + channels) return { preSkip };
  return { preSkip, streams: { streamCount: bytes[19] ?? 1, coupledStreamCount: bytes[20] ?? 0, channelMappingTable: [...bytes.subarray(21, 21 + channels)] } };
}

async function decodeMp3Packets(collector: Collector, track: InputAudioTrack): Promise<void> {
  const decoder = await mp3Decoder();
  try {
    for await (const packet of new EncodedPacketSink(track).packets()) {
      const { channelData, sampleRate } = decoder.decode(packet.data);
      collector.add(channelData, sampleRate);
    }
  } finally {
    decoder.free();
  }
}

function aacUnsupported(): CosyError {
  return new CosyError('unsupported_format', 'The file holds AAC (as phones record it), which no freely licensed decoder here can read. Convert it first, for example: ffmpeg -i clip.m4a clip.wav');
}
