/**
 * How much of a sound lies in the bytes so far, and how another encoder's bytes follow them:
 *
 *   pcm, mulaw, alaw    sample for sample
 *   wav                 the same behind its one header; the node goes on without one
 *   mp3, aac            whole frames of both encoders; the second one's delay is a short pause (46 and 43 ms at 24 kHz), no sound is lost
 *   opus, webm, flac    not at all: what counts their pages, clusters and frames would begin anew
 */
import type { AudioFormat } from '../../shared/limits/index.ts';

export interface SoundMeter {
  /** Samples at the stream's rate that a listener has with what was handed on. */
  readonly samples: number;
  /** Takes the next bytes and gives those that may be handed on: a frame that is not whole yet waits. */
  push(bytes: Uint8Array): Uint8Array;
  /** What waits when the stream has ended. */
  rest(): Uint8Array;
  /** Bytes of another encoder follow. */
  seam(): void;
}

/** Undefined for a format that cannot go on. */
export function soundMeter(format: AudioFormat): SoundMeter | undefined {
  switch (format) {
    case 'pcm':
      return new PlainMeter(2, 0);
    case 'wav':
      return new PlainMeter(2, WAV_HEADER_BYTES);
    case 'mulaw':
    case 'alaw':
      return new PlainMeter(1, 0);
    case 'mp3':
      return new FrameMeter(mp3Frame, MP3_DELAY);
    case 'aac':
      return new FrameMeter(adtsFrame, ADTS_SAMPLES);
    default:
      return undefined;
  }
}

const WAV_HEADER_BYTES = 44;
const EMPTY = new Uint8Array(0);

class PlainMeter implements SoundMeter {
  readonly #sampleBytes: number;
  readonly #headerBytes: number;
  #bytes = 0;

  constructor(sampleBytes: number, headerBytes: number) {
    this.#sampleBytes = sampleBytes;
    this.#headerBytes = headerBytes;
  }

  get samples(): number {
    return Math.max(0, Math.floor((this.#bytes - this.#headerBytes) / this.#sampleBytes));
  }

  push(bytes: Uint8Array): Uint8Array {
    this.#bytes += bytes.length;
    return bytes;
  }

  rest(): Uint8Array {
    return EMPTY;
  }

  seam(): void {}
}

/** Undefined for bytes that are no frame. */
type FrameOf = (bytes: Uint8Array, at: number) => { readonly bytes: number; readonly samples: number } | undefined;

class FrameMeter implements SoundMeter {
  readonly #frameOf: FrameOf;
  readonly #delay: number;
  #waiting: Uint8Array = EMPTY;
  #heard = 0;
  /** Of the encoder under way. */
  #own = 0;

  /** `delay`: samples in front of the sound, by encoder and decoder together. */
  constructor(frameOf: FrameOf, delay: number) {
    this.#frameOf = frameOf;
    this.#delay = delay;
  }

  get samples(): number {
    return this.#heard + Math.max(0, this.#own - this.#delay);
  }

  push(bytes: Uint8Array): Uint8Array {
    const all = this.#waiting.length === 0 ? bytes : joined(this.#waiting, bytes);
    let at = 0;
    while (at + HEADER_BYTES <= all.length) {
      const frame = this.#frameOf(all, at);
      // a tag or a trailer: handed on as it is, and counts nothing
      if (!frame) at += 1;
      else if (at + frame.bytes > all.length) break;
      else {
        at += frame.bytes;
        this.#own += frame.samples;
      }
    }
    this.#waiting = all.slice(at);
    return all.subarray(0, at);
  }

  rest(): Uint8Array {
    return this.#waiting;
  }

  seam(): void {
    this.#heard = this.samples;
    this.#own = 0;
    this.#waiting = EMPTY;
  }
}

/** What both kinds of header need to be read. */
const HEADER_BYTES = 7;

/** LAME's 576 and a decoder's 529. */
const MP3_DELAY = 1105;
/** kbit/s of layer III by index: MPEG-1, then MPEG-2 and 2.5. Source: ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3. */
const MP3_KBPS = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
/** By the two bits of the version: 2.5, reserved, 2, 1. */
const MP3_RATES_HZ = [[11025, 12000, 8000], [], [22050, 24000, 16000], [44100, 48000, 32000]] as const;

function mp3Frame(bytes: Uint8Array, at: number): ReturnType<FrameOf> {
  const [sync = 0, kind = 0, rates = 0] = bytes.subarray(at, at + 3);
  if (sync !== 0xff || (kind & 0xe6) !== 0xe2) return undefined; // eleven ones, layer III
  const first = (kind & 0x18) === 0x18;
  const kbps = MP3_KBPS[first ? 0 : 1][rates >> 4];
  const rateHz = MP3_RATES_HZ[(kind >> 3) & 3]?.[(rates >> 2) & 3];
  if (!kbps || rateHz === undefined) return undefined;
  const samples = first ? 1152 : 576;
  return { bytes: Math.floor(((samples / 8) * kbps * 1000) / rateHz) + ((rates >> 1) & 1), samples };
}

const ADTS_SAMPLES = 1024;

/** Source: ISO/IEC 13818-7, 6.2. */
function adtsFrame(bytes: Uint8Array, at: number): ReturnType<FrameOf> {
  const [sync = 0, kind = 0, , high = 0, middle = 0, low = 0] = bytes.subarray(at, at + 6);
  if (sync !== 0xff || (kind & 0xf6) !== 0xf0) return undefined;
  const length = ((high & 3) << 11) | (middle << 3) | (low >> 5);
  return length < HEADER_BYTES ? undefined : { bytes: length, samples: ADTS_SAMPLES };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
