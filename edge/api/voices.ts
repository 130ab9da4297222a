/** `/v1/audio/voices`: speakers of the nodes, and the tenant's own voices, which are made from recordings. */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { z } from 'zod';
import { reportSchema } from '../../shared/contract/voice.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_CLIP_BYTES, MAX_TRANSCRIPT_CHARACTERS } from '../../shared/limits/index.ts';
import { readJson } from '../admit/body.ts';
import { idempotent } from '../admit/idempotency.ts';
import { readMultipart } from '../admit/multipart.ts';
import { reserve } from '../admit/quota.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import { forgetting } from '../forgetting.ts';
import { fetchOutside } from '../outside.ts';
import { asking } from '../placing.ts';
import { regionOf } from '../route/regions.ts';
import { traitsOf } from '../voices/aliases.ts';
import { announced } from '../voices/announced.ts';
import type { AskNode } from '../voices/announced.ts';
import { listVoices, readVoice, updateVoice } from '../voices/catalogue.ts';
import type { Voice } from '../voices/catalogue.ts';
import { checkName, createVoice } from '../voices/create.ts';
import type { NewVoice } from '../voices/create.ts';
import { forgetHot, isId } from '../voices/hot.ts';
import { correctTranscript } from '../voices/remake.ts';
import { removeVoice, tidyVoices } from '../voices/remove.ts';
import type { Operation } from './operation.ts';
import { accept, pageOf, pageQuery, toPage } from './page.ts';

const MAX_NAME_CHARACTERS = 100;
/** A clip in base64, and the rest. */
const MAX_JSON_BYTES = Math.ceil((4 / 3) * MAX_CLIP_BYTES) + 64 * 1024;
const MAX_FORM_BYTES = MAX_CLIP_BYTES + 64 * 1024;
const MAX_PATCH_BYTES = 64 * 1024;
/** Of `audio_url`: from the look-up to the last byte. */
const DOWNLOAD_MS = 15_000;

export const nameSchema = z
  .string({ error: 'must be a name to know it by' })
  .trim()
  .min(1, 'is empty')
  .max(MAX_NAME_CHARACTERS, `is longer than ${MAX_NAME_CHARACTERS} characters`)
  .refine((text) => !/\p{C}/u.test(text), 'holds a character that cannot be seen');
export const languageSchema = z.string().regex(/^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$/, 'must be a language tag such as en or zh-CN');
const transcriptSchema = z.string().max(MAX_TRANSCRIPT_CHARACTERS, `is longer than ${MAX_TRANSCRIPT_CHARACTERS} characters`);

const wordsSchema = z.object({
  name: nameSchema,
  description: z.string().max(500, 'is longer than 500 characters').default(''),
  language: languageSchema.optional(),
  /** What is said in the recording. `transcript` and `text` are other names of it. */
  ref_text: transcriptSchema.optional(),
  transcript: transcriptSchema.optional(),
  text: transcriptSchema.optional(),
  /** Id of a consent record. */
  consent: z.string().max(64).optional(),
  consent_statement: z.string().max(1000, 'is longer than 1000 characters').optional(),
  keep_recording: z.stringbool({ error: 'must be true or false' }).or(z.boolean()).default(true),
  type: z.literal('audio_sample', { error: 'must be audio_sample: voices are made from recordings here' }).optional(),
  audio_url: z.string().max(2048).optional(),
});
const jsonSchema = wordsSchema.extend({ audio: z.string().meta({ contentEncoding: 'base64', description: 'The recording, or a data URL of it; or give audio_url.' }).optional() });
/** A file of a form, for the description. */
export const fileSchema = z.string().meta({ contentMediaType: 'application/octet-stream', description: 'WAV, FLAC, MP3, Ogg or WebM, at most 10 MiB.' });
const formSchema = wordsSchema.extend({ audio_sample: fileSchema.optional() });
const patchSchema = z.object({ name: nameSchema.optional(), description: z.string().max(500).optional(), language: languageSchema.nullable().optional(), ref_text: transcriptSchema.optional(), transcript: transcriptSchema.optional() });

const voiceSchema = z.object({
  id: z.string(),
  object: z.literal('audio.voice'),
  name: z.string(),
  type: z.enum(['audio_sample', 'preset']),
  created_at: z.int(),
  description: z.string(),
  language: z.string().nullable(),
  consent: z.string().nullable(),
  /** Whether the recording is kept, so that the voice can be made again. */
  recording_kept: z.boolean(),
  quality: reportSchema.nullable(),
});
type ShownVoice = z.infer<typeof voiceSchema>;
const deletedSchema = z.object({ id: z.string(), object: z.literal('audio.voice.deleted'), deleted: z.literal(true) });
const listQuery = pageQuery.extend({ type: z.enum(['audio_sample', 'preset']).optional() });

