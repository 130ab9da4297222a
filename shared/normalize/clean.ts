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

/** Code units never spoken: controls, soft hyphen, fillers, bidi and zero-width marks, variation selectors, private use. */
const DROPPED_RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x08], [0x0b, 0x0c], [0x0e, 0x1f], [0x7f, 0x9f], [0xad, 0xad], [0x61c, 0x61c], [0x115f, 0x1160], [0x180b, 0x180e], [0x200b, 0x200b], [0x200e, 0x200f],
  [0x202a, 0x202e], [0x2060, 0x206f], [0x3164, 0x3164], [0xe000, 0xf8ff], [0xfe00, 0xfe0e], [0xfeff, 0xfeff], [0xffa0, 0xffa0], [0xfff0, 0xfffb], [0xfffe, 0xffff],
];
const JOINERS = new Set([0x200c, 0x200d, 0xfe0f]);
const KEYCAP = 0x20e3;
/** Blocks in which combining marks are common. */
const MARK_RANGES: readonly (readonly [number, number])[] = [
  [0x300, 0x36f], [0x483, 0x489], [0x591, 0x5c7], [0x610, 0x61a], [0x64b, 0x670], [0x6d6, 0x6ed], [0x711, 0x1cff], [0x1dc0, 0x1dff], [0x20d0, 0x20ff], [0x2cef, 0x2dff],
  [0x302a, 0x302f], [0x3099, 0x309a], [0xa66f, 0xabff], [0xfb1e, 0xfb1e], [0xfe20, 0xfe2f],
];
const PLAIN = 0;
const GONE = 1;
const MAYBE = 2;
const HIGH = 3;
const KINDS = buildKinds();

/** First digits of the blocks of ten decimal digits beyond the basic plane (Unicode 16). */
const FAR_ZEROS = [
  0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0,
  0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/** Cleans `source`; `origin` gives the source offset of each unit of `source` itself (from SSML), identity when absent. */
export function clean(source: string, origin?: Int32Array): Clean {
  if (isPlain(source)) return { text: source, origin, masked: [] };
  const pieces: string[] = [];
  const offsets: number[] = [];
  const masked: Masked[] = [];
  let marks = 0;
  for (let at = 0; at < source.length; ) {
    const code = source.codePointAt(at) ?? 0;
    const length = code > 0xffff ? 2 : 1;
    // A symbol may fall silent later and must not let two heaps join.
    if (isMark(code)) marks++;
    else if (/[\p{L}\p{N}\p{P}\s]/u.test(String.fromCodePoint(code))) marks = 0;
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

function buildKinds(): Uint8Array {
  const kinds = new Uint8Array(65536);
  for (const [first, last] of MARK_RANGES) kinds.fill(MAYBE, first, last + 1);
  for (const [first, last] of DROPPED_RANGES) kinds.fill(GONE, first, last + 1);
  for (const code of JOINERS) kinds[code] = MAYBE;
  kinds.fill(HIGH, 0xd800, 0xdc00);
  return kinds.fill(GONE, 0xdc00, 0xe000);
}

/** Nothing to look at more closely: the usual case, one table look-up per unit. */
function isPlain(source: string): boolean {
  for (let at = 0; at < source.length; at++) {
    const kind = KINDS[source.charCodeAt(at)] ?? PLAIN;
    if (kind === PLAIN) continue;
    const code = source.codePointAt(at) ?? 0;
    if (kind !== HIGH || !((code >= 0x1f000 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3ffff))) return false;
    at++;
  }
  return true;
}

/** What stands for this character: itself, a plainer one, or nothing. */
function keep(source: string, at: number, code: number): string {
  const character = String.fromCodePoint(code);
  if (code >= 0xd800 && code <= 0xdfff) return '';
  if (code === KEYCAP || (code === 0xfe0f && /[0-9#*]/.test(source[at - 1] ?? ''))) return endsKeycap(source, at) ? character : '';
  if (JOINERS.has(code) || (code >= 0xe0020 && code <= 0xe007f)) return joins(source, at) && (code === 0xfe0f || code > 0xffff || joinsNext(source, at + 1)) ? character : '';
  if (code > 0xffff) return keepFar(character, code);
  return KINDS[code] === GONE ? '' : character;
}

/** Beyond the basic plane: plain letters for mathematical ones, digits for digits, nothing for tags and private use. */
function keepFar(character: string, code: number): string {
  if ((code >= 0xe0000 && code <= 0xe0fff) || code >= 0xf0000) return '';
  if (code >= 0x1d400 && code <= 0x1d7ff) return character.normalize('NFKC');
  const zero = code >= 0x10400 && code <= 0x1fbff ? FAR_ZEROS.find((first) => code >= first && code < first + 10) : undefined;
  return zero === undefined ? character : String(code - zero);
}

/** `1️⃣`: the base must stand alone, or a number would take it. */
function endsKeycap(source: string, at: number): boolean {
  const base = source[at - 1] === '\ufe0f' ? at - 2 : at - 1;
  const whole = source[at] === '\u20e3' || source[at + 1] === '\u20e3';
  return whole && /[0-9#*]/.test(source[base] ?? '') && !/[\d.,:/~+-]/.test(source[base - 1] ?? ' ');
}

/** A joiner or selector counts after an emoji, another joiner, or a letter of a script that needs it. */
function joins(source: string, at: number): boolean {
  const before = codePointBefore(source, at);
  const code = before.codePointAt(0) ?? 0;
  if (code === 0xfe0f || code === KEYCAP || (code >= 0xe0020 && code <= 0xe007e)) return true;
  return /\p{Extended_Pictographic}|\p{EMod}|\p{RI}|\p{Script=Arabic}|\p{Script=Devanagari}|\p{Script=Bengali}|\p{Script=Tamil}|\p{Script=Sinhala}|\p{Script=Malayalam}/u.test(before);
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
  return code >= 0x300 && (code > 0xffff || KINDS[code] === MAYBE) && /\p{M}/u.test(String.fromCodePoint(code)) && !JOINERS.has(code);
}

function mask(masked: Masked[], piece: string, start: number, end: number): void {
  const last = masked.at(-1);
  if (last !== undefined && last.end === start) {
    last.end = end;
    last.source += piece;
  } else masked.push({ start, end, source: piece, reason: 'invisible' });
}
