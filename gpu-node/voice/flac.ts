/**
 * FLAC, native and in Ogg, frame by frame into a `Collector`: a file of a few hundred kilobytes can hold hours of silence, so
 * nothing is decoded past the limit. Own code: the wasm decoder at hand loses the last frame of a stream that comes in small
 * pieces, and scales by 1/32767. Source: RFC 9639 (section numbers below).
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { Collector } from './collect.ts';
import { tooLong } from './wav.ts';

type Stream = { readonly sampleRateHz: number; readonly channels: number; readonly bits: number; readonly totalSamples: number; /** First byte of the first frame. */ readonly start: number };

/** Starts at "fLaC". A cut-off file gives its whole frames. Throws `audio_invalid`, `audio_too_long`. */
export function decodeFlac(collector: Collector, bytes: Uint8Array, maxSeconds: number): void {
  const stream = readMetadata(bytes);
  if (stream.totalSamples > maxSeconds * stream.sampleRateHz) throw tooLong(maxSeconds, stream.totalSamples / stream.sampleRateHz);
  const scale = 2 ** (1 - stream.bits);
  for (let at = stream.start; at < bytes.length; ) {
    const bits = new BitReader(bytes, at);
    try {
      const channels = readFrame(bits, stream);
      collector.add(channels.map((channel) => Float32Array.from(channel, (value) => value * scale)), stream.sampleRateHz);
    } catch (error) {
      if (error instanceof EndOfFile) return;
      throw error;
    }
    at = bits.byteOffset;
  }
}

/** Ogg pages → the native stream they carry: one packet a frame, the first behind nine bytes of mapping (10.1). */
export function flacFromOgg(bytes: Uint8Array): Uint8Array {
  return oggPayload(bytes).subarray(9);
}

