/**
 * The stream from node to edge: frames of `type (u8) · length (u32, little-endian) · payload`. A stream is complete only
 * when its last frame is `end`; anything else, however it stops, is a failure.
 *
 * Order: start, then tokens, audio and mark as they are made, then end | error. The bytes of all audio frames up to a mark
 * hold its `samples`, and the tokens frames up to it are the ones to resume with.
 */
import { CosyError, ERRORS } from '../errors/index.ts';
import type { ErrorCode } from '../errors/index.ts';

export const FRAME = { start: 1, audio: 2, tokens: 3, end: 4, error: 5, mark: 6 } as const;

/** Facts known before the first sample. */
export type StreamStart = { readonly sampleRateHz: number; readonly contentType: string; readonly seed: number };
/** `audioMs` of sound was sent; `timings` in milliseconds by stage name. */
export type StreamEnd = { readonly audioMs: number; readonly speechTokens: number; readonly timings: Readonly<Record<string, number>> };
/**
 * `samples`: at the start frame's rate, in the audio so far (an encoder may still hold some of them). `words`: in milliseconds of
 * the whole sound; `wordSource` says whether they come from the model's own attention to its text or are shared out by length.
 */
export type StreamMark = { readonly samples: number; readonly words?: readonly { readonly text: string; readonly startMs: number; readonly endMs: number }[]; readonly wordSource?: 'attention' | 'estimate' | undefined };
export type StreamError = { readonly code: ErrorCode; readonly message: string; readonly retryAfterMs?: number };

export type Frame =
  | { readonly type: 'start'; readonly value: StreamStart }
  | { readonly type: 'audio'; readonly value: Uint8Array }
  /** Speech tokens and marks (tokens.ts) of the audio that follows, so that another node can go on from here. */
  | { readonly type: 'tokens'; readonly value: Uint16Array }
  | { readonly type: 'mark'; readonly value: StreamMark }
  | { readonly type: 'end'; readonly value: StreamEnd }
  | { readonly type: 'error'; readonly value: StreamError };

const HEADER_BYTES = 5;
/** One frame is at most a few seconds of 48 kHz PCM; more is a broken peer. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;

export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const payload =
    frame.type === 'audio' ? frame.value
    : frame.type === 'tokens' ? new Uint8Array(frame.value.buffer, frame.value.byteOffset, frame.value.byteLength)
    : new TextEncoder().encode(JSON.stringify(frame.value));
  const out = new Uint8Array(HEADER_BYTES + payload.length);
  out[0] = FRAME[frame.type];
  new DataView(out.buffer).setUint32(1, payload.length, true);
  out.set(payload, HEADER_BYTES);
  return out;
}

/** Bytes in pieces of any size → frames. Throws `internal_error` on bytes that are no frames. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): Frame[] {
    const all = this.#rest.length === 0 ? bytes : concat(this.#rest, bytes);
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    const frames: Frame[] = [];
    let at = 0;
    while (all.length - at >= HEADER_BYTES) {
      const length = view.getUint32(at + 1, true);
      if (length > MAX_FRAME_BYTES) throw new CosyError('internal_error', 'The node sent a frame that is too large.');
      if (all.length - at - HEADER_BYTES < length) break;
      frames.push(decode(view.getUint8(at), copy(all, at + HEADER_BYTES, at + HEADER_BYTES + length)));
      at += HEADER_BYTES + length;
    }
    this.#rest = copy(all, at, all.length);
    return frames;
  }
}

function decode(type: number, payload: Uint8Array): Frame {
  switch (type) {
    case FRAME.audio:
      return { type: 'audio', value: payload };
    case FRAME.tokens:
      return { type: 'tokens', value: new Uint16Array(payload.buffer, 0, payload.length >> 1) };
    case FRAME.start:
      return { type: 'start', value: json(payload) as StreamStart };
    case FRAME.mark:
      return { type: 'mark', value: json(payload) as StreamMark };
    case FRAME.end:
      return { type: 'end', value: json(payload) as StreamEnd };
    case FRAME.error: {
      const value = json(payload) as StreamError;
      return { type: 'error', value: value.code in ERRORS ? value : { ...value, code: 'internal_error' } };
    }
    default:
      throw new CosyError('internal_error', 'The node sent a frame of an unknown type.');
  }
}

function json(payload: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(payload));
}

/** A copy with memory of its own; `slice` of Node's Buffer would share it. */
function copy(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.subarray(from, to));
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
