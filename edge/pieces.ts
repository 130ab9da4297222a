/**
 * SPINE of speech whose text arrives while it is spoken: one context of a socket, top to bottom.
 *
 *   bounds → voice → quota → node ⇄ text → parts → settled
 *
 * The text is written by `append`, `flush` and `done`; the sound is read from `parts`, at its reader's pace.
 */
import type { Region } from '../shared/contract/heartbeat.ts';
import type { Job } from '../shared/contract/job.ts';
import type { Frame } from '../shared/contract/frames.ts';
import { toLanguage } from '../shared/contract/language.ts';
import type { PieceMessage } from '../shared/contract/pieces.ts';
import { CosyError } from '../shared/errors/index.ts';
import { MAX_TEXT_CHARACTERS } from '../shared/limits/index.ts';
import { reserve } from './admit/quota.ts';
import type { Reservation } from './admit/quota.ts';
import type { SpeechRequest } from './api/speech.ts';
import { withinBounds } from './auth/bounds.ts';
import type { Caller } from './caller.ts';
import type { Env } from './env.ts';
import { asking } from './placing.ts';
import { homeRegion } from './route/regions.ts';
import { routePieces } from './route/socket.ts';
import { Listener } from './stream/heard.ts';
import type { Heard } from './stream/heard.ts';
import { Progress } from './stream/progress.ts';
import type { HeardWord } from './stream/progress.ts';
import { PieceReader } from './stream/reading.ts';
import type { SpokenPiece } from './stream/reading.ts';
import { resolveVoice } from './voices/resolve.ts';

/** How it is to be spoken: the fields of a request that concern more than one text. */
export type Delivery = Pick<SpeechRequest, 'voice' | 'instructions' | 'response_format' | 'speed' | 'sample_rate' | 'language' | 'seed' | 'volume' | 'text_normalization' | 'mode'>;

export type PiecesContext = { readonly requestId: string; readonly caller: Caller; readonly env: Env; readonly region?: Region | undefined };

/** A frame for the listener, and what it says about the text. `flushed`: ids of flushes that were heard up to here. */
export type PiecesPart = { readonly frame: Extract<Frame, { readonly type: 'start' | 'audio' | 'mark' | 'end' }>; readonly words: readonly HeardWord[]; readonly flushed: readonly string[] };

/** Characters that are reserved at once; a longer text reserves again. */
const BLOCK_CHARACTERS = 500;

export class PiecesSpeech {
  readonly #delivery: Delivery;
  readonly #context: PiecesContext;
  readonly #cancel = new AbortController();
  readonly #reader: PieceReader;
  readonly #progress = new Progress();
  readonly #log: PieceMessage[] = [];
  #send: (message: PieceMessage) => void = () => {};
  #written = '';
  #ended = false;
  #flushes: { readonly id: string; readonly at: number }[] = [];
  #reservation: Reservation | undefined;
  /** Reserved before the reservation that runs, and charged. */
  #charged = 0;
  /** Text goes to the node in the order in which it came, also where some of it waits for the quota. */
  #last: Promise<void> = Promise.resolve();

  constructor(delivery: Delivery, context: PiecesContext) {
    this.#delivery = delivery;
    this.#context = context;
    this.#reader = new PieceReader({ language: toLanguage(delivery.language, delivery.instructions), read: delivery.text_normalization !== 'off' });
  }

