/**
 * The binary form of a voice prompt, written by a node, stored by the edge, read by any node: `storage-schema.md`.
 * Runs wherever WebCrypto does (workerd, Node, browsers). Bytes from outside are hostile: each size is checked against its
 * limit before anything is allocated, the hash before anything is used.
 */
import { z } from 'zod';
import { CosyError } from '../errors/index.ts';
import { fromHalf, toHalf } from './half.ts';
import type { VoicePrompt } from './prompt.ts';

const MAGIC = 0x50_56_43_01; // bytes 01 'C' 'V' 'P' in little-endian order
const VERSION = 1;
const HASH_BYTES = 32;
const PREAMBLE_BYTES = 16 + HASH_BYTES;
const ALIGNMENT = 8;

/** Transcript (≤ 2000 characters, ≤ 12 bytes each when escaped) and the section table. */
const MAX_HEADER_BYTES = 64 * 1024;
/** 30 s at 50 frames of 80 float32 are 480 KB; room for a model with more and wider frames. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Longest stored prompt, bytes: for stores and uploads that take a prompt as it is. */
export const MAX_VOICE_PROMPT_BYTES = PREAMBLE_BYTES + MAX_HEADER_BYTES + MAX_BODY_BYTES;

const ELEMENT_BYTES = { float32: 4, float16: 2, int32: 4 } as const;
type ElementType = keyof typeof ELEMENT_BYTES;

const count = z.int().min(0).max(MAX_BODY_BYTES);
const sectionSchema = z.strictObject({ type: z.enum(['float32', 'float16', 'int32']), offset: count, length: count });
type Section = z.infer<typeof sectionSchema>;

const headerSchema = z.strictObject({
  modelRevision: z.string().min(1).max(200),
  transcript: z.string().max(4000),
  sampleRateHz: z.int().min(1).max(384_000),
  melBins: z.int().min(1).max(1024),
  sections: z.strictObject({ llmSpeechTokens: sectionSchema, flowSpeechTokens: sectionSchema, embedding: sectionSchema, mel: sectionSchema }),
});

/** What can be known without the numbers: small enough for a key-value store. */
export type VoicePromptHeader = z.infer<typeof headerSchema>;

export type WriteOptions = {
  /** float16 halves the mel (the largest part); its error is at most 1/2048 of a log-mel value. */
  readonly mel?: 'float32' | 'float16';
};

/** Throws `voice_prompt_invalid` for a prompt that is over the limits. */
export async function writeVoicePrompt(prompt: VoicePrompt, { mel = 'float32' }: WriteOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const parts: { section: Section; bytes: Uint8Array }[] = [];
  const place = (type: ElementType, values: Float32Array | Int32Array | Uint16Array): Section => {
    const previous = parts.at(-1);
    const offset = previous ? align(previous.section.offset + previous.bytes.length) : 0;
    const section = { type, offset, length: values.length };
    parts.push({ section, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) });
    return section;
  };
  const sections = {
    llmSpeechTokens: place('int32', prompt.llmSpeechTokens),
    flowSpeechTokens: place('int32', prompt.flowSpeechTokens),
    embedding: place('float32', prompt.embedding),
    mel: mel === 'float16' ? place('float16', toHalf(prompt.mel)) : place('float32', prompt.mel),
  };
  const { modelRevision, transcript, sampleRateHz, melBins } = prompt;
  const header = parseHeader({ modelRevision, transcript, sampleRateHz, melBins, sections });
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = align(json.length);
  const last = parts.at(-1);
  const bodyBytes = last ? last.section.offset + last.bytes.length : 0;
  checkSizes(headerBytes, bodyBytes);

  const file = new Uint8Array(PREAMBLE_BYTES + headerBytes + bodyBytes);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, headerBytes, true);
  view.setUint32(12, bodyBytes, true);
  file.fill(0x20, PREAMBLE_BYTES, PREAMBLE_BYTES + headerBytes);
  file.set(json, PREAMBLE_BYTES);
  for (const { section, bytes } of parts) file.set(bytes, PREAMBLE_BYTES + headerBytes + section.offset);
  file.set(await hashOf(file), 16);
  return file;
}

