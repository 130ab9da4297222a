/** What a file is, by its first bytes; names and declared types are not trusted. */

export const CONTAINERS = ['wav', 'flac', 'ogg-vorbis', 'ogg-opus', 'ogg-flac', 'mp3', 'adts', 'mp4', 'webm'] as const;
export type Container = (typeof CONTAINERS)[number];

/** Bytes of an ID3 tag in front of the sound; its size is four times seven bits (id3.org/id3v2.4.0-structure, 3.1). */
export function tagBytes(bytes: Uint8Array): number {
  if (!starts(bytes, 'ID3')) return 0;
  return 10 + [6, 7, 8, 9].reduce((size, at) => size * 128 + ((bytes[at] ?? 0) & 0x7f), 0);
}

/** `bytes` start behind any tag. */
export function sniff(bytes: Uint8Array): Container | undefined {
  if (starts(bytes, 'RIFF') && starts(bytes, 'WAVE', 8)) return 'wav';
  if (starts(bytes, 'fLaC')) return 'flac';
  if (starts(bytes, 'OggS')) return sniffOgg(bytes);
  if (starts(bytes, 'ftyp', 4)) return 'mp4';
  if (starts(bytes, '\x1a\x45\xdf\xa3')) return 'webm';
  if (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xf6) === 0xf0) return 'adts';
  if (isMpegAudio(bytes, 0)) return 'mp3';
  return undefined;
}

/** The first packet of the first page names the codec (RFC 3533, RFC 7845 5.1, Vorbis I 4.2.1, FLAC to Ogg mapping). */
function sniffOgg(bytes: Uint8Array): Container | undefined {
  const packet = 27 + (bytes[26] ?? 0);
  if (starts(bytes, 'OpusHead', packet)) return 'ogg-opus';
  if (starts(bytes, '\x01vorbis', packet)) return 'ogg-vorbis';
  if (starts(bytes, '\x7fFLAC', packet)) return 'ogg-flac';
  return undefined;
}

const LAYER_3_KBPS = {
  mpeg1: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  mpeg2: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
} as const;
const RATES_HZ = [44100, 48000, 32000] as const;

/** Two frame headers, one frame's length apart: eleven set bits alone turn up in anything. */
function isMpegAudio(bytes: Uint8Array, at: number): boolean {
  const length = layer3FrameBytes(bytes, at);
  if (length === undefined) return false;
  return at + length >= bytes.length || layer3FrameBytes(bytes, at + length) !== undefined;
}

/** ISO/IEC 11172-3 2.4.1.3 and 13818-3. */
function layer3FrameBytes(bytes: Uint8Array, at: number): number | undefined {
  const [sync = 0, head = 0, rates = 0] = bytes.subarray(at, at + 3);
  const version = (head >> 3) & 3; // 0: 2.5, 2: 2, 3: 1
  if (sync !== 0xff || (head & 0xe0) !== 0xe0 || version === 1 || ((head >> 1) & 3) !== 1) return undefined;
  const kbps = LAYER_3_KBPS[version === 3 ? 'mpeg1' : 'mpeg2'][rates >> 4];
  const rateHz = RATES_HZ[((rates >> 2) & 3) as 0 | 1 | 2];
  if (!kbps || rateHz === undefined) return undefined;
  const divisor = version === 3 ? 1 : version === 2 ? 2 : 4;
  return Math.floor(((version === 3 ? 144_000 : 72_000) * kbps) / (rateHz / divisor)) + ((rates >> 1) & 1);
}

function starts(bytes: Uint8Array, text: string, at = 0): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
