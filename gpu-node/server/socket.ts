/**
 * A job whose text arrives while it is spoken (shared/contract/pieces.ts): messages of the edge → pieces of text for the engine,
 * its frames → messages, as far as the edge has given credit. A socket that closes ends its job at once.
 */
import type { WSContext, WSEvents } from 'hono/ws';
import { encodeFrame } from '../../shared/contract/frames.ts';
import type { Frame, StreamError } from '../../shared/contract/frames.ts';
import type { Job } from '../../shared/contract/job.ts';
import { PIECES_WINDOW_BYTES, pieceMessageSchema } from '../../shared/contract/pieces.ts';
import type { PieceJob, PieceMessage } from '../../shared/contract/pieces.ts';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { MAX_TEXT_CHARACTERS } from '../../shared/limits/index.ts';
import type { TextPiece } from '../schedule/source.ts';

/** Frames of a job without its text, which comes in `pieces`. */
export type RunPieces = (job: Job, signal: AbortSignal, pieces: AsyncIterable<TextPiece>) => AsyncGenerator<Frame>;

/** An edge that gives no credit for this long is gone. */
const MAX_STALL_MS = 60_000;
/** Messages that wait to be spoken; their text is bounded besides. */
const MAX_WAITING = 10_000;

/** Handlers of one socket. */
export function pieceSocket(run: RunPieces): WSEvents {
  const cancel = new AbortController();
  const pieces = new Pieces();
  const credit = new Credit(PIECES_WINDOW_BYTES, cancel);
  let started = false;

  async function speak(job: PieceJob, socket: WSContext): Promise<void> {
    let last: Frame | undefined;
    try {
      for await (const frame of run({ ...job, text: '' }, cancel.signal, pieces)) {
        const bytes = encodeFrame(frame);
        await credit.take(bytes.length);
        socket.send(bytes);
        last = frame;
      }
    } catch (error) {
      if (cancel.signal.aborted) return socket.close(1001, 'cancelled');
      last = { type: 'error', value: wire(error) };
      socket.send(encodeFrame(last));
    }
    socket.close(last?.type === 'end' ? 1000 : 1011);
  }

  function take(message: PieceMessage, socket: WSContext): void {
    if (message.type === 'job' && !started) {
      started = true;
      void speak(message.job, socket);
    } else if (!started || message.type === 'job') refuse(socket, new CosyError('invalid_value', 'A socket has one job, and begins with it.'));
    else if (message.type === 'credit') credit.give(message.bytes);
    else pieces.push(message, socket, refuse);
  }

  function refuse(socket: WSContext, error: CosyError): void {
    socket.send(encodeFrame({ type: 'error', value: wire(error) }));
    cancel.abort();
    pieces.end();
    socket.close(1008);
  }

  return {
    onMessage({ data }, socket) {
      const message = typeof data === 'string' ? parse(data) : undefined;
      if (message) take(message, socket);
      else refuse(socket, new CosyError('invalid_json', 'The message is none of this protocol.'));
    },
    onClose() {
      cancel.abort();
      pieces.end();
    },
  };
}

/** Text that waits for the engine. */
class Pieces implements AsyncIterable<TextPiece> {
  readonly #waiting: TextPiece[] = [];
  #characters = 0;
  #ended = false;
  #wake = () => {};

  push(message: Extract<PieceMessage, { type: 'text' | 'flush' | 'end' }>, socket: WSContext, refuse: (socket: WSContext, error: CosyError) => void): void {
    if (this.#ended) return;
    if (message.type === 'end') return this.end();
    const text = message.type === 'text' ? message.text : undefined;
    this.#characters += text?.length ?? 0;
    if (this.#characters > MAX_TEXT_CHARACTERS) return refuse(socket, new CosyError('input_too_long', `The text has more than ${MAX_TEXT_CHARACTERS} characters: speak it in several requests.`));
    if (this.#waiting.length >= MAX_WAITING) return refuse(socket, new CosyError('input_too_long', 'The text comes in too many pieces: send larger ones.'));
    this.#waiting.push(text === undefined ? { flush: true } : { text });
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TextPiece> {
    for (;;) {
      for (let piece = this.#waiting.shift(); piece; piece = this.#waiting.shift()) yield piece;
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** Bytes that may still be sent. One frame may go below zero, so that no frame is too large. */
class Credit {
  readonly #cancel: AbortController;
  #bytes: number;
  #wake = () => {};

  constructor(bytes: number, cancel: AbortController) {
    this.#bytes = bytes;
    this.#cancel = cancel;
    cancel.signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  give(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > 0) this.#wake();
  }

  /** Waits for credit. Throws `cancelled` when the edge is gone. */
  async take(bytes: number): Promise<void> {
    if (this.#bytes <= 0 && !this.#cancel.signal.aborted) {
      const stall = setTimeout(() => this.#cancel.abort(), MAX_STALL_MS);
      await new Promise<void>((resolve) => (this.#wake = resolve)).finally(() => clearTimeout(stall));
    }
    if (this.#cancel.signal.aborted) throw new CosyError('cancelled', 'The listener is gone.');
    this.#bytes -= bytes;
  }
}

function parse(text: string): PieceMessage | undefined {
  try {
    return pieceMessageSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function wire(error: unknown): StreamError {
  if (!isCosyError(error)) return { code: 'internal_error', message: 'The node failed: try again.' };
  return { code: error.code, message: error.message, ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }) };
}
