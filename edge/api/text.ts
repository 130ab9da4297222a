/** `POST /v1/text/normalize`: how a text will be spoken, with the trace of every span that was replaced. */
import { Hono } from 'hono';
import { z } from 'zod';
import { toLanguage } from '../../shared/contract/language.ts';
import { MAX_SPEECH_BODY_BYTES, MAX_TEXT_CHARACTERS } from '../../shared/limits/index.ts';
import { LEXICON_LIMITS, compileLexicon, normalize } from '../../shared/normalize/index.ts';
import type { Hints, LexiconEntry, NormalizeOptions, NormalizeResult } from '../../shared/normalize/index.ts';
import { readJson } from '../admit/body.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext } from '../env.ts';
import { lexiconEntrySchema } from './lexicon.ts';
import type { Operation } from './operation.ts';
import { accept } from './page.ts';

const hintsSchema = z.object({
  slash: z.enum(['date', 'fraction']),
  dash: z.enum(['range', 'score', 'minus', 'digits']),
  colon: z.enum(['time', 'ratio', 'score']),
  integer: z.enum(['cardinal', 'digits', 'year']),
  dateOrder: z.enum(['mdy', 'dmy', 'ymd']),
  decimalMark: z.enum(['point', 'comma']),
}).partial();

export const normalizeSchema = z.object({
  text: z.string({ error: 'must be the text to normalize' }).max(MAX_TEXT_CHARACTERS, `is longer than ${MAX_TEXT_CHARACTERS} characters: split it into several requests`),
  language: z.string().max(16).optional(),
  input_type: z.enum(['text', 'ssml', 'auto']).default('text'),
  on_malformed: z.enum(['error', 'text']).default('error'),
  emoji: z.enum(['say', 'drop', 'keep']).default('drop'),
  control_tokens: z.enum(['allow', 'mask']).default('allow'),
  hints: hintsSchema.default({}),
  lexicon: z.array(lexiconEntrySchema).max(LEXICON_LIMITS.entries).default([]),
});

const resultSchema = z.object({ text: z.string(), language: z.string(), spans: z.array(z.object({ source: z.string(), class: z.string(), start: z.int(), end: z.int() }).loose()) }).loose();

export const textOperations: readonly Operation[] = [
  { method: 'post', path: '/v1/text/normalize', id: 'normalizeText', tag: 'text', summary: 'How a text will be read', scope: 'text', body: [{ type: 'application/json', schema: normalizeSchema }], answers: { 200: { description: 'The words, and what each span became and why.', content: [{ type: 'application/json', schema: resultSchema }] } } },
];

export const text = new Hono<EdgeContext>();
text.post('/normalize', async (c) => {
  requireScope(c.get('caller'), 'text');
  return c.json(normalizeText(await readJson(c.req.raw, MAX_SPEECH_BODY_BYTES)));
});

/** Throws `invalid_value` naming the first offending field, or `ssml_invalid`. */
function normalizeText(body: unknown): NormalizeResult {
  const { text: written, language, input_type, on_malformed, emoji, control_tokens, hints, lexicon } = accept(normalizeSchema, body);
  const options: NormalizeOptions = { language: toLanguage(language), inputType: input_type, onMalformed: on_malformed, emoji, controlTokens: control_tokens, hints: hints as Hints };
  return normalize(written, lexicon.length > 0 ? { ...options, lexicon: compileLexicon(lexicon as LexiconEntry[]) } : options);
}
