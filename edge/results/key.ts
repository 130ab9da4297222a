/**
 * Under which name a finished sound is kept: SHA-256 over all that decides how it sounds. Names hold no text, no voice and
 * nothing a person wrote; tenant and voice come first, so that what belongs to either can be found and deleted.
 */
import type { Job } from '../../shared/contract/job.ts';

/** All that decides a sound. */
export type SoundIdentity = Pick<Job, 'breaks' | 'mode' | 'instruction' | 'language' | 'format' | 'sampleRateHz' | 'speed' | 'volume' | 'seed' | 'streaming'> & {
  readonly tenant: string;
  /** `ResolvedVoice.contentKey`: another recording, and another revision of the model that speaks it, is another one. */
  readonly voice: string;
  /** As it is spoken: two ways to write a number are one sound. */
  readonly text: string;
};

/** `path`: object name of the result. `seed`: the one asked for, or else the one that belongs to this request. */
export type ResultKey = { readonly path: string; readonly voicePath: string; readonly seed: number };

/**
 * A request without a seed gets one derived from everything else, so equal requests are equal sounds, kept or not. Who wants
 * another reading sends a seed, or opts out of results (then the node draws one).
 */
export async function resultKey({ tenant, voice, text, breaks, mode, instruction, language, format, sampleRateHz, speed, volume, streaming, seed }: SoundIdentity): Promise<ResultKey> {
  // an array in JSON says where each field ends, so no two lists of fields give the same bytes
  const fields = ['cosyvoice result 2', tenant, voice, text, breaks ?? null, mode ?? null, instruction ?? null, language ?? null, format, sampleRateHz, speed, volume, streaming];
  const [plain, voicePath] = await Promise.all([digest(fields), voicePrefix(tenant, voice)]);
  const chosen = seed ?? new DataView(plain).getUint32(0);
  return { path: `${voicePath}${toHex(await digest([toHex(plain), chosen]))}`, voicePath, seed: chosen };
}

/** What all results of a voice begin with. */
export async function voicePrefix(tenant: string, voice: string): Promise<string> {
  return `${tenantPrefix(tenant)}${toHex(await digest(['voice', voice])).slice(0, 32)}/`;
}

/** What all results of a tenant begin with. */
export function tenantPrefix(tenant: string): string {
  return `r1/${encodeURIComponent(tenant)}/`;
}

function digest(value: unknown): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(value)));
}

function toHex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