const json = (schema: z.ZodType) => [{ type: 'application/json', schema }];

export const voiceOperations: readonly Operation[] = [
  { method: 'get', path: '/v1/audio/voices', id: 'listVoices', tag: 'voices', summary: 'Speakers of the model, then your own voices', scope: 'voices:read', query: listQuery, answers: { 200: { description: 'A page; `voices` is the same list in short.', content: json(pageOf(voiceSchema).extend({ voices: z.array(z.object({ id: z.string(), name: z.string() })) })) } } },
  { method: 'post', path: '/v1/audio/voices', id: 'createVoice', tag: 'voices', summary: 'Make a voice from a recording of 3 to 30 seconds', scope: 'voices:write', body: [{ type: 'multipart/form-data', schema: formSchema }, { type: 'application/json', schema: jsonSchema }], answers: { 201: { description: 'The voice, with what was measured of the recording and what would make it better.', content: json(voiceSchema) } } },
  { method: 'get', path: '/v1/audio/voices/{id}', id: 'getVoice', tag: 'voices', summary: 'One voice', scope: 'voices:read', answers: { 200: { description: 'The voice.', content: json(voiceSchema) } } },
  { method: 'patch', path: '/v1/audio/voices/{id}', id: 'changeVoice', tag: 'voices', summary: 'Change name, description, language or the words of the recording', scope: 'voices:write', body: json(patchSchema), answers: { 200: { description: 'The voice. Other words make it anew.', content: json(voiceSchema) } } },
  { method: 'delete', path: '/v1/audio/voices/{id}', id: 'deleteVoice', tag: 'voices', summary: 'Delete a voice, what it was made from and what was spoken with it', scope: 'voices:write', answers: { 200: { description: 'It is gone.', content: json(deletedSchema) } } },
];

export const voices = new Hono<EdgeContext>();

voices.use(async (c, next) => {
  requireScope(c.get('caller'), c.req.method === 'GET' ? 'voices:read' : 'voices:write');
  await next();
});

voices.post('/', idempotent(MAX_JSON_BYTES), async (c) => {
  const wanted = await newVoice(c.req.raw, c);
  const voice = await counted(c, () => createVoice(wanted, { ...actor(c), env: c.env, ask: nodeOf(c) }));
  c.executionCtx.waitUntil(tidyVoices(c.env, forgetting(c.env)).catch(() => {}));
  return c.json(shown(voice), 201);
});

voices.get('/', async (c) => {
  const { limit, after, order, type } = accept(listQuery, c.req.query());
  const { tenant, residency } = c.get('caller');
  // without a node there are still the tenant's voices
  const presets = type === 'audio_sample' ? [] : (await announced(nodeOf(c), residency).catch(() => ({ presets: [] }))).presets.map(ofModel);
  const position = after === undefined ? -1 : presets.findIndex(({ id }) => id === after);
  const first = after === undefined || position >= 0 ? presets.slice(position + 1, position + 2 + limit) : [];
  const own = type === 'preset' || first.length > limit ? [] : (await listVoices({ tenant, limit: limit + 1 - first.length, after: position >= 0 ? undefined : after, order }, c.env)).map(shown);
  const page = toPage([...first, ...own], limit);
  return c.json({ ...page, voices: page.data.map(({ id, name }) => ({ id, name })) });
});

voices.get('/:id', async (c) => {
  const id = c.req.param('id');
  if (isId(id)) return c.json(shown(await found(c)));
  const { presets } = await announced(nodeOf(c), c.get('caller').residency);
  if (!presets.includes(id)) throw notFound();
  return c.json(ofModel(id));
});

voices.patch('/:id', async (c) => {
  const { name, description, language, ref_text, transcript = ref_text } = accept(patchSchema, await readJson(c.req.raw, MAX_PATCH_BYTES));
  const caller = c.get('caller');
  const ask = nodeOf(c);
  const voice = await found(c);
  if (name !== undefined && name !== voice.name) await checkName(name, { caller, ask });
  const changed: Voice = { ...voice, name: name ?? voice.name, description: description ?? voice.description, language: language === undefined ? voice.language : (language ?? undefined) };
  await c.env.DB.batch([updateVoice(changed, c.env)]);
  await forgetHot(voice, caller, c.env);
  const result = transcript === undefined ? changed : await counted(c, () => correctTranscript(changed, transcript, { owner: caller, env: c.env, ask }));
  if (transcript !== undefined) c.executionCtx.waitUntil(tidyVoices(c.env, forgetting(c.env)).catch(() => {}));
  return c.json(shown(result));
});

