/**
 * Opus in Ogg or WebM: packets of 20 ms from libopus, pages or clusters of our own, so that every piece of sound gives bytes,
 * the end is cut to the sample and the same sound gives the same file.
 */
import { Encoder as LibOpus } from '@evan/opus';
import { Framer, joinBytes, toInt16 } from './encoder.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';
import { oggOpusMuxer } from './ogg.ts';
import { webmOpusMuxer } from './webm.ts';

export const OPUS_RATES_HZ = [8000, 12000, 16000, 24000, 48000] as const;
type OpusRate = (typeof OPUS_RATES_HZ)[number];

const PACKET_SECONDS = 0.02;
/** Opus counts time at 48 kHz whatever the input's rate (RFC 7845, 4). */
export const OPUS_CLOCK_HZ = 48000;
/** High enough that libopus codes the waveform itself; at 48 kbit/s it still models the voice below 8 kHz. */
const DEFAULT_BITRATE = 64_000;
/** OPUS_GET_LOOKAHEAD: the typed getter of the binding is misspelt and undefined. */
const GET_LOOKAHEAD = 4027;

export type OpusStreamInfo = { readonly sampleRateHz: number; /** Samples at 48 kHz that a decoder drops at the start. */ readonly preSkip: number };

export type OpusPacket = {
  readonly data: Uint8Array;
  /** Time at 48 kHz at the packet's end, `preSkip` included. */
  readonly endsAt: number;
  /** Samples at 48 kHz at the packet's end that are no sound (last packet only). */
  readonly padding: number;
};

export interface OpusMuxer {
  readonly contentType: string;
  head(): Uint8Array;
  /** Packets that belong together in time; `last` closes the stream. */
  write(packets: readonly OpusPacket[], last: boolean): Uint8Array;
}

export function oggOpusEncoder(options: EncoderOptions): Encoder {
  return opusEncoder(options, oggOpusMuxer);
}

export function webmOpusEncoder(options: EncoderOptions): Encoder {
  return opusEncoder(options, webmOpusMuxer);
}

function opusEncoder({ sampleRateHz, bitrate = DEFAULT_BITRATE }: EncoderOptions, createMuxer: (info: OpusStreamInfo) => OpusMuxer): Encoder {
  // 'voip' cuts low frequencies off
  const opus = new LibOpus({ channels: 1, sample_rate: sampleRateHz as OpusRate, application: 'audio' });
  opus.bitrate = bitrate;
  const clock = OPUS_CLOCK_HZ / sampleRateHz;
  const preSkip = opus.ctl(GET_LOOKAHEAD) * clock;
  const muxer = createMuxer({ sampleRateHz, preSkip });
  const frameSamples = PACKET_SECONDS * sampleRateHz;
  const framer = new Framer(frameSamples);
  let samplesIn = 0;
  let packets = 0;
  let started = false;
  const head = (): Uint8Array[] => {
    if (started) return [];
    started = true;
    return [muxer.head()];
  };
  const encode = (frame: Float32Array): OpusPacket => {
    const data = opus.encode(toInt16(frame)).slice();
    return { data, endsAt: ++packets * frameSamples * clock, padding: 0 };
  };
  return {
    contentType: muxer.contentType,
    async push(samples) {
      const made: OpusPacket[] = [];
      framer.push(samples, (frame) => made.push(encode(frame)));
      samplesIn += samples.length;
      return joinBytes([...head(), ...(made.length > 0 ? [muxer.write(made, false)] : [])]);
    },
    async end() {
      // enough silence to bring the last sample through the encoder's delay
      const wanted = samplesIn * clock + preSkip;
      const missing = Math.ceil(wanted / (frameSamples * clock)) - packets;
      const tail = Array.from({ length: missing }, (_, i) => {
        const frame = new Float32Array(frameSamples);
        if (i === 0) frame.set(framer.rest());
        const packet = encode(frame);
        return { ...packet, padding: Math.max(0, packet.endsAt - wanted) };
      });
      return joinBytes([...head(), muxer.write(tail, true)]);
    },
    close: () => undefined,
  };
}

/** Identification header (RFC 7845, 5.1), also the codec data of WebM. */
export function opusHead({ sampleRateHz, preSkip }: OpusStreamInfo): Uint8Array {
  const view = new DataView(new ArrayBuffer(19));
  new TextEncoder().encodeInto('OpusHead', new Uint8Array(view.buffer));
  view.setUint8(8, 1); // version
  view.setUint8(9, 1); // channels
  view.setUint16(10, preSkip, true);
  view.setUint32(12, sampleRateHz, true);
  return new Uint8Array(view.buffer); // gain 0, mapping family 0
}
