/**
 * Door of the normalizer: written text → speakable text, in Chinese, English, Japanese and Korean, by span. Pure and
 * linear; runs wherever JavaScript does. The stages, in order: markup (ssml), invisible characters (clean), control
 * tokens, forms (written/), language spans, lexicon, the languages' rules, assembly with trace.
 */
import type { Form, Language, LanguageRules, Masked, NormalizeOptions, NormalizeResult, Scope, TraceSpan } from './contract.ts';
import { assemble, type Assembled, type Placed } from './assemble.ts';
import { compose } from './compose.ts';
import { clean } from './clean.ts';
import { findControls } from './control.ts';
import { en } from './en/index.ts';
import { ja } from './ja/index.ts';
import { ko } from './ko/index.ts';
import { guessLanguage, languageSpans, type LanguageSpan } from './language.ts';
import { segments } from './segments.ts';
import { parseSsml, plainMarkup, type Markup } from './ssml.ts';
import { fold } from './written/fold.ts';
import { scan } from './written/scan.ts';
import { zh } from './zh/index.ts';

export type * from './contract.ts';
export { CLASSES, LANGUAGES, SAY_AS } from './contract.ts';
export { INLINE_MARKS } from './control.ts';
export { compileLexicon, LEXICON_LIMITS, type Lexicon } from './lexicon.ts';
export { endsWithSentence, splitForStreaming, type SplitOptions } from './split.ts';

const RULES: Record<Language, LanguageRules> = { zh, en, ja, ko };
/** Stands for decided text in what the rules see: no pattern matches it. */
const WALL = '\ufffc';

/**
 * Speakable form of `source` with its trace. Offsets are UTF-16 code units: trace and mask ranges of `source`, spoken
 * ranges of the result. Never throws on text; SSML that is malformed, has a DTD or asks for foreign audio throws
 * CosyError ssml_invalid unless options.onMalformed is 'text'.
 */
export function normalize(source: string, options: NormalizeOptions = {}): NormalizeResult {
  const cleaned = clean(source);
  const isSsml = options.inputType === 'ssml' || (options.inputType === 'auto' && /^\s*(?:<\?xml[^<>]*>\s*)?<speak[\s>]/.test(source.slice(0, 512)));
  const markup = isSsml ? parseSsml(cleaned.text, options.onMalformed ?? 'error') : plainMarkup(cleaned.text);
  const plain = markup.text;
  const place = (offset: number): number => {
    const at = markup.origin?.[offset] ?? offset;
    return cleaned.origin?.[at] ?? at;
  };
  const text = { plain, markup, options };
  const { placed, masked } = options.read === false ? controlsOnly(text) : read(text);
  const assembled = options.read === false ? assemble(plain, placed) : settled(text, assemble(plain, placed));
  const here = masked.map((one) => ({ ...one, start: place(one.start), end: place(one.end - 1) + 1 }));
  return {
    text: assembled.text,
    spans: assembled.spans.filter((span) => span.class !== 'control').map((span) => toSource(span, source, place)),
    segments: segments(assembled, text.markup, plain.length),
    warnings: markup.warnings,
    masked: [...cleaned.masked, ...here].toSorted((a, b) => a.start - b.start),
  };
}

/**
 * One line of a batch: `lang<TAB>text` → `lang<TAB>text<TAB>spoken`. A line without a known language is read as 'auto'
 * and keeps its shape; line breaks never appear in the spoken column.
 */
export function normalizeBatchLine(line: string, options: NormalizeOptions = {}): string {
  const tab = line.indexOf('\t');
  const written = tab < 0 ? '' : line.slice(0, tab);
  const language = Object.hasOwn(RULES, written) ? (written as Language) : 'auto';
  const result = normalize(line.slice(tab + 1), { ...options, language });
  return `${line}\t${result.text.replaceAll(/[\t\r\n]+/g, ' ')}`;
}

type Text = { plain: string; markup: Markup; options: NormalizeOptions };
type Read = { placed: Placed[]; masked: Masked[] };

/** Fixed replacements (marks, markup, lexicon), then the rules of each language span around them. */
function read(text: Text): Read {
  const { plain, markup, options } = text;
  const controls = controlPlaced(plain, options);
  let fixed = mergeFixed(controls.placed, markupPlaced(markup, options));
  const folded = fold(plain);
  let view = look(folded, fixed);
  const base = options.language === undefined || options.language === 'auto' ? guessLanguage(view.forms, folded) : options.language;
  const spans = withMarkup(languageSpans(view.forms, folded, base), markup, plain.length);
  fixed = sayAsPlaced(fixed, markup, plain, spans);
  const lexicon = options.lexicon === undefined || options.lexicon.size === 0 ? [] : lexiconPlaced(text, spans);
  if (lexicon.length > 0 || markup.sayAs.length > 0) {
    fixed = mergeFixed(fixed, lexicon);
    view = look(folded, fixed);
  }
  const all = rulesPlaced(plain, view, spans, { base, options });
  return { placed: mergeFixed(settle(fixed, all), all), masked: controls.masked };
}

