/** What resources with zod schemas share: a value that fits or one clear refusal, and lists by cursor. */
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';

/** Query of a list. `after`: id of the last row that was seen. */
export const pageQuery = z.object({
  limit: z.coerce.number({ error: 'must be a number' }).int().min(1, 'must be at least 1').max(100, 'must be at most 100').default(20),
  after: z.string().max(200).optional(),
  order: z.enum(['asc', 'desc']).default('desc'),
});

/** A row that a list can go on from. */
type Row = { readonly id: string };

export type Page<T extends Row> = { readonly object: 'list'; readonly data: readonly T[]; readonly first_id: string | null; readonly last_id: string | null; readonly has_more: boolean };

/** Of `limit + 1` rows that were asked for. */
export function toPage<T extends Row>(rows: readonly T[], limit: number): Page<T> {
  const data = rows.slice(0, limit);
  return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: rows.length > limit };
}

/** Schema of a page, for the description. */
export function pageOf<T extends z.ZodType>(row: T): z.ZodObject {
  return z.object({ object: z.literal('list'), data: z.array(row), first_id: z.string().nullable(), last_id: z.string().nullable(), has_more: z.boolean() });
}

/** Throws `invalid_value` naming the first offending field. */
export function accept<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = issue?.path.join('.') || 'body';
  const message = issue?.message ?? 'is not valid';
  throw new CosyError('invalid_value', `${message.startsWith(param) ? message : `${param}: ${message}`}.`, { param });
}

/** A warning for each field that a schema does not know: clients of other services send more than is read here. */
export function unknownFields(body: unknown, { shape }: z.ZodObject): string[] {
  return Object.keys(body as object)
    .filter((name) => !Object.hasOwn(shape, name))
    .map((name) => `unknown field ${JSON.stringify(name.slice(0, 40))} was ignored`);
}