  /** Throws the table's error for whatever of the voice, the quota, the text or the nodes is at fault. */
  async *parts(): AsyncGenerator<PiecesPart> {
    const { caller, env, region, requestId } = this.#context;
    let listener: Listener | undefined;
    try {
      withinBounds(caller, { voice: this.#delivery.voice });
      const voice = await resolveVoice({ name: this.#delivery.voice ?? 'default' }, { caller, requestId, env, ask: asking({ caller, region, env }) });
      this.#reservation = await reserve({ caller, requestId, characters: BLOCK_CHARACTERS, env });
      const job = { ...toJob(this.#delivery, requestId, caller.tenant), voice: voice.job };
      const route = { job, withPrompt: voice.withPrompt, modelRevision: voice.modelRevision, region: region ?? homeRegion(env), residency: caller.residency, env, signal: this.#cancel.signal };
      for await (const frame of routePieces(route, { attach: (send) => this.#attach(send) })) {
        if (frame.type === 'start') listener = new Listener(frame.value);
        if (frame.type === 'tokens' || frame.type === 'error') continue;
        if (frame.type === 'mark' || frame.type === 'end') listener?.take(frame);
        const words = frame.type === 'mark' ? this.#progress.hear(frame.value) : [];
        if (frame.type === 'mark' && listener) this.#reservation.progress(this.#unpaid(listener.heard(this.#progress.characters)));
        yield { frame, words, flushed: this.#heardFlushes(frame.type === 'end') };
      }
    } catch (error) {
      const why: unknown = this.#cancel.signal.reason;
      throw why instanceof CosyError ? why : error;
    } finally {
      this.#cancel.abort();
      const heard = listener?.heard(this.#progress.characters) ?? { characters: 0, audioMs: 0, complete: false };
      await this.#reservation?.settle({ ...this.#unpaid(heard), complete: heard.complete });
    }
  }

  /** Characters that were spoken or are to be. */
  get characters(): number {
    return this.#progress.characters;
  }

  /** Throws `input_too_long` or `forbidden`. */
  append(text: string): void {
    if (this.#ended) throw new CosyError('invalid_value', 'The text of this context has ended: begin another one.', { param: 'context_id' });
    this.#written += text;
    if (this.#written.length > MAX_TEXT_CHARACTERS) throw new CosyError('input_too_long', `The text has more than ${MAX_TEXT_CHARACTERS} characters: go on in another context.`, { param: 'text' });
    withinBounds(this.#context.caller, { characters: this.#written.length });
    this.#speak(this.#reader.push(text));
  }

  /** What came so far is spoken now; its id comes back with the part that ends it, or by `alreadyHeard` when nothing was left to speak. */
  flush(id: string, alreadyHeard: () => void): void {
    this.#speak(this.#reader.flush());
    this.#queue(async () => {
      if (this.#progress.passed(this.#progress.characters)) return alreadyHeard();
      this.#push({ type: 'flush' });
      this.#flushes.push({ id, at: this.#progress.characters });
    });
  }

  done(): void {
    this.#ended = true;
    this.#speak(this.#reader.flush());
    this.#queue(async () => this.#push({ type: 'end' }));
  }

  /** Ends the work on the node; `parts` throws `cancelled`. */
  cancel(): void {
    this.#cancel.abort();
  }

  /** The text as it was written, at the last word that was heard whole. */
  heardAt(playedMs: number): { readonly spoken: string; readonly remaining: string } {
    const { spoken } = this.#progress.split(playedMs);
    return { spoken, remaining: this.#written.slice(spoken.length) };
  }

  #speak(pieces: readonly SpokenPiece[]): void {
    for (const piece of pieces) {
      this.#queue(async () => {
        await this.#pay(this.#progress.characters + piece.text.length);
        this.#progress.add(piece);
        this.#push({ type: 'text', text: piece.text });
      });
    }
  }

  /** A text that grows beyond what is reserved pays for that and reserves the next block. */
  async #pay(characters: number): Promise<void> {
    const current = this.#reservation;
    if (!current || characters <= this.#charged + current.characters) return;
    const { caller, env, requestId } = this.#context;
    await current.settle({ characters: current.characters, audioMs: 0, complete: true });
    this.#charged += current.characters;
    this.#reservation = await reserve({ caller, requestId, characters: Math.max(BLOCK_CHARACTERS, characters - this.#charged), env });
  }

  #unpaid({ characters, audioMs }: Heard): { readonly characters: number; readonly audioMs: number } {
    return { characters: Math.max(0, characters - this.#charged), audioMs };
  }

  #queue(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch((error: unknown) => this.#cancel.abort(error));
  }

  #push(message: PieceMessage): void {
    this.#log.push(message);
    this.#send(message);
  }

  #attach(send: (message: PieceMessage) => void): void {
    this.#send = send;
    for (const message of this.#log) send(message);
  }

  #heardFlushes(all: boolean): string[] {
    const heard = this.#flushes.filter(({ at }) => all || this.#progress.passed(at));
    if (heard.length > 0) this.#flushes = this.#flushes.filter((flush) => !heard.includes(flush));
    return heard.map(({ id }) => id);
  }
}

function toJob(delivery: Delivery, id: string, tenant: string): Omit<Job, 'voice'> {
  return {
    version: 1,
    id,
    text: '',
    mode: delivery.mode,
    instruction: delivery.instructions,
    language: delivery.language,
    format: delivery.response_format,
    sampleRateHz: delivery.sample_rate,
    speed: delivery.speed,
    volume: delivery.volume,
    seed: delivery.seed,
    streaming: true,
    tenant,
  };
}