type View = { folded: string; forms: Form[] };

/** What the languages' rules make of their spans, and emoji. */
function rulesPlaced(plain: string, view: View, spans: readonly LanguageSpan[], request: { base: Language; options: NormalizeOptions }): Placed[] {
  const { base, options } = request;
  const emoji = options.emoji === 'keep' ? [] : emojiPlaced(plain, view.forms, spans, options.emoji ?? 'drop');
  const found: Placed[] = [];
  for (const { start, end, language } of spans) {
    const scope: Scope = { text: plain, folded: view.folded, forms: view.forms, from: start, to: end, base, hints: options.hints ?? {} };
    for (const one of RULES[language].read(scope)) found.push({ ...one, language });
  }
  return mergeFixed(emoji, found);
}

/** More passes than any text needs; hostile ones may end unsettled rather than slow. */
const MOST_PASSES = 4;

/** Reads the spoken text again until nothing changes; what was fixed in the first pass stays fixed. */
function settled(text: Text, first: Assembled): Assembled {
  let assembled = first;
  for (let pass = 1; pass < MOST_PASSES && assembled.spans.length > 0; pass++) {
    const { text: spoken, spans } = assembled;
    const walls = spans.filter((span) => DECIDED.has(span.class)).map((span) => ({ ...span, start: span.spokenStart, end: span.spokenEnd }));
    const folded = fold(spoken);
    const view = look(folded, walls);
    const { language = 'auto' } = text.options;
    const base = language === 'auto' ? guessLanguage(view.forms, folded) : language;
    const styles = text.markup.styles.map(({ at, style }) => ({ at: assembled.spokenAt(at), style }));
    const languages = withMarkup(languageSpans(view.forms, folded, base), { ...text.markup, styles }, spoken.length);
    const again = rulesPlaced(spoken, view, languages, { base, options: text.options }).filter((one) => spoken.slice(one.start, one.end) !== one.reading);
    if (again.length === 0) break;
    assembled = assemble(text.plain, compose(assembled, again));
  }
  return assembled;
}

const DECIDED = new Set(['control', 'lexicon', 'substitution', 'pronunciation', 'emoji']);

/** Inserted marks (`emphasis`) that would fall inside a reading move to its edge: opening ones before, closing ones behind. */
function settle(fixed: readonly Placed[], found: readonly Placed[]): Placed[] {
  let next = 0;
  return fixed.map((one) => {
    if (one.end > one.start) return one;
    while (next < found.length && (found[next]?.end ?? 0) <= one.start) next++;
    const around = found[next];
    if (around === undefined || around.start >= one.start) return one;
    const at = one.reading.startsWith('</') ? around.end : around.start;
    return { ...one, start: at, end: at };
  });
}

function controlsOnly(text: Text): Read {
  const controls = controlPlaced(text.plain, text.options);
  return { placed: mergeFixed(controls.placed, markupPlaced(text.markup, text.options)), masked: controls.masked };
}

/** Forms of the text with fixed ranges as walls, and the folded text in which rules cannot see what is fixed. */
function look(folded: string, fixed: readonly Placed[]): View {
  const walls = fixed.filter((one) => one.end > one.start);
  if (walls.length === 0) return { folded, forms: scan(folded) };
  const pieces: string[] = [];
  let from = 0;
  for (const wall of walls) {
    pieces.push(folded.slice(from, wall.start), WALL.repeat(wall.end - wall.start));
    from = wall.end;
  }
  const hidden = pieces.join('') + folded.slice(from);
  return { folded: hidden, forms: scan(hidden, walls) };
}

/** Control tokens are dropped; inline marks stay as they are, or are dropped when the request masks them. */
function controlPlaced(plain: string, options: NormalizeOptions): Read {
  const placed: Placed[] = [];
  const masked: Masked[] = [];
  for (const { start, end, kind } of findControls(plain)) {
    const source = plain.slice(start, end);
    const passes = kind === 'mark' && options.controlTokens !== 'mask';
    placed.push({ start, end, class: 'control', rule: `control/${kind}`, reading: passes ? source : '', language: 'en' });
    if (!passes) masked.push({ start, end, source, reason: kind === 'mark' ? 'inline-mark' : 'control-token' });
  }
  return { placed, masked };
}

