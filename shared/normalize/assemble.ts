/**
 * Last stage: source text + replacements → spoken text, with the trace and the map between the two. Sets the blanks
 * between a reading and the letters beside it, and closes the gap where something was dropped.
 */
import type { Language, Replacement, TraceSpan } from './contract.ts';
import { characterKind } from './written/characters.ts';

/** A replacement with the language it was read in. */
export type Placed = Replacement & { language: Language };

/** Spoken text, its trace, and the map between the two texts (offsets in code units). */
export type Assembled = {
  text: string;
  spans: TraceSpan[];
  /** Spoken offset of an offset of the plain text; inside a replaced range, the start of its reading. */
  spokenAt(offset: number): number;
  /** Plain offset of a spoken one; inside a reading, the start of its source range. */
  plainAt(offset: number): number;
};

/** `placed` must ascend without overlap. Trace ranges are still offsets of `plain`. */
export function assemble(plain: string, placed: readonly Placed[]): Assembled {
  const out = new Output();
  const spans: TraceSpan[] = [];
  const resumes: Resume[] = [{ plain: 0, spoken: 0 }];
  let afterReading = false;
  for (const one of placed) {
    const from = resumes.at(-1)?.plain ?? 0;
    copy(out, plain.slice(from, one.start), afterReading, resumes);
    let end = one.end;
    if (one.reading === '') {
      if (one.class === 'control') out.push(blankBetween(out.last, plain[end] ?? ''));
      else if ((out.last === '' || out.last === ' ') && plain[end] === ' ') end++;
      else if (isLetter(out.last) && isLetter(plain[end] ?? '')) out.push(' ');
    } else if (needsBlank(out.last, one.reading[0] ?? '', one.language)) out.push(' ');
    spans.push({ ...one, source: plain.slice(one.start, one.end), spokenStart: out.length, spokenEnd: out.length + one.reading.length });
    out.push(one.reading);
    resumes.push({ plain: end, spoken: out.length });
    afterReading = one.reading !== '' || (afterReading && end === one.start);
  }
  copy(out, plain.slice(resumes.at(-1)?.plain ?? 0), afterReading, resumes);
  return { text: out.text(), spans, spokenAt: (offset) => mapOffset(spans, resumes, offset), plainAt: (offset) => mapBack(spans, resumes, offset) };
}

/** Where copying goes on after a replacement. */
type Resume = { plain: number; spoken: number };

/** Pieces of the spoken text and the last character so far. */
class Output {
  #pieces: string[] = [];
  length = 0;
  last = '';

  push(piece: string): void {
    if (piece === '') return;
    this.#pieces.push(piece);
    this.length += piece.length;
    this.last = piece.at(-1) ?? '';
  }

  text(): string {
    return this.#pieces.join('');
  }
}

function copy(out: Output, piece: string, afterReading: boolean, resumes: Resume[]): void {
  if (piece === '') return;
  if (afterReading && isLetter(out.last) && isLetter(piece[0] ?? '')) {
    out.push(' ');
    const resume = resumes.at(-1);
    if (resume !== undefined) resume.spoken = out.length;
  }
  out.push(piece);
}

/** Letters meeting letters, Korean number words meeting the word before (오전10시 → 오전 열시, but 제3장 → 제삼장), and words after a mark that stood between digits (`1,2` → one, two). */
function needsBlank(last: string, first: string, language: Language): boolean {
  if (last === '') return false;
  if (language === 'ko' && /[가-힣]/.test(first)) return last !== '제' && /[가-힣\p{L}\d]/u.test(last);
  if (!isLetter(first)) return false;
  return isLetter(last) || (language === 'en' && /[,;:.!?)%]/.test(last));
}

/** What is dropped may not join its neighbours to something new. */
function blankBetween(last: string, next: string): string {
  return last === '' || next === '' || /\s/.test(last) || /\s/.test(next) ? '' : ' ';
}

function isLetter(character: string): boolean {
  const kind = characterKind(character.codePointAt(0) ?? 0x20);
  return kind === 'letter' || kind === 'digit';
}

/** Inside a replaced range the start of its reading; elsewhere text is copied unit for unit from the last resume. */
function mapOffset(spans: readonly TraceSpan[], resumes: readonly Resume[], offset: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.start ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  const before = spans[low - 1];
  if (before !== undefined && offset < before.end) return before.spokenStart;
  const resume = resumes[low] ?? { plain: 0, spoken: 0 };
  return resume.spoken + Math.max(0, offset - resume.plain);
}

/** The other way: copied text unit for unit, a blank that was set belongs to the text after it. */
function mapBack(spans: readonly TraceSpan[], resumes: readonly Resume[], offset: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.spokenStart ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  const before = spans[low - 1];
  if (before !== undefined && offset < before.spokenEnd) return before.start;
  const resume = resumes[low] ?? { plain: 0, spoken: 0 };
  return resume.plain + Math.max(0, offset - resume.spoken);
}
