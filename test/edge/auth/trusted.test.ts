/** What isolates believe of the database, over an hour of their clocks. The stores are maps that can be stale, slow or gone. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Trusted } from '../../../edge/auth/trusted.ts';
import type { Sources } from '../../../edge/auth/trusted.ts';

type Record_ = { readonly good: boolean };

let database: Map<string, Record_>;
let copies: Map<string, string>;
let asked: number;
let fault: { database?: 'fails' | 'hangs'; copies?: 'fails' | 'hangs' | 'frozen' };
let background: Promise<unknown>[];

const broken = (how: string): Promise<never> => (how === 'hangs' ? new Promise(() => {}) : Promise.reject(new Error('down')));

const sources = (id = 'k'): Sources<Record_> => ({
  copies: {
    get: (key) => (fault.copies === 'fails' || fault.copies === 'hangs' ? broken(fault.copies) : Promise.resolve(JSON.parse(copies.get(key) ?? 'null') as unknown)),
    put: async (key, value) => {
      if (fault.copies !== 'frozen') copies.set(key, value);
    },
  },
  load: async () => {
    asked += 1;
    return fault.database ? broken(fault.database) : database.get(id);
  },
  defer: (work) => background.push(work),
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  [database, copies, asked, fault, background] = [new Map([['k', { good: true }]]), new Map(), 0, {}, []];
});
afterEach(() => vi.useRealTimers());

const isolate = () => new Trusted<Record_>('t/');

async function after(ms: number): Promise<void> {
  await Promise.all(background.splice(0));
  await vi.advanceTimersByTimeAsync(ms);
}

describe('a record in use', () => {
  it('is asked for once, then behind the request, and never again in its way', async () => {
    const here = isolate();
    await here.get('k', sources());
    for (let i = 0; i < 200; i++) {
      await after(1000);
      const before = asked;
      let answered = false;
      const reading = here.get('k', sources()).then(() => (answered = true));
      await Promise.resolve();
      await Promise.resolve();
      expect(answered).toBe(true);
      await reading;
      expect(asked - before).toBeLessThanOrEqual(1);
    }
    expect(asked).toBeLessThan(12);
  });

  it('comes from the shared copy in the next isolate', async () => {
    await isolate().get('k', sources());
    await after(10_000);
    expect(await isolate().get('k', sources())).toEqual({ good: true });
    expect(asked).toBe(1);
  });
});

describe('a change elsewhere', () => {
  it.each([0, 1, 15, 19, 21, 35, 49])('is seen within a minute, though shared copies stay as they were %i s before', async (ageS) => {
    const [busy, idle, changer] = [isolate(), isolate(), isolate()];
    await busy.get('k', sources());
    await idle.get('k', sources());
    await after(ageS * 1000);
    fault.copies = 'frozen';
    database.set('k', { good: false });
    await changer.set('k', { good: false }, sources().copies);
    expect(await changer.get('k', sources())).toEqual({ good: false });
    for (let s = 0; s < 59; s++) {
      await after(1000);
      await busy.get('k', sources());
    }
    await after(1000);
    for (const one of [busy, idle, isolate(), changer]) expect(await one.get('k', sources())).toEqual({ good: false });
  });

  it('is not undone by an answer that was under way', async () => {
    const here = isolate();
    const slow = Promise.withResolvers<Record_>();
    const reading = here.get('k', { ...sources(), load: () => slow.promise });
    await after(0);
    await here.set('k', { good: false }, sources().copies);
    slow.resolve({ good: true });
    expect(await reading).toEqual({ good: false });
    expect(await here.get('k', sources())).toEqual({ good: false });
  });
});

describe('clocks that differ', () => {
  it.each([-5, 5])('by %i minutes never make a copy live longer', async (minutes) => {
    vi.setSystemTime(Date.now() + minutes * 60_000);
    await isolate().get('k', sources());
    await after(0);
    vi.setSystemTime(Date.now() - minutes * 60_000);
    database.set('k', { good: false });
    expect(await isolate().get('k', sources())).toEqual({ good: false });
  });
});

describe('stores that fail', () => {
  it('leave known records good for ten minutes, and no longer', async () => {
    const here = isolate();
    await here.get('k', sources());
    fault.database = 'fails';
    for (let s = 0; s < 590; s += 10) {
      await after(10_000);
      expect(await here.get('k', sources())).toEqual({ good: true });
    }
    await after(20_000);
    await expect(here.get('k', sources())).rejects.toMatchObject({ code: 'store_unavailable', retryable: true });
    delete fault.database;
    expect(await here.get('k', sources())).toEqual({ good: true });
  });

  it('are not asked again by every request', async () => {
    const here = isolate();
    await here.get('k', sources());
    await after(60_000);
    fault.database = 'fails';
    asked = 0;
    for (let i = 0; i < 40; i++) {
      await here.get('k', sources());
      await after(100);
    }
    expect(asked).toBe(1);
  });

  it.each(['fails', 'hangs'] as const)('say to come back when nothing is known and the database %s', async (how) => {
    fault.database = how;
    const refused = expect(isolate().get('k', sources())).rejects.toMatchObject({ code: 'store_unavailable' });
    await after(4000);
    await refused;
  });

  it.each(['fails', 'hangs'] as const)('do without shared copies when they %s', async (how) => {
    fault.copies = how;
    const reading = isolate().get('k', sources());
    await after(1000);
    expect(await reading).toEqual({ good: true });
  });
});

describe('a name that nobody has', () => {
  it('is asked for once, and is there when somebody gets it', async () => {
    const here = isolate();
    for (let i = 0; i < 10; i++) expect(await here.get('new', sources('new'))).toBeUndefined();
    expect(asked).toBe(1);
    await here.set('new', { good: true }, sources().copies);
    expect(await here.get('new', sources('new'))).toEqual({ good: true });
  });

  it('takes a bounded place', async () => {
    const here = isolate();
    for (let i = 0; i < 10_001; i++) await here.get(`n${i}`, sources(`n${i}`));
    expect([here.knows('n0'), here.knows('n1'), here.knows('n10000')]).toEqual([false, true, true]);
  });
});