/** What the pages of the first stream hold, put together (RFC 3533). */
export function oggPayload(bytes: Uint8Array): Uint8Array {
  const payload = new Uint8Array(bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const serial = view.getUint32(14, true);
  let length = 0;
  for (let at = 0; at + 27 <= bytes.length && view.getUint32(at) === 0x4f676753; ) {
    const segments = bytes[at + 26] ?? 0;
    const start = at + 27 + segments;
    const size = bytes.subarray(at + 27, start).reduce((sum, lacing) => sum + lacing, 0);
    const page = bytes.subarray(start, start + size);
    if (view.getUint32(at + 14, true) === serial) {
      payload.set(page, length);
      length += page.length;
    }
    at = start + size;
  }
  return payload.subarray(0, length);
}

/** 8.1, 8.2 */
function readMetadata(bytes: Uint8Array): Stream {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let stream: Omit<Stream, 'start'> | undefined;
  for (let at = 4; at + 4 <= bytes.length; ) {
    const head = bytes[at] ?? 0;
    const size = view.getUint32(at) & 0xffffff;
    const start = at + 4;
    if ((head & 0x7f) === 0 && size >= 34 && start + size <= bytes.length) {
      const packed = view.getUint32(start + 10);
      stream = { sampleRateHz: packed >>> 12, channels: ((packed >>> 9) & 7) + 1, bits: ((packed >>> 4) & 31) + 1, totalSamples: (packed & 15) * 2 ** 32 + view.getUint32(start + 14) };
    }
    at = start + size;
    if (head & 0x80) {
      if (!stream || stream.sampleRateHz === 0 || stream.bits < 4) break;
      return { ...stream, start: at };
    }
  }
  throw damaged();
}

const CHANNEL_PAIRS = { leftSide: 8, sideRight: 9, midSide: 10 } as const;

/** Sample sizes by code (9.1.4); 0: as in the stream's header. */
const SAMPLE_BITS = [0, 8, 12, undefined, 16, 20, 24, 32] as const;

/** One frame (9) → its channels. */
function readFrame(bits: BitReader, stream: Stream): Float64Array[] {
  const start = bits.byteOffset;
  if (bits.read(15) !== 0x7ffc) throw damaged();
  bits.read(1);
  const sizeCode = bits.read(4);
  const rateCode = bits.read(4);
  const assignment = bits.read(4);
  const sampleBits = SAMPLE_BITS[bits.read(3)];
  bits.read(1);
  skipCodedNumber(bits);
  const size = blockSize(bits, sizeCode);
  if (rateCode >= 12) bits.read(rateCode === 12 ? 8 : 16);
  bits.read(8); // the frame's own check covers the header as well
  if (sampleBits === undefined || (sampleBits !== 0 && sampleBits !== stream.bits)) throw damaged();
  const count = assignment < 8 ? assignment + 1 : 2;
  if (assignment > CHANNEL_PAIRS.midSide || count !== stream.channels) throw damaged();
  const channels = Array.from({ length: count }, (_, i) => {
    const isSide = i === (assignment === CHANNEL_PAIRS.sideRight ? 0 : 1) && assignment >= 8;
    return readSubframe(bits, size, stream.bits + (isSide ? 1 : 0));
  });
  bits.align();
  const end = bits.byteOffset;
  if (bits.read(16) !== crc16(bits.bytes.subarray(start, end))) throw damaged();
  joinPair(channels, assignment);
  return channels;
}

/** 9.1.1 */
function blockSize(bits: BitReader, code: number): number {
  if (code === 0) throw damaged();
  if (code === 1) return 192;
  if (code <= 5) return 144 << code;
  if (code === 6) return bits.read(8) + 1;
  if (code === 7) return bits.read(16) + 1;
  return 1 << code;
}

/** 9.1.5: as UTF-8, up to seven bytes. */
function skipCodedNumber(bits: BitReader): void {
  let lead = bits.read(8);
  for (; (lead & 0xc0) === 0xc0; lead = (lead << 1) & 0xff) bits.read(8);
}

/** 9.2 */
function readSubframe(bits: BitReader, size: number, sampleBits: number): Float64Array {
  bits.read(1);
  const type = bits.read(6);
  const wasted = bits.read(1) === 1 ? bits.unary() + 1 : 0;
  const width = sampleBits - wasted;
  if (width < 1) throw damaged();
  const samples = new Float64Array(size);
  if (type === 0) samples.fill(bits.signed(width));
  else if (type === 1) for (let i = 0; i < size; i++) samples[i] = bits.signed(width);
  else if (type >= 8 && type <= 12) readPredicted(bits, samples, { order: type - 8, width });
  else if (type >= 32) readPredicted(bits, samples, { order: type - 31, width, linear: true });
  else throw damaged();
  if (wasted > 0) for (let i = 0; i < size; i++) samples[i] = (samples[i] ?? 0) * 2 ** wasted;
  return samples;
}

/** Coefficients of the fixed predictors, nearest sample first (9.2.5). */
const FIXED = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]] as const;

/** 9.2.5, 9.2.6: warm-up samples, residual, prediction. Sums stay below 2^53, so doubles are exact. */
function readPredicted(bits: BitReader, samples: Float64Array, { order, width, linear = false }: { order: number; width: number; linear?: boolean }): void {
  if (order > samples.length) throw damaged();
  for (let i = 0; i < order; i++) samples[i] = bits.signed(width);
  let coefficients: readonly number[] = FIXED[order as 0] ?? [];
  let shift = 0;
  if (linear) {
    const precision = bits.read(4) + 1;
    shift = bits.signed(5);
    if (precision === 16 || shift < 0) throw damaged();
    coefficients = Array.from({ length: order }, () => bits.signed(precision));
  }
  readResidual(bits, samples, order);
  const divisor = 2 ** shift;
  for (let i = order; i < samples.length; i++) {
    let sum = 0;
    for (let j = 0; j < order; j++) sum += (coefficients[j] ?? 0) * (samples[i - 1 - j] ?? 0);
    samples[i] = (samples[i] ?? 0) + Math.floor(sum / divisor);
  }
}

