/** The books of one tenant on a real SQLite, with a clock that the test holds. */
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuotaLedger } from '../../../edge/admit/ledger.ts';
import type { Sql } from '../../../edge/admit/ledger.ts';
import { LEASE_MS } from '../../../edge/admit/message.ts';
import type { Answer, Block, Message, Settled } from '../../../edge/admit/message.ts';
import { MAX_TEXT_CHARACTERS } from '../../../shared/limits/index.ts';
import { PLANS, planOf } from '../../../shared/limits/plans.ts';

const NOON = Date.UTC(2026, 5, 15, 12);
const NOTHING: Block = { requests: 0, characters: 0, streams: 0 };

function sqlite(database = new DatabaseSync(':memory:')): Sql {
  return {
    exec: (query, ...bindings) => {
      const rows = database.prepare(query).all(...bindings) as Record<string, unknown>[];
      return { toArray: () => rows };
    },
  };
}

let seq = 0;
function message(parts: Partial<Message>): Message {
  return { tenant: 't', plan: 'free', lease: 'a', seq: ++seq, settled: [], ...parts };
}

function need(characters: number, want: Block = NOTHING): Pick<Message, 'need'> {
  return { need: { characters, want } };
}

function end(reservation: string, parts: Partial<Settled> = {}): Settled {
  return { reservation, key: 'k', reserved: 1000, characters: 1000, audioMs: 60_000, served: true, cached: false, ...parts };
}

function totals(ledger: QuotaLedger): unknown[] {
  return ledger.usage.unwritten(-1).map(({ key, requests, characters, audioMs }) => [key, requests, characters, audioMs]);
}

describe('plans', () => {
  it('let the longest text through, and give a slip in a name no more than the smallest plan', () => {
    for (const plan of Object.values(PLANS)) expect('charactersPerMinute' in plan ? plan.charactersPerMinute : Infinity).toBeGreaterThanOrEqual(MAX_TEXT_CHARACTERS);
    expect(planOf('unlimitted')).toBe(PLANS.free);
    expect(planOf('__proto__')).toBe(PLANS.free);
    expect(planOf('unlimited')).toEqual({});
  });
});

describe('limits', () => {
  it('refuses the request after the last of the minute, says when, and keeps its word', () => {
    const ledger = new QuotaLedger(sqlite());
    const ask = (nowMs: number) => {
      const answer = ledger.exchange(message(need(1)), nowMs);
      if (answer.granted) ledger.exchange(message({ settled: [end('x', { reserved: 1, characters: 1 })] }), nowMs);
      return answer;
    };
    for (let i = 0; i < PLANS.free.requestsPerMinute; i++) expect(ask(NOON).refused).toBeUndefined();
    const { refused } = ask(NOON);
    expect(refused).toMatchObject({ code: 'rate_limit_exceeded', what: 'requests', retryAfterMs: 2000 });
    expect(ask(NOON + 1999).refused).toBeDefined();
    expect(ask(NOON + 2000).granted).toEqual({ requests: 1, characters: 1, streams: 1 });
  });

  it('refuses characters beyond the minute and keeps its word', () => {
    const ledger = new QuotaLedger(sqlite());
    const plan = 'standard';
    expect(ledger.exchange(message({ plan, ...need(199_000) }), NOON).granted).toBeDefined();
    const { refused } = ledger.exchange(message({ plan, ...need(2000) }), NOON);
    expect(refused).toMatchObject({ code: 'rate_limit_exceeded', what: 'characters', retryAfterMs: 300 });
    expect(ledger.exchange(message({ plan, ...need(2000) }), NOON + 300).granted).toBeDefined();
  });

  it('counts places across leases and frees them one by one', () => {
    const ledger = new QuotaLedger(sqlite());
    ledger.exchange(message({ lease: 'a', ...need(1000) }), NOON);
    ledger.exchange(message({ lease: 'b', ...need(1000) }), NOON);
    expect(ledger.exchange(message({ lease: 'c', ...need(1000) }), NOON).refused?.code).toBe('concurrency_limit_exceeded');
    ledger.exchange(message({ lease: 'b', settled: [end('y')] }), NOON);
    expect(ledger.exchange(message({ lease: 'c', ...need(1000) }), NOON).granted).toBeDefined();
  });

  it('ends the quota with the day, and lets only what was delivered count', () => {
    const ledger = new QuotaLedger(sqlite());
    const speak = (nowMs: number, characters: number, delivered = characters) => {
      const { refused } = ledger.exchange(message(need(characters)), nowMs);
      if (!refused) ledger.exchange(message({ settled: [end(String(seq), { reserved: characters, characters: delivered })] }), nowMs);
      return refused?.code;
    };
    expect(speak(NOON, 15_000)).toBeUndefined();
    expect(speak(NOON + 60_000, 5000, 1000)).toBeUndefined();
    expect(speak(NOON + 120_000, 4001)).toBe('insufficient_quota');
    expect(speak(NOON + 120_000, 4000)).toBeUndefined();
    expect(speak(NOON + 180_000, 1)).toBe('insufficient_quota');
    expect(ledger.exchange(message(need(1)), NOON).refused?.retryAfterMs).toBe(12 * 3_600_000);
    expect(speak(NOON + 12 * 3_600_000, 1)).toBeUndefined();
  });

  it('charges nothing for what failed before its first sound', () => {
    const ledger = new QuotaLedger(sqlite());
    for (let i = 0; i < 3 * PLANS.free.requestsPerMinute; i++) {
      expect(ledger.exchange(message(need(20_000)), NOON).refused).toBeUndefined();
      ledger.exchange(message({ settled: [end(`f${i}`, { reserved: 20_000, characters: 20_000, audioMs: 0, served: false })] }), NOON);
    }
    expect(totals(ledger)).toEqual([]);
  });

  it('is not moved by a clock that goes back', () => {
    const ledger = new QuotaLedger(sqlite());
    for (let i = 0; i < 30; i++) {
      ledger.exchange(message(need(1)), NOON);
      ledger.exchange(message({ settled: [end('x', { reserved: 1, characters: 1 })] }), NOON);
    }
    const { refused, figures } = ledger.exchange(message(need(1)), NOON - 5 * 60_000);
    expect(refused?.code).toBe('rate_limit_exceeded');
    expect(figures.requests).toEqual({ limit: 30, remaining: 0, resetMs: 60_000 });
  });
});

