/** A long row of phones → sentences the voice can hold in one breath. It was trained on sentences of 30 to 90 tokens. */
import type { PhoneToken } from './phones.ts';

/** Marks the voice has tokens for. */
export const MARKS: ReadonlySet<PhoneToken> = new Set([',', '.', '?', '!']);

/** A sentence shorter than this is spoken together with the next one. */
const MIN_TOKENS = 12;
/** Behind this a comma ends a piece; behind the second limit a blank, and behind the third anything. */
const LONG_TOKENS = 70;
const TOO_LONG_TOKENS = 110;
const MAX_TOKENS = 130;

/** Pieces in order; each ends with a mark. Pieces without a phone are left out. */
export function splitPhones(tokens: readonly PhoneToken[]): PhoneToken[][] {
  const pieces: PhoneToken[][] = [];
  let piece: PhoneToken[] = [];
  for (const token of tokens) {
    if (piece.length > 0 || (token !== ' ' && !MARKS.has(token))) piece.push(token);
    if (!endsPiece(token, piece.length)) continue;
    pieces.push(closed(piece));
    piece = [];
  }
  if (piece.length > 0) pieces.push(closed(piece));
  return pieces;
}

function endsPiece(token: PhoneToken, length: number): boolean {
  if (token === '.' || token === '?' || token === '!') return length >= MIN_TOKENS;
  if (token === ',') return length >= LONG_TOKENS;
  return length >= (token === ' ' ? TOO_LONG_TOKENS : MAX_TOKENS);
}

/** A piece cut in a sentence ends like a comma, the whole text like a full stop. */
function closed(piece: readonly PhoneToken[]): PhoneToken[] {
  const end = piece.at(-1) === ' ' ? piece.slice(0, -1) : [...piece];
  return MARKS.has(end.at(-1) ?? '') ? end : [...end, piece.at(-1) === ' ' || piece.length >= MAX_TOKENS ? ',' : '.'];
}
