/** `/v1/audio/results`: the kept sounds of a tenant, which it may have forgotten. */
import { Hono } from 'hono';
import { z } from 'zod';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import { forgetTenant, shelfOf } from '../results/index.ts';
import type { Operation } from './operation.ts';

const deletedSchema = z.object({ object: z.literal('audio.results.deleted'), deleted: z.literal(true) });

export const resultOperations: readonly Operation[] = [
  { method: 'delete', path: '/v1/audio/results', id: 'deleteResults', tag: 'speech', summary: 'Forget every kept sound', scope: 'keys', answers: { 200: { description: 'None is left; what is being made now is not kept either.', content: [{ type: 'application/json', schema: deletedSchema }] } } },
];

export const results = new Hono<EdgeContext>();
results.delete('/', async (c) => {
  requireScope(c.get('caller'), 'keys');
  const shelf = shelfOf(c.get('caller'), c.env);
  if (shelf) await forgetTenant(shelf);
  return c.json({ object: 'audio.results.deleted', deleted: true });
});
