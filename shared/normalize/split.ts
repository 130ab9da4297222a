/**
 * Cuts spoken text into pieces for streaming synthesis: at sentences, then at clauses, then between words, never inside
 * a number, an abbreviation, a quotation mark's edge or a control mark. The first piece is short so that sound starts
 * early. Concatenated pieces are the text.
 */
import { INLINE_MARKS } from './control.ts';
import { characterKind } from './written/characters.ts';

/** Sizes in weights: an ideograph, kana or hangul syllable weighs 1, an alphabet letter ⅓ (about one token each way). */
export type SplitOptions = {
  /** First piece at most this long when a boundary allows. */
  firstWeight?: number;
  /** No piece is longer than this. */
  maxWeight?: number;
  /** Sentences are joined up to this. */
  targetWeight?: number;
};

/** One piece of the text and its offset in code units. */
export type Piece = { text: string; start: number };

const DEFAULTS = { firstWeight: 16, targetWeight: 60, maxWeight: 80 } as const;

/** What a cut costs: sentence ends are free, clauses dearer, words dearest. */
const SENTENCE = 3;
const CLAUSE = 2;
const WORD = 1;
const NONE = 0;

const SENTENCE_MARKS = '。！？!?…；;\n';
const CLAUSE_MARKS = '，,、：:—';
const CLOSERS = '"”’\'」』）)】]》〉';
const ABBREVIATION = /(?:^|[\s("“])(?:[A-Z]|[A-Za-z]\.[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Inc|Ltd|Co|Corp|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|Mt|Ft|Fig|Vol|approx|a\.m|p\.m)$/;

/** Pieces in order; `start` is the offset in code units. Empty text gives no pieces. */
export function splitForStreaming(text: string, options: SplitOptions = {}): Piece[] {
  const { firstWeight, targetWeight, maxWeight } = { ...DEFAULTS, ...options };
  const cuts = boundaries(text);
  const pieces: Piece[] = [];
  let start = 0;
  let weight = 0;
  let best = { at: 0, grade: NONE as number, weight: 0 };
  for (let at = 0; at < text.length; at++) {
    weight += weightAt(text, at);
    const grade = cuts[at + 1] ?? NONE;
    const target = pieces.length === 0 ? firstWeight : targetWeight;
    const limit = pieces.length === 0 ? Math.min(maxWeight, firstWeight * 2) : maxWeight;
    if (grade > NONE && (grade >= best.grade || best.weight < target / 2)) best = { at: at + 1, grade, weight };
    const enough = grade === SENTENCE ? weight >= Math.min(target, 8) && (pieces.length === 0 || weight >= target / 2) : grade === CLAUSE && weight >= target;
    const forced = weight >= limit && (best.at > start || canBreak(text, at + 1, weight, maxWeight));
    if (!enough && !forced) continue;
    const end = enough || best.at <= start ? at + 1 : best.at;
    pieces.push({ text: text.slice(start, end), start });
    weight = weighed(text, end, at + 1);
    start = end;
    best = { at: end, grade: NONE, weight: 0 };
  }
  if (start < text.length) pieces.push({ text: text.slice(start), start });
  return joinTail(pieces, maxWeight);
}

/** Whether nothing that follows can belong to the last sentence: a mark that ends one, no short form, and a blank behind it. */
export function endsWithSentence(text: string): boolean {
  const match = /[.!?。！？…]+["'”’」』）)\]]*\s+$/u.exec(text.slice(-40));
  if (!match) return false;
  const at = text.length - match[0].length;
  return !(match[0].startsWith('.') && match[0][1] !== '.' && ABBREVIATION.test(text.slice(Math.max(0, at - 12), at)));
}

/** Without any boundary a cut is made at the limit, between whole characters. */
function canBreak(text: string, at: number, weight: number, maxWeight: number): boolean {
  const code = text.charCodeAt(at);
  return weight >= maxWeight && !(code >= 0xdc00 && code <= 0xdfff) && !/[\ufe0f\u200d]/.test(text[at] ?? '');
}

/** A last piece without a word joins the one before. */
function joinTail(pieces: Piece[], maxWeight: number): Piece[] {
  const last = pieces.at(-1);
  const before = pieces.at(-2);
  if (last === undefined || before === undefined) return pieces;
  const small = weighed(last.text, 0, last.text.length) < 3 || !/[\p{L}\p{N}]/u.test(last.text);
  if (!small || weighed(before.text, 0, before.text.length) + 3 > maxWeight) return pieces;
  return [...pieces.slice(0, -2), { text: before.text + last.text, start: before.start }];
}

function weightAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0xdc00 && code <= 0xdfff) return 0;
  const kind = characterKind(code);
  if (kind === 'han' || kind === 'kana' || kind === 'hangul') return 1;
  return kind === 'space' || kind === 'punctuation' ? 0.2 : 1 / 3;
}

function weighed(text: string, from: number, to: number): number {
  let weight = 0;
  for (let at = from; at < to; at++) weight += weightAt(text, at);
  return weight;
}

/** Grade of a cut before each offset; a blank belongs to the piece before it. */
function boundaries(text: string): Uint8Array {
  const grades = new Uint8Array(text.length + 1);
  for (let at = 0; at < text.length; at++) {
    const grade = gradeOf(text, at);
    if (grade === NONE) continue;
    let end = at + 1;
    if (grade > WORD) while (end < text.length && (CLOSERS.includes(text[end] ?? '') || SENTENCE_MARKS.includes(text[end] ?? '') || text[end] === '.')) end++;
    while (end < text.length && /\s/.test(text[end] ?? '')) end++;
    grades[end] = Math.max(grades[end] ?? 0, grade);
    at = Math.max(at, end - 1);
  }
  for (const [start, end] of markRanges(text)) grades.fill(NONE, start + 1, end);
  return grades;
}

function gradeOf(text: string, at: number): number {
  const mark = text[at] ?? '';
  const next = text[at + 1] ?? ' ';
  const before = text[at - 1] ?? ' ';
  if (mark === '.') return endsSentence(text, at) ? SENTENCE : NONE;
  if (SENTENCE_MARKS.includes(mark)) return SENTENCE;
  if (CLAUSE_MARKS.includes(mark)) return /\d/.test(before) && /\d/.test(next) ? NONE : /[,:]/.test(mark) && /[A-Za-z]/.test(next) ? NONE : CLAUSE;
  return mark === ' ' && !/\d/.test(before + next) && !/[([{“"「『（]/.test(before) ? WORD : NONE;
}

/** A stop ends a sentence when a blank or closer follows and no abbreviation or single letter stands before it. */
function endsSentence(text: string, at: number): boolean {
  const next = text[at + 1];
  if (next !== undefined && !/\s/.test(next) && !CLOSERS.includes(next)) return characterKind(next.charCodeAt(0)) === 'han' || next === '.';
  const after = text.slice(at + 1, at + 4).trim();
  if (/^[a-z]/.test(after)) return false;
  return !ABBREVIATION.test(text.slice(Math.max(0, at - 12), at)) || after === '';
}

function* markRanges(text: string): Generator<[number, number]> {
  for (const mark of INLINE_MARKS) {
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1)) yield [at, at + mark.length];
  }
}