describe('what never ends', () => {
  it('gives its place back and costs what was last reported', () => {
    const ledger = new QuotaLedger(sqlite());
    for (const lease of ['a', 'b']) ledger.exchange(message({ lease, ...need(1000) }), NOON);
    ledger.exchange(message({ lease: 'a', running: [{ reservation: 'r', key: 'k', reserved: 1000, characters: 300, audioMs: 18_000 }] }), NOON + 10_000);
    expect(ledger.exchange(message({ lease: 'c', ...need(1) }), NOON + LEASE_MS - 1).refused?.code).toBe('concurrency_limit_exceeded');
    // b said nothing since: its place is free, a's is not
    expect(ledger.exchange(message({ lease: 'c', ...need(1) }), NOON + LEASE_MS).granted).toBeDefined();
    expect(ledger.exchange(message({ lease: 'd', ...need(1) }), NOON + LEASE_MS).refused?.code).toBe('concurrency_limit_exceeded');
    expect(totals(ledger)).toEqual([]);
    ledger.expire(NOON + 10_000 + LEASE_MS);
    expect(totals(ledger)).toEqual([['k', 1, 300, 18_000]]);
  });

  it('is charged the difference only when its isolate reports the end after all, once', () => {
    const ledger = new QuotaLedger(sqlite());
    ledger.exchange(message(need(1000)), NOON);
    const running = [{ reservation: 'r', key: 'k', reserved: 1000, characters: 300, audioMs: 18_000 }];
    ledger.exchange(message({ running }), NOON);
    ledger.expire(NOON + LEASE_MS);
    // the isolate lives: it names what runs under a new lease, and loses that, too
    ledger.exchange(message({ lease: 'b', running: [{ ...running[0]!, characters: 400, audioMs: 24_000 }] }), NOON + LEASE_MS);
    ledger.expire(NOON + 2 * LEASE_MS);
    expect(totals(ledger)).toEqual([['k', 1, 400, 24_000]]);
    const last = message({ lease: 'c', settled: [end('r')] });
    ledger.exchange(last, NOON + 3 * LEASE_MS);
    ledger.exchange(last, NOON + 3 * LEASE_MS);
    expect(totals(ledger)).toEqual([['k', 1, 1000, 60_000]]);
  });

  it('is charged once under its name when the work is done again, and keeps its place apart each time', () => {
    const ledger = new QuotaLedger(sqlite());
    for (const [reservation, characters] of [['r1', 400], ['r2', 1000], ['r3', 1000]] as const) {
      ledger.exchange(message(need(1000)), NOON);
      ledger.exchange(message({ settled: [end(reservation, { characters, audioMs: characters * 60, once: 'job.0' })] }), NOON);
    }
    expect(totals(ledger)).toEqual([['k', 1, 1000, 60_000]]);
    expect(ledger.exchange(message(need(1)), NOON).figures.concurrency?.remaining).toBe(1);
  });

  it('takes its place again when the isolate that was thought gone speaks', () => {
    const ledger = new QuotaLedger(sqlite());
    ledger.exchange(message(need(1000)), NOON);
    ledger.expire(NOON + LEASE_MS);
    const running = ['r', 's'].map((reservation) => ({ reservation, key: 'k', reserved: 1000, characters: 0, audioMs: 0 }));
    ledger.exchange(message({ lease: 'b', running }), NOON + LEASE_MS);
    expect(ledger.exchange(message({ lease: 'c', ...need(1) }), NOON + LEASE_MS).refused?.code).toBe('concurrency_limit_exceeded');
  });
});

