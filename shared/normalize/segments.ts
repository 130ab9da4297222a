/** Spoken text cut where its delivery changes: voice, prosody, style, paragraphs, pauses; bookmarks moved along. */
import type { Assembled } from './assemble.ts';
import type { Segment } from './contract.ts';
import type { Markup, Style } from './ssml.ts';

/** Segments in order; text without markup gives exactly one. `length` is that of the plain text. */
export function segments(assembled: Assembled, markup: Markup, length: number): Segment[] {
  const cuts = new Map<number, number>();
  for (const { at, ms } of markup.breaks) cuts.set(at, (cuts.get(at) ?? 0) + ms);
  for (const { at } of markup.styles) if (!cuts.has(at)) cuts.set(at, 0);
  if (cuts.size === 0) return [{ text: assembled.text, start: 0 }];
  const edges = [...cuts.keys()].filter((at) => at > 0 && at < length).toSorted((a, b) => a - b);
  const made: Segment[] = [];
  let style = 0;
  for (let at = 0; at <= edges.length; at++) {
    const from = at === 0 ? 0 : (edges[at - 1] ?? 0);
    const to = edges[at] ?? length;
    while (style < markup.styles.length && (markup.styles[style]?.at ?? 0) <= from) style++;
    const one = segment(assembled.text, assembled.spokenAt(from), at === edges.length ? assembled.text.length : assembled.spokenAt(to), markup.styles[style - 1]?.style ?? {}, cuts.get(to) ?? 0);
    if (at === 0 && (cuts.get(0) ?? 0) > 0) made.push({ text: '', start: 0, breakMs: cuts.get(0) ?? 0 });
    if (one.text !== '' || one.breakMs !== undefined) made.push(one);
  }
  return withMarks(made, markup, assembled);
}

function segment(text: string, from: number, to: number, style: Style, ms: number): Segment {
  const piece = text.slice(from, to);
  const blanks = piece.length - piece.trimStart().length;
  const one: Segment = { text: piece.trim(), start: from + blanks, ...style };
  return ms > 0 ? { ...one, breakMs: ms } : one;
}

function withMarks(made: Segment[], markup: Markup, assembled: Assembled): Segment[] {
  let next = 0;
  return made.map((one, at) => {
    const end = made[at + 1]?.start ?? Infinity;
    const marks: { name: string; at: number }[] = [];
    while (next < markup.marks.length && assembled.spokenAt(markup.marks[next]?.at ?? 0) < end) {
      const mark = markup.marks[next++];
      if (mark !== undefined) marks.push({ name: mark.name, at: assembled.spokenAt(mark.at) });
    }
    return marks.length === 0 ? one : { ...one, marks };
  });
}
