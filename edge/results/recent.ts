/**
 * Results that were just written or read, in the memory of this isolate. Bounded by bytes, and short-lived: another isolate may
 * have deleted a voice, whose results nothing can ask for once the voice is gone, so a short time is enough.
 */
import type { ResultObject } from './layout.ts';

const MAX_BYTES = 8 * 1024 * 1024;
const MAX_AGE_MS = 30_000;

type Entry = { readonly result: ResultObject; readonly bytes: number; readonly sinceMs: number };

/** In the order of use, oldest first. */
const entries = new Map<string, Entry>();
let held = 0;

/** Undefined when it is not here, or too old. */
export function recall(path: string, nowMs: number): ResultObject | undefined {
  const entry = entries.get(path);
  if (!entry) return undefined;
  drop(path, entry);
  if (nowMs - entry.sinceMs > MAX_AGE_MS) return undefined;
  entries.set(path, entry);
  held += entry.bytes;
  return entry.result;
}

/** `bytes`: size of the whole object. */
export function remember(path: string, result: ResultObject, { bytes, nowMs }: { readonly bytes: number; readonly nowMs: number }): void {
  const before = entries.get(path);
  if (before) drop(path, before);
  entries.set(path, { result, bytes, sinceMs: nowMs });
  held += bytes;
  for (const [oldest, entry] of entries) {
    if (held <= MAX_BYTES) break;
    drop(oldest, entry);
  }
}

/** Everything whose path begins with this. */
export function forget(prefix: string): void {
  for (const [path, entry] of entries) if (path.startsWith(prefix)) drop(path, entry);
}

function drop(path: string, entry: Entry): void {
  entries.delete(path);
  held -= entry.bytes;
}
