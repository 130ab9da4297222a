/** Isolates and the books of their tenant together, over a network that delays, loses and repeats, with a clock that the test holds. */
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TenantLease } from '../../../edge/admit/lease.ts';
import type { Place, Send } from '../../../edge/admit/lease.ts';
import { QuotaLedger } from '../../../edge/admit/ledger.ts';
import { LEASE_MS, RENEW_MS } from '../../../edge/admit/message.ts';
import { PLANS } from '../../../shared/limits/plans.ts';

const NOON = Date.UTC(2026, 5, 15, 12);

function books(): QuotaLedger {
  const database = new DatabaseSync(':memory:');
  return new QuotaLedger({
    exec: (query, ...bindings) => {
      const rows = database.prepare(query).all(...bindings) as Record<string, unknown>[];
      return { toArray: () => rows };
    },
  });
}

/** What the network does with a message. */
type Way = { readonly thereMs: number; readonly backMs: number; readonly lost: 'no' | 'there' | 'back' };

function network(ledger: QuotaLedger, next: () => Way): { readonly send: Send; readonly sent: () => number } {
  let sent = 0;
  return {
    sent: () => sent,
    send: async (message) => {
      sent += 1;
      const { thereMs, backMs, lost } = next();
      await new Promise((resolve) => setTimeout(resolve, thereMs));
      if (lost === 'there') throw new Error('lost');
      const answer = ledger.exchange(structuredClone(message), Date.now());
      await new Promise((resolve) => setTimeout(resolve, backMs));
      if (lost === 'back') throw new Error('lost');
      return answer;
    },
  };
}

const SURE: Way = { thereMs: 5, backMs: 5, lost: 'no' };

async function admitted(lease: TenantLease, send: Send, characters = 10): Promise<Place | undefined> {
  const place = await lease.admit({ key: 'k', characters, once: undefined, ask: true, send });
  return 'code' in place ? undefined : place;
}

beforeEach(() => void vi.useFakeTimers({ now: NOON }));
afterEach(() => void vi.useRealTimers());

