/**
 * SSML subset → plain text with its delivery. A hand-written reader, one pass: no DTD, no external anything, entities are
 * the five of XML and character references only (so nothing can grow), depth and counts are limited.
 * Out: the text with the source offset of every unit, styles by offset, breaks, marks, and ranges whose words are fixed.
 */
import { CosyError } from '../errors/index.ts';
import { clean } from './clean.ts';
import { LANGUAGES, type Language, type Replacement, type SayAs, type Span } from './contract.ts';
import { pronounce } from './pronounce/index.ts';
import { breakMs, emphasised, instructionFor, pitchFactor, rateFactor, sayAsName, volumeFactor } from './ssml-values.ts';

/** Deep enough for any editor's output, small enough that no stack or table grows; 20 s is Azure's longest pause. */
export const SSML_LIMITS = { depth: 32, elements: 10_000, attributes: 32, attributeUnits: 2_000, breakMs: 20_000 } as const;

/** Delivery from some offset on; rate, pitch and volume are factors, 1 = as the voice is. */
export type Style = { language?: Language; voice?: string; rate?: number; pitch?: number; volume?: number; instruction?: string };

/** Text without its tags and all the tags said about it; offsets are code units of `text`. */
export type Markup = {
  text: string;
  /** Source offset of every unit of `text` and of its end; undefined when they are the same. */
  origin: Int32Array | undefined;
  /** Style from an offset on; ascending, the last at an offset counts. */
  styles: { at: number; style: Style }[];
  /** Places where a segment ends: breaks with their length, 0 for paragraph, sentence and voice changes. */
  breaks: { at: number; ms: number }[];
  marks: { at: number; name: string }[];
  sayAs: (Span & { as: SayAs; format: string | undefined })[];
  fixed: Replacement[];
  warnings: string[];
};

/** Markup of text without any. */
export function plainMarkup(text: string): Markup {
  return { text, origin: undefined, styles: [], breaks: [], marks: [], sayAs: [], fixed: [], warnings: [] };
}

/**
 * Reads SSML. Malformed markup, a DTD, audio inserts and exceeded limits throw CosyError ssml_invalid; with
 * onMalformed 'text' the tags are left out and the rest is plain text.
 */
export function parseSsml(source: string, onMalformed: 'error' | 'text'): Markup {
  try {
    return new Reader(source).read();
  } catch (error) {
    if (onMalformed === 'error' || !(error instanceof CosyError)) throw error;
    return withoutTags(source, error.message);
  }
}

type Element = { name: string; attributes: Map<string, string>; start: number; style: Style; quiet: boolean };

const NAME = /[A-Za-z_][\w.:-]{0,63}/y;
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]{0,63})\s*=\s*(?:"([^"<]{0,2000})"|'([^'<]{0,2000})')/y;
const TAG_END = /\s*(\/?)>/y;
const ENTITY = /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6}));/y;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** The model's own paired marks; inside SSML they are text. */
const MODEL_MARK = /<\/?(?:strong|laughter)>/y;
const FOREIGN = new Set(['audio', 'soundevent', 'bgm', 'mstts:backgroundaudio', 'media', 'par', 'seq', 'mstts:audioduration']);
const KNOWN_SILENT = new Set(['w', 'token', 'desc', 'metadata', 'meta', 'mstts:viseme', 'vhml', 'lexicon', 'break', 'mark', 'bookmark', 'mstts:silence']);

