/** Generators that work ahead of their reader. */

/**
 * Runs the sources in order; as soon as one is exhausted the next one is asked for and starts, before its reader is done
 * with the one before. At most one runs ahead, so a source of sources is not read further than that.
 */
export async function* oneAhead<S, T>(sources: AsyncIterable<S>, run: (source: S) => AsyncGenerator<T>): AsyncGenerator<{ readonly source: S; readonly items: AsyncGenerator<T> }> {
  const iterator = sources[Symbol.asyncIterator]();
  const start = async (): Promise<{ readonly source: S; readonly reading: Buffered<T> } | undefined> => {
    const { value, done } = await iterator.next();
    return done ? undefined : { source: value, reading: buffered(run(value)) };
  };
  try {
    for (let next = await start(); next; ) {
      const { source, reading } = next;
      const following = reading.exhausted.then(start);
      following.catch(() => {}); // thrown below, when the reader gets there
      yield { source, items: reading.items };
      next = await following;
    }
  } finally {
    // a source that is waiting (for text, say) would never return: it is told and not waited for
    void iterator.return?.().catch(() => {});
  }
}

type Buffered<T> = { readonly items: AsyncGenerator<T>; readonly exhausted: Promise<void> };

/** Reads a source to its end regardless of its reader: speech tokens are small, and their number is bounded by the text. */
function buffered<T>(source: AsyncGenerator<T>): Buffered<T> {
  const queue: T[] = [];
  let wake = () => {};
  let failure: { readonly error: unknown } | undefined;
  let done = false;
  let left = false;
  const exhausted = (async () => {
    try {
      for await (const item of source) {
        if (left) return;
        queue.push(item);
        wake();
      }
    } catch (error) {
      failure = { error };
    } finally {
      done = true;
      wake();
    }
  })();
  async function* items(): AsyncGenerator<T> {
    try {
      for (;;) {
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) yield item;
        if (failure) throw failure.error;
        if (done) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      left = true;
    }
  }
  return { items: items(), exhausted };
}
