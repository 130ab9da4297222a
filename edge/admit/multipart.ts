/**
 * `multipart/form-data` (RFC 7578) with its limits before parsing: the body is counted while it is read, then taken apart
 * without copies. Only named fields are kept; files are bytes, everything else is text.
 */
import { MultipartParseError, getMultipartBoundary, parseMultipart } from '@remix-run/multipart-parser';
import type { MultipartPart } from '@remix-run/multipart-parser';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { readBody } from './body.ts';
import type { Patience } from './body.ts';

/** RFC 2046 §5.1.1: at most 70 characters. */
const MAX_BOUNDARY_CHARACTERS = 70;
/** Name, file name and type of a part; longer ones are no upload of a browser or an SDK. */
const MAX_PART_HEADER_BYTES = 4096;
/** Fields that are not known are ignored, like unknown JSON fields, but not without end. */
const MAX_UNKNOWN_PARTS = 16;

/** Of the whole body, and of each field by its name. A name that is not here is counted in `unknown` and dropped. */
export type MultipartLimits = { readonly maxBytes: number; readonly texts: Readonly<Record<string, number>>; readonly files: Readonly<Record<string, number>>; readonly patience?: Patience };

/** `fileName` and `mediaType` are what the client says: nothing is known about the content. */
export type UploadedFile = { readonly bytes: Uint8Array; readonly fileName: string | undefined; readonly mediaType: string | undefined };

/** Fields that were sent. `unknown`: names that nobody reads, for the warnings. */
export type MultipartForm = { readonly texts: ReadonlyMap<string, string>; readonly files: ReadonlyMap<string, UploadedFile>; readonly unknown: readonly string[] };

/** Throws `unsupported_media_type`, `body_too_large`, `body_too_slow`, `multipart_invalid`, or `invalid_value` naming the field. */
export async function readMultipart(request: Request, limits: MultipartLimits): Promise<MultipartForm> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^multipart\/form-data\b/i.test(type)) throw new CosyError('unsupported_media_type', 'Send the form as `content-type: multipart/form-data`.');
  const boundary = getMultipartBoundary(type)?.trim() ?? '';
  if (!/^[\x20-\x7e]+$/.test(boundary) || boundary.length > MAX_BOUNDARY_CHARACTERS) throw malformed('its boundary is missing or not valid');
  const body = await readBody(request, limits.maxBytes, limits.patience);
  const form = { texts: new Map<string, string>(), files: new Map<string, UploadedFile>(), unknown: new Set<string>() };
  const maxParts = Object.keys(limits.texts).length + Object.keys(limits.files).length + MAX_UNKNOWN_PARTS;
  try {
    for (const part of parseMultipart(body, { boundary, maxParts, maxHeaderSize: MAX_PART_HEADER_BYTES, maxFileSize: limits.maxBytes, maxTotalSize: limits.maxBytes })) take(part, form, limits);
    if (body.length === 0) throw malformed('it is empty');
  } catch (error) {
    if (isCosyError(error)) throw error;
    throw malformed(error instanceof MultipartParseError ? reasonOf(error) : 'a part of it is not readable as UTF-8');
  }
  return { texts: form.texts, files: form.files, unknown: [...form.unknown] };
}

function take(part: MultipartPart, form: { readonly texts: Map<string, string>; readonly files: Map<string, UploadedFile>; readonly unknown: Set<string> }, limits: MultipartLimits): void {
  const name = part.name;
  if (name === undefined || name === '') throw malformed('a part has no name');
  const asText = Object.hasOwn(limits.texts, name);
  const maxBytes = asText ? limits.texts[name] : Object.hasOwn(limits.files, name) ? limits.files[name] : undefined;
  if (maxBytes === undefined) {
    form.unknown.add(name.slice(0, 40));
    return;
  }
  if (form.texts.has(name) || form.files.has(name)) throw new CosyError('invalid_value', `${name} was sent more than once.`, { param: name });
  if (part.size > maxBytes) throw new CosyError('body_too_large', `${name} is larger than ${maxBytes} bytes: send a shorter one.`, { param: name });
  if (asText) form.texts.set(name, part.text);
  else if (part.filename === undefined) throw new CosyError('invalid_value', `${name} must be a file.`, { param: name });
  else form.files.set(name, { bytes: part.bytes, fileName: part.filename, mediaType: part.mediaType });
}

function reasonOf(error: MultipartParseError): string {
  if (error.name === 'MaxPartsExceededError') return 'it has too many parts';
  if (error.name === 'MaxHeaderSizeExceededError') return 'the head of a part is too long';
  return 'it does not begin or end at its boundary';
}

function malformed(why: string): CosyError {
  return new CosyError('multipart_invalid', `The form is not valid multipart/form-data: ${why}.`);
}
