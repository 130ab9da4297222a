/**
 * Folding: one code unit in, one code unit out, so that offsets in folded text are offsets in the source.
 * Full-width ASCII, other scripts' decimal digits, and the many dashes, waves, slashes, colons and blanks become ASCII.
 */

const SINGLE: Record<string, string> = {
  '‐': '-', '‑': '-', '‒': '-', '–': '-', '—': '-', '―': '-', '−': '-', '﹣': '-', '－': '-',
  '〜': '~', '～': '~', '∼': '~', '˜': '~', '⁓': '~',
  '⁄': '/', '∕': '/', '／': '/',
  '∶': ':', '：': ':', '︰': ':', '﹕': ':',
  '’': "'", '‘': "'", 'ʼ': "'", '＇': "'",
  '￥': '¥', '￡': '£', '￠': '¢', '￦': '₩', '＄': '$', '﹩': '$', '﹪': '%', '٪': '%',
  '\u00a0': ' ', '\u2007': ' ', '\u2009': ' ', '\u200a': ' ', '\u202f': ' ', '\u3000': ' ', '\u2002': ' ', '\u2003': ' ',
  'µ': 'μ', '˚': '°', 'º': '°', '✕': '×', '✖': '×', '⨯': '×',
};

/** First digit of every block of ten decimal digits outside ASCII in the basic plane (Unicode 16, General_Category Nd). */
const DIGIT_ZEROS = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090,
  0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
];

/** Code unit → folded unit, 0 where it stays. */
const TABLE = buildTable();

/** The folded text, same length as `text`. */
export function fold(text: string): string {
  let first = 0;
  while (first < text.length && text.charCodeAt(first) < 0x80) first++;
  if (first === text.length) return text;
  const pieces: string[] = [text.slice(0, first)];
  let from = first;
  for (let at = first; at < text.length; at++) {
    const folded = TABLE[text.charCodeAt(at)];
    if (folded === undefined || folded === 0) continue;
    pieces.push(text.slice(from, at), String.fromCharCode(folded));
    from = at + 1;
  }
  pieces.push(text.slice(from));
  return pieces.join('');
}

function buildTable(): Uint16Array {
  const table = new Uint16Array(65536);
  for (let code = 0xff01; code <= 0xff5e; code++) {
    // The full-width comma separates clauses in Chinese and Japanese; it never groups digits.
    if (code !== 0xff0c) table[code] = code - 0xfee0;
  }
  for (const zero of DIGIT_ZEROS) {
    for (let digit = 0; digit < 10; digit++) table[zero + digit] = 48 + digit;
  }
  for (const [from, to] of Object.entries(SINGLE)) table[from.charCodeAt(0)] = to.charCodeAt(0);
  return table;
}
