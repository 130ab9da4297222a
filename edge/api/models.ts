/** `GET /v1/models`: the models that nodes serve, in OpenAI's form. */
import { Hono } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import type { EdgeContext } from '../env.ts';
import type { Operation } from './operation.ts';

/** Names that clients of other services send; they all mean the one model here. */
export const MODEL_NAMES = ['cosyvoice2-0.5b', 'CosyVoice2-0.5B', 'FunAudioLLM/CosyVoice2-0.5B', 'cosyvoice2', 'cosyvoice-v2', 'tts-1', 'tts-1-hd', 'gpt-4o-mini-tts'] as const;

/** When the architecture was published, in seconds. */
const CREATED_S = 1_734_307_200;

const modelSchema = z.object({ id: z.string(), object: z.literal('model'), created: z.int(), owned_by: z.string() });

export const modelOperations: readonly Operation[] = [
  { method: 'get', path: '/v1/models', id: 'listModels', tag: 'models', summary: 'Models and their other names', scope: 'speech', answers: { 200: { description: 'All of them.', content: [{ type: 'application/json', schema: z.object({ object: z.literal('list'), data: z.array(modelSchema) }) }] } } },
  { method: 'get', path: '/v1/models/{id}', id: 'getModel', tag: 'models', summary: 'One model', scope: 'speech', answers: { 200: { description: 'The model.', content: [{ type: 'application/json', schema: modelSchema }] } } },
];

export const models = new Hono<EdgeContext>();
models.get('/', (c) => c.json({ object: 'list', data: MODEL_NAMES.map(model) }));
models.get('/:id{.+}', (c) => {
  const id = MODEL_NAMES.find((name) => name === decodeURIComponent(c.req.param('id')));
  if (id === undefined) throw new CosyError('model_not_found', `There is no such model: this service has ${MODEL_NAMES[0]}.`, { param: 'model' });
  return c.json(model(id));
});

function model(id: string): z.infer<typeof modelSchema> {
  return { id, object: 'model', created: CREATED_S, owned_by: 'FunAudioLLM' };
}
