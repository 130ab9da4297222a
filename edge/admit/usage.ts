/** Usage up to now: what the catalogue has, and over it what the tenant's object has not written yet. */
import type { Caller } from '../caller.ts';
import type { Env } from '../env.ts';
import { readUsage } from './catalogue.ts';
import type { UsageRow } from './message.ts';
import { tenantObject } from './quota.ts';

/** A key on a day. */
export type Used = Omit<UsageRow, 'version'>;

/** Days `from` to `to`, both included, as `YYYY-MM-DD`, by day and key. */
export async function usageOf(caller: Caller, { from, to, env }: { readonly from: string; readonly to: string; readonly env: Env }): Promise<Used[]> {
  // the object first: what it writes between the two questions is then in both answers, as the same total
  const unwritten = await tenantObject(env, caller).usage();
  const newest = new Map<string, UsageRow>();
  for (const row of [...(await readUsage(env.DB, { tenant: caller.tenant, from, to })), ...unwritten.filter(({ day }) => from <= day && day <= to)]) {
    const name = `${row.day} ${row.key}`;
    if (row.version > (newest.get(name)?.version ?? 0)) newest.set(name, row);
  }
  return [...newest.values()].toSorted((a, b) => (`${a.day} ${a.key}` < `${b.day} ${b.key}` ? -1 : 1)).map(({ version: _, ...used }) => used);
}