describe('messages', () => {
  it('are applied once: the same need gets the same grant, the same end counts once', () => {
    const ledger = new QuotaLedger(sqlite());
    const ask = message(need(1000));
    const first = ledger.exchange(ask, NOON);
    const again = ledger.exchange(ask, NOON);
    expect(again.granted).toEqual(first.granted);
    expect(again.figures.concurrency?.remaining).toBe(1);
    const ending = message({ settled: [end('r')] });
    for (let i = 0; i < 3; i++) ledger.exchange(ending, NOON);
    expect(totals(ledger)).toEqual([['k', 1, 1000, 60_000]]);
  });

  it('may overtake each other: a report that comes after the end brings nothing back', () => {
    const ledger = new QuotaLedger(sqlite());
    ledger.exchange(message(need(1000)), NOON);
    const report = message({ running: [{ reservation: 'r', key: 'k', reserved: 1000, characters: 300, audioMs: 18_000 }] });
    ledger.exchange(message({ settled: [end('r')] }), NOON);
    ledger.exchange(report, NOON);
    ledger.expire(NOON + 2 * LEASE_MS);
    expect(totals(ledger)).toEqual([['k', 1, 1000, 60_000]]);
  });

  it('survive the object: the books are on disk', () => {
    const database = new DatabaseSync(':memory:');
    new QuotaLedger(sqlite(database)).exchange(message(need(1000)), NOON);
    const ledger = new QuotaLedger(sqlite(database));
    expect(ledger.exchange(message(need(1000)), NOON).figures.concurrency?.remaining).toBe(0);
    ledger.exchange(message({ settled: [end('r')] }), NOON);
    expect(totals(new QuotaLedger(sqlite(database)))).toEqual([['k', 1, 1000, 60_000]]);
  });
});