/** 9.2.7, into samples[order …]. */
function readResidual(bits: BitReader, samples: Float64Array, order: number): void {
  const method = bits.read(2);
  if (method > 1) throw damaged();
  const parameterBits = 4 + method;
  const partitions = 2 ** bits.read(4);
  const size = samples.length / partitions;
  if (!Number.isInteger(size) || size < order) throw damaged();
  for (let partition = 0, at = order; partition < partitions; partition++) {
    const end = (partition + 1) * size;
    const rice = bits.read(parameterBits);
    if (rice === 2 ** parameterBits - 1) {
      const width = bits.read(5);
      for (; at < end; at++) samples[at] = width === 0 ? 0 : bits.signed(width);
    } else {
      for (; at < end; at++) {
        const folded = bits.unary() * 2 ** rice + bits.read(rice);
        samples[at] = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
      }
    }
  }
}

/** 9.1.3: two channels stored as one and a difference. */
function joinPair([first, second]: Float64Array[], assignment: number): void {
  if (!first || !second || assignment < 8) return;
  for (let i = 0; i < first.length; i++) {
    const a = first[i] ?? 0;
    const b = second[i] ?? 0;
    if (assignment === CHANNEL_PAIRS.leftSide) second[i] = a - b;
    else if (assignment === CHANNEL_PAIRS.sideRight) first[i] = a + b;
    else {
      const sum = 2 * a + Math.abs(b % 2);
      first[i] = (sum + b) / 2;
      second[i] = (sum - b) / 2;
    }
  }
}

class EndOfFile extends Error {}

/** Most significant bit first. Reading past the end throws `EndOfFile`. */
class BitReader {
  readonly bytes: Uint8Array;
  #at: number;
  /** Bits of bytes[#at] already used, 0…7. */
  #used = 0;

  constructor(bytes: Uint8Array, byteOffset: number) {
    this.bytes = bytes;
    this.#at = byteOffset;
  }

  get byteOffset(): number {
    return this.#at;
  }

  /** 0…32 bits, unsigned. */
  read(count: number): number {
    let value = 0;
    for (let left = count; left > 0; ) {
      const byte = this.bytes[this.#at];
      if (byte === undefined) throw new EndOfFile();
      const take = Math.min(left, 8 - this.#used);
      value = value * 2 ** take + ((byte >> (8 - this.#used - take)) & ((1 << take) - 1));
      left -= take;
      this.#used += take;
      if (this.#used === 8) this.align();
    }
    return value;
  }

  /** Two's complement, 1…33 bits. */
  signed(count: number): number {
    const value = count > 32 ? this.read(count - 32) * 2 ** 32 + this.read(32) : this.read(count);
    return value >= 2 ** (count - 1) ? value - 2 ** count : value;
  }

  /** Zero bits before the next one, which is read too. */
  unary(): number {
    let zeros = 0;
    for (;;) {
      const byte = this.bytes[this.#at];
      if (byte === undefined) throw new EndOfFile();
      const rest = byte & (0xff >> this.#used);
      if (rest !== 0) {
        const lead = Math.clz32(rest) - 24;
        zeros += lead - this.#used;
        this.#used = lead + 1;
        if (this.#used === 8) this.align();
        return zeros;
      }
      zeros += 8 - this.#used;
      this.#used = 0;
      this.#at++;
    }
  }

  /** To the start of the next byte, unless at one. */
  align(): void {
    if (this.#used > 0) this.#at++;
    this.#used = 0;
  }
}

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let i = 0; i < 8; i++) crc = crc & 0x8000 ? (crc << 1) ^ 0x8005 : crc << 1;
  return crc;
});

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ byte] ?? 0);
  return crc;
}

function damaged(): CosyError {
  return new CosyError('audio_invalid', 'The FLAC file is damaged: it cannot be decoded.');
}
