/**
 * A finished sound as objects: the result itself, written last, and in front of it pieces of `PIECE_BYTES`.
 *
 *   PATH          u32 (little-endian) length of the header · header as JSON · the last bytes of the sound
 *   PATH.ID/I     the sound's bytes from I · PIECE_BYTES on, PIECE_BYTES of them
 *
 * A result is there when PATH is there: what broke off never is. Short sounds are one object.
 */
import { z } from 'zod';
import type { StreamEnd, StreamMark, StreamStart } from '../../shared/contract/frames.ts';

/** Held in memory while a stream is kept: one that fills and one that is being written. */
export const PIECE_BYTES = 96 * 1024;

/** A mark, and how many bytes of sound stand before it. */
export type PlacedMark = { readonly atByte: number; readonly mark: StreamMark };

/** All about a kept sound but its bytes. */
export type ResultHeader = {
  /** Of this writing: equal ids are equal bytes. */
  readonly id: string;
  readonly storedMs: number;
  /** Of all the sound. */
  readonly bytes: number;
  readonly pieces: number;
  readonly start: StreamStart;
  readonly end: StreamEnd;
  /** Those with words. */
  readonly marks: readonly PlacedMark[];
};

/** A result as it was read. `tail`: the sound from `pieces · PIECE_BYTES` on. */
export type ResultObject = { readonly header: ResultHeader; readonly tail: Uint8Array };

const VERSION = 1;
const words = z.array(z.tuple([z.string(), z.number(), z.number()]));
const headerSchema = z.object({
  version: z.literal(VERSION),
  id: z.string(),
  storedMs: z.number(),
  bytes: z.int().min(0),
  pieces: z.int().min(0),
  start: z.object({ sampleRateHz: z.number(), contentType: z.string(), seed: z.number() }),
  end: z.object({ audioMs: z.number(), speechTokens: z.number() }),
  /** Bytes before it, samples, whether the times are the model's own, words with start and end in ms. */
  marks: z.array(z.tuple([z.number(), z.number(), z.boolean(), words])),
});

/** Names of the objects of one result. */
export function pieceName(path: string, id: string, index: number): string {
  return `${path}.${id}/${index}`;
}

export function encodeResult({ header, tail }: ResultObject): Uint8Array<ArrayBuffer> {
  const { start, end, marks, ...rest } = header;
  const json = new TextEncoder().encode(
    JSON.stringify({
      version: VERSION,
      ...rest,
      start: { sampleRateHz: start.sampleRateHz, contentType: start.contentType, seed: start.seed },
      end: { audioMs: end.audioMs, speechTokens: end.speechTokens },
      marks: marks.map(({ atByte, mark }) => [atByte, mark.samples, mark.wordSource === 'attention', (mark.words ?? []).map(({ text, startMs, endMs }) => [text, startMs, endMs])]),
    } satisfies z.infer<typeof headerSchema>),
  );
  const out = new Uint8Array(4 + json.length + tail.length);
  new DataView(out.buffer).setUint32(0, json.length, true);
  out.set(json, 4);
  out.set(tail, 4 + json.length);
  return out;
}

/** Undefined for what is no result, or one of another version: it is made anew. */
export function decodeResult(bytes: Uint8Array): ResultObject | undefined {
  if (bytes.length < 4) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const tail = bytes.subarray(4 + length);
  const parsed = headerSchema.safeParse(parse(bytes.subarray(4, 4 + length)));
  if (!parsed.success || parsed.data.pieces * PIECE_BYTES + tail.length !== parsed.data.bytes) return undefined;
  const { version: _, marks, end, ...rest } = parsed.data;
  return {
    tail,
    header: {
      ...rest,
      end: { ...end, timings: {} },
      marks: marks.map(([atByte, samples, own, list]) => ({ atByte, mark: { samples, words: list.map(([text, startMs, endMs]) => ({ text, startMs, endMs })), wordSource: own ? ('attention' as const) : ('estimate' as const) } })),
    },
  };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