describe('grants in advance', () => {
  it('are a small share of what is left, and come back when they are not spent', () => {
    const ledger = new QuotaLedger(sqlite());
    const plan = 'standard';
    const { granted, figures } = ledger.exchange(message({ plan, ...need(100, { requests: 1000, characters: 100_000, streams: 1000 }) }), NOON);
    expect(granted).toEqual({ requests: 1 + 37, characters: 100 + 12_493, streams: 1 + 1 });
    expect(figures.requests?.remaining).toBe(600 - 38);
    const after = ledger.exchange(message({ plan, give: { requests: 37, characters: 12_493, streams: 1 } }), NOON).figures;
    expect([after.requests?.remaining, after.characters?.remaining, after.concurrency?.remaining]).toEqual([599, 199_900, 19]);
  });

  it('keep the place of a speech that is over for the next one of its lease', () => {
    const ledger = new QuotaLedger(sqlite());
    ledger.exchange(message(need(1000)), NOON);
    const kept = end('r', { placeKept: true });
    expect(ledger.exchange(message({ settled: [kept] }), NOON).figures.concurrency?.remaining).toBe(1);
    expect(ledger.exchange(message({ give: { requests: 0, characters: 0, streams: 1 } }), NOON).figures.concurrency?.remaining).toBe(2);
  });

  it('never let more through than the plan has, whatever isolates do, lose, repeat and forget', () => {
    type Step = { lease: number; what: 'ask' | 'end' | 'repeat' | 'report' | 'die' | 'wait'; amount: number };
    const step = fc.record({ lease: fc.nat(2), what: fc.constantFrom<Step['what'][]>('ask', 'ask', 'ask', 'end', 'end', 'repeat', 'report', 'die', 'wait'), amount: fc.integer({ min: 1, max: 20_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps: Step[]) => {
        const ledger = new QuotaLedger(sqlite());
        const plan = PLANS.standard;
        let nowMs = NOON;
        let life = 0;
        let sent: Message[] = [];
        const isolates = [0, 1, 2].map(() => ({ id: `l${life++}`, running: new Map<string, { reserved: number; heardMs: number }>() }));
        let [admitted, admittedCharacters, heard, charged] = [0, 0, 0, 0];
        const send = (parts: Partial<Message>): Answer => {
          const m = message({ plan: 'standard', ...parts });
          sent = [...sent.slice(-10), m];
          return ledger.exchange(m, nowMs);
        };
        for (const { lease, what, amount } of steps) {
          const isolate = isolates[lease]!;
          if (what === 'ask') {
            const { granted } = send({ lease: isolate.id, ...need(amount) });
            if (!granted) continue;
            isolate.running.set(`r${seq}`, { reserved: amount, heardMs: 0 });
            admitted += 1;
            admittedCharacters += amount;
          } else if (what === 'end') {
            const [reservation, entry] = isolate.running.entries().next().value ?? [];
            if (reservation === undefined || !entry) continue;
            isolate.running.delete(reservation);
            const characters = Math.min(amount, entry.reserved);
            heard += characters;
            admittedCharacters -= entry.reserved - characters;
            send({ lease: isolate.id, settled: [end(reservation, { reserved: entry.reserved, characters })] });
          } else if (what === 'repeat') {
            const before = sent[amount % Math.max(1, sent.length)];
            if (before && !before.need) ledger.exchange(before, nowMs);
          } else if (what === 'report') {
            send({ lease: isolate.id, running: [...isolate.running].map(([reservation, { reserved }]) => ({ reservation, key: 'k', reserved, characters: 0, audioMs: 0 })) });
          } else if (what === 'die') {
            isolates[lease] = { id: `l${life++}`, running: new Map() };
          } else {
            nowMs += amount / 10;
          }
          const minutes = (nowMs - NOON) / 60_000;
          expect(admitted).toBeLessThanOrEqual(plan.requestsPerMinute * (1 + minutes) + 1e-6);
          expect(admittedCharacters).toBeLessThanOrEqual(plan.charactersPerMinute * (1 + minutes) + 1e-3);
          expect(isolates.reduce((sum, { running }) => sum + running.size, 0)).toBeLessThanOrEqual(plan.streams);
        }
        charged = ledger.usage.unwritten(-1).reduce((sum, { characters }) => sum + characters, 0);
        expect(charged).toBe(heard);
        // all isolates gone: every place is free again
        nowMs += LEASE_MS;
        expect(send({ lease: 'last', ...need(1) }).figures.concurrency?.remaining).toBe(plan.streams - 1);
      }),
      { numRuns: 150 },
    );
  });
});

describe('usage', () => {
  it('is written as totals with a version, and what changed since stays unwritten', () => {
    const ledger = new QuotaLedger(sqlite());
    ledger.usage.add('k', { requests: 1, characters: 10, audioMs: 100, cacheHits: 0 }, NOON);
    const rows = ledger.usage.unwritten(10);
    expect(rows).toEqual([{ day: '2026-06-15', key: 'k', requests: 1, characters: 10, audioMs: 100, cacheHits: 0, version: 1 }]);
    ledger.usage.add('k', { requests: 1, characters: 5, audioMs: 50, cacheHits: 1 }, NOON);
    ledger.usage.written(rows);
    expect(ledger.usage.unwritten(10)).toEqual([{ day: '2026-06-15', key: 'k', requests: 2, characters: 15, audioMs: 150, cacheHits: 1, version: 2 }]);
    ledger.usage.written(ledger.usage.unwritten(10));
    expect(ledger.usage.unwritten(10)).toEqual([]);
    ledger.prune(NOON + 3 * 86_400_000);
    ledger.usage.add('k', { requests: 1, characters: 1, audioMs: 1, cacheHits: 0 }, NOON + 3 * 86_400_000);
    expect(ledger.usage.unwritten(10)).toHaveLength(1);
  });
});
