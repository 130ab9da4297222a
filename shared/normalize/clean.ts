/**
 * First stage: characters that are never spoken are taken out, and every kept code unit remembers where it came from.
 * Out go lone surrogates, controls, bidi marks, zero-width characters outside emoji, private-use characters and heaps of
 * combining marks; in come plain letters and digits for the mathematical alphabets.
 */
import type { Masked } from './contract.ts';

/** Text with the source offset of every unit; `origin` is undefined when nothing moved. */
export type Clean = { text: string; origin: Int32Array | undefined; masked: Masked[] };

/** More combining marks in a row than any language writes. */
const MOST_MARKS = 4;

const SUSPECT =
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\ue000-\uf8ff\u{1d400}-\u{1d7ff}\u{e0000}-\u{10ffff}]|\p{M}|[\u{10400}-\u{1cfff}\u{1e100}-\u{1efff}\u{1fb00}-\u{1fbff}]/u;
const DROPPED =
  /^[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ue000-\uf8ff\u{e0000}-\u{e0fff}\u{f0000}-\u{10ffff}]$/u;
const JOINER = /^[\u200c\u200d\ufe0f]$/u;
/** First digits of the blocks of ten decimal digits beyond the basic plane (Unicode 16). */
const FAR_ZEROS = [
  0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0,
  0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/** Cleans `source`; `origin` gives the source offset of each unit of `source` itself (from SSML), identity when absent. */
export function clean(source: string, origin?: Int32Array): Clean {
  if (!SUSPECT.test(source)) return { text: source, origin, masked: [] };
  const pieces: string[] = [];
  const offsets: number[] = [];
  const masked: Masked[] = [];
  let marks = 0;
  for (let at = 0; at < source.length; ) {
    const code = source.codePointAt(at) ?? 0;
    const length = code > 0xffff ? 2 : 1;
    marks = isMark(code) ? marks + 1 : 0;
    const kept = marks > MOST_MARKS ? '' : keep(source, at, code);
    const from = origin?.[at] ?? at;
    if (kept === '') mask(masked, source.slice(at, at + length), from, from + length);
    for (let unit = 0; unit < kept.length; unit++) offsets.push(origin?.[at + Math.min(unit, length - 1)] ?? at + Math.min(unit, length - 1));
    pieces.push(kept);
    at += length;
  }
  offsets.push(origin?.[source.length] ?? source.length);
  return { text: pieces.join(''), origin: Int32Array.from(offsets), masked };
}

/** What stands for this character: itself, a plainer one, or nothing. */
function keep(source: string, at: number, code: number): string {
  if (code < 0x7f && code >= 0x20) return String.fromCharCode(code);
  const character = String.fromCodePoint(code);
  if (code >= 0xd800 && code <= 0xdfff) return '';
  if (code === 0x20e3 || (code === 0xfe0f && /[0-9#*]/.test(source[at - 1] ?? ''))) return endsKeycap(source, at) ? character : '';
  if (JOINER.test(character)) return joins(source, at) && (code === 0xfe0f || joinsNext(source, at + 1)) ? character : '';
  if (code >= 0xe0020 && code <= 0xe007f) return joins(source, at) ? character : '';
  if (DROPPED.test(character)) return '';
  if (code >= 0x1d400 && code <= 0x1d7ff) return character.normalize('NFKC');
  if (code >= 0x10400 && code <= 0x1fbff) {
    const zero = FAR_ZEROS.find((first) => code >= first && code < first + 10);
    if (zero !== undefined) return String(code - zero);
  }
  return character;
}

/** `1️⃣`: the base must stand alone, or a number would take it. */
function endsKeycap(source: string, at: number): boolean {
  const base = source[at - 1] === '\ufe0f' ? at - 2 : at - 1;
  const whole = source[at] === '\u20e3' || source[at + 1] === '\u20e3';
  return whole && /[0-9#*]/.test(source[base] ?? '') && !/[\d.,:/~+-]/.test(source[base - 1] ?? ' ');
}

/** A joiner or selector counts after an emoji or keycap base, or between letters of scripts that need it. */
function joins(source: string, at: number): boolean {
  const before = codePointBefore(source, at);
  return /[\p{Extended_Pictographic}\p{EMod}\p{RI}\ufe0f\u20e3\u{e0020}-\u{e007e}]|\p{Script=Arabic}|\p{Script=Devanagari}|\p{Script=Bengali}|\p{Script=Tamil}|\p{Script=Sinhala}|\p{Script=Malayalam}/u.test(before);
}

/** A joiner joins to something: an emoji or a letter of those scripts; at the end of a sequence it is left over. */
function joinsNext(source: string, at: number): boolean {
  const after = String.fromCodePoint(source.codePointAt(at) ?? 0);
  return /\p{Extended_Pictographic}|\p{Script=Arabic}|\p{Script=Devanagari}|\p{Script=Bengali}|\p{Script=Tamil}|\p{Script=Sinhala}|\p{Script=Malayalam}/u.test(after);
}

function codePointBefore(source: string, at: number): string {
  const low = source.charCodeAt(at - 1);
  if (Number.isNaN(low)) return '';
  return low >= 0xdc00 && low <= 0xdfff ? source.slice(Math.max(0, at - 2), at) : source.slice(at - 1, at);
}

function isMark(code: number): boolean {
  return code >= 0x300 && /\p{M}/u.test(String.fromCodePoint(code)) && (code < 0xfe00 || code > 0xfe0f);
}

function mask(masked: Masked[], piece: string, start: number, end: number): void {
  const last = masked.at(-1);
  if (last !== undefined && last.end === start) {
    last.end = end;
    last.source += piece;
  } else masked.push({ start, end, source: piece, reason: 'invisible' });
}
