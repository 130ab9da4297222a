/**
 * The large and private part of voices, in R2; of tenants pinned to the EU in its own bucket.
 *
 *   prompts/TENANT/v1-HEX       shared/voice-prompt: what nodes speak with
 *   recordings/TENANT/HEX       {transcript} · clip (shared/contract/voice.ts), to make the voice again
 *   consents/TENANT/ID          the recording or the words of who agreed
 */
import { z } from 'zod';
import { readEnvelope, writeEnvelope } from '../../shared/contract/voice.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_TRANSCRIPT_CHARACTERS } from '../../shared/limits/index.ts';
import { MAX_VOICE_PROMPT_BYTES, readVoicePrompt } from '../../shared/voice-prompt/index.ts';
import type { Caller } from '../caller.ts';
import type { Env } from '../env.ts';

/** Whose objects. */
export type Owner = Pick<Caller, 'tenant' | 'residency'>;

export type Recording = { readonly transcript: string; readonly clip: Uint8Array };

const recordingSchema = z.object({ transcript: z.string().max(MAX_TRANSCRIPT_CHARACTERS) });

export function promptObject(promptKey: string): string {
  return `prompts/${promptKey}`;
}

/** Undefined: it is not there, or is not what was written, or of a layout this edge does not know; then it is made again. Throws `store_unavailable`. */
export async function readPrompt(promptKey: string, owner: Owner, env: Env): Promise<Uint8Array | undefined> {
  const object = await stored(() => bucketOf(owner, env).get(promptObject(promptKey)));
  if (!object) return undefined;
  if (object.size > MAX_VOICE_PROMPT_BYTES) return undefined;
  const bytes = new Uint8Array(await stored(() => object.arrayBuffer()));
  return readVoicePrompt(bytes).then(
    () => bytes,
    () => undefined,
  );
}

export async function hasPrompt(promptKey: string, owner: Owner, env: Env): Promise<boolean> {
  return (await stored(() => bucketOf(owner, env).head(promptObject(promptKey)))) !== null;
}

export async function writePrompt(promptKey: string, bytes: Uint8Array, owner: Owner, env: Env): Promise<void> {
  await stored(() => bucketOf(owner, env).put(promptObject(promptKey), bytes));
}

/** Its name, which is a hash of its content: an equal one is the same object. */
export async function writeRecording({ transcript, clip }: Recording, owner: Owner, env: Env): Promise<string> {
  const bytes = writeEnvelope({ transcript }, clip);
  const name = `recordings/${owner.tenant}/${new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).toHex()}`;
  await stored(() => bucketOf(owner, env).put(name, bytes));
  return name;
}

/** Undefined: it is not there. */
export async function readRecording(name: string, owner: Owner, env: Env): Promise<Recording | undefined> {
  const object = await stored(() => bucketOf(owner, env).get(name));
  if (!object) return undefined;
  const { value, bytes } = readEnvelope(new Uint8Array(await stored(() => object.arrayBuffer())), recordingSchema);
  return { transcript: value.transcript, clip: bytes };
}

export async function writeConsent(id: string, content: Uint8Array | string, owner: Owner, env: Env): Promise<void> {
  await stored(() => bucketOf(owner, env).put(consentObject(id, owner), content));
}

export function consentObject(id: string, { tenant }: Owner): string {
  return `consents/${tenant}/${id}`;
}

export async function deleteObjects(names: readonly string[], owner: Pick<Owner, 'residency'>, env: Env): Promise<void> {
  await stored(() => bucketOf(owner, env).delete([...names]));
}

function bucketOf({ residency }: Pick<Owner, 'residency'>, env: Env): R2Bucket {
  if (residency === undefined) return env.PROMPTS;
  if (!env.PROMPTS_EU) throw new CosyError('store_unavailable', 'There is no store for voices in the EU here: the operator has to set PROMPTS_EU up.');
  return env.PROMPTS_EU;
}

async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new CosyError('store_unavailable', 'The store of voices does not answer: try again.', { cause, retryAfterMs: 2000 });
  }
}
