/**
 * What the normalizer and its languages agree on.
 *
 * In: written text. Out: the same text with every written form (numbers, dates, money, addresses, symbols …) replaced by
 * words, and a list of the replacements with their source ranges. All offsets are UTF-16 code units of the caller's text.
 * The scanner (written/scan.ts) finds written forms by shape alone; a language says what a shape means and reads it out.
 */

/** Languages with rules of their own. Text of any other language passes untouched. */
export const LANGUAGES = ['zh', 'en', 'ja', 'ko'] as const;
/** Id of a language with rules. */
export type Language = (typeof LANGUAGES)[number];

/** One list of classes for all languages; the trace and the result tables use these names. */
export const CLASSES = [
  'cardinal', 'ordinal', 'decimal', 'fraction', 'percent', 'scientific',
  'digits', 'telephone', 'date', 'time', 'duration', 'money', 'measure',
  'range', 'ratio', 'score', 'math', 'electronic', 'roman', 'abbreviation',
  'acronym', 'symbol', 'emoji', 'counter', 'word',
  'lexicon', 'substitution', 'pronunciation', 'control',
] as const;
/** One of CLASSES. */
export type TokenClass = (typeof CLASSES)[number];

/** Half-open range [start, end) in UTF-16 code units. */
export type Span = { start: number; end: number };

// ── Written forms: what the scanner gives a language ─────────────────────────────────────────────────────────────────

/** One number as written: `-1,234.50e3` → sign '-', digits '1234', decimals '50', grouped, exponent '3'. */
export type NumberPart = Span & {
  sign: '' | '-' | '+' | '±';
  /** Integer digits in ASCII, separators removed; '' for `.5`. May be thousands long: check before BigInt. */
  digits: string;
  /** Digits after the point; undefined when no point is written. */
  decimals: string | undefined;
  /** Thousands separators were written (`13,000`). */
  grouped: boolean;
  /** Signed power of ten (`1.2e-3` → '-3'); undefined when none is written. */
  exponent: string | undefined;
};

/**
 * A chain of numbers joined without spaces. `shape` has an N per number and the joining characters between them, folded:
 * `12:30-13:45` → 'N:N-N:N', `2024/3/5` → 'N/N/N', `1.2.3` → 'N.N.N', `3.14` → 'N' (one number with decimals).
 * Joins are `- ~ / : .`; every dash folds to `-`, every wave to `~`. Chains above 16 numbers have shape '…'.
 */
export type NumberForm = Span & { kind: 'number'; shape: string; parts: readonly NumberPart[] };

/** A run of letters of an alphabet (Latin with its accents, Greek, Cyrillic …), never digits, never apostrophes. */
export type WordForm = Span & { kind: 'word' };

/** A run of one of the scripts that are written without alphabet spacing. */
export type ScriptForm = Span & { kind: 'script'; script: 'han' | 'kana' | 'hangul' };

/** One symbol character (currency, math, `%`, `℃`, `½`, `²`, `①`, `Ⅲ`, `&` …), not sentence punctuation or brackets. */
export type SymbolForm = Span & { kind: 'symbol' };

/** One emoji with its modifiers and joined parts. */
export type EmojiForm = Span & { kind: 'emoji' };

/** Something typed by machines' rules; the language spells it out. */
export type AddressForm = Span & {
  kind: 'address';
  address: 'url' | 'email' | 'domain' | 'ip' | 'path' | 'file' | 'handle' | 'hashtag';
};

/** Text already decided (control token, lexicon entry, `sub`, `phoneme`); no rule may touch it. */
export type FixedForm = Span & { kind: 'fixed' };

/** In text order, never overlapping. White space, punctuation and brackets lie between forms and are not forms. */
export type Form = NumberForm | WordForm | ScriptForm | SymbolForm | EmojiForm | AddressForm | FixedForm;
/** What a rule book is keyed by. */
export type FormKind = Form['kind'];

// ── What a language implements ───────────────────────────────────────────────────────────────────────────────────────

/** How the caller wants ambiguous shapes read; absent means decide by context. */
export type Hints = {
  /** `1/2` */
  slash?: 'date' | 'fraction';
  /** `3-5` */
  dash?: 'range' | 'score' | 'minus' | 'digits';
  /** `12:30` */
  colon?: 'time' | 'ratio' | 'score';
  /** `2024` */
  integer?: 'cardinal' | 'digits' | 'year';
  /** `03/04/2024` */
  dateOrder?: 'mdy' | 'dmy' | 'ymd';
  /** `3,5` */
  decimalMark?: 'point' | 'comma';
};

/** `say-as` values, the union of what the vendors accept (SSML names mapped onto ours). */
export const SAY_AS = [
  'cardinal', 'ordinal', 'digits', 'characters', 'fraction', 'unit', 'date', 'time', 'duration',
  'telephone', 'currency', 'address', 'name', 'id', 'punctuation', 'expletive',
] as const;
/** One of SAY_AS. */
export type SayAs = (typeof SAY_AS)[number];

