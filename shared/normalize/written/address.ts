/**
 * Addresses: URLs, e-mail, domains, IP numbers, paths, files, handles, hashtags. One look per chunk (a run of ASCII
 * without blanks, brackets or quotes), so a chunk that is no address costs its length once.
 */
import type { AddressForm } from '../contract.ts';

/** Longest chunk that is looked at; longer ones are no address anyone would want read. */
const LONGEST_CHUNK = 2048;

/** ASCII that a chunk may hold: 1, or 2 for the marks no address is without. */
const CHUNK = Uint8Array.from({ length: 128 }, (_, code) => (/[.@#:\\/]/.test(String.fromCharCode(code)) ? 2 : /[A-Za-z0-9\-_~?!$&'*+=%]/.test(String.fromCharCode(code)) ? 1 : 0));
const SCHEME = /(?:https?|ftps?|file|wss?|ssh|git|rtsp|rtmp):\/\//i;
const WWW = /(?<![A-Za-z0-9])www\d?\.[a-z0-9]/i;
const MAIL_HOST = /@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}/y;
const LOCAL = /^localhost(?::\d{1,5})?(?:\/[\w./?=&-]*)?(?![\w-])/;
const TAIL = /[.,:;!?'*]+$/;
const DOMAIN = /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.([A-Za-z]{2,24})(?::\d{1,5})?(?=$|[/?#:.!'])/;
const IP = /^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?::\d{1,5}|\/\d{1,2})?(?![\d.]*\d|[\w])/;
const IP6 = /^(?=[0-9A-Fa-f:]*(?:::|[A-Fa-f]))(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])/;
const PATH = /^(?:[A-Za-z]:\\[\w.\\ -]*\w|(?:~|\.{1,2})?\/[A-Za-z_.][\w.@+-]*(?:\/[\w.@+-]+)+\/?|~\/[\w./-]+|\.{1,2}\/[\w./-]+)/;
const HANDLE = /^@[A-Za-z_][\w.]{0,62}/;
const HASHTAG = /^#[A-Za-z_]\w{0,138}/;

/** Top-level domains taken without further proof; two-letter ones that are English words need a scheme, www or a path. */
const DOMAINS = new Set(
  ('com org net edu gov mil int info biz name pro dev app io ai co tv cc xyz top site online shop tech store club cloud blog news live ' +
    'cn jp kr tw hk uk de fr ru ca au eu nl es br ch se pl nz ie mx za sg vn th ph id cz dk fi gr hu pt ro tr ua il ae ar cl pe').split(' '),
);
const WORD_DOMAINS = new Set('in is it at me to so no am be my us as do by or an he ma pa la'.split(' '));
const FILES = new Set(
  ('txt pdf doc docx xls xlsx ppt pptx csv tsv json xml yaml yml toml ini cfg conf log md html htm css js jsx ts tsx mjs py rb go rs ' +
    'java c cc cpp h hpp cs php sh bat exe dll so dmg apk iso zip rar gz tar tgz png jpg jpeg gif svg bmp webp ico mp3 mp4 wav flac ogg ' +
    'avi mov mkv m4a onnx pt bin db sql').split(' '),
);

/** The addresses that start in the chunk at `at`, and where the chunk ends. */
export function scanChunk(folded: string, at: number): { end: number; found: AddressForm[] } {
  let end = at;
  let marked = false;
  for (;;) {
    const kind = CHUNK[folded.charCodeAt(end)];
    if (kind === undefined || kind === 0) break;
    if (kind === 2) marked = true;
    end++;
  }
  if (!marked || end - at > LONGEST_CHUNK || end - at < 3) return { end: Math.max(end, at + 1), found: NONE };
  const form = addressIn(folded.slice(at, end), /[\p{L}\p{N}]/u.test(folded[at - 1] ?? ' '));
  return { end, found: form === undefined ? NONE : [{ ...form, start: form.start + at, end: form.end + at }] };
}

const NONE: AddressForm[] = [];

function addressIn(chunk: string, glued: boolean): AddressForm | undefined {
  const url = SCHEME.exec(chunk) ?? WWW.exec(chunk);
  if (url !== null) return form('url', chunk, url.index, chunk.length);
  const email = emailIn(chunk);
  if (email !== undefined) return email;
  const start = chunk.search(/[A-Za-z0-9@#~./\\]/);
  if (start < 0) return undefined;
  // Behind a letter of another script a leading slash divides; it starts no path.
  if (glued && /[/~.]/.test(chunk[start] ?? '')) return undefined;
  return addressAt(chunk, start) ?? afterColon(chunk, start);
}

/** The first `name@host.tld`; walks back from the @ so that each character is looked at once. */
function emailIn(chunk: string): AddressForm | undefined {
  const sign = chunk.indexOf('@');
  MAIL_HOST.lastIndex = sign;
  if (sign < 1 || !MAIL_HOST.test(chunk)) return undefined;
  const after = MAIL_HOST.lastIndex;
  let start = sign;
  while (start > 0 && /[A-Za-z0-9._%+-]/.test(chunk[start - 1] ?? '')) start--;
  while (start < sign && !/[A-Za-z0-9]/.test(chunk[start] ?? '')) start++;
  return start === sign ? undefined : form('email', chunk, start, chunk[after] === '/' ? chunk.length : after);
}

/** `site:example.com`, `path=/usr/lib`: one label before the address. */
function afterColon(chunk: string, from: number): AddressForm | undefined {
  const colon = chunk.slice(from).search(/(?<=[A-Za-z])[:=](?=[A-Za-z0-9/@])/);
  return colon < 0 ? undefined : addressAt(chunk, from + colon + 1);
}

function addressAt(chunk: string, start: number): AddressForm | undefined {
  const rest = chunk.slice(start);
  const lengthOf = (pattern: RegExp): number => pattern.exec(rest)?.[0].length ?? 0;
  const ip = lengthOf(IP) || lengthOf(IP6);
  if (ip > 2) return form('ip', chunk, start, start + ip);
  const local = lengthOf(LOCAL);
  if (local > 9) return form('domain', chunk, start, start + local);
  const path = lengthOf(PATH);
  if (path > 2) return form('path', chunk, start, start + path);
  const handle = lengthOf(HANDLE);
  if (handle > 2) return form('handle', chunk, start, start + handle);
  const hashtag = lengthOf(HASHTAG);
  if (hashtag > 2) return form('hashtag', chunk, start, start + hashtag);
  return domainAt(chunk, start, rest);
}

function domainAt(chunk: string, start: number, rest: string): AddressForm | undefined {
  const match = DOMAIN.exec(rest);
  const last = match?.[1];
  if (match === null || last === undefined) return undefined;
  const top = last.toLowerCase();
  const host = match[0];
  const hasPath = rest[host.length] === '/' && rest.length > host.length + 1;
  const end = hasPath || rest[host.length] === '?' ? chunk.length : start + host.length;
  const first = host.slice(0, host.indexOf('.'));
  if (/^(?:[A-Za-z]\.)+[A-Za-z]+$/.test(host) && !DOMAINS.has(top)) return undefined;
  if (/^\d+$/.test(first) && !DOMAINS.has(top)) return undefined;
  if (FILES.has(top) && !(DOMAINS.has(top) && hasPath) && !WORD_DOMAINS.has(top) && top.length > 1) {
    return form(DOMAINS.has(top) ? 'domain' : 'file', chunk, start, end);
  }
  if (DOMAINS.has(top) && (last === top || last === top.toUpperCase())) return form('domain', chunk, start, end);
  if (WORD_DOMAINS.has(top)) return hasPath ? form('domain', chunk, start, end) : undefined;
  // An unknown ending: only a small-letter host of one or more long labels, never a sentence that lost its blank ("end.Next").
  const plain = /^[a-z][a-z0-9-]{2,}(?:\.[a-z0-9-]{2,})*\.[a-z]{2,6}$/.test(host);
  return plain ? form('domain', chunk, start, end) : undefined;
}

function form(address: AddressForm['address'], chunk: string, start: number, end: number): AddressForm | undefined {
  const kept = chunk.slice(start, end).replace(TAIL, '');
  return kept === '' ? undefined : { kind: 'address', address, start, end: start + kept.length };
}
