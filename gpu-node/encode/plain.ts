/** Formats without state: 16-bit PCM, WAV, µ-law and A-law. Source: ITU-T G.711; RIFF as in gpu-node/voice/wav.ts. */
import { toInt16 } from './encoder.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';

const WAV_HEADER_BYTES = 44;
/** A length that is not known: players then read to the end. */
const STREAMED = 0xffff_ffff;

/** Signed 16-bit little-endian, no header. */
export function pcmEncoder({ sampleRateHz }: EncoderOptions): Encoder {
  return mapped(`audio/pcm;rate=${sampleRateHz};encoding=signed-integer;bits=16`, pcmBytes);
}

export function mulawEncoder({ sampleRateHz }: EncoderOptions): Encoder {
  return mapped(`audio/PCMU;rate=${sampleRateHz}`, (samples) => Uint8Array.from(toInt16(samples), mulawCode));
}

export function alawEncoder({ sampleRateHz }: EncoderOptions): Encoder {
  return mapped(`audio/PCMA;rate=${sampleRateHz}`, (samples) => Uint8Array.from(toInt16(samples), alawCode));
}

export function wavEncoder({ sampleRateHz, totalSamples }: EncoderOptions): Encoder {
  let started = false;
  const start = (): Uint8Array => {
    if (started) return new Uint8Array();
    started = true;
    return wavHeader(sampleRateHz, totalSamples);
  };
  return {
    contentType: 'audio/wav',
    async push(samples) {
      const header = start();
      const out = new Uint8Array(header.length + 2 * samples.length);
      out.set(header);
      out.set(pcmBytes(samples), header.length);
      return out;
    },
    end: async () => start(),
    close: () => undefined,
  };
}

/** 44 bytes: mono, 16 bits. `totalSamples` undefined: streamed sizes. */
export function wavHeader(sampleRateHz: number, totalSamples: number | undefined): Uint8Array {
  const dataBytes = totalSamples === undefined ? undefined : 2 * totalSamples;
  const fits = dataBytes !== undefined && dataBytes + WAV_HEADER_BYTES - 8 < STREAMED;
  const view = new DataView(new ArrayBuffer(WAV_HEADER_BYTES));
  const text = (at: number, value: string): void => [...value].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, 'RIFF');
  view.setUint32(4, fits ? dataBytes + WAV_HEADER_BYTES - 8 : STREAMED, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, 2 * sampleRateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, 'data');
  view.setUint32(40, fits ? dataBytes : STREAMED, true);
  return new Uint8Array(view.buffer);
}

function mapped(contentType: string, encode: (samples: Float32Array) => Uint8Array): Encoder {
  return { contentType, push: async (samples) => encode(samples), end: async () => new Uint8Array(), close: () => undefined };
}

function pcmBytes(samples: Float32Array): Uint8Array {
  return new Uint8Array(toInt16(samples).buffer);
}

const MULAW_BIAS = 132;
/** Largest size that the top segment holds. */
const MULAW_CLIP = 32635;

function mulawCode(sample: number): number {
  const biased = Math.min(Math.abs(sample), MULAW_CLIP) + MULAW_BIAS;
  const segment = 24 - Math.clz32(biased); // position of the leading bit above bit 7
  const code = (sample < 0 ? 0x80 : 0) | (segment << 4) | ((biased >> (segment + 3)) & 15);
  return ~code & 0xff;
}

function alawCode(sample: number): number {
  // 13-bit sizes; negative values are counted from −1, as the recommendation's table does
  const size = sample < 0 ? (-sample - 1) >> 3 : sample >> 3;
  const segment = Math.max(0, 27 - Math.clz32(size));
  const code = (sample < 0 ? 0 : 0x80) | (segment << 4) | ((segment < 2 ? size >> 1 : size >> segment) & 15);
  return code ^ 0x55;
}