/** What a rule sees. `folded` has the same length and offsets as `text`. */
export type Scope = {
  /** The caller's text (SSML already removed, blanks of the same length in its place). */
  text: string;
  /** `text` with full-width forms, other scripts' digits, dash, wave, slash and colon variants folded to ASCII, unit for unit. */
  folded: string;
  /** All forms of the text, also outside the span: neighbours may be looked at, only those inside may be replaced. */
  forms: readonly Form[];
  /** The language span to read: forms with from ≤ start and end ≤ to. */
  from: number;
  to: number;
  /** Base language of the whole request, for words of another language inside the span. */
  base: Language;
  hints: Hints;
};

/** One replaced source range. Ranges a language returns ascend, never overlap and stay inside its span. */
export type Replacement = Span & {
  class: TokenClass;
  /** Name of the rule, `file/what` (`date/iso`), for the trace. */
  rule: string;
  /** Spoken words, without digits; '' drops the source. No spaces at the ends: the assembler sets them. */
  reading: string;
  /** Other readings that were possible, best first. */
  alternatives?: readonly string[];
};

/**
 * Reads the form at `index` (and as many neighbours as belong to it), or returns undefined to pass to the next rule.
 * May start before the form (`第`, `No.`) but not before `floor`, the end of the replacement before.
 * Looks a bounded distance left and right: the whole must stay linear.
 */
export type Rule = (scope: Scope, index: number, floor: number) => Replacement | undefined;

/** Rules to try per kind of form, in order; the first that answers wins (rules.ts walks them). */
export type RuleBook = Partial<Record<FormKind, readonly Rule[]>>;

/** A language: pure functions over text, none of which throws. */
export type LanguageRules = {
  language: Language;
  /** All replacements of scope.from … scope.to, in linear time, never throwing. */
  read(scope: Scope): Replacement[];
  /** Reading of a `say-as` element's text; undefined when it does not parse as that (it is then read as plain text). */
  sayAs(text: string, as: SayAs, format: string | undefined): string | undefined;
  /** Name of an emoji (variation selectors removed) or undefined; used when the request wants emoji said. */
  emoji(sequence: string): string | undefined;
};

// ── What a caller gives and gets ─────────────────────────────────────────────────────────────────────────────────────

/** One lexicon entry: a written word or phrase and how to say it. */
export type LexiconEntry = {
  text: string;
  /** Say this instead … */
  reading?: string;
  /** … or pronounce it so: pinyin (`háng zhǎng` or `hang2 zhang3`), ARPABET (`T AH0 M EY1 T OW2`) or IPA. */
  pronunciation?: string;
  alphabet?: 'pinyin' | 'arpabet' | 'ipa';
  /** Only in spans of this language. */
  language?: Language;
  /** Default false: case is ignored. */
  caseSensitive?: boolean;
};

/** Everything a request may set; all optional. */
export type NormalizeOptions = {
  /** Language of the request; 'auto' (default) decides from the text. */
  language?: Language | 'auto';
  hints?: Hints;
  /** 'text' (default) never parses markup; 'ssml' must be SSML; 'auto' parses when the text starts with `<speak`. */
  inputType?: 'text' | 'ssml' | 'auto';
  /** Malformed SSML: 'error' (default) throws ssml_invalid, 'text' reads it as text with the tags left out. */
  onMalformed?: 'error' | 'text';
  /** Default 'drop'. */
  emoji?: 'say' | 'drop' | 'keep';
  /** Inline marks of the model (`[laughter]`, `<strong>`): pass (default) or are taken out and reported. */
  controlTokens?: 'allow' | 'mask';
  /** Compiled once per tenant or request with compileLexicon. */
  lexicon?: import('./lexicon.ts').Lexicon;
  /** Only mask and parse; read nothing out. */
  read?: boolean;
};

/** One thing that happened to a source range. */
export type TraceSpan = Replacement & {
  language: Language;
  /** The source as written. */
  source: string;
  /** Where the reading stands in the spoken text. */
  spokenStart: number;
  spokenEnd: number;
};

/** Source text that was taken out, and why. */
export type Masked = Span & { source: string; reason: 'control-token' | 'inline-mark' | 'invisible' };

/** One stretch of spoken text with the same delivery; plain text gives exactly one. */
export type Segment = {
  text: string;
  /** Offset of the segment in NormalizeResult.text. */
  start: number;
  language?: Language;
  voice?: string;
  /** Factors, 1 = as the voice is. */
  rate?: number;
  pitch?: number;
  volume?: number;
  /** Style instruction (`emotion`, `express-as`). */
  instruction?: string;
  /** Exact silence after the segment, milliseconds. */
  breakMs?: number;
  /** Bookmarks at offsets of the spoken text. */
  marks?: readonly { name: string; at: number }[];
};

/** Spoken text and how it came about. */
export type NormalizeResult = {
  /** Spoken text. */
  text: string;
  /** Every replaced span in order. */
  spans: TraceSpan[];
  segments: Segment[];
  warnings: string[];
  masked: Masked[];
};
