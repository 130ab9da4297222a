/** Generators that work ahead of their reader. */

/** Runs the sources in order; as soon as one is exhausted the next one starts, before its reader is done with it. */
export async function* oneAhead<T>(sources: readonly (() => AsyncGenerator<T>)[]): AsyncGenerator<[number, AsyncGenerator<T>]> {
  let next = sources[0] ? buffered(sources[0]()) : undefined;
  for (let i = 0; next; i++) {
    const current = next;
    const following = sources[i + 1];
    next = undefined;
    const started = following ? current.exhausted.then(() => buffered(following())) : undefined;
    yield [i, current.items];
    next = await started;
  }
}

/** Reads a source to its end regardless of its reader: speech tokens are small, and their number is bounded by the text. */
function buffered<T>(source: AsyncGenerator<T>): { readonly items: AsyncGenerator<T>; readonly exhausted: Promise<void> } {
  const queue: T[] = [];
  let wake = () => {};
  let failure: unknown;
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
      failure = error;
    } finally {
      done = true;
      wake();
    }
  })();
  async function* items(): AsyncGenerator<T> {
    try {
      for (;;) {
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) yield item;
        if (failure !== undefined) throw failure;
        if (done) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      left = true;
    }
  }
  return { items: items(), exhausted };
}
