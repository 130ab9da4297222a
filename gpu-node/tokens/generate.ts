/** One request from start to end as an async generator, for callers that do not schedule steps themselves. */
import type { LanguageModel, TokenEvent, TokenRequest } from './language-model.ts';

/** Text ids as they arrive, for requests with `pieces`. */
export type TextPieces = AsyncIterable<Int32Array>;

/**
 * Yields the row's events up to `end` and throws its error. Several generators on one model advance together, each step
 * serving all. Leaving the loop early, or `signal`, frees the row.
 */
export async function* generate(model: LanguageModel, request: TokenRequest, options: { readonly pieces?: TextPieces; readonly signal?: AbortSignal } = {}): AsyncGenerator<TokenEvent> {
  const { pieces, signal } = options;
  const events: TokenEvent[] = [];
  const row = model.add(pieces ? { ...request, pieces: true } : request, (event) => events.push(event));
  const feeding = { failed: undefined as unknown };
  if (pieces) {
    pushAll(model, row, pieces).catch((error: unknown) => {
      feeding.failed = error ?? new Error('text stream failed');
      model.endText(row);
    });
  }
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (feeding.failed !== undefined) throw feeding.failed;
      await model.step();
      for (const event of events.splice(0)) {
        if (event.kind === 'error') throw event.error;
        yield event;
        if (event.kind === 'end') return;
      }
      await untilReady(model, signal);
    }
  } finally {
    model.cancel(row);
  }
}

async function pushAll(model: LanguageModel, row: number, pieces: TextPieces): Promise<void> {
  for await (const ids of pieces) model.push(row, ids);
  model.endText(row);
}

async function untilReady(model: LanguageModel, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return model.ready();
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (!signal.aborted) await Promise.race([model.ready(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
