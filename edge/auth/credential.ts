/** Where a request may carry its credential. */
import { CosyError } from '../../shared/errors/index.ts';

export type Credential = { readonly kind: 'key' | 'token' | 'other'; readonly text: string };

/** How every client token begins; the rest is a compact JWS. */
export const TOKEN_PREFIX = 'cvt_';
/** Subprotocol of `/v1/audio/speech/ws` that the server answers with. */
export const SOCKET_PROTOCOL = 'cosyvoice';
/** A browser cannot set headers on a socket, so it offers `cosyvoice` and `access_token.TOKEN` as subprotocols. */
const PROTOCOL_PREFIX = 'access_token.';
/** A JWT with a few hundred roles in it is smaller. */
const MAX_CHARACTERS = 8192;

/**
 * `authorization: Bearer`, `x-api-key`, and for client tokens only, because addresses are logged: `?access_token=` on GET of
 * speech, and the subprotocol of a socket. Undefined: none. Throws `invalid_api_key`.
 */
export function findCredential(request: Request): Credential | undefined {
  const header = request.headers.get('authorization')?.match(/^Bearer +(\S+) *$/i)?.[1] ?? request.headers.get('x-api-key')?.trim();
  if (header) return classify(header);
  const offered = request.headers.get('sec-websocket-protocol')?.split(/,\s*/).find((name) => name.startsWith(PROTOCOL_PREFIX))?.slice(PROTOCOL_PREFIX.length);
  const inPublic = offered ?? inAddress(request);
  if (!inPublic) return undefined;
  if (!inPublic.startsWith(TOKEN_PREFIX)) throw new CosyError('invalid_api_key', 'Only a client token may stand in an address or a subprotocol: mint one with POST /v1/tokens.');
  return classify(inPublic);
}

function inAddress(request: Request): string | undefined {
  if (request.method !== 'GET' || !request.url.includes('access_token=')) return undefined;
  const { pathname, searchParams } = new URL(request.url);
  return /^\/v1\/audio\/speech(\/ws)?$/.test(pathname) ? (searchParams.get('access_token') ?? undefined) : undefined;
}

function classify(text: string): Credential {
  if (text.length > MAX_CHARACTERS) throw new CosyError('invalid_api_key', `The credential is longer than ${MAX_CHARACTERS} characters.`);
  return { kind: text.startsWith(TOKEN_PREFIX) ? 'token' : text.startsWith('cv_') ? 'key' : 'other', text };
}
