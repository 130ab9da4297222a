/** What a client token was bound to. */
import { isLoopback } from '../address.ts';
import type { Caller } from '../caller.ts';
import { CosyError } from '../../shared/errors/index.ts';

/** What a request asks for. Members that are absent are not looked at; `voice: undefined` is a request without one. */
export type Asked = { readonly voice?: string | undefined; readonly characters?: number; readonly origin?: string | undefined };

/** Throws `forbidden`. Callers without bounds may all. `characters` are those of one request, as written. */
export function withinBounds({ bounds }: Pick<Caller, 'bounds'>, asked: Asked): void {
  if (!bounds) return;
  if ('voice' in asked && bounds.voice !== undefined && asked.voice !== bounds.voice) throw new CosyError('forbidden', 'This token is for one voice, and not for the one that was asked for.', { param: 'voice' });
  if (bounds.maxCharacters !== undefined && (asked.characters ?? 0) > bounds.maxCharacters) throw new CosyError('forbidden', `This token is for at most ${bounds.maxCharacters} characters in a request.`, { param: 'input' });
  if ('origin' in asked && bounds.origin !== undefined && asked.origin !== bounds.origin) throw new CosyError('forbidden', 'This token is for the pages of another origin.');
}

/** Origin of the page that asks. `<audio src>` sends no Origin, but says where it stands in Referer. */
export function originOf(request: Request): string | undefined {
  const origin = request.headers.get('origin');
  if (origin !== null) return origin;
  const referer = request.headers.get('referer') ?? '';
  return URL.canParse(referer) ? new URL(referer).origin : undefined;
}

/** False for a page that did not come from this machine. */
export function isOwnPage(origin: string | null): boolean {
  return origin === null || (URL.canParse(origin) && isLoopback(new URL(origin).hostname));
}
