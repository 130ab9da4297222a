/**
 * RIFF WAVE: PCM of 8 to 32 bits, float, A-law, µ-law, plain or extensible. Integers are divided by 2^(bits−1), as libsndfile
 * does and the golden features expect.
 * Source: Microsoft "Multimedia Programming Interface and Data Specifications 1.0" and WAVE_FORMAT_EXTENSIBLE; ITU-T G.711.
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { Clip } from './prompt.ts';

const FORMAT = { pcm: 1, float: 3, alaw: 6, mulaw: 7, extensible: 0xfffe } as const;

/** More than any file for a voice has; bounds the loops below. */
const MAX_CHANNELS = 32;
const MAX_CHUNKS = 1000;

type Layout = { readonly code: number; readonly channels: number; readonly sampleRateHz: number; readonly bits: number };
type Reader = (view: DataView, at: number) => number;

/**
 * Channels are averaged. A cut-off or streamed file (sizes 0 or 0xFFFFFFFF) gives what is there.
 * Throws `audio_invalid`, and `audio_too_long` before anything is allocated.
 */
export function readWav(bytes: Uint8Array, maxSeconds = Infinity): Clip & { readonly channels: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { layout, start, length } = findData(view);
  const { channels, sampleRateHz, bits } = layout;
  const read = sampleReader(layout);
  const step = bits / 8;
  const frames = Math.floor(length / (step * channels));
  if (frames > maxSeconds * sampleRateHz) throw tooLong(maxSeconds, frames / sampleRateHz);
  const samples = new Float32Array(frames);
  for (let frame = 0, at = start; frame < frames; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += step) sum += read(view, at);
    samples[frame] = sum / channels;
  }
  return { samples, sampleRateHz, channels };
}

/** `seconds`: length of the file when it is known. */
export function tooLong(maxSeconds: number, seconds?: number): CosyError {
  const length = seconds === undefined ? 'longer than that' : `${seconds.toFixed(1)} s`;
  return new CosyError('audio_too_long', `The audio may be at most ${maxSeconds} s long, this is ${length}. Cut it; 5 to 10 s of clear speech are best for a voice.`);
}

function findData(view: DataView): { layout: Layout; start: number; length: number } {
  let layout: Layout | undefined;
  for (let at = 12, chunks = 0; at + 8 <= view.byteLength && chunks < MAX_CHUNKS; chunks++) {
    const id = view.getUint32(at);
    const stated = view.getUint32(at + 4, true);
    const start = at + 8;
    if (id === 0x666d7420) layout = readFormat(view, start, stated); // 'fmt '
    if (id === 0x64617461) {
      // 'data'
      if (!layout) throw invalid('its samples come before their description');
      const present = view.byteLength - start;
      return { layout, start, length: stated === 0 ? present : Math.min(stated, present) };
    }
    at = start + stated + (stated % 2);
  }
  throw invalid('it has no samples');
}

function readFormat(view: DataView, at: number, size: number): Layout {
  if (size < 16 || at + size > view.byteLength) throw invalid('its format chunk is cut off');
  let code = view.getUint16(at, true);
  if (code === FORMAT.extensible) {
    if (size < 26) throw invalid('its format chunk is cut off');
    code = view.getUint16(at + 24, true);
  }
  const layout = { code, channels: view.getUint16(at + 2, true), sampleRateHz: view.getUint32(at + 4, true), bits: view.getUint16(at + 14, true) };
  if (layout.channels < 1 || layout.channels > MAX_CHANNELS) throw invalid(`it has ${layout.channels} channels`);
  return layout;
}

function sampleReader({ code, bits }: Layout): Reader {
  const reader = READERS[`${code}/${bits}`];
  if (!reader) throw invalid(`its encoding (format ${code}, ${bits} bits) is not supported; save it as 16-bit PCM`);
  return reader;
}

const READERS: Readonly<Record<string, Reader>> = {
  [`${FORMAT.pcm}/8`]: (view, at) => (view.getUint8(at) - 128) / 128,
  [`${FORMAT.pcm}/16`]: (view, at) => view.getInt16(at, true) / 32768,
  [`${FORMAT.pcm}/24`]: (view, at) => (view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getInt8(at + 2) << 16)) / 8388608,
  [`${FORMAT.pcm}/32`]: (view, at) => view.getInt32(at, true) / 2147483648,
  [`${FORMAT.float}/32`]: (view, at) => view.getFloat32(at, true),
  [`${FORMAT.float}/64`]: (view, at) => view.getFloat64(at, true),
  [`${FORMAT.alaw}/8`]: (view, at) => alawValue(view.getUint8(at)) / 32768,
  [`${FORMAT.mulaw}/8`]: (view, at) => mulawValue(view.getUint8(at)) / 32768,
};

function mulawValue(code: number): number {
  const bits = ~code & 0xff;
  const size = ((((bits & 15) << 3) + 132) << (bits >> 4 & 7)) - 132;
  return bits & 0x80 ? -size : size;
}

function alawValue(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const step = ((bits & 15) << 4) + 8;
  const size = segment === 0 ? step : (step + 256) << (segment - 1);
  return bits & 0x80 ? size : -size;
}

function invalid(reason: string): CosyError {
  return new CosyError('audio_invalid', `The WAV file cannot be read: ${reason}.`);
}