/** `sub`, `phoneme` and emphasis marks of the markup. */
function markupPlaced(markup: Markup, options: NormalizeOptions): Placed[] {
  return markup.fixed.map((given) => {
    let one = given;
    if (one.class === 'substitution' && one.reading !== '') one = { ...one, reading: normalize(one.reading, { controlTokens: 'mask' }).text };
    if (one.class === 'control' && options.controlTokens === 'mask') one = { ...one, reading: '' };
    const guarded = findControls(one.reading).some((control) => control.kind === 'token' || one.class !== 'control');
    return { ...one, reading: guarded ? one.reading.replaceAll(/[<|>[\]]/g, ' ') : one.reading, language: 'en' as const };
  });
}

function sayAsPlaced(fixed: Placed[], markup: Markup, plain: string, spans: readonly LanguageSpan[]): Placed[] {
  const said: Placed[] = [];
  for (const { start, end, as, format } of markup.sayAs) {
    const language = languageAt(spans, start);
    const reading = RULES[language].sayAs(plain.slice(start, end), as, format);
    if (reading !== undefined) said.push({ start, end, class: 'substitution', rule: `say-as/${as}`, reading, language });
  }
  return mergeFixed(fixed, said);
}

function lexiconPlaced(text: Text, spans: readonly LanguageSpan[]): Placed[] {
  const matches = text.options.lexicon?.find(text.plain, (offset) => languageAt(spans, offset)) ?? [];
  return matches.map(({ start, end, entry, reading }) => ({
    start, end, class: entry.reading === undefined ? 'pronunciation' : 'lexicon', rule: 'lexicon/entry', reading, language: languageAt(spans, start),
  }));
}

function emojiPlaced(plain: string, forms: readonly Form[], spans: readonly LanguageSpan[], how: 'say' | 'drop'): Placed[] {
  const placed: Placed[] = [];
  for (const form of forms) {
    if (form.kind !== 'emoji') continue;
    const language = languageAt(spans, form.start);
    const sequence = plain.slice(form.start, form.end);
    const said = how === 'say' || /^[0-9#*]/.test(sequence) ? RULES[language].emoji(sequence.replaceAll('\ufe0f', '')) : '';
    placed.push({ start: form.start, end: form.end, class: 'emoji', rule: `emoji/${how}`, reading: said ?? '', language });
  }
  return placed;
}

/** Two ascending lists as one; where they overlap the first list wins. */
function mergeFixed(first: readonly Placed[], second: readonly Placed[]): Placed[] {
  const merged: Placed[] = [];
  let at = 0;
  for (const one of second) {
    while (at < first.length && (first[at]?.start ?? 0) <= one.start) merged.push(first[at++] as Placed);
    const before = merged.at(-1);
    const next = first[at];
    if ((before === undefined || before.end <= one.start) && (next === undefined || one.end <= next.start)) merged.push(one);
  }
  merged.push(...first.slice(at));
  return merged;
}

function languageAt(spans: readonly LanguageSpan[], offset: number): Language {
  let low = 0;
  let high = spans.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((spans[middle]?.start ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return spans[low]?.language ?? 'en';
}

/** `lang` elements win over what the scripts say; both lists ascend, so one walk is enough. */
function withMarkup(spans: readonly LanguageSpan[], markup: Markup, length: number): LanguageSpan[] {
  const told = markup.styles.filter((one, at) => at === 0 || one.style.language !== markup.styles[at - 1]?.style.language);
  if (!told.some((one) => one.style.language !== undefined)) return [...spans];
  const edges = [...new Set([0, length, ...spans.map((span) => span.start), ...told.map((one) => one.at)])].toSorted((a, b) => a - b);
  const cut: LanguageSpan[] = [];
  let next = 0;
  for (let at = 0; at + 1 < edges.length; at++) {
    const start = edges[at] ?? 0;
    while (next < told.length && (told[next]?.at ?? 0) <= start) next++;
    cut.push({ start, end: edges[at + 1] ?? length, language: told[next - 1]?.style.language ?? languageAt(spans, start) });
  }
  return cut;
}

/** Source range of a plain range; an entity at its end counts whole. */
function toSource(span: TraceSpan, source: string, place: (offset: number) => number): TraceSpan {
  const start = place(span.start);
  const last = span.end > span.start ? place(span.end - 1) : start - 1;
  const entity = source[last] === '&' && place(span.end) > last + 1 ? source.indexOf(';', last) : last;
  const end = Math.max(last, entity) + 1;
  return { ...span, start, end, source: source.slice(start, end) };
}
