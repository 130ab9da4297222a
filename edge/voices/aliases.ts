/** Names that other services gave to voices → the nearest speaker of the nodes' checkpoint. */

export type Traits = { readonly language: string; readonly gender: 'female' | 'male' };

const female = (language: string): Traits => ({ language, gender: 'female' });
const male = (language: string): Traits => ({ language, gender: 'male' });

/** Speakers of CosyVoice-300M-SFT, whose names most clients of CosyVoice send. */
const CLASSIC: Readonly<Record<string, Traits>> = { 中文女: female('zh'), 中文男: male('zh'), 日语男: male('ja'), 粤语女: female('yue'), 英文女: female('en'), 英文男: male('en'), 韩语女: female('ko') };

/** Of OpenAI's speech API; those described as neutral are put where most listeners hear them. */
const OPENAI: Readonly<Record<string, Traits>> = {
  alloy: female('en'),
  ash: male('en'),
  ballad: male('en'),
  cedar: male('en'),
  coral: female('en'),
  echo: male('en'),
  fable: male('en'),
  marin: female('en'),
  nova: female('en'),
  onyx: male('en'),
  sage: female('en'),
  shimmer: female('en'),
  verse: male('en'),
};

/** SiliconFlow's speakers of this very model. */
const SILICONFLOW: Readonly<Record<string, Traits>> = Object.fromEntries(
  [...['alex', 'benjamin', 'charles', 'david'].map((name) => [name, male('zh')] as const), ...['anna', 'bella', 'claire', 'diana'].map((name) => [name, female('zh')] as const)].map(([name, traits]) => [`FunAudioLLM/CosyVoice2-0.5B:${name}`, traits]),
);

const ALIASES: ReadonlyMap<string, Traits> = new Map(Object.entries({ ...CLASSIC, ...OPENAI, ...SILICONFLOW }));

export function isAlias(name: string): boolean {
  return ALIASES.has(name);
}

/** First letters of speakers that are named as Kokoro's: `af_heart`, `zm_yunyang`. */
const LETTERS: Readonly<Record<string, string>> = { a: 'en', b: 'en', e: 'es', f: 'fr', h: 'hi', i: 'it', j: 'ja', k: 'ko', p: 'pt', z: 'zh' };

/** What a speaker's name says of it. */
export function traitsOf(preset: string): Traits | undefined {
  const [, letter = '', gender] = /^([a-z])([fm])_/.exec(preset) ?? [];
  const language = LETTERS[letter];
  return ALIASES.get(preset) ?? (language === undefined ? undefined : gender === 'f' ? female(language) : male(language));
}

/** A name that is a speaker's own is that speaker. Otherwise language counts before gender. Undefined: no alias, or no speakers. */
export function standIn(alias: string, presets: readonly string[]): { readonly preset: string; readonly warning: string | undefined } | undefined {
  if (presets.includes(alias)) return { preset: alias, warning: undefined };
  const wanted = ALIASES.get(alias);
  if (!wanted) return undefined;
  const known = presets.map((preset) => ({ preset, traits: traitsOf(preset) }));
  const speaks = known.filter(({ traits }) => traits?.language === wanted.language);
  const alike = (list: typeof known) => list.find(({ traits }) => traits?.gender === wanted.gender);
  const best = alike(speaks) ?? speaks[0] ?? alike(known) ?? known[0];
  if (!best) return undefined;
  const differs = speaks.length === 0 ? `language (${wanted.language})` : best.traits?.gender === wanted.gender ? undefined : `gender (${wanted.gender})`;
  return { preset: best.preset, warning: differs === undefined ? undefined : `no voice here has the ${differs} of ${ascii(alias)}: ${ascii(best.preset)} speaks instead` };
}

/** Headers hold nothing else (RFC 9110 §5.5). */
export function ascii(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
