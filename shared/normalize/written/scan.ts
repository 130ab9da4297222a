/**
 * The lexer of written forms, one for all languages: finds numbers, words, script runs, symbols, emoji and addresses by
 * shape, in one pass. Meaning is decided by the language that reads them.
 */
import type { Form, Span } from '../contract.ts';
import { scanChunk } from './address.ts';
import { characterKind } from './characters.ts';
import { scanNumber, startsNumber } from './number.ts';

const EMOJI =
  /\p{RI}\p{RI}|[0-9#*]\uFE0F?\u20E3|(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|[\u{1F000}-\u{1FAFF}])(?:\p{EMod}|\uFE0F|[\u{E0020}-\u{E007F}]{1,16})*(?:\u200D\p{Extended_Pictographic}(?:\p{EMod}|\uFE0F)*)*/uy;

/** All forms of `folded` in order; `fixed` (ascending, decided elsewhere) come back as forms of their own. */
export function scan(folded: string, fixed: readonly Span[] = []): Form[] {
  const forms: Form[] = [];
  let nextFixed = 0;
  let chunkEnd = 0;
  let addresses: Form[] = [];
  for (let at = 0; at < folded.length; ) {
    const wall = fixed[nextFixed];
    if (wall !== undefined && at >= wall.start) {
      forms.push({ kind: 'fixed', start: wall.start, end: wall.end });
      at = Math.max(at, wall.end);
      nextFixed++;
      continue;
    }
    const code = folded.codePointAt(at) ?? 0;
    const kind = characterKind(code);
    if (at >= chunkEnd && code < 128 && kind !== 'space') {
      const chunk = scanChunk(folded, at);
      chunkEnd = chunk.end;
      addresses = chunk.found;
    }
    const address = addresses[0];
    if (address !== undefined && at >= address.start) {
      addresses = [];
      if (address.start === at && (wall === undefined || address.end <= wall.start)) {
        forms.push(address);
        at = address.end;
        continue;
      }
    }
    const form = formAt(folded, at, code, kind);
    const limit = Math.min(wall?.start ?? folded.length, addresses[0]?.start ?? folded.length);
    if (form === undefined) at += code > 0xffff ? 2 : 1;
    else if (form.end > limit && form.kind !== 'emoji') at = pushCut(forms, folded, form, limit);
    else {
      forms.push(form);
      at = form.end;
    }
  }
  return forms;
}

/** A form that runs into a wall is scanned again on the text before the wall. */
function pushCut(forms: Form[], folded: string, form: Form, limit: number): number {
  if (limit <= form.start) return form.end;
  for (const piece of scan(folded.slice(form.start, limit))) {
    forms.push(shift(piece, form.start));
  }
  return limit;
}

function shift(form: Form, by: number): Form {
  const moved = { ...form, start: form.start + by, end: form.end + by };
  if (moved.kind !== 'number') return moved;
  return { ...moved, parts: moved.parts.map((part) => ({ ...part, start: part.start + by, end: part.end + by })) };
}

function formAt(folded: string, at: number, code: number, kind: ReturnType<typeof characterKind>): Form | undefined {
  if (kind === 'letter') return { kind: 'word', start: at, end: runEnd(folded, at, 'letter') };
  if (kind === 'space') return undefined;
  if (kind === 'han' || kind === 'kana' || kind === 'hangul') {
    return { kind: 'script', script: kind, start: at, end: runEnd(folded, at, kind) };
  }
  if (code > 0x203b || kind === 'digit' || code === 0x23 || code === 0x2a) {
    const emoji = emojiAt(folded, at, kind === 'digit' || code < 128);
    if (emoji !== undefined) return emoji;
  }
  if (kind === 'digit' || code === 0x2d || code === 0x2b || code === 0xb1 || code === 0x2e) {
    if (startsNumber(folded, at)) return scanNumber(folded, at);
  }
  if (kind === 'symbol') return { kind: 'symbol', start: at, end: at + (code > 0xffff ? 2 : 1) };
  return undefined;
}

function emojiAt(folded: string, at: number, keycapOnly: boolean): Form | undefined {
  if (keycapOnly && folded[at + 1] !== '\u20e3' && folded[at + 2] !== '\u20e3') return undefined;
  EMOJI.lastIndex = at;
  return EMOJI.test(folded) ? { kind: 'emoji', start: at, end: EMOJI.lastIndex } : undefined;
}

function runEnd(folded: string, at: number, kind: string): number {
  let end = at;
  while (end < folded.length) {
    const code = folded.codePointAt(end) ?? 0;
    if (characterKind(code) !== kind) break;
    end += code > 0xffff ? 2 : 1;
  }
  return end;
}
