import { LANGUAGES } from '../normalize/contract.ts';
import type { Language } from '../normalize/contract.ts';

/** A caller's language tag (`zh-CN`, `EN`, absent, anything) as the normalizer knows it; what it does not know is decided by the text. */
export function toLanguage(tag: string | undefined): Language | 'auto' {
  const primary = tag?.toLowerCase().split(/[-_]/)[0];
  return LANGUAGES.find((language) => language === primary) ?? 'auto';
}
