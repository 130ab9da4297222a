/**
 * Limits in the headers of an answer: `x-ratelimit-*` as OpenAI's clients read them, and `RateLimit-Policy` / `RateLimit`
 * (draft-ietf-httpapi-ratelimit-headers) as structured fields (RFC 9651).
 */
import type { Figures, Level } from './message.ts';

const KINDS = ['requests', 'characters', 'concurrency'] as const;

/** A plan without a limit of a kind has no headers of that kind. */
export function limitHeaders(figures: Figures): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const kind of KINDS) {
    const level = figures[kind];
    if (!level) continue;
    headers[`x-ratelimit-limit-${kind}`] = String(level.limit);
    headers[`x-ratelimit-remaining-${kind}`] = String(level.remaining);
    headers[`x-ratelimit-reset-${kind}`] = duration(level.resetMs);
  }
  const { requests, characters, concurrency, quota } = figures;
  const policies = [
    requests && `"requests";q=${requests.limit};w=60`,
    characters && `"characters";q=${characters.limit};w=60;qu="characters"`,
    concurrency && `"concurrency";q=${concurrency.limit};qu="concurrent-requests"`,
    quota && `"quota";q=${quota.limit};qu="characters"`,
  ].filter(Boolean);
  if (policies.length === 0) return headers;
  headers['ratelimit-policy'] = policies.join(', ');
  const state = (name: string, level: Level | undefined) => level && `"${name}";r=${level.remaining};t=${Math.ceil(level.resetMs / 1000)}`;
  headers['ratelimit'] = [state('requests', requests), state('characters', characters), state('concurrency', concurrency), state('quota', quota)].filter(Boolean).join(', ');
  return headers;
}

/** `1s`, `6m0s`, `120ms`: the form of OpenAI's reset headers. */
function duration(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
