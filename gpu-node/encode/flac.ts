/**
 * FLAC, 16 bits, mono: fixed predictors and Rice-coded residuals. Own code, because the library's encoder takes a thread for
 * each stream and a stream here has to give bytes for every piece; it compresses a few per cent less than linear prediction.
 * Source: RFC 9639 (section numbers below).
 */
import { createHash } from 'node:crypto';
import { Bits } from './bits.ts';
import { Framer, joinBytes, toInt16 } from './encoder.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';

/** 48 ms at 24 kHz: small enough to stream, large enough that headers cost about 1 %. */
const BLOCK_SAMPLES = 1152;
const MAX_ORDER = 4;
const MAX_PARTITION_ORDER = 3;
/** 4-bit Rice parameters; 15 is the escape code. */
const MAX_RICE = 14;

export function flacEncoder({ sampleRateHz, totalSamples }: EncoderOptions): Encoder {
  const framer = new Framer(BLOCK_SAMPLES);
  let frames = 0;
  const header = (): Uint8Array[] => (frames === 0 ? [flacHeader({ sampleRateHz, totalSamples: totalSamples ?? 0 })] : []);
  return {
    contentType: 'audio/flac',
    async push(samples) {
      const out: Uint8Array[] = [];
      framer.push(samples, (block) => out.push(...header(), flacFrame(toInt16(block), frames++, sampleRateHz)));
      return joinBytes(out);
    },
    async end() {
      const out = header();
      if (framer.filled > 0) out.push(flacFrame(toInt16(framer.rest()), frames, sampleRateHz));
      return joinBytes(out);
    },
    close: () => undefined,
  };
}

/** Length and hash of the samples as a file's header states them; a stream leaves both 0, "unknown". */
export type FlacInfo = { readonly sampleRateHz: number; readonly totalSamples: number; readonly md5?: Uint8Array };

/** MD5 of the 16-bit little-endian samples (8.2). */
export function flacMd5(samples: Float32Array): Uint8Array {
  return createHash('md5').update(new Uint8Array(toInt16(samples).buffer)).digest();
}

/** "fLaC" and a STREAMINFO block (8.2). */
export function flacHeader({ sampleRateHz, totalSamples, md5 }: FlacInfo): Uint8Array {
  const bits = new Bits();
  for (const letter of 'fLaC') bits.write(letter.charCodeAt(0), 8);
  bits.write(0x80, 8); // last metadata block, type 0
  bits.write(34, 24);
  bits.write(BLOCK_SAMPLES, 16);
  bits.write(BLOCK_SAMPLES, 16);
  bits.write(0, 24); // frame sizes: not known
  bits.write(0, 24);
  bits.write(sampleRateHz, 20);
  bits.write(0, 3); // channels − 1
  bits.write(15, 5); // bits − 1
  bits.write(Math.floor(totalSamples / 2 ** 32), 4);
  bits.write(totalSamples % 2 ** 32, 32);
  for (let i = 0; i < 16; i++) bits.write(md5?.[i] ?? 0, 8);
  return bits.bytes().slice();
}

/** Codes of the rates that have one (9.1.2). */
const RATE_CODES: Readonly<Record<number, number>> = { 8000: 4, 16000: 5, 22050: 6, 24000: 7, 32000: 8, 44100: 9, 48000: 10 };

/** One frame (9): header, one subframe, checks. It can be understood without the file's header where the rate has a code. */
function flacFrame(samples: Int16Array, number: number, sampleRateHz: number): Uint8Array {
  const bits = new Bits();
  bits.write(0xfff8, 16); // sync, blocks of one size
  bits.write(7, 4); // block size follows in 16 bits
  bits.write(RATE_CODES[sampleRateHz] ?? 0, 4); // 0: as in STREAMINFO
  bits.write(0, 4); // one channel
  bits.write(4, 3); // 16 bits
  bits.write(0, 1);
  writeCodedNumber(bits, number);
  bits.write(samples.length - 1, 16);
  bits.write(crc8(bits.bytes()), 8);
  writeSubframe(bits, samples);
  bits.align();
  bits.write(crc16(bits.bytes()), 16);
  return bits.bytes().slice();
}

