/** How a caller says that a word is to be spoken, in speech and normalization requests alike. */
import { z } from 'zod';
import { LANGUAGES } from '../../shared/normalize/index.ts';

/** A written word or phrase; `reading` is said instead, or `pronunciation` is how (pinyin, ARPABET or IPA). */
export const lexiconEntrySchema = z.object({
  text: z.string().min(1),
  reading: z.string().optional(),
  pronunciation: z.string().optional(),
  alphabet: z.enum(['pinyin', 'arpabet', 'ipa']).optional(),
  language: z.enum(LANGUAGES).optional(),
  caseSensitive: z.boolean().optional(),
});
