import { describe, expect, it } from 'vitest';
import { Turns } from '../../../gpu-node/schedule/turns.ts';

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
});
