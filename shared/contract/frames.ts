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

/** Memory of a reader between frames: a sixth of a second of 24 kHz PCM. Larger ones cost workerd several times their size for each stream. */
const READ_BYTES = 8 * 1024;

/**
 * Bytes in pieces of any size → frames. Throws `internal_error` on bytes that are no frames. Either `push` what came, or let a
 * BYOB reader fill `room()` and give what it returns to `filled`: then bytes are moved once, from there into their frame.
 */
export class FrameReader {
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Bytes that wait for the rest of their frame: from the buffer's beginning. */
  #held = 0;
  /** Bytes at which the next frame is whole, or at least its header. */
  #wanted = HEADER_BYTES;

  /** Bytes without which the next frame is not whole: to wait for less is of no use. */
  get missing(): number {
    return this.#wanted - this.#held;
  }

  /** Where the next bytes belong, room for at least `missing` of them. */
  room(): Uint8Array<ArrayBuffer> {
    this.#reserve(Math.max(READ_BYTES, this.#wanted));
    return this.#buffer.subarray(this.#held);
  }

  /** `bytes`: the beginning of `room()`, in memory that may have moved to another `ArrayBuffer`, which belongs to the reader again. */
  filled(bytes: Uint8Array<ArrayBuffer>): Frame[] {
    this.#buffer = new Uint8Array(bytes.buffer);
    return this.#take(this.#held + bytes.length);
  }

  push(bytes: Uint8Array): Frame[] {
    this.#reserve(Math.max(this.#wanted, this.#held + bytes.length));
    this.#buffer.set(bytes, this.#held);
    return this.#take(this.#held + bytes.length);
  }

  /** The frames that are whole among the first `length` bytes. */
  #take(length: number): Frame[] {
    const view = new DataView(this.#buffer.buffer);
    const frames: Frame[] = [];
    let at = 0;
    this.#wanted = HEADER_BYTES;
    while (length - at >= HEADER_BYTES) {
      const payload = view.getUint32(at + 1, true);
      if (payload > MAX_FRAME_BYTES) throw new CosyError('internal_error', 'The node sent a frame that is too large.');
      if (length - at - HEADER_BYTES < payload) {
        this.#wanted = HEADER_BYTES + payload;
        break;
      }
      frames.push(decode(view.getUint8(at), this.#buffer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + payload)));
      at += HEADER_BYTES + payload;
    }
    this.#held = length - at;
    if (this.#held === 0 && this.#buffer.length > READ_BYTES) this.#buffer = new Uint8Array(0);
    else if (at > 0) this.#buffer.copyWithin(0, at, length);
    return frames;
  }

  #reserve(bytes: number): void {
    if (this.#buffer.length >= bytes) return;
    const larger = new Uint8Array(bytes);
    larger.set(this.#buffer.subarray(0, this.#held));
    this.#buffer = larger;
  }
}

/** `payload` lies in memory that is used again. */
function decode(type: number, payload: Uint8Array<ArrayBuffer>): Frame {
  switch (type) {
    case FRAME.audio:
      return { type: 'audio', value: payload.slice() };
    case FRAME.tokens:
      return { type: 'tokens', value: new Uint16Array(payload.slice().buffer, 0, payload.length >> 1) };
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
