/** `/v1/usage`: what a tenant's keys used, by key or by day, up to now. */
import { Hono } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { usageOf } from '../admit/usage.ts';
import type { Used } from '../admit/usage.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import type { Operation } from './operation.ts';
import { accept } from './page.ts';

const MAX_DAYS = 366;
const DAY_MS = 86_400_000;

const day = z.iso.date({ error: 'must be a day like 2026-01-31' });
/** Days in UTC, both included; absent: the last thirty days. */
const querySchema = z.object({ from: day.optional(), to: day.optional(), group: z.enum(['key', 'day'], { error: 'must be key or day' }).optional() });
const counts = { requests: z.int(), characters: z.int(), audio_ms: z.int(), cache_hits: z.int() };
const answerSchema = z.object({
  object: z.literal('usage'),
  tenant: z.string(),
  from: z.string(),
  to: z.string(),
  data: z.array(z.object({ day: z.string().optional(), key: z.string().optional(), ...counts })),
  total: z.object(counts),
});

export const usageOperations: readonly Operation[] = [
  { method: 'get', path: '/v1/usage', id: 'getUsage', tag: 'usage', summary: 'Requests, characters and sound by key and day', scope: 'usage', query: querySchema, answers: { 200: { description: 'Counts up to now.', content: [{ type: 'application/json', schema: answerSchema }] } } },
];

export const usage = new Hono<EdgeContext>();

usage.get('/', async (c) => {
  const caller = c.get('caller');
  requireScope(caller, 'usage');
  const { group, to = today(), from = before(to, 29) } = accept(querySchema, c.req.query());
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  if (days < 1) throw new CosyError('invalid_value', 'from must not be after to.', { param: 'from' });
  if (days > MAX_DAYS) throw new CosyError('invalid_value', `from and to are more than ${MAX_DAYS} days apart: ask for a shorter time.`, { param: 'from' });
  const rows = await usageOf(caller, { from, to, env: c.env });
  const answer: z.infer<typeof answerSchema> = { object: 'usage', tenant: caller.tenant, from, to, data: grouped(rows, group), total: sum(rows) };
  return c.json(answer, 200, { 'cache-control': 'no-store' });
});

function grouped(rows: readonly Used[], group: 'key' | 'day' | undefined): z.infer<typeof answerSchema>['data'] {
  if (group === undefined) return rows.map((row) => ({ day: row.day, key: row.key, ...sum([row]) }));
  const groups = Map.groupBy(rows, (row) => row[group]);
  return [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, members]) => ({ [group]: name, ...sum(members) }));
}

function sum(rows: readonly Used[]): z.infer<typeof answerSchema>['total'] {
  const total = { requests: 0, characters: 0, audio_ms: 0, cache_hits: 0 };
  for (const { requests, characters, audioMs, cacheHits } of rows) {
    total.requests += requests;
    total.characters += characters;
    total.audio_ms += audioMs;
    total.cache_hits += cacheHits;
  }
  return total;
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

function before(to: string, days: number): string {
  return new Date(Date.parse(to) - days * DAY_MS).toISOString().slice(0, 10);
}
