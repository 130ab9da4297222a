import { describe, expect, it } from 'vitest';
import { Turns } from '../../../gpu-node/schedule/turns.ts';
import type { Shared } from '../../../gpu-node/schedule/turns.ts';

describe('turns on a thread that does one thing at a time', () => {
  it('go to the nearest deadline, and in order among equals, one after the other', async () => {
    const turns = new Turns();
    const order: string[] = [];
    let inside = 0;
    const work = (name: string) => async () => {
      expect(++inside).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(name);
      inside -= 1;
    };
    await Promise.all([turns.run(50, work('running')), turns.run(30, work('third chunk of an old stream')), turns.run(Infinity, work('nobody waits')), turns.run(10, work('first chunk of a new request')), turns.run(10, work('first chunk of the next one'))]);
    expect(order).toEqual(['running', 'first chunk of a new request', 'first chunk of the next one', 'third chunk of an old stream', 'nobody waits']);
  });

  it('go on after a failure', async () => {
    const turns = new Turns();
    const failed = turns.run(1, () => Promise.reject(new Error('broken')));
    const next = turns.run(2, async () => 'ran');
    await expect(failed).rejects.toThrow('broken');
    expect(await next).toBe('ran');
    expect(turns.queued).toBe(0);
  });

  it('lose no place to one who was cancelled while waiting', async () => {
    const turns = new Turns();
    const { promise, resolve } = Promise.withResolvers<void>();
    const running = turns.run(0, () => promise);
    const stop = new AbortController();
    const gone = turns.run(1, async () => 'never', stop.signal);
    const next = turns.run(2, async () => 'ran');
    expect(turns.queued).toBe(2);
    stop.abort();
    await expect(gone).rejects.toMatchObject({ code: 'cancelled' });
    expect(turns.queued).toBe(1);
    resolve();
    await running;
    expect(await next).toBe('ran');
    await expect(turns.run(0, async () => 'never', stop.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });

  describe('that can be shared', () => {
    /** Doubles even and odd numbers apart, and refuses 13. */
    function doubling(runs: number[][]): Shared<number, number> {
      return {
        sizes: [1, 2, 4],
        key: (item) => String(item % 2),
        work: async (items) => {
          runs.push([...items]);
          return items.map((item) => (item === 13 ? { status: 'rejected', reason: new Error('unlucky') } : { status: 'fulfilled', value: 2 * item }));
        },
      };
    }

    it('take along who waits with the same key, nearest deadlines first, in sizes that there are', async () => {
      const turns = new Turns();
      const runs: number[][] = [];
      const shared = doubling(runs);
      const { promise, resolve } = Promise.withResolvers<void>();
      const running = turns.run(0, () => promise);
      const results = [[8, 80], [2, 10], [3, 15], [4, 20], [6, 90], [10, 70]].map(([item = 0, deadlineMs = 0]) => turns.share(deadlineMs, { shared, item }));
      resolve();
      await running;
      expect(await Promise.all(results)).toEqual([16, 4, 6, 8, 12, 20]);
      expect(runs).toEqual([[2, 4, 10, 8], [3], [6]]);
      expect(turns.shared).toEqual({ items: 6, turns: 3 });
      expect(turns.queued).toBe(0);
    });

    it('see what arrives before a turn begins, and wait for nobody', async () => {
      const turns = new Turns();
      const runs: number[][] = [];
      const shared = doubling(runs);
      expect(await Promise.all([turns.share(0, { shared, item: 2 }), turns.share(0, { shared, item: 4 })])).toEqual([4, 8]);
      expect(await turns.share(0, { shared, item: 6 })).toBe(12);
      expect(runs).toEqual([[2, 4], [6]]);
    });

    it('fail for one without the others, and are left by one who is cancelled', async () => {
      const turns = new Turns();
      const runs: number[][] = [];
      const shared = doubling(runs);
      const { promise, resolve } = Promise.withResolvers<void>();
      const running = turns.run(0, () => promise);
      const stop = new AbortController();
      const results = [11, 13, 15, 17].map((item) => turns.share(item, { shared, item, signal: item === 15 ? stop.signal : undefined }));
      stop.abort();
      resolve();
      await running;
      expect(await Promise.allSettled(results)).toMatchObject([{ value: 22 }, { reason: { message: 'unlucky' } }, { reason: { code: 'cancelled' } }, { value: 34 }]);
      expect(runs).toEqual([[11, 13], [17]]);
      await expect(turns.share(0, { shared, item: 2, signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
    });
  });
});
