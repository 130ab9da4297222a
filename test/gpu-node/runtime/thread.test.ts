import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startThread } from '../../../gpu-node/runtime/thread.ts';
import type { Thread } from '../../../gpu-node/runtime/thread.ts';
import type { Sample } from './thread-sample.ts';

describe('calls into a worker thread', () => {
  let thread: Thread<Sample>;
  beforeAll(() => {
    thread = startThread<Sample>({ module: new URL('./thread-sample.ts', import.meta.url), options: { offset: 1 }, name: 'sample' });
  });
  afterAll(() => thread.close());

  it('answers with values, and moves typed arrays', async () => {
    expect(await thread.call('double', { value: 4 })).toBe(9);
    expect(await thread.call('floats', { count: 3 })).toEqual(Float32Array.of(1, 1, 1));
  });

  it('streams items in order and ends', async () => {
    const items: number[] = [];
    for await (const item of thread.stream('count', { to: 100 })) items.push(item);
    expect(items).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it('keeps the code and text of an error', async () => {
    await expect(thread.call('fail', null)).rejects.toMatchObject({ code: 'voice_not_found', message: 'There is no voice x.' });
  });

  it('stops the method when the reader leaves', async () => {
    const before = await thread.call('aborts', null);
    for await (const item of thread.stream('forever', null)) if (item === 5) break;
    expect(await thread.call('aborts', null)).toBe(before + 1);
  });

  it('stops the method when the signal fires, and the reader sees it', async () => {
    const controller = new AbortController();
    const before = await thread.call('aborts', null);
    await expect(async () => {
      for await (const item of thread.stream('forever', null, controller.signal)) if (item === 3) controller.abort();
    }).rejects.toMatchObject({ code: 'cancelled' });
    expect(await thread.call('aborts', null)).toBe(before + 1);
  });

  it('refuses a call whose signal already fired', async () => {
    await expect(thread.call('double', { value: 1 }, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('fails open calls when the thread dies, and the next call gets a fresh thread', async () => {
    const open = thread.stream('forever', null);
    await open.next();
    await expect(thread.call('die', null)).rejects.toMatchObject({ code: 'internal_error' });
    await expect(async () => {
      for await (const _ of open);
    }).rejects.toMatchObject({ code: 'internal_error' });
    expect(await thread.call('double', { value: 1 })).toBe(3);
  });

  it('survives what is thrown outside of any call, and does not blame the fresh thread for it', async () => {
    for (let i = 0; i < 3; i++) {
      const open = thread.stream('forever', null);
      await open.next();
      await expect(thread.call('explode', null)).rejects.toMatchObject({ code: 'internal_error', retryable: true });
      await expect(Array.fromAsync(open)).rejects.toMatchObject({ code: 'internal_error' });
      // the old thread has not gone yet
      expect(await thread.call('double', { value: i })).toBe(2 * i + 1);
    }
  });
});
