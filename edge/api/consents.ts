/** `/v1/audio/voice_consents`: who agreed to be imitated, as a recording or in words. */
import { Hono } from 'hono';
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_CLIP_BYTES } from '../../shared/limits/index.ts';
import { readJson } from '../admit/body.ts';
import { idempotent } from '../admit/idempotency.ts';
import { readMultipart } from '../admit/multipart.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import { deleteConsent, giveConsent, listConsents, readConsent, renameConsent } from '../voices/consents.ts';
import type { Consent, NewConsent } from '../voices/consents.ts';
import type { Operation } from './operation.ts';
import { accept, pageOf, pageQuery, toPage } from './page.ts';
import { fileSchema, languageSchema, nameSchema } from './voices.ts';

const MAX_JSON_BYTES = 16 * 1024;

const wordsSchema = z.object({ name: nameSchema, language: languageSchema.optional() });
/** A form has the file `recording`. */
const jsonSchema = wordsSchema.extend({ statement: z.string({ error: 'must be the words in which the speaker agreed' }).trim().min(10, 'says too little').max(2000, 'is longer than 2000 characters') });
const renameSchema = z.object({ name: nameSchema });

const consentSchema = z.object({ id: z.string(), object: z.literal('audio.voice_consent'), name: z.string(), language: z.string().nullable(), kind: z.enum(['recording', 'statement']), created_at: z.int() });
const deletedSchema = z.object({ id: z.string(), object: z.literal('audio.voice_consent.deleted'), deleted: z.literal(true) });

const json = (schema: z.ZodType) => [{ type: 'application/json', schema }];
const PATH = '/v1/audio/voice_consents';

export const consentOperations: readonly Operation[] = [
  { method: 'post', path: PATH, id: 'createConsent', tag: 'voices', summary: 'Record that a speaker agreed', scope: 'voices:write', body: [{ type: 'multipart/form-data', schema: wordsSchema.extend({ recording: fileSchema }) }, { type: 'application/json', schema: jsonSchema }], answers: { 201: { description: 'The record.', content: json(consentSchema) } } },
  { method: 'get', path: PATH, id: 'listConsents', tag: 'voices', summary: 'Consent records, newest first', scope: 'voices:read', query: pageQuery, answers: { 200: { description: 'A page.', content: json(pageOf(consentSchema)) } } },
  { method: 'get', path: `${PATH}/{id}`, id: 'getConsent', tag: 'voices', summary: 'One consent record', scope: 'voices:read', answers: { 200: { description: 'The record.', content: json(consentSchema) } } },
  { method: 'post', path: `${PATH}/{id}`, id: 'renameConsent', tag: 'voices', summary: 'Rename a consent record', scope: 'voices:write', body: json(renameSchema), answers: { 200: { description: 'The record.', content: json(consentSchema) } } },
  { method: 'delete', path: `${PATH}/{id}`, id: 'deleteConsent', tag: 'voices', summary: 'Delete a consent record that no voice stands on', scope: 'voices:write', answers: { 200: { description: 'It is gone.', content: json(deletedSchema) } } },
];

export const consents = new Hono<EdgeContext>();

consents.use(async (c, next) => {
  requireScope(c.get('caller'), c.req.method === 'GET' ? 'voices:read' : 'voices:write');
  await next();
});

consents.post('/', idempotent(MAX_CLIP_BYTES + MAX_JSON_BYTES), async (c) => c.json(shown(await giveConsent(await newConsent(c.req.raw), { caller: c.get('caller'), requestId: c.get('requestId'), env: c.env })), 201));

consents.get('/', async (c) => {
  const { limit, after, order } = accept(pageQuery, c.req.query());
  return c.json(toPage((await listConsents({ tenant: c.get('caller').tenant, limit: limit + 1, after, order }, c.env)).map(shown), limit));
});

consents.get('/:id', async (c) => c.json(shown(await readConsent(c.req.param('id'), c.get('caller').tenant, c.env))));

consents.post('/:id', async (c) => {
  const { name } = accept(renameSchema, await readJson(c.req.raw, MAX_JSON_BYTES));
  return c.json(shown(await renameConsent(c.req.param('id'), name, { caller: c.get('caller'), requestId: c.get('requestId'), env: c.env })));
});

consents.delete('/:id', async (c) => {
  const id = c.req.param('id');
  await deleteConsent(id, { caller: c.get('caller'), requestId: c.get('requestId'), env: c.env });
  return c.json({ id, object: 'audio.voice_consent.deleted', deleted: true });
});

async function newConsent(request: Request): Promise<NewConsent> {
  if (!/^multipart\//i.test(request.headers.get('content-type') ?? '')) {
    const { name, language, statement } = accept(jsonSchema, await readJson(request, MAX_JSON_BYTES));
    return { name, language, statement };
  }
  const form = await readMultipart(request, { maxBytes: MAX_CLIP_BYTES + MAX_JSON_BYTES, texts: { name: 400, language: 64 }, files: { recording: MAX_CLIP_BYTES } });
  const { name, language } = accept(wordsSchema, Object.fromEntries(form.texts));
  const recording = form.files.get('recording')?.bytes;
  if (!recording || recording.length === 0) throw new CosyError('invalid_value', 'recording must be a file in which the speaker agrees; or send JSON with a statement.', { param: 'recording' });
  return { name, language, recording };
}

function shown({ id, name, language, kind, createdMs }: Consent): z.infer<typeof consentSchema> {
  return { id, object: 'audio.voice_consent', name, language: language ?? null, kind, created_at: Math.floor(createdMs / 1000) };
}
