/**
 * Calls into a worker thread. A thread serves an object of methods; the caller gets the same methods as promises, or as an
 * async generator where a method is one. Arguments and results are plain data (structured clone); typed arrays inside a
 * `Transfer` move without a copy.
 *
 * Order for one call: request → zero or more items → end | error. An aborted call sends `cancel`, and the method sees it
 * through its AbortSignal. A thread that dies fails its open calls with `internal_error` (retryable), and the next call
 * starts a fresh thread.
 */
import { strict as assert } from 'node:assert';
import { Worker, parentPort, workerData } from 'node:worker_threads';
import type { Transferable } from 'node:worker_threads';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import type { ErrorCode } from '../../shared/errors/index.ts';
import { refuseTelemetry } from './telemetry.ts';

/** A method gets its arguments and a signal that fires when the caller gives up. */
export type Method = (args: never, signal: AbortSignal) => unknown;
export type Methods = Readonly<Record<string, Method>>;

type Argument<M> = M extends (args: infer A, signal: AbortSignal) => unknown ? A : never;
type Moved<V> = V extends Transfer<infer T> ? T : V;
type Item<M> = M extends (args: never, signal: AbortSignal) => AsyncIterable<infer T> ? Moved<T> : never;
type Result<M> = M extends (args: never, signal: AbortSignal) => infer R ? Moved<Awaited<R>> : never;
type StreamName<T> = { [K in keyof T]: T[K] extends (args: never, signal: AbortSignal) => AsyncIterable<unknown> ? K : never }[keyof T];

export interface Thread<T extends Methods> {
  call<K extends Exclude<keyof T, StreamName<T>> & string>(method: K, args: Argument<T[K]> | Transfer<Argument<T[K]>>, signal?: AbortSignal): Promise<Result<T[K]>>;
  stream<K extends StreamName<T> & string>(method: K, args: Argument<T[K]>, signal?: AbortSignal): AsyncGenerator<Item<T[K]>>;
  /** Ends the thread as a crash would: open calls fail with `internal_error` (retryable), the next call starts a fresh one. */
  restart(): Promise<void>;
  /** Ends the thread; open calls fail. */
  close(): Promise<void>;
}

type Request = { readonly exit: true } | { readonly id: number; readonly method: string; readonly args: unknown } | { readonly id: number; readonly cancel: true };
type WireError = { readonly code: ErrorCode; readonly message: string; readonly retryAfterMs?: number | undefined };
type Reply =
  | { readonly id: number; readonly item: unknown }
  | { readonly id: number; readonly end: unknown }
  | { readonly id: number; readonly error: WireError };

/** `options` reach the thread as the argument of its `serveThread` factory. */
export type ThreadOptions = { readonly module: URL; readonly options: unknown; readonly name: string };

export function startThread<T extends Methods>(thread: ThreadOptions): Thread<T> {
  refuseTelemetry();
  return new CallingSide<T>(thread);
}

type Pending = { readonly item: (value: unknown) => void; readonly end: (value: unknown) => void; readonly error: (error: Error) => void };

class CallingSide<T extends Methods> implements Thread<T> {
  readonly #thread: ThreadOptions;
  #worker: Worker | undefined;
  #pending = new Map<number, Pending & { readonly worker: Worker }>();
  #nextId = 1;
  #closed = false;

  constructor(thread: ThreadOptions) {
    this.#thread = thread;
  }