voices.delete('/:id', async (c) => {
  const voice = await found(c);
  if (!(await removeVoice(voice, { ...actor(c), env: c.env, elsewhere: forgetting(c.env) }))) throw notFound();
  return c.json({ id: voice.id, object: 'audio.voice.deleted', deleted: true });
});

/** What may cost a node something takes a place among the tenant's requests. */
async function counted<T>(c: Context<EdgeContext>, work: () => Promise<T>): Promise<T> {
  const reservation = await reserve({ caller: c.get('caller'), requestId: c.get('requestId'), characters: 0, env: c.env, limits: c.get('limits') });
  let complete = false;
  try {
    const result = await work();
    complete = true;
    return result;
  } finally {
    c.executionCtx.waitUntil(reservation.settle({ characters: 0, audioMs: 0, complete }));
  }
}

/** Who asks, for the audit. */
function actor(c: Context<EdgeContext>) {
  return { caller: c.get('caller'), requestId: c.get('requestId') };
}

function nodeOf(c: Context<EdgeContext>): AskNode {
  return asking({ caller: c.get('caller'), region: regionOf(c.req.raw, c.env), env: c.env });
}

async function found(c: Context<EdgeContext>): Promise<Voice> {
  const id = c.req.param('id') ?? '';
  const voice = isId(id) ? await readVoice(id, c.get('caller').tenant, c.env) : undefined;
  if (!voice) throw notFound();
  return voice;
}

function notFound(): CosyError {
  return new CosyError('voice_not_found', 'There is no such voice.', { param: 'id' });
}

async function newVoice(request: Request, c: Context<EdgeContext>): Promise<NewVoice> {
  const isForm = /^multipart\//i.test(request.headers.get('content-type') ?? '');
  const { words, clip } = isForm ? await fromForm(request) : await fromJson(request);
  const { name, description, language, ref_text, transcript = ref_text, text = transcript, consent, consent_statement, keep_recording, audio_url } = words;
  if ((clip === undefined) === (audio_url === undefined)) throw new CosyError('invalid_value', 'Send the recording once: as the file audio_sample of a form, as audio in base64, or as audio_url.', { param: 'audio_sample' });
  return { name, description, language, transcript: (text ?? '').trim(), consent, consentStatement: consent_statement, keepRecording: keep_recording, clip: clip ?? (await download(audio_url ?? '', c)) };
}

type Given = { readonly words: z.infer<typeof wordsSchema>; readonly clip: Uint8Array | undefined };

async function fromForm(request: Request): Promise<Given> {
  const texts = Object.fromEntries(Object.keys(wordsSchema.shape).map((name) => [name, 4 * MAX_TRANSCRIPT_CHARACTERS]));
  const form = await readMultipart(request, { maxBytes: MAX_FORM_BYTES, texts, files: { audio_sample: MAX_CLIP_BYTES, audio: MAX_CLIP_BYTES, file: MAX_CLIP_BYTES } });
  const [file, second] = form.files.values();
  if (second) throw new CosyError('invalid_value', 'Send one recording: audio_sample.', { param: 'audio_sample' });
  return { words: accept(wordsSchema, Object.fromEntries(form.texts)), clip: file?.bytes };
}

async function fromJson(request: Request): Promise<Given> {
  const { audio, ...words } = accept(jsonSchema, await readJson(request, MAX_JSON_BYTES));
  if (audio === undefined) return { words, clip: undefined };
  try {
    return { words, clip: Uint8Array.fromBase64(audio.replace(/^data:[^,]{0,200},/, '')) };
  } catch {
    throw new CosyError('invalid_value', 'audio must be base64 or a base64 data URL.', { param: 'audio' });
  }
}

async function download(url: string, c: Context<EdgeContext>): Promise<Uint8Array> {
  const { status, bytes } = await fetchOutside(url, { env: c.env, maxBytes: MAX_CLIP_BYTES, timeoutMs: DOWNLOAD_MS, signal: c.req.raw.signal });
  if (status !== 200) throw new CosyError('download_failed', `audio_url answered with status ${status}.`, { param: 'audio_url' });
  return bytes;
}

function shown({ id, name, createdMs, description, language, consent, recording, report }: Voice): ShownVoice {
  return { id, object: 'audio.voice', name, type: 'audio_sample', created_at: Math.floor(createdMs / 1000), description, language: language ?? null, consent, recording_kept: recording !== undefined, quality: report };
}

function ofModel(name: string): ShownVoice {
  return { id: name, object: 'audio.voice', name, type: 'preset', created_at: 0, description: '', language: traitsOf(name)?.language ?? null, consent: null, recording_kept: false, quality: null };
}