describe('a lease', () => {
  it('costs a quiet tenant a message before and one after each request', async () => {
    const ledger = books();
    const { send, sent } = network(ledger, () => SURE);
    const lease = new TenantLease('t', 'standard');
    for (let i = 0; i < 3; i++) {
      const asking = admitted(lease, send);
      await vi.advanceTimersByTimeAsync(10);
      const settled = (await asking)?.settle({ characters: 10, audioMs: 600, served: true, cached: false }, send);
      await vi.advanceTimersByTimeAsync(2000);
      await settled;
    }
    expect(sent()).toBe(6);
    expect(lease.idle).toBe(true);
    expect(ledger.usage.unwritten(1)).toMatchObject([{ requests: 3, characters: 30 }]);
  });

  it('admits a busy tenant from what was granted in advance, and gives the rest back', async () => {
    const ledger = books();
    const { send, sent } = network(ledger, () => SURE);
    const lease = new TenantLease('t', 'pro');
    const work: Promise<unknown>[] = [];
    for (let i = 0; i < 600; i++) {
      work.push(admitted(lease, send).then(async (place) => {
        await place?.settle({ characters: 10, audioMs: 600, served: true, cached: false }, send);
        await place?.rest(send);
      }));
      await vi.advanceTimersByTimeAsync(10);
    }
    await vi.advanceTimersByTimeAsync(3000);
    await Promise.all(work);
    expect(ledger.usage.unwritten(1)).toMatchObject([{ requests: 600, characters: 6000 }]);
    expect(sent()).toBeLessThan(600 / 4);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await look(lease, send)).toMatchObject({ concurrency: { remaining: PLANS.pro.streams }, requests: { remaining: PLANS.pro.requestsPerMinute } });
  });

  it('heals a request whose runtime went away without a word, while its isolate goes on', async () => {
    const ledger = books();
    const { send } = network(ledger, () => ({ ...SURE, thereMs: 0, backMs: 0 }));
    const lease = new TenantLease('t', 'free');
    const asking = Promise.all([admitted(lease, send), admitted(lease, send)]);
    await vi.advanceTimersByTimeAsync(1);
    const [silent, alive] = await asking;
    silent?.progress(4, 240);
    for (let ms = 0; ms < 2 * LEASE_MS; ms += RENEW_MS) {
      const beating = alive?.beat(send);
      await vi.advanceTimersByTimeAsync(RENEW_MS);
      await beating;
    }
    expect(ledger.usage.unwritten(1)).toMatchObject([{ requests: 1, characters: 4, audioMs: 240 }]);
    expect(await look(lease, send)).toMatchObject({ concurrency: { remaining: 1 } });
    // its word comes after all: it is charged already
    const late = silent?.settle({ characters: 10, audioMs: 600, served: true, cached: false }, send);
    await vi.advanceTimersByTimeAsync(1000);
    await late;
    expect(ledger.usage.unwritten(1)).toMatchObject([{ requests: 1, characters: 4 }]);
  });

  it('loses no count and charges none twice, however messages are delayed, lost and sent again; no more speak than may', async () => {
    const way = fc.record({ thereMs: fc.nat(300), backMs: fc.nat(300), lost: fc.constantFrom<Way['lost'][]>('no', 'no', 'no', 'there', 'back') });
    const step = fc.record({ isolate: fc.nat(1), what: fc.constantFrom('ask', 'ask', 'burst', 'burst', 'end', 'end', 'end', 'beat', 'wait', 'outage'), amount: fc.integer({ min: 1, max: 400 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(way, { minLength: 1, maxLength: 30 }), fc.array(step, { maxLength: 100, size: 'max' }), async (ways, steps) => {
        vi.setSystemTime(NOON);
        const ledger = books();
        let turn = 0;
        let calm = false;
        let backMs = 0;
        const { send } = network(ledger, () => (calm ? SURE : Date.now() < backMs ? { ...SURE, lost: turn++ % 2 === 0 ? 'there' : 'back' } : (ways[turn++ % ways.length] ?? SURE)));
        const isolates = [0, 1].map(() => ({ lease: new TenantLease('t', 'standard'), running: [] as { place: Place; characters: number }[] }));
        const work: Promise<unknown>[] = [];
        let [heard, requests] = [0, 0];
        for (const { isolate, what, amount } of steps) {
          const one = isolates[isolate]!;
          const ask = () => work.push(admitted(one.lease, send, amount).then((place) => place && one.running.push({ place, characters: amount }), () => {}));
          if (what === 'ask') ask();
          else if (what === 'burst') for (let i = 0; i < 8; i++) ask();
          else if (what === 'outage') backMs = Date.now() + amount * 40;
          else if (what === 'beat') for (const { place } of one.running) work.push(place.beat(send));
          else if (what === 'end') {
            const ended = one.running.shift();
            if (!ended) continue;
            heard += ended.characters;
            requests += 1;
            work.push(ended.place.settle({ characters: ended.characters, audioMs: 1000, served: true, cached: false }, send).then(() => ended.place.rest(send)).catch(() => {}));
          }
          await vi.advanceTimersByTimeAsync(what === 'wait' ? amount * 5 : 10);
          expect(isolates.reduce((sum, { running }) => sum + running.length, 0)).toBeLessThanOrEqual(PLANS.standard.streams);
        }
        await vi.advanceTimersByTimeAsync(20_000);
        calm = true;
        for (const { running } of isolates) {
          for (const { place, characters } of running) {
            heard += characters;
            requests += 1;
            work.push(place.settle({ characters, audioMs: 1000, served: true, cached: false }, send));
          }
        }
        // what was lost on its way to a listener who waits is told again with the next message, once its tries are over
        await vi.advanceTimersByTimeAsync(10_000);
        for (const { lease } of isolates) work.push(lease.look(send));
        await vi.advanceTimersByTimeAsync(10_000);
        await Promise.all(work);
        for (const { lease } of isolates) expect(lease.idle).toBe(true);
        const [row] = ledger.usage.unwritten(1);
        expect([row?.requests ?? 0, row?.characters ?? 0]).toEqual([requests, heard]);
        await vi.advanceTimersByTimeAsync(LEASE_MS);
        expect((await look(new TenantLease('t', 'standard'), send)).concurrency?.remaining).toBe(PLANS.standard.streams);
      }),
      { numRuns: 100 },
    );
  });
});

async function look(lease: TenantLease, send: Send): ReturnType<TenantLease['look']> {
  const looking = lease.look(send);
  await vi.advanceTimersByTimeAsync(20);
  return looking;
}
