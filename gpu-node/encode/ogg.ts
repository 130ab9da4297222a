/** Ogg pages around Opus packets. Source: RFC 3533 (pages), RFC 7845 (Opus in Ogg). */
import { joinBytes } from './encoder.ts';
import { opusHead } from './opus.ts';
import type { OpusMuxer, OpusPacket, OpusStreamInfo } from './opus.ts';

/** One stream in the file, so any number will do; a fixed one keeps files reproducible. */
const SERIAL = 0x436f7379;
const FIRST_PAGE = 2;
const LAST_PAGE = 4;
/** A page has at most 255 lacing values; a 20 ms packet takes at most six. */
const MAX_SEGMENTS = 255;

export function oggOpusMuxer(info: OpusStreamInfo): OpusMuxer {
  let sequence = 0;
  const page = (packets: readonly Uint8Array[], granule: number, flags: number): Uint8Array => oggPage(packets, { granule, flags, sequence: sequence++ });
  return {
    contentType: 'audio/ogg;codecs=opus',
    head: () => joinBytes([page([opusHead(info)], 0, FIRST_PAGE), page([opusTags()], 0, 0)]),
    write(packets, last) {
      const pages: Uint8Array[] = [];
      const groups = groupBySegments(packets);
      groups.forEach((group, i) => {
        const end = group.at(-1);
        const final = last && i === groups.length - 1;
        // the last page's position, short of its packets' end, tells where the sound ends (RFC 7845, 4.4)
        pages.push(page(group.map(({ data }) => data), (end?.endsAt ?? 0) - (end?.padding ?? 0), final ? LAST_PAGE : 0));
      });
      return joinBytes(pages);
    },
  };
}

function groupBySegments(packets: readonly OpusPacket[]): OpusPacket[][] {
  const groups: OpusPacket[][] = [];
  let segments = MAX_SEGMENTS;
  for (const packet of packets) {
    const needed = Math.floor(packet.data.length / 255) + 1;
    if (segments + needed > MAX_SEGMENTS) {
      groups.push([]);
      segments = 0;
    }
    groups.at(-1)?.push(packet);
    segments += needed;
  }
  return groups;
}

/** RFC 7845, 5.2. */
function opusTags(): Uint8Array {
  const vendor = 'cosyvoice';
  const bytes = new Uint8Array(8 + 4 + vendor.length + 4);
  const text = new TextEncoder();
  text.encodeInto('OpusTags', bytes);
  bytes[8] = vendor.length;
  text.encodeInto(vendor, bytes.subarray(12));
  return bytes;
}

type PageOptions = { readonly granule: number; readonly flags: number; readonly sequence: number };

/** RFC 3533, 6. */
function oggPage(packets: readonly Uint8Array[], { granule, flags, sequence }: PageOptions): Uint8Array {
  const lacing = packets.flatMap(({ length }) => [...Array<number>(Math.floor(length / 255)).fill(255), length % 255]);
  const header = new DataView(new ArrayBuffer(27));
  new TextEncoder().encodeInto('OggS', new Uint8Array(header.buffer));
  header.setUint8(5, flags);
  header.setBigUint64(6, BigInt(granule), true);
  header.setUint32(14, SERIAL, true);
  header.setUint32(18, sequence, true);
  header.setUint8(26, lacing.length);
  const page = joinBytes([new Uint8Array(header.buffer), Uint8Array.from(lacing), ...packets]);
  new DataView(page.buffer).setUint32(22, crc32(page), true);
  return page;
}

/** Polynomial 0x04c11db7, not reflected, starting from 0: not zip's. */
const CRC32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let i = 0; i < 8; i++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC32[(crc >>> 24) ^ byte] ?? 0);
  return crc >>> 0;
}
