/**
 * One socket of `/v1/audio/speech/ws`: contexts that speak side by side, each with its own voice and text. What goes wrong in a
 * context is an `error` event of that context; the socket closes for what concerns all of them.
 *
 *   1000 idle · 1001 the service stops: connect again · 1008 sound is not taken, or the key has ended · 1009 a message is too large
 */
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { PiecesSpeech } from '../pieces.ts';
import type { PiecesContext, PiecesPart } from '../pieces.ts';
import { timesOf, toBase64, usageOf } from '../stream/events.ts';
import { errorType } from './problem.ts';
import { deliverySchema, parseMessage } from './socket-messages.ts';
import type { ClientMessage } from './socket-messages.ts';
import { MAX_UNACKNOWLEDGED_BYTES, SoundWindow, WINDOW_BYTES } from './socket-window.ts';

/** Contexts that are open on one socket. */
export const MAX_CONTEXTS = 5;
/** A page of text at once is more than any model writes at once. */
export const MAX_MESSAGE_BYTES = 64 * 1024;
/** Without a context, and without a word from the client. */
const IDLE_MS = 60_000;

type Context = { readonly speech: PiecesSpeech; readonly delivery: ReturnType<typeof deliverySchema.parse>; interrupted: boolean; seq: number };

export class SocketSession {
  readonly #socket: WebSocket;
  readonly #about: PiecesContext;
  readonly #check: () => Promise<void>;
  readonly #contexts = new Map<string, Context>();
  readonly #window = new SoundWindow(() => this.#close(1008, 'sound was sent and not acknowledged: send audio.ack'));
  #defaults: Partial<Extract<ClientMessage, { type: 'session.update' }>['defaults']> = {};
  #draining = false;
  #count = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** `check`: throws `invalid_api_key` once the caller may not begin anything more. */
  constructor(socket: WebSocket, about: PiecesContext, check: () => Promise<void>) {
    this.#socket = socket;
    this.#about = about;
    this.#check = check;
  }

  start(): void {
    this.#socket.addEventListener('message', ({ data }) => this.#receive(data));
    this.#socket.addEventListener('close', () => this.#end());
    this.#socket.addEventListener('error', () => this.#end());
    this.#send({ type: 'session.created', session_id: this.#about.requestId, region: this.#about.region ?? null, limits: { contexts: MAX_CONTEXTS, message_bytes: MAX_MESSAGE_BYTES, window_bytes: WINDOW_BYTES, unacknowledged_bytes: MAX_UNACKNOWLEDGED_BYTES, idle_ms: IDLE_MS } });
    this.#rest();
  }