/** The frame number in the extended UTF-8 of 9.1.5. */
function writeCodedNumber(bits: Bits, value: number): void {
  if (value < 0x80) return bits.write(value, 8);
  let tail = 1;
  while (value >= 2 ** (5 * tail + 6)) tail++;
  const lead = (0xff << (7 - tail)) & 0xff;
  bits.write(lead | Math.floor(value / 2 ** (6 * tail)), 8);
  for (let i = tail - 1; i >= 0; i--) bits.write(0x80 | (Math.floor(value / 2 ** (6 * i)) & 0x3f), 8);
}

/** The fixed predictor with the smallest residual (9.2.5). */
function writeSubframe(bits: Bits, samples: Int16Array): void {
  const first = samples[0] ?? 0;
  if (samples.every((sample) => sample === first)) {
    bits.write(0, 8); // constant
    return bits.write(first, 16);
  }
  let best = { order: 0, residual: Int32Array.from(samples), sum: sumOfSizes(samples) };
  let residual = best.residual;
  for (let order = 1; order <= MAX_ORDER && order < samples.length; order++) {
    const previous = residual;
    residual = Int32Array.from({ length: previous.length - 1 }, (_, i) => (previous[i + 1] ?? 0) - (previous[i] ?? 0));
    const sum = sumOfSizes(residual);
    if (sum < best.sum) best = { order, residual, sum };
  }
  bits.write((8 | best.order) << 1, 8);
  for (let i = 0; i < best.order; i++) bits.write(samples[i] ?? 0, 16);
  writeResidual(bits, best.residual, best.order);
}

type Partition = { readonly values: Int32Array; readonly rice: number; readonly bits: number };

/** Rice partitions (9.2.7), in the number that takes the fewest bits. */
function writeResidual(bits: Bits, residual: Int32Array, order: number): void {
  const block = residual.length + order;
  let best: { order: number; partitions: Partition[]; bits: number } | undefined;
  for (let partitionOrder = 0; partitionOrder <= MAX_PARTITION_ORDER; partitionOrder++) {
    const size = block / 2 ** partitionOrder;
    if (!Number.isInteger(size) || size <= order) break;
    const partitions = Array.from({ length: 2 ** partitionOrder }, (_, i) => ricePartition(residual.subarray(Math.max(0, i * size - order), (i + 1) * size - order)));
    const total = partitions.reduce((sum, partition) => sum + partition.bits, 0);
    if (!best || total < best.bits) best = { order: partitionOrder, partitions, bits: total };
  }
  bits.write(0, 2); // 4-bit parameters
  bits.write(best?.order ?? 0, 4);
  for (const { values, rice } of best?.partitions ?? []) {
    bits.write(rice, 4);
    for (const value of values) {
      const folded = fold(value);
      bits.unary(folded >>> rice);
      bits.write(folded, rice);
    }
  }
}

function ricePartition(values: Int32Array): Partition {
  // the best parameter is next to log2 of the mean; both neighbours are counted out
  const mean = values.length === 0 ? 0 : values.reduce((sum, value) => sum + fold(value), 0) / values.length;
  const guess = Math.max(0, Math.min(MAX_RICE, Math.floor(Math.log2(Math.max(1, mean)))));
  let best: Partition | undefined;
  for (let rice = Math.max(0, guess - 1); rice <= Math.min(MAX_RICE, guess + 1); rice++) {
    let bits = 4 + values.length * (rice + 1);
    for (const value of values) bits += fold(value) >>> rice;
    if (!best || bits < best.bits) best = { values, rice, bits };
  }
  return best ?? { values, rice: 0, bits: 4 };
}

/** Signed → unsigned: 0, −1, 1, −2, … */
function fold(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

function sumOfSizes(values: Int16Array | Int32Array): number {
  let sum = 0;
  for (const value of values) sum += Math.abs(value);
  return sum;
}

function crc8(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
  }
  return crc;
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
