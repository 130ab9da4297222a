/** Sound inside Ogg, WebM, Matroska, MP4 and QuickTime files → `Collector`: Opus, MP3, and AAC where there is a decoder. */
import { AdtsOutputFormat, ADTS, BufferSource, BufferTarget, EncodedAudioPacketSource, EncodedPacketSink, Input, MATROSKA, MP4, OGG, Output, QTFF, WEBM } from 'mediabunny';
import type { InputAudioTrack } from 'mediabunny';
import { OpusDecoder } from 'opus-decoder';
import { CosyError } from '../../shared/errors/index.ts';
import { decodeAac } from './aac.ts';
import { decodeMp3 } from './codecs.ts';
import type { Collector } from './collect.ts';
import type { DecodeTask } from './decode.ts';
import { tooLong } from './wav.ts';

/** Throws `audio_invalid`, `audio_too_long`, `unsupported_format`. */
export async function demux(collector: Collector, task: DecodeTask): Promise<void> {
  const input = new Input({ source: new BufferSource(task.bytes), formats: [OGG, WEBM, MATROSKA, MP4, QTFF, ADTS] });
  try {
    const track = await input.getPrimaryAudioTrack();
    if (!track) throw new CosyError('audio_invalid', 'The file holds no sound, or is cut off.');
    const codec = await track.getCodec();
    if (codec === 'opus') return await decodeOpus(collector, track);
    if (codec === 'mp3') return await decodeMp3(collector, packetData(track));
    if (codec === 'aac') return decodeAac(collector, { ...task, bytes: task.ffmpeg === undefined ? new Uint8Array() : await adtsFrames(track, task.maxSeconds) });
    throw new CosyError('unsupported_format', `The file's sound is ${codec ?? 'in an unknown encoding'}, which cannot be decoded here. Send WAV, FLAC, MP3, Ogg or WebM.`);
  } finally {
    input.dispose();
  }
}

async function* packetData(track: InputAudioTrack): AsyncGenerator<Uint8Array> {
  for await (const packet of new EncodedPacketSink(track).packets()) yield packet.data;
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

/** AAC packets as a stream that needs no container around it, and no seeking. */
async function adtsFrames(track: InputAudioTrack, maxSeconds: number): Promise<Uint8Array> {
  const target = new BufferTarget();
  const output = new Output({ format: new AdtsOutputFormat(), target });
  const source = new EncodedAudioPacketSource('aac');
  output.addAudioTrack(source);
  await output.start();
  const decoderConfig = await track.getDecoderConfig();
  for await (const packet of new EncodedPacketSink(track).packets()) {
    if (packet.timestamp > maxSeconds) throw tooLong(maxSeconds);
    await source.add(packet, decoderConfig ? { decoderConfig } : undefined);
  }
  await output.finalize();
  return new Uint8Array(target.buffer ?? new ArrayBuffer());
}