  #receive(data: string | ArrayBuffer | Blob): void {
    this.#rest();
    const size = typeof data === 'string' ? data.length : data instanceof ArrayBuffer ? data.byteLength : data.size;
    if (size > MAX_MESSAGE_BYTES) return this.#close(1009, `a message is at most ${MAX_MESSAGE_BYTES} bytes`);
    let id: string | undefined;
    try {
      const message = parseMessage(data);
      id = 'context_id' in message ? message.context_id : undefined;
      this.#take(message);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #take(message: ClientMessage): void {
    if (message.type === 'ping') return this.#send({ type: 'pong' });
    if (message.type === 'session.update') return void (this.#defaults = { ...this.#defaults, ...given(message.defaults) });
    if (message.type === 'context.create') return this.#open(message);
    if (message.type === 'audio.ack') return this.#window.acknowledge(message.context_id, message.seq);
    const context = this.#contexts.get(message.context_id);
    // a context that ended may still be spoken to by a client that does not know yet
    if (!context) throw new CosyError('not_found', 'There is no such context: begin one with context.create.', { param: 'context_id' });
    const { speech } = context;
    if (message.type === 'input.append') speech.append(message.text);
    else if (message.type === 'input.flush') speech.flush(message.flush_id, () => this.#send({ type: 'flush.done', context_id: message.context_id, flush_id: message.flush_id }));
    else if (message.type === 'input.done') speech.done();
    else if (message.type === 'context.cancel') speech.cancel();
    else {
      const { spoken, remaining } = speech.heardAt(message.audio_played_ms);
      context.interrupted = true;
      speech.cancel();
      this.#send({ type: 'context.interrupted', context_id: message.context_id, text_spoken: spoken, text_remaining: remaining });
    }
  }

  #open({ type: _, context_id: id, ...fields }: Extract<ClientMessage, { type: 'context.create' }>): void {
    if (this.#contexts.has(id)) throw new CosyError('invalid_value', 'There is a context with this id: use another one.', { param: 'context_id' });
    if (this.#draining) throw new CosyError('draining', 'This connection is closing: connect again.', { retryAfterMs: 0 });
    if (this.#contexts.size >= MAX_CONTEXTS) throw new CosyError('concurrency_limit_exceeded', `A connection has at most ${MAX_CONTEXTS} contexts: wait until one is done.`);
    const delivery = deliverySchema.parse({ ...this.#defaults, ...given(fields) });
    const speech = new PiecesSpeech(delivery, { ...this.#about, requestId: `${this.#about.requestId}.${++this.#count}` });
    const context: Context = { speech, delivery, interrupted: false, seq: 0 };
    this.#contexts.set(id, context);
    void this.#speak(id, context);
  }

  async #speak(id: string, context: Context): Promise<void> {
    try {
      await this.#check();
      for await (const part of context.speech.parts()) await this.#tell(id, context, part);
    } catch (error) {
      if (isCosyError(error) && error.code === 'cancelled') this.#send({ type: 'context.done', context_id: id, reason: context.interrupted ? 'interrupted' : 'cancelled' });
      else this.#fail(id, error);
      if (isCosyError(error) && error.code === 'invalid_api_key') return this.#close(1008, 'the key has ended');
      this.#draining ||= isCosyError(error) && error.code === 'draining';
    } finally {
      this.#contexts.delete(id);
      if (this.#draining && this.#contexts.size === 0) this.#close(1001, 'the service stops here: connect again');
    }
  }

  async #tell(id: string, context: Context, { frame, words, flushed }: PiecesPart): Promise<void> {
    const about = { context_id: id };
    if (frame.type === 'start') {
      this.#send({ type: 'context.started', ...about, content_type: frame.value.contentType, sample_rate: frame.value.sampleRateHz, seed: frame.value.seed });
    } else if (frame.type === 'audio') {
      const seq = ++context.seq;
      if (!(await this.#window.room(id, seq, frame.value.length))) return context.speech.cancel();
      const inline = context.delivery.encoding === 'base64';
      this.#send({ type: 'audio.chunk', ...about, seq, bytes: frame.value.length, ...(inline && { audio: toBase64(frame.value) }) });
      if (!inline) this.#send(frame.value);
    } else if (frame.type === 'mark' && words.length > 0 && context.delivery.timestamps === 'word') {
      const { source } = timesOf(frame.value);
      this.#send({ type: 'audio.timestamps', ...about, source, words: words.map(({ text, startMs, endMs, start, end }) => ({ text, start_ms: startMs, end_ms: endMs, begin_index: start, end_index: end })) });
    }
    for (const flush of flushed) this.#send({ type: 'flush.done', ...about, flush_id: flush });
    if (frame.type === 'end') this.#send({ type: 'context.done', ...about, reason: 'completed', usage: usageOf(frame.value, context.speech.characters) });
  }

  #fail(id: string | undefined, error: unknown): void {
    const known = isCosyError(error) ? error : undefined;
    this.#send({
      type: 'error',
      ...(id !== undefined && { context_id: id }),
      error: { type: errorType(known?.status ?? 500), code: known?.code ?? 'internal_error', message: known?.message ?? 'Something failed here: try again.', param: known?.param ?? null, ...(known?.retryAfterMs !== undefined && { retry_after_ms: known.retryAfterMs }) },
    });
  }

  #send(message: Readonly<Record<string, unknown>> | Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
  }

  #rest(): void {
    clearTimeout(this.#idle ?? null);
    this.#idle = setTimeout(() => (this.#contexts.size > 0 ? this.#rest() : this.#close(1000, 'idle')), IDLE_MS);
  }

  #close(code: number, reason: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code, reason);
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#idle ?? null);
    this.#window.close();
    for (const { speech } of this.#contexts.values()) speech.cancel();
  }
}

/** Members that were sent. */
function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
