/**
 * Keys of voices. A voice is what was heard, what was said and what computed it; a transcript alone is never a key, and two
 * tenants never share one. SHA-256 over length-prefixed fields, so that no two field lists give the same bytes.
 */
import { CosyError } from '../errors/index.ts';

export type VoiceIdentity = {
  /** 1…64 of A–Z a–z 0–9 _ and - */
  readonly tenant: string;
  /** Hash of the checkpoint. */
  readonly modelRevision: string;
  readonly transcript: string;
};

export type DecodedAudio = {
  /** (N,) mono */
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
};

/**
 * `TENANT/v1-HEX64` from the decoded samples: the same clip in two lossless files is the same voice.
 * Throws `invalid_value` for a tenant that is not a plain name.
 */
export async function voiceKey(identity: VoiceIdentity, { samples, sampleRateHz }: DecodedAudio): Promise<string> {
  const audio = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return key('v', identity, [new TextEncoder().encode(String(sampleRateHz)), audio]);
}

/**
 * `TENANT/u1-HEX64` from the bytes as they were uploaded: what an edge, which cannot decode audio, can know before it asks a
 * node. It points to a `voiceKey`. Throws like `voiceKey`.
 */
export async function uploadKey(identity: VoiceIdentity, upload: Uint8Array): Promise<string> {
  return key('u', identity, [upload]);
}

async function key(kind: 'v' | 'u', { tenant, modelRevision, transcript }: VoiceIdentity, content: readonly Uint8Array[]): Promise<string> {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(tenant)) throw new CosyError('invalid_value', 'The tenant must be 1 to 64 letters, digits, _ or -.', { param: 'tenant' });
  const text = new TextEncoder();
  // typing the same words with composed or decomposed accents is the same transcript
  const said = transcript.normalize('NFC').trim();
  const fields = [text.encode(`cosyvoice ${kind}1`), text.encode(tenant), text.encode(modelRevision), text.encode(said), ...content];
  const bytes = new Uint8Array(fields.reduce((size, field) => size + 8 + field.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const field of fields) {
    view.setBigUint64(at, BigInt(field.length), true);
    bytes.set(field, at + 8);
    at += 8 + field.length;
  }
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `${tenant}/${kind}1-${Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