/** Owns the output being built and the stack of open elements. */
class Reader {
  readonly #source: string;
  readonly #out: Markup;
  readonly #pieces: string[] = [];
  readonly #offsets: number[] = [];
  readonly #stack: Element[] = [];
  readonly #warned = new Set<string>();
  #length = 0;
  #last = '';
  #elements = 0;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
    this.#out = plainMarkup('');
  }

  read(): Markup {
    const source = this.#source;
    while (this.#at < source.length) {
      const character = source[this.#at];
      if (character === '<') this.#markup();
      else if (character === '&') this.#entity();
      else this.#run();
    }
    const open = this.#stack.at(-1);
    if (open !== undefined) fail(`Element <${open.name}> is not closed.`);
    this.#offsets.push(source.length);
    const origin = Int32Array.from(this.#offsets);
    return { ...this.#out, text: this.#pieces.join(''), origin };
  }

  #run(): void {
    const source = this.#source;
    let end = this.#at;
    while (end < source.length && source[end] !== '<' && source[end] !== '&') end++;
    this.#text(source.slice(this.#at, end), this.#at);
    this.#at = end;
  }

  #text(piece: string, from: number, still = false): void {
    for (let unit = 0; unit < piece.length; unit++) this.#offsets.push(still ? from : from + unit);
    this.#pieces.push(piece);
    this.#length += piece.length;
    this.#last = piece.at(-1) ?? this.#last;
  }

  #entity(): void {
    ENTITY.lastIndex = this.#at;
    const found = ENTITY.exec(this.#source);
    if (found === null) return fail('An & that starts no entity: write &amp;.');
    const [all, name, decimal, hex] = found;
    const code = decimal === undefined ? Number.parseInt(hex ?? '0', 16) : Number(decimal);
    if (name === undefined && (code === 0 || code > 0x10ffff)) return fail('A character reference outside Unicode.');
    this.#text(name === undefined ? clean(String.fromCodePoint(code)).text : (ENTITIES[name] ?? ''), this.#at, true);
    this.#at += all.length;
  }

  #markup(): void {
    const source = this.#source;
    MODEL_MARK.lastIndex = this.#at;
    const mark = MODEL_MARK.exec(source)?.[0];
    if (mark !== undefined) {
      this.#text(mark, this.#at);
      this.#at += mark.length;
    } else if (source.startsWith('<!--', this.#at)) this.#skip('-->', 'A comment is not closed.');
    else if (source.startsWith('<?', this.#at)) this.#skip('?>', 'A processing instruction is not closed.');
    else if (source.startsWith('<![CDATA[', this.#at)) this.#cdata();
    else if (source.startsWith('<!', this.#at)) fail('Document types and entity declarations are not allowed.');
    else if (source[this.#at + 1] === '/') this.#close();
    else this.#open();
  }

  #skip(end: string, problem: string): void {
    const found = this.#source.indexOf(end, this.#at);
    if (found < 0) fail(problem);
    this.#at = found + end.length;
  }

  #cdata(): void {
    const end = this.#source.indexOf(']]>', this.#at);
    if (end < 0) fail('A CDATA section is not closed.');
    this.#text(this.#source.slice(this.#at + 9, end), this.#at + 9);
    this.#at = end + 3;
  }

  #open(): void {
    NAME.lastIndex = this.#at + 1;
    const name = NAME.exec(this.#source)?.[0].toLowerCase();
    if (name === undefined) return fail('A < that starts no element: write &lt;.');
    const attributes = this.#attributes(NAME.lastIndex);
    TAG_END.lastIndex = this.#at;
    const end = TAG_END.exec(this.#source);
    if (end === null) return fail(`Element <${name}> has a broken tag.`);
    if (++this.#elements > SSML_LIMITS.elements) fail(`More than ${SSML_LIMITS.elements} elements.`);
    if (FOREIGN.has(name)) fail(`Element <${name}> is not supported: only speech can be made.`);
    this.#at = TAG_END.lastIndex;
    this.#enter({ name, attributes, start: this.#length, style: this.#style(), quiet: name === 'metadata' || name === 'desc' });
    if (end[1] === '/') this.#leave();
  }

  #attributes(from: number): Map<string, string> {
    const attributes = new Map<string, string>();
    this.#at = from;
    for (;;) {
      ATTRIBUTE.lastIndex = this.#at;
      const found = ATTRIBUTE.exec(this.#source);
      if (found === null) return attributes;
      if (attributes.size >= SSML_LIMITS.attributes) fail(`More than ${SSML_LIMITS.attributes} attributes.`);
      attributes.set((found[1] ?? '').toLowerCase(), decode(found[2] ?? found[3] ?? ''));
      this.#at = ATTRIBUTE.lastIndex;
    }
  }

  #close(): void {
    NAME.lastIndex = this.#at + 2;
    const name = NAME.exec(this.#source)?.[0].toLowerCase();
    const open = this.#stack.at(-1);
    if (name === undefined || open?.name !== name) return fail(`</${name ?? ''}> closes nothing that is open.`);
    TAG_END.lastIndex = NAME.lastIndex;
    if (TAG_END.exec(this.#source)?.[1] !== '') fail(`</${name}> is broken.`);
    this.#at = TAG_END.lastIndex;
    this.#leave();
  }

  #style(): Style {
    return this.#stack.at(-1)?.style ?? {};
  }

  /** What an opening tag does at once: style, pause, mark, opening emphasis. */
  #enter(element: Element): void {
    if (this.#stack.length >= SSML_LIMITS.depth) fail(`Elements nested deeper than ${SSML_LIMITS.depth}.`);
    const { name, attributes } = element;
    if (name === 'break' || name === 'mstts:silence') this.#cut(Math.min(breakMs(attributes), SSML_LIMITS.breakMs));
    else if (name === 'mark' || name === 'bookmark') this.#out.marks.push({ at: this.#length, name: attributes.get('name') ?? attributes.get('mark') ?? '' });
    else if (name === 'p' || name === 's') this.#cut(0);
    else if (name === 'emphasis' && emphasised(attributes.get('level'))) this.#fix(this.#length, this.#length, 'control', '<strong>');
    else if (name === 'speak' && this.#stack.some((open) => open.name === 'speak')) this.#warn('A <speak> inside a <speak> was ignored.');
    const style = this.#nextStyle(element);
    if (style !== undefined) {
      element.style = style;
      if (name !== 'lang' && name !== 'speak') this.#cut(0);
      this.#out.styles.push({ at: this.#length, style });
    }
    element.start = this.#length;
    this.#stack.push(element);
  }

  /** What a closing tag does: the range it had becomes fixed words, the style goes back. */
  #leave(): void {
    const element = this.#stack.pop();
    if (element === undefined) return;
    const { name, attributes, start } = element;
    if (element.style !== this.#style()) {
      if (name !== 'lang' && name !== 'speak') this.#cut(0);
      this.#out.styles.push({ at: this.#length, style: this.#style() });
    }
    if (name === 'p' || name === 's') this.#cut(0);
    if (name === 'emphasis' && emphasised(attributes.get('level'))) this.#fix(this.#length, this.#length, 'control', '</strong>');
    if (element.quiet) this.#fix(start, this.#length, 'substitution', '');
    if (name === 'sub') this.#substitute(start, attributes.get('alias'));
    if (name === 'phoneme') this.#pronounce(start, attributes);
    if (name === 'say-as') this.#sayAs(start, attributes);
  }

  #substitute(start: number, alias: string | undefined): void {
    if (alias === undefined) return this.#warn('A <sub> without alias was read as its text.');
    if (start === this.#length) this.#text(' ', this.#at, true);
    this.#fix(start, this.#length, 'substitution', clean(alias).text.trim());
  }

  #pronounce(start: number, attributes: Map<string, string>): void {
    const alphabet = (attributes.get('alphabet') ?? 'ipa').toLowerCase();
    const kind = alphabet === 'py' || alphabet === 'pinyin' ? 'pinyin' : alphabet === 'cmu' || alphabet === 'arpabet' || alphabet === 'x-cmu' ? 'arpabet' : alphabet === 'ipa' ? 'ipa' : undefined;
    const said = kind === undefined ? undefined : pronounce(attributes.get('ph') ?? '', kind);
    if (said === undefined) return this.#warn(`A <phoneme> (${alphabet.slice(0, 16)}) could not be mapped and was read as its text.`);
    if (start === this.#length) this.#text(' ', this.#at, true);
    this.#fix(start, this.#length, 'pronunciation', said);
  }

  #sayAs(start: number, attributes: Map<string, string>): void {
    const as = sayAsName(attributes.get('interpret-as') ?? '');
    if (as === undefined) return this.#warn('A <say-as> with an unknown interpret-as was read as plain text.');
    if (start < this.#length) this.#out.sayAs.push({ start, end: this.#length, as, format: attributes.get('format') ?? attributes.get('detail') });
  }

  /** Fixed ranges do not nest: an outer one takes the place of those inside it. */
  #fix(start: number, end: number, kind: Replacement['class'], reading: string): void {
    const { fixed, sayAs } = this.#out;
    if (end > start) {
      while ((fixed.at(-1)?.start ?? -1) >= start) fixed.pop();
      while ((sayAs.at(-1)?.start ?? -1) >= start) sayAs.pop();
    }
    fixed.push({ start, end, class: kind, rule: `ssml/${kind}`, reading });
  }

  #nextStyle(element: Element): Style | undefined {
    const { name, attributes, style } = element;
    const spoken = LANGUAGES.find((language) => (attributes.get('xml:lang') ?? '').toLowerCase().startsWith(language));
    if (name === 'prosody' || name === 'speak') {
      const perVolume = name === 'speak' ? 50 : 100;
      const next: Style = {
        ...style,
        ...drop({ rate: scaled(rateFactor(attributes.get('rate')), style.rate), pitch: scaled(pitchFactor(attributes.get('pitch')), style.pitch), volume: scaled(volumeFactor(attributes.get('volume'), perVolume), style.volume) }),
        ...drop({ voice: name === 'speak' ? (attributes.get('voice') ?? style.voice) : style.voice, language: spoken ?? style.language }),
      };
      return Object.keys(next).length === 0 ? undefined : next;
    }
    if (name === 'voice') return { ...style, ...drop({ voice: attributes.get('name') ?? attributes.get('voice') ?? style.voice, language: spoken ?? style.language }) };
    if (name === 'lang') return spoken === undefined ? undefined : { ...style, language: spoken };
    const instruction = instructionFor(name, attributes);
    if (instruction !== undefined) return { ...style, instruction };
    if (!['p', 's', 'sub', 'phoneme', 'say-as', 'emphasis'].includes(name) && !KNOWN_SILENT.has(name)) this.#warn(`Element <${name}> is not supported and was ignored.`);
    return undefined;
  }

  /** A segment boundary; words on its sides never touch. */
  #cut(ms: number): void {
    if (this.#length > 0 && !/\s/.test(this.#last)) this.#text('\n', this.#at, true);
    const last = this.#out.breaks.at(-1);
    if (last?.at === this.#length) last.ms = Math.min(last.ms + ms, SSML_LIMITS.breakMs);
    else this.#out.breaks.push({ at: this.#length, ms });
  }

  #warn(warning: string): void {
    if (this.#warned.has(warning) || this.#warned.size >= 32) return;
    this.#warned.add(warning);
    this.#out.warnings.push(warning);
  }
}

/** Nested factors multiply. */
function scaled(value: number | undefined, before: number | undefined): number | undefined {
  return value === undefined ? before : value * (before ?? 1);
}

function decode(value: string): string {
  return value.replaceAll(/&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6}));/g, (all, name: string | undefined, decimal: string | undefined, hex: string | undefined) => {
    if (name !== undefined) return ENTITIES[name] ?? all;
    const code = decimal === undefined ? Number.parseInt(hex ?? '0', 16) : Number(decimal);
    return code > 0x10ffff ? '' : String.fromCodePoint(code);
  });
}

function drop<T extends object>(values: T): Partial<{ [K in keyof T]: Exclude<T[K], undefined> }> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<{ [K in keyof T]: Exclude<T[K], undefined> }>;
}

function fail(problem: string): never {
  throw new CosyError('ssml_invalid', `${problem} Correct the SSML, or send it as plain text.`);
}

/** Anything that looks like a tag is left out, lengths kept. */
function withoutTags(source: string, problem: string): Markup {
  const text = source.replaceAll(/<(?!\/?(?:strong|laughter)>)[/!?A-Za-z][^<>]{0,2000}>/g, (tag) => ' '.repeat(tag.length));
  return { ...plainMarkup(text), warnings: [`Read as text: ${problem}`] };
}
