/** What a job asks for → segments: runs of the model that are short enough to be repeated, and whose sounds can be joined. */
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_JOB_CHARACTERS } from '../../shared/limits/index.ts';
import type { AudioFormat } from '../../shared/limits/index.ts';
import { splitForStreaming } from '../../shared/normalize/index.ts';

/** `item` counts within the job; `start` and `bytes` say where its text lies in `text` (UTF-8). */
export type Segment = { readonly item: number; readonly start: number; readonly bytes: number };

export type Plan = { readonly text: Uint8Array<ArrayBuffer>; readonly segments: readonly Segment[]; readonly characters: number };

/** About a minute and a half of speech: what is done again when a node goes away, and how late a cancel is at most. */
const SEGMENT_WEIGHT = 400;

/** Streams of these can follow one another: no header, frames that stand alone, or chained streams (RFC 3533 §4, Ogg). */
const JOINABLE: ReadonlySet<AudioFormat> = new Set(['wav', 'pcm', 'mp3', 'opus', 'aac', 'mulaw', 'alaw']);

export type PlannedItem = { readonly input: string; readonly format: AudioFormat; readonly ssml: boolean };

/** Throws `input_empty`, `input_too_long` or `unsupported_format` naming the item. */
export function plan(items: readonly PlannedItem[]): Plan {
  const characters = items.reduce((sum, { input }) => sum + input.length, 0);
  if (characters > MAX_JOB_CHARACTERS) throw new CosyError('input_too_long', `The job has ${characters} characters; the limit is ${MAX_JOB_CHARACTERS}: send several jobs.`, { param: 'input' });
  const encoder = new TextEncoder();
  const texts: Uint8Array[] = [];
  const segments: Segment[] = [];
  let at = 0;
  items.forEach(({ input, format, ssml }, item) => {
    // markup is one piece: tags that are open at a cut would be lost
    const pieces = (ssml ? [input] : splitForStreaming(input, { firstWeight: SEGMENT_WEIGHT, targetWeight: SEGMENT_WEIGHT, maxWeight: 2 * SEGMENT_WEIGHT }).map(({ text }) => text)).filter((text) => /[\p{L}\p{N}]/u.test(text));
    if (pieces.length === 0) throw new CosyError('input_empty', `${name(item, items)} has nothing that can be spoken: send at least one word.`, { param: name(item, items) });
    if (pieces.length > 1 && !JOINABLE.has(format)) throw new CosyError('unsupported_format', `${name(item, items)} is too long for ${format}, whose pieces cannot be joined: ask for ${[...JOINABLE].join(', ')}.`, { param: 'response_format' });
    for (const piece of pieces) {
      const bytes = encoder.encode(piece);
      texts.push(bytes);
      segments.push({ item, start: at, bytes: bytes.length });
      at += bytes.length;
    }
  });
  return { text: joined(texts, at), segments, characters };
}

function name(item: number, items: readonly unknown[]): string {
  return items.length === 1 ? 'input' : `items.${item}.input`;
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
