/** The text of a request as it is to be spoken. What a listener would miss without being told is a warning. */
import type { Job } from '../shared/contract/job.ts';
import { toLanguage } from '../shared/contract/language.ts';
import { CosyError } from '../shared/errors/index.ts';
import { MAX_TEXT_CHARACTERS } from '../shared/limits/index.ts';
import { compileLexicon, normalize } from '../shared/normalize/index.ts';
import type { LexiconEntry, NormalizeResult } from '../shared/normalize/index.ts';
import type { SpeechRequest } from './api/speech.ts';

export type Reading = { readonly text: string; readonly breaks: Job['breaks']; readonly warnings: readonly string[] };

/** Throws `input_too_long`, `input_empty` or `ssml_invalid`. */
export function readText({ input, language, instructions, input_type: inputType, text_normalization, pronunciations }: SpeechRequest): Reading {
  if (text_normalization === 'off' && inputType === 'text') return { text: input, breaks: undefined, warnings: [] };
  const lexicon = pronunciations.length > 0 ? compileLexicon(pronunciations as LexiconEntry[]) : undefined;
  const result = normalize(input, { language: toLanguage(language, instructions), inputType, read: text_normalization !== 'off', ...(lexicon && { lexicon }) });
  const { text } = result;
  if (text.length > MAX_TEXT_CHARACTERS) throw new CosyError('input_too_long', `input has ${text.length} characters once numbers and signs are words; the limit is ${MAX_TEXT_CHARACTERS}: split it into several requests.`, { param: 'input' });
  if (!/[\p{L}\p{N}]/u.test(text)) throw new CosyError('input_empty', 'input has nothing that can be spoken: send at least one word.', { param: 'input' });
  return { text, breaks: breaksOf(result), warnings: [...result.warnings, ...unheard(result)] };
}

/** The silences that markup asks for, by their place in the spoken text; none before the first word. */
function breaksOf({ segments }: NormalizeResult): Job['breaks'] {
  const breaks = segments.flatMap(({ text, start, breakMs }) => (breakMs === undefined || start + text.length === 0 ? [] : [{ at: start + text.length, ms: breakMs }]));
  return breaks.length > 0 ? breaks : undefined;
}

/** Markup that is read and has no effect on this request's sound. */
function unheard({ segments }: NormalizeResult): string[] {
  const wanted = ['voice', 'rate', 'pitch', 'volume', 'instruction'] as const;
  const found = wanted.filter((name) => segments.some((segment) => segment[name] !== undefined));
  return found.length > 0 ? [`SSML: ${found.join(', ')} within the text has no effect; words, readings, pronunciations and breaks have`] : [];
}
