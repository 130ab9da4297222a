/**
 * What kind of character a code point is, for the scanner: an ASCII table first, ranges for the scripts we read, Unicode
 * properties for the rest. Constant time per character.
 */

/** What the scanner tells apart. */
export type CharacterKind = 'space' | 'digit' | 'letter' | 'han' | 'kana' | 'hangul' | 'symbol' | 'punctuation';

/** Punctuation by Unicode that is nevertheless spoken: the scanner hands it to the rules as a symbol. */
const SPOKEN_PUNCTUATION = new Set('%&*@#\\_/§¶‰‱′″†‡•※№');

const ASCII: readonly CharacterKind[] = Array.from({ length: 128 }, (_, code) => slowKind(code));

/** Kind of a code point of folded text. */
export function characterKind(code: number): CharacterKind {
  if (code < 128) return ASCII[code] ?? 'punctuation';
  if ((code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) || (code >= 0xf900 && code <= 0xfaff)) return 'han';
  if (code === 0x3005 || code === 0x3006 || code === 0x3007 || (code >= 0x20000 && code <= 0x3ffff)) return 'han';
  if ((code >= 0x3041 && code <= 0x309f) || (code >= 0x30a1 && code <= 0x30fa) || (code >= 0x30fc && code <= 0x30ff)) return 'kana';
  if ((code >= 0x31f0 && code <= 0x31ff) || (code >= 0xff66 && code <= 0xff9f)) return 'kana';
  if ((code >= 0xac00 && code <= 0xd7a3) || (code >= 0x1100 && code <= 0x11ff) || (code >= 0x3130 && code <= 0x318f)) return 'hangul';
  if ((code >= 0xa960 && code <= 0xa97f) || (code >= 0xd7b0 && code <= 0xd7ff) || (code >= 0xffa0 && code <= 0xffdc)) return 'hangul';
  if ((code >= 0xc0 && code <= 0x24f && code !== 0xd7 && code !== 0xf7) || (code >= 0x400 && code <= 0x52f)) return 'letter';
  return slowKind(code);
}

function slowKind(code: number): CharacterKind {
  const character = String.fromCodePoint(code);
  if (/\s/u.test(character)) return 'space';
  if (code >= 0x30 && code <= 0x39) return 'digit';
  if (/[\p{L}\p{M}]/u.test(character)) return 'letter';
  if (SPOKEN_PUNCTUATION.has(character) || /[\p{S}\p{N}]/u.test(character)) return 'symbol';
  return 'punctuation';
}
