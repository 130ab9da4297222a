/** Methods for thread.test.ts. */
import { CosyError } from '../../../shared/errors/index.ts';
import { Transfer, serveThread } from '../../../gpu-node/runtime/thread.ts';

export type Sample = {
  double: (args: { value: number }) => number;
  floats: (args: { count: number }) => Transfer<Float32Array>;
  count: (args: { to: number }) => AsyncGenerator<number>;
  forever: (args: null, signal: AbortSignal) => AsyncGenerator<number>;
  aborts: (args: null) => number;
  fail: (args: null) => number;
  die: (args: null) => number;
  explode: (args: null) => Promise<number>;
};

serveThread<{ offset: number }, Sample>(async ({ offset }) => {
  let aborts = 0;
  return {
    double: ({ value }) => value * 2 + offset,
    floats: ({ count }) => {
      const values = new Float32Array(count).fill(1);
      return new Transfer(values, [values.buffer]);
    },
    async *count({ to }) {
      for (let i = 0; i < to; i++) yield i;
    },
    async *forever(_, signal) {
      signal.addEventListener('abort', () => (aborts += 1));
      for (let i = 0; ; i++) {
        yield i;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    aborts: () => aborts,
    fail: () => {
      throw new CosyError('voice_not_found', 'There is no voice x.');
    },
    die: () => process.exit(7),
    explode: () => {
      setImmediate(() => {
        throw new Error('outside of any call');
      });
      return new Promise<number>(() => {});
    },
  };
});
