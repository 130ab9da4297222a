/**
 * Two passes as one. A reading can meet what stands beside it in a way that looks like something written (`8.rm` → eight.rm);
 * the rules then read the spoken text again, and the two lists of replacements are composed to one over the first text,
 * so that a further pass changes nothing and the trace still points at the source.
 */
import type { Assembled, Placed } from './assemble.ts';
import type { TraceSpan } from './contract.ts';

/** Replacements of the plain text equal to `first` followed by `again` (which ascends, in offsets of first.text). */
export function compose(first: Assembled, again: readonly Placed[]): Placed[] {
  const composed: Placed[] = [];
  const { spans } = first;
  let one = 0;
  let two = 0;
  while (one < spans.length || two < again.length) {
    const group: Group = { spans: [], again: [], start: 0, end: 0 };
    do {
      const span = spans[one];
      const next = again[two];
      if (span !== undefined && (next === undefined || span.spokenStart <= next.start)) {
        widen(group, span.spokenStart, span.spokenEnd);
        group.spans.push(span);
        one++;
      } else if (next !== undefined) {
        widen(group, next.start, next.end);
        group.again.push(next);
        two++;
      }
    } while ((spans[one]?.spokenStart ?? Infinity) < group.end || (again[two]?.start ?? Infinity) < group.end);
    composed.push(merged(first, group));
  }
  return composed;
}

/** Spans and replacements that touch one stretch of spoken text. */
type Group = { spans: TraceSpan[]; again: Placed[]; start: number; end: number };

function widen(group: Group, start: number, end: number): void {
  if (group.spans.length + group.again.length === 0) group.start = start;
  group.end = Math.max(group.end, end);
}

function merged(first: Assembled, group: Group): Placed {
  const [only] = group.spans;
  const [leading] = group.again;
  if (leading === undefined && only !== undefined) {
    const { source: _source, spokenStart: _start, spokenEnd: _end, ...placed } = only;
    return placed;
  }
  const pieces: string[] = [];
  let from = group.start;
  for (const { start, end, reading } of group.again) {
    pieces.push(first.text.slice(from, start), reading);
    from = end;
  }
  const reading = pieces.join('') + first.text.slice(from, group.end);
  const ends = [...group.spans.map((span) => span.end), ...group.again.map((one) => first.plainAt(one.end - 1) + 1)];
  const { class: kind = 'word', rule = 'compose', language = 'en' } = leading ?? {};
  return { start: first.plainAt(group.start), end: Math.max(...ends.slice(-64)), class: kind, rule, language, reading };
}
