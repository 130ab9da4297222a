/**
 * WebM around Opus packets, written front to back: a segment of unknown size, one cluster for each piece.
 * Source: RFC 8794 (EBML), RFC 9559 (Matroska), the WebM container guidelines for Opus.
 */
import { joinBytes } from './encoder.ts';
import { OPUS_CLOCK_HZ, opusHead } from './opus.ts';
import type { OpusMuxer, OpusPacket, OpusStreamInfo } from './opus.ts';

const ID = {
  ebml: 0x1a45dfa3,
  ebmlVersion: 0x4286,
  ebmlReadVersion: 0x42f7,
  maxIdLength: 0x42f2,
  maxSizeLength: 0x42f3,
  docType: 0x4282,
  docTypeVersion: 0x4287,
  docTypeReadVersion: 0x4285,
  segment: 0x18538067,
  info: 0x1549a966,
  timestampScale: 0x2ad7b1,
  muxingApp: 0x4d80,
  writingApp: 0x5741,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  trackUid: 0x73c5,
  trackType: 0x83,
  flagLacing: 0x9c,
  codecId: 0x86,
  codecDelay: 0x56aa,
  seekPreRoll: 0x56bb,
  codecPrivate: 0x63a2,
  audio: 0xe1,
  samplingFrequency: 0xb5,
  channels: 0x9f,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
  blockGroup: 0xa0,
  block: 0xa1,
  discardPadding: 0x75a2,
} as const;

const AUDIO_TRACK = 2;
const TRACK = 1;
const KEY_FRAME = 0x80;
/** Timestamps count milliseconds: packets of 20 ms fall on them exactly. */
const TIMESTAMP_SCALE_NS = 1_000_000;
/** Decoders need 80 ms before a seek target (RFC 7845, 4.6). */
const SEEK_PRE_ROLL_NS = 80_000_000;
/** Blocks state their time relative to the cluster in 16 signed bits of milliseconds. */
const MAX_CLUSTER_PACKETS = 1000;
const PACKET_MS = 20;

export function webmOpusMuxer(info: OpusStreamInfo): OpusMuxer {
  return {
    contentType: 'audio/webm;codecs=opus',
    head: () => joinBytes([ebmlHeader(), idBytes(ID.segment), Uint8Array.of(0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), segmentHead(info)]),
    write(packets) {
      const clusters: Uint8Array[] = [];
      for (let at = 0; at < packets.length; at += MAX_CLUSTER_PACKETS) clusters.push(cluster(packets.slice(at, at + MAX_CLUSTER_PACKETS)));
      return joinBytes(clusters);
    },
  };
}

function ebmlHeader(): Uint8Array {
  return element(
    ID.ebml,
    uint(ID.ebmlVersion, 1),
    uint(ID.ebmlReadVersion, 1),
    uint(ID.maxIdLength, 4),
    uint(ID.maxSizeLength, 8),
    text(ID.docType, 'webm'),
    uint(ID.docTypeVersion, 4),
    uint(ID.docTypeReadVersion, 2),
  );
}

function segmentHead(info: OpusStreamInfo): Uint8Array {
  return joinBytes([
    element(ID.info, uint(ID.timestampScale, TIMESTAMP_SCALE_NS), text(ID.muxingApp, 'cosyvoice'), text(ID.writingApp, 'cosyvoice')),
    element(
      ID.tracks,
      element(
        ID.trackEntry,
        uint(ID.trackNumber, TRACK),
        uint(ID.trackUid, TRACK),
        uint(ID.trackType, AUDIO_TRACK),
        uint(ID.flagLacing, 0),
        text(ID.codecId, 'A_OPUS'),
        uint(ID.codecDelay, nanoseconds(info.preSkip)),
        uint(ID.seekPreRoll, SEEK_PRE_ROLL_NS),
        element(ID.codecPrivate, opusHead(info)),
        element(ID.audio, float(ID.samplingFrequency, OPUS_CLOCK_HZ), uint(ID.channels, 1)),
      ),
    ),
  ]);
}

function cluster(packets: readonly OpusPacket[]): Uint8Array {
  const times = packets.map(({ endsAt }) => (1000 * endsAt) / OPUS_CLOCK_HZ - PACKET_MS);
  const start = times[0] ?? 0;
  const blocks = packets.map(({ data, padding }, i) => {
    const head = new DataView(new ArrayBuffer(4));
    head.setUint8(0, 0x80 | TRACK);
    head.setInt16(1, (times[i] ?? 0) - start);
    head.setUint8(3, padding > 0 ? 0 : KEY_FRAME);
    const block = joinBytes([new Uint8Array(head.buffer), data]);
    // only a block group can say that its end is no sound
    return padding > 0 ? element(ID.blockGroup, element(ID.block, block), int(ID.discardPadding, nanoseconds(padding))) : element(ID.simpleBlock, block);
  });
  return element(ID.cluster, uint(ID.timestamp, start), ...blocks);
}

function nanoseconds(samplesAt48kHz: number): number {
  return Math.round((samplesAt48kHz * 1e9) / OPUS_CLOCK_HZ);
}

function element(id: number, ...children: readonly Uint8Array[]): Uint8Array {
  const content = joinBytes(children);
  return joinBytes([idBytes(id), sizeBytes(content.length), content]);
}

function uint(id: number, value: number): Uint8Array {
  let width = 1;
  while (value >= 256 ** width) width++;
  return element(id, bigEndian(value, width));
}

function int(id: number, value: number): Uint8Array {
  return element(id, bigEndian(value, 8)); // positive here, and far from the sign bit
}

function float(id: number, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return element(id, new Uint8Array(view.buffer));
}

function text(id: number, value: string): Uint8Array {
  return element(id, new TextEncoder().encode(value));
}

/** Element ids contain their own length marker. */
function idBytes(id: number): Uint8Array {
  return bigEndian(id, Math.ceil((32 - Math.clz32(id)) / 8));
}

/** Variable-size integer; the all-ones value of each width means "unknown" and is left out. */
function sizeBytes(size: number): Uint8Array {
  let width = 1;
  while (size >= 2 ** (7 * width) - 1) width++;
  const bytes = bigEndian(size, width);
  bytes[0] = (bytes[0] ?? 0) | (1 << (8 - width));
  return bytes;
}

function bigEndian(value: number, width: number): Uint8Array {
  return Uint8Array.from({ length: width }, (_, i) => Math.floor(value / 256 ** (width - 1 - i)) % 256);
}
