/**
 * One job at one node, up to its first sound: until then nothing was heard, and whatever goes wrong can be tried elsewhere.
 * Afterwards the frames come as fast as they are asked for; a node that says nothing for too long is as good as gone.
 */
import { FrameReader } from '../../shared/contract/frames.ts';
import type { Frame, StreamStart } from '../../shared/contract/frames.ts';
import type { Job } from '../../shared/contract/job.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { nodeError, requestNode } from './request.ts';

/** `frames` begin with the start frame. Its `return` stops the node at once, also while a frame is awaited. */
export type Opened = { readonly start: StreamStart; readonly frames: AsyncGenerator<Frame> };

/** `refused`: the node's own answer. `broken`: unreachable, or broken off. `silent`: no word within the limit. */
export class AttemptFailure extends Error {
  readonly kind: 'refused' | 'broken' | 'silent';
  readonly refusal: CosyError | undefined;

  constructor(kind: AttemptFailure['kind'], refusal?: CosyError) {
    super(kind);
    this.kind = kind;
    this.refusal = refusal;
  }
}

export type AttemptContext = { readonly env: Env; readonly signal: AbortSignal; readonly firstMs: number; readonly idleMs: number; readonly traceparent?: string | undefined };

/** Throws `AttemptFailure`, or what the signal says when it fires. */
export async function attempt(url: string, job: Job, { env, signal, firstMs, idleMs, traceparent }: AttemptContext): Promise<Opened> {
  const stop = new AbortController();
  const limit = new Limit(stop);
  // forwarded by hand: it must also end a read of the body, long after the answer
  const leave = () => stop.abort(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  const over = () => {
    limit.end();
    signal.removeEventListener('abort', leave);
  };
  limit.set(firstMs);
  try {
    const response = await requestNode(url, { method: 'POST', path: '/v1/synthesize', body: Uint8Array.from(new TextEncoder().encode(JSON.stringify(job))), traceparent }, { env, signal: stop.signal });
    if (!response.ok) throw await refusal(response);
    if (!response.body) throw new AttemptFailure('broken');
    const source = readFrames(response.body, stop.signal);
    const held: Frame[] = [];
    for (;;) {
      const { value, done } = await source.next();
      if (done || (held.length === 0 && value.type !== 'start' && value.type !== 'error')) throw new AttemptFailure('broken');
      if (value.type === 'error') throw new AttemptFailure('refused', wireError(value.value));
      held.push(value);
      if (value.type === 'end' || (value.type === 'audio' && value.value.length > 0)) break;
    }
    limit.clear();
    const [start] = held;
    if (start?.type !== 'start') throw new AttemptFailure('broken');
    return { start: start.value, frames: stoppable(goOn(held, source, { limit, idleMs, over }), () => [over(), stop.abort()]) };
  } catch (error) {
    const silent = limit.passed;
    over();
    stop.abort();
    if (signal.aborted) throw error;
    throw error instanceof AttemptFailure ? error : new AttemptFailure(silent ? 'silent' : 'broken');
  }
}

/** Without the table's code it is no node that answers, but what stands before a node that is gone. */
async function refusal(response: Response): Promise<AttemptFailure> {
  const error = await nodeError(response);
  return error ? new AttemptFailure('refused', error) : new AttemptFailure('broken');
}

/** An error frame, or the error member of a refusal. */
export function wireError({ code, message, retryAfterMs }: Extract<Frame, { type: 'error' }>['value']): CosyError {
  return new CosyError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

type GoOn = { readonly limit: Limit; readonly idleMs: number; readonly over: () => void };

async function* goOn(held: readonly Frame[], source: AsyncGenerator<Frame>, { limit, idleMs, over }: GoOn): AsyncGenerator<Frame> {
  try {
    yield* held;
    if (held.at(-1)?.type === 'end') return;
    for (;;) {
      limit.set(idleMs);
      const next = await source.next();
      limit.clear();
      if (next.done) return;
      yield next.value;
    }
  } finally {
    over();
    await source.return(undefined);
  }
}

/** Frames as they come; the stop signal ends a read under way. */
async function* readFrames(stream: ReadableStream<Uint8Array>, stop: AbortSignal): AsyncGenerator<Frame> {
  const reader = stream.getReader({ mode: 'byob' });
  const frames = new FrameReader();
  const cancel = () => void reader.cancel().catch(() => {});
  stop.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      // the listener's turn costs more than the bytes: none before a frame is whole
      const { value, done } = await reader.readAtLeast(frames.missing, frames.room());
      if (done) return;
      for (const frame of frames.filled(value)) yield frame;
    }
  } finally {
    stop.removeEventListener('abort', cancel);
    cancel();
  }
}

/** A generator's own `return` waits for the frame under way; this one ends the wait. */
function stoppable(frames: AsyncGenerator<Frame>, stop: () => void): AsyncGenerator<Frame> {
  const own = frames.return.bind(frames);
  frames.return = (value) => {
    stop();
    return own(value);
  };
  return frames;
}

/** A time limit for one wait after another, none shorter than the one before. Its one timer goes on meanwhile, and looks when it fires whether a wait is over its time. */
class Limit {
  readonly #stop: AbortController;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #untilMs = Infinity;
  #passed = false;

  constructor(stop: AbortController) {
    this.#stop = stop;
  }

  get passed(): boolean {
    return this.#passed;
  }

  set(ms: number): void {
    this.#untilMs = Date.now() + ms;
    this.#timer ??= setTimeout(() => this.#look(), ms);
  }

  /** The wait is over. */
  clear(): void {
    this.#untilMs = Infinity;
  }

  /** No wait follows. */
  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    this.#timer = null;
    if (this.#untilMs === Infinity) return;
    const leftMs = this.#untilMs - Date.now();
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#look(), leftMs);
      return;
    }
    this.#passed = true;
    this.#stop.abort();
  }
}