  call<K extends Exclude<keyof T, StreamName<T>> & string>(method: K, args: Argument<T[K]> | Transfer<Argument<T[K]>>, signal?: AbortSignal): Promise<Result<T[K]>> {
    return new Promise((resolve, reject) => {
      const settle = this.#send(method, args, signal, {
        item: () => assert.fail(`${method} answered with an item`),
        end: (value) => (settle(), resolve(value as Result<T[K]>)),
        error: (error) => (settle(), reject(error)),
      });
    });
  }

  async *stream<K extends StreamName<T> & string>(method: K, args: Argument<T[K]>, signal?: AbortSignal): AsyncGenerator<Item<T[K]>> {
    const queue: Item<T[K]>[] = [];
    let done = false;
    let failure: Error | undefined;
    let wake = () => {};
    const own = new AbortController();
    const either = signal ? AbortSignal.any([signal, own.signal]) : own.signal;
    const settle = this.#send(method, args, either, {
      item: (value) => (queue.push(value as Item<T[K]>), wake()),
      end: () => ((done = true), wake()),
      error: (error) => ((failure = error), wake()),
    });
    try {
      for (;;) {
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) yield item;
        if (failure) throw failure;
        if (done) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      if (!done && !failure) own.abort();
      settle();
    }
  }

  async restart(): Promise<void> {
    if (this.#worker) await ended(this.#worker);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker) await ended(worker);
  }

  /** Returns what removes the abort listener once the call is settled. */
  #send(method: string, args: unknown, signal: AbortSignal | undefined, pending: Pending): () => void {
    const id = this.#nextId++;
    if (this.#closed) {
      queueMicrotask(() => pending.error(new CosyError('draining', 'The node is shutting down: try again on another node.')));
      return () => {};
    }
    const worker = (this.#worker ??= this.#start());
    const abort = () => {
      this.#pending.delete(id);
      worker.postMessage({ id, cancel: true } satisfies Request);
      pending.error(new CosyError('cancelled', 'The request was cancelled.'));
    };
    if (signal?.aborted) {
      queueMicrotask(() => pending.error(new CosyError('cancelled', 'The request was cancelled.')));
      return () => {};
    }
    this.#pending.set(id, { ...pending, worker });
    signal?.addEventListener('abort', abort, { once: true });
    const moved = args instanceof Transfer ? args : new Transfer(args, []);
    worker.postMessage({ id, method, args: moved.value } satisfies Request, moved.list);
    return () => signal?.removeEventListener('abort', abort);
  }

  #start(): Worker {
    const worker = new Worker(this.#thread.module, { workerData: this.#thread.options, name: this.#thread.name });
    worker.on('message', (reply: Reply) => this.#receive(reply));
    worker.on('error', (error) => this.#fail(worker, error));
    worker.on('exit', () => this.#fail(worker, undefined));
    return worker;
  }

  #receive(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (!pending) return; // cancelled meanwhile
    if ('item' in reply) return pending.item(reply.item);
    this.#pending.delete(reply.id);
    if ('error' in reply) pending.error(new CosyError(reply.error.code, reply.error.message, { retryAfterMs: reply.error.retryAfterMs }));
    else pending.end(reply.end);
  }

  #fail(worker: Worker, cause: Error | undefined): void {
    if (this.#worker === worker) this.#worker = undefined;
    // an error comes before the exit, and a fresh thread may be at work in between
    const open = [...this.#pending].filter(([, pending]) => pending.worker === worker);
    for (const [id] of open) this.#pending.delete(id);
    const message = this.#closed ? 'The node is shutting down: try again.' : `The ${this.#thread.name} thread stopped unexpectedly and is being restarted: try again.`;
    for (const [, pending] of open) pending.error(isCosyError(cause) ? cause : new CosyError(this.#closed ? 'draining' : 'internal_error', message, { cause }));
  }
}

/**
 * The thread ends itself, between two runs: `terminate` inside a run of a native addon takes the whole process down
 * (N-API aborts when it comes back to an engine that is being torn down).
 */
async function ended(worker: Worker): Promise<void> {
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.postMessage({ exit: true } satisfies Request);
  await exited;
}

/** A value whose buffers move to the other side instead of being copied. */
export class Transfer<T> {
  readonly value: T;
  readonly list: Transferable[];

  constructor(value: T, buffers: readonly ArrayBufferLike[]) {
    this.value = value;
    this.list = buffers.filter((buffer) => buffer instanceof ArrayBuffer);
  }
}

/**
 * Called once at the top of a thread's module. `create` gets the options given to `startThread` and makes the methods;
 * calls that arrive meanwhile wait for it, and all of them fail with its error when it fails.
 */
export function serveThread<Options, T extends Methods>(create: (options: Options) => Promise<T>): void {
  const port = parentPort;
  assert(port, 'serveThread runs inside a worker thread');
  const methods = create(workerData as Options);
  methods.catch(() => {}); // each call reports it
  const running = new Map<number, AbortController>();

  port.on('message', (request: Request) => {
    if ('exit' in request) process.exit(0);
    else if ('cancel' in request) running.get(request.id)?.abort();
    else void answer(request.id, request.method, request.args);
  });

  async function answer(id: number, method: string, args: unknown): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const call = (await methods)[method];
      assert(call, `the thread has no method ${method}`);
      const result: unknown = call(args as never, controller.signal);
      if (isAsyncIterable(result)) {
        for await (const item of result) {
          if (controller.signal.aborted) return;
          post('item', id, item);
        }
        post('end', id, undefined);
      } else {
        post('end', id, await result);
      }
    } catch (error) {
      if (!controller.signal.aborted) port?.postMessage({ id, error: wireError(error) } satisfies Reply);
    } finally {
      running.delete(id);
    }
  }

  function post(kind: 'item' | 'end', id: number, value: unknown): void {
    const moved = value instanceof Transfer ? value : new Transfer(value, []);
    port?.postMessage(kind === 'item' ? { id, item: moved.value } : { id, end: moved.value }, moved.list);
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function wireError(error: unknown): WireError {
  if (isCosyError(error)) return { code: error.code, message: error.message, retryAfterMs: error.retryAfterMs };
  return { code: 'internal_error', message: error instanceof Error ? (error.message.split('\n')[0] ?? 'unknown failure') : 'unknown failure' };
}
