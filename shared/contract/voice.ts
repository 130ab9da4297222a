/**
 * A clip on its way to a node and the prompt on its way back: `length of the JSON (u32, little-endian) · JSON · bytes`. Both
 * sides validate with the same schemas.
 *
 *   POST /v1/voices             {tenant, transcript} · clip  →  {key, modelRevision, report} · prompt (shared/voice-prompt)
 *   DELETE /v1/voices/{key}     the node forgets it, also its states
 *   GET /v1/voices              names of the checkpoint's speakers, and the revision that prompts must be of
 */
import { z } from 'zod';
import { CosyError } from '../errors/index.ts';
import { MAX_TRANSCRIPT_CHARACTERS } from '../limits/index.ts';

/** `TENANT/v1-HEX64` (shared/voice-prompt/key.ts). */
export const voiceKeySchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}\/v1-[0-9a-f]{64}$/);

export const enrolSchema = z.object({ tenant: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), transcript: z.string().max(MAX_TRANSCRIPT_CHARACTERS) });

/** What was measured of a clip, in the units of the names; `verdict` sums up the advice. */
export const reportSchema = z.object({
  verdict: z.enum(['good', 'fair', 'poor', 'unusable']),
  durationSeconds: z.number(),
  speechSeconds: z.number(),
  speechShare: z.number(),
  peak: z.number(),
  levelDb: z.number(),
  noiseDb: z.number(),
  snrDb: z.number(),
  clippedShare: z.number(),
  bandwidthHz: z.number(),
  charactersPerSecond: z.number(),
  pace: z.number(),
  advice: z.array(z.object({ code: z.string(), message: z.string() })),
});
export type VoiceReport = z.infer<typeof reportSchema>;

export const enrolledSchema = z.object({ key: voiceKeySchema, modelRevision: z.string().min(1).max(200), report: reportSchema });
export type Enrolled = z.infer<typeof enrolledSchema>;

export const announcedSchema = z.object({ model_revision: z.string().min(1).max(200).optional(), data: z.array(z.object({ name: z.string().min(1).max(200) })).max(10_000) });

/** Report and transcript with escapes. */
const MAX_JSON_BYTES = 64 * 1024;

export function writeEnvelope(value: unknown, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(value));
  const out = new Uint8Array(4 + json.length + bytes.length);
  new DataView(out.buffer).setUint32(0, json.length, true);
  out.set(json, 4);
  out.set(bytes, 4 + json.length);
  return out;
}

/** `bytes` shares the envelope's memory. Throws `invalid_value` for anything that `writeEnvelope` with such a value does not give. */
export function readEnvelope<T>(envelope: Uint8Array, schema: z.ZodType<T>): { readonly value: T; readonly bytes: Uint8Array } {
  const size = envelope.length < 4 ? Infinity : new DataView(envelope.buffer, envelope.byteOffset, envelope.byteLength).getUint32(0, true);
  if (size > MAX_JSON_BYTES || 4 + size > envelope.length) throw new CosyError('invalid_value', 'The message between edge and node is cut off.');
  try {
    return { value: schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(envelope.subarray(4, 4 + size)))), bytes: envelope.subarray(4 + size) };
  } catch (cause) {
    throw new CosyError('invalid_value', 'The message between edge and node has a wrong form.', { cause });
  }
}
