import { LANGUAGES } from '../normalize/contract.ts';
import type { Language } from '../normalize/contract.ts';

/**
 * A caller's language tag (`zh-CN`, `EN`, absent, anything) as the normalizer knows it; without one, the language that the
 * instruction asks for. What neither says is decided by the text.
 */
export function toLanguage(tag: string | undefined, instruction?: string): Language | 'auto' {
  const primary = tag?.toLowerCase().split(/[-_]/)[0];
  return LANGUAGES.find((language) => language === primary) ?? (tag === undefined ? languageAsked(instruction ?? '') : 'auto');
}

/** Dialects are written, and their numbers read, as Mandarin is. */
const NAMES: Readonly<Record<Language, RegExp>> = {
  en: /\benglish\b|英语|英文/i,
  ja: /\bjapanese\b|日语|日文|日本語/i,
  ko: /\bkorean\b|韩语|韩文|韓語|한국어|한국말/i,
  zh: /\b(?:chinese|mandarin|cantonese)\b|中文|汉语|漢語|普通话|国语|方言|[川南北海东西津州京]话|粤语/i,
};

/** `auto` when it names none, or more than one. */
function languageAsked(instruction: string): Language | 'auto' {
  const named = LANGUAGES.filter((language) => NAMES[language].test(instruction));
  return (named.length === 1 && named[0]) || 'auto';
}