/** Throws `voice_prompt_invalid` for anything but an intact prompt of a version this reader knows. */
export async function readVoicePrompt(bytes: Uint8Array): Promise<VoicePrompt> {
  const { headerBytes, bodyBytes } = readPreamble(bytes);
  const hash = await hashOf(bytes);
  if (!hash.every((byte, i) => byte === bytes[16 + i])) throw invalid('its hash does not match its content');
  const header = readHeader(bytes, headerBytes);
  const bodyStart = PREAMBLE_BYTES + headerBytes;
  const slice = ({ type, offset, length }: Section): ArrayBuffer => {
    const size = length * ELEMENT_BYTES[type];
    if (offset % ALIGNMENT !== 0 || offset + size > bodyBytes) throw invalid('a section lies outside of it');
    return bytes.slice(bodyStart + offset, bodyStart + offset + size).buffer;
  };
  const ints = (section: Section): Int32Array => {
    if (section.type !== 'int32') throw invalid('a token section is not int32');
    return new Int32Array(slice(section));
  };
  const floats = (section: Section): Float32Array => {
    if (section.type === 'int32') throw invalid('a number section is int32');
    return section.type === 'float16' ? fromHalf(new Uint16Array(slice(section))) : new Float32Array(slice(section));
  };
  const { sections, ...rest } = header;
  const mel = floats(sections.mel);
  if (mel.length % header.melBins !== 0) throw invalid('its mel is not a whole number of frames');
  return { ...rest, llmSpeechTokens: ints(sections.llmSpeechTokens), flowSpeechTokens: ints(sections.flowSpeechTokens), embedding: floats(sections.embedding), mel };
}

/** The header alone, hash not checked: for a catalogue. `bytes` may end after the header. Throws like `readVoicePrompt`. */
export function readVoicePromptHeader(bytes: Uint8Array): VoicePromptHeader {
  if (bytes.length < PREAMBLE_BYTES) throw invalid('it is cut off');
  const { headerBytes } = readSizes(bytes);
  return readHeader(bytes, headerBytes);
}

function readPreamble(bytes: Uint8Array): { headerBytes: number; bodyBytes: number } {
  if (bytes.length < PREAMBLE_BYTES) throw invalid('it is cut off');
  const sizes = readSizes(bytes);
  if (bytes.length !== PREAMBLE_BYTES + sizes.headerBytes + sizes.bodyBytes) throw invalid('its length is not the one it states');
  return sizes;
}

function readSizes(bytes: Uint8Array): { headerBytes: number; bodyBytes: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw invalid('it is something else');
  const version = view.getUint32(4, true);
  if (version !== VERSION) throw invalid(`its layout version ${version} is not known here (known: ${VERSION}); make the voice again or update this node`);
  const headerBytes = view.getUint32(8, true);
  const bodyBytes = view.getUint32(12, true);
  checkSizes(headerBytes, bodyBytes);
  return { headerBytes, bodyBytes };
}

function checkSizes(headerBytes: number, bodyBytes: number): void {
  if (headerBytes > MAX_HEADER_BYTES || headerBytes % ALIGNMENT !== 0) throw invalid(`its header has ${headerBytes} bytes (at most ${MAX_HEADER_BYTES})`);
  if (bodyBytes > MAX_BODY_BYTES) throw invalid(`its numbers take ${bodyBytes} bytes (at most ${MAX_BODY_BYTES})`);
}

function readHeader(bytes: Uint8Array, headerBytes: number): VoicePromptHeader {
  if (bytes.length < PREAMBLE_BYTES + headerBytes) throw invalid('it is cut off');
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + headerBytes));
    return parseHeader(JSON.parse(text));
  } catch (error) {
    if (error instanceof CosyError) throw error;
    throw invalid('its header cannot be read', error);
  }
}

function parseHeader(value: unknown): VoicePromptHeader {
  const result = headerSchema.safeParse(value);
  if (!result.success) throw invalid(`its header is wrong at ${result.error.issues[0]?.path.join('.') ?? 'the top'}`, result.error);
  return result.data;
}

/** SHA-256 of everything but the hash itself. */
async function hashOf(file: Uint8Array): Promise<Uint8Array> {
  const hashed = new Uint8Array(file.length - HASH_BYTES);
  hashed.set(file.subarray(0, 16));
  hashed.set(file.subarray(PREAMBLE_BYTES), 16);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', hashed));
}

function align(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function invalid(reason: string, cause?: unknown): CosyError {
  return new CosyError('voice_prompt_invalid', `The stored voice prompt cannot be used: ${reason}.`, { cause });
}
