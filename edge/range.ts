/** `Range` (RFC 9110 §14): one range of bytes of a finished sound. Several ranges, and what is no range, are the whole. */

/** From `from` up to `to`, exclusive; `unsatisfiable` when nothing of it is there. */
export type ByteRange = { readonly from: number; readonly to: number } | 'unsatisfiable' | undefined;

/** The range that is asked for of the sound `etag`: none when the caller has another one in mind (`If-Range`, RFC 9110 §13.1.5). */
export function askedRange(asked: Headers, { etag, bytes }: { readonly etag: string; readonly bytes: number }): ByteRange {
  const condition = asked.get('if-range');
  return condition === null || condition.trim() === etag ? parseRange(asked.get('range') ?? undefined, bytes) : undefined;
}

export function parseRange(header: string | undefined, size: number): ByteRange {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (!match || (first === '' && last === '')) return undefined;
  if (first === '') return Number(last) === 0 || size === 0 ? 'unsatisfiable' : { from: Math.max(0, size - Number(last)), to: size };
  if (last !== '' && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return 'unsatisfiable';
  return { from: Number(first), to: last === '' ? size : Math.min(size, Number(last) + 1) };
}

/** Whether one of the tags of `If-None-Match`, or `*`, names this sound. */
export function namesIt(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((tag) => [etag, '*'].includes(tag.trim().replace(/^W\//, '')));
}
