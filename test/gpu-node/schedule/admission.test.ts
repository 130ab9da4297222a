import { describe, expect, it } from 'vitest';
import { Admission } from '../../../gpu-node/schedule/admission.ts';

const NEVER = new AbortController().signal;

describe('the door of a node', () => {
  function door() {
    const clock = { ms: 0 };
    return { clock, admission: new Admission({ maxRunning: 1, maxWaiting: 3, maxWaitMs: 5000 }, () => clock.ms) };
  }

  it('lets the waiting in, first come first served', async () => {
    const { admission } = door();
    const first = await admission.enter(NEVER);
    const order: number[] = [];
    const second = admission.enter(NEVER).then((leave) => (order.push(2), leave()));
    const third = admission.enter(NEVER).then((leave) => (order.push(3), leave()));
    expect([admission.running, admission.waiting]).toEqual([1, 2]);
    first();
    await Promise.all([second, third]);
    expect(order).toEqual([2, 3]);
    expect([admission.running, admission.waiting]).toEqual([0, 0]);
  });

  it('refuses at once what could not start in time, and says when it could', async () => {
    const { admission, clock } = door();
    const leave = await admission.enter(NEVER);
    clock.ms = 6000;
    leave();
    await admission.enter(NEVER);
    await expect(admission.enter(NEVER)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 6000 });
  });

  it('refuses when too many wait', async () => {
    const { admission } = door();
    await admission.enter(NEVER);
    for (let i = 0; i < 3; i++) void admission.enter(NEVER);
    await expect(admission.enter(NEVER)).rejects.toMatchObject({ code: 'overloaded' });
  });

  it('forgets one who leaves the queue, and sends the queue away when it closes', async () => {
    const { admission } = door();
    await admission.enter(NEVER);
    const gone = new AbortController();
    const left = admission.enter(gone.signal);
    const sent = admission.enter(NEVER);
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    expect(admission.waiting).toBe(1);
    admission.close();
    await expect(sent).rejects.toMatchObject({ code: 'draining' });
    await expect(admission.enter(NEVER)).rejects.toMatchObject({ code: 'draining' });
  });
});
