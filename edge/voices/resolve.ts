/**
 * The voice a request names → what a node is told, and the key under which its sound may be kept.
 *
 *   id of a voice → speaker of the nodes → name of the tenant's own voice → name of another service (aliases.ts)
 *   clip sent along → its prompt, made once (enrol.ts)
 *
 * A warm request asks no store and no node. Names of speakers and aliases cannot be taken by voices (`create.ts`).
 */
import type { JobVoice } from '../../shared/contract/job.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { auditRow } from '../audit.ts';
import type { Caller } from '../caller.ts';
import type { Env } from '../env.ts';
import { isAlias, standIn } from './aliases.ts';
import { announced, announcedNow } from './announced.ts';
import type { AskNode } from './announced.ts';
import { readVoice } from './catalogue.ts';
import { readConsent } from './consents.ts';
import { enrol } from './enrol.ts';
import type { Prompt } from './enrol.ts';
import { findHot, forgetHot, fromDatabase, isId } from './hot.ts';
import type { HotVoice } from './hot.ts';
import { readPrompt } from './objects.ts';
import { remakeVoice } from './remake.ts';

/** A name (preset, alias, the tenant's own voice) or a clip sent along, in base64. */
export type WantedVoice = { readonly name: string } | WantedClip;

/** `consent`: id of a consent record, for operators who ask for it (`REFERENCE_CONSENT`). */
export type WantedClip = { readonly audio: string; readonly transcript: string | undefined; readonly consent?: string | undefined };

export type ResolvedVoice = {
  /** As the caller knows it. */
  readonly id: string;
  /** Equal exactly when the voice sounds the same: part of a result's key. */
  readonly contentKey: string;
  /** Without the prompt's bytes. */
  readonly job: JobVoice;
  /** The same with the prompt's bytes, for a node that does not hold them. Throws `voice_not_found` for a voice deleted meanwhile. */
  readonly withPrompt: () => Promise<JobVoice>;
  /** With which the prompt was made; undefined for speakers of the checkpoint. */
  readonly modelRevision: string | undefined;
  /** The same voice for the model that nodes have now, when none of them takes the prompt. Absent where there is no prompt. */
  readonly remade?: () => Promise<JobVoice>;
  /** When it is not quite the voice that was asked for; fit for a header. */
  readonly warnings: readonly string[];
};

export type ResolveContext = { readonly caller: Caller; readonly requestId: string; readonly env: Env; readonly ask: AskNode };

/** Throws `voice_not_found`, what is wrong with a clip, or `no_node_available` when an isolate that just began finds no node. */
export async function resolveVoice(wanted: WantedVoice, context: ResolveContext): Promise<ResolvedVoice> {
  if (!('name' in wanted)) return oneShot(wanted, context);
  const { caller, env, ask } = context;
  const { name } = wanted;
  if (isId(name)) {
    const voice = await findHot(name, caller, env);
    if (!voice) throw notFound(name);
    return stored(voice, context);
  }
  const { presets, modelRevision } = await announced(ask, caller.residency);
  const preset = name === 'default' ? (presets[0] ?? name) : presets.includes(name) ? name : undefined;
  if (preset !== undefined) return ofNodes(name, preset, modelRevision);
  const own = isAlias(name) ? undefined : await findHot(name, caller, env);
  if (own) return stored(own, context);
  const substitute = standIn(name, presets);
  if (!substitute) throw notFound(name, presets);
  return { ...ofNodes(name, substitute.preset, modelRevision), warnings: substitute.warning === undefined ? [] : [substitute.warning] };
}

function ofNodes(id: string, preset: string, modelRevision: string): ResolvedVoice {
  const job: JobVoice = { kind: 'preset', name: preset };
  return { id, contentKey: `preset/${modelRevision}/${preset}`, job, withPrompt: async () => job, modelRevision: undefined, warnings: [] };
}

async function stored(voice: HotVoice, context: ResolveContext): Promise<ResolvedVoice> {
  const { caller, env, ask } = context;
  const { modelRevision } = await announced(ask, caller.residency).catch(() => ({ modelRevision: voice.modelRevision }));
  // the nodes have another model since: once for all requests, from the recording
  const { promptKey, modelRevision: revision } = modelRevision === voice.modelRevision || modelRevision === '' ? voice : await again(voice.id, context);
  return {
    id: voice.id,
    contentKey: promptKey,
    job: { kind: 'prompt', key: promptKey },
    withPrompt: async () => {
      const bytes = await readPrompt(promptKey, caller, env);
      if (bytes) return withBytes(promptKey, bytes);
      // deleted or changed behind a copy that this isolate or KV still has, or lost
      const current = await fromDatabase(voice.id, caller, env);
      if (!current) {
        await forgetHot({ id: voice.id, name: voice.id }, caller, env);
        throw notFound(voice.id);
      }
      const key = current.promptKey === promptKey ? (await again(voice.id, context, promptKey)).promptKey : current.promptKey;
      return withBytes(key, await promptOf(key, context));
    },
    modelRevision: revision === '' ? undefined : revision,
    remade: async () => {
      await announcedNow(ask, caller.residency);
      const { promptKey: key } = await again(voice.id, context);
      return withBytes(key, await promptOf(key, context));
    },
    warnings: [],
  };
}

/** The voice's prompt for the nodes' present model. */
async function again(id: string, { caller, env, ask }: ResolveContext, lost?: string): Promise<Pick<HotVoice, 'promptKey' | 'modelRevision'>> {
  const voice = await readVoice(id, caller.tenant, env);
  if (!voice) throw notFound(id);
  return remakeVoice(voice, { owner: caller, env, ask }, lost);
}

async function oneShot({ audio, transcript = '', consent }: WantedClip, context: ResolveContext): Promise<ResolvedVoice> {
  const { caller: owner, requestId, env, ask } = context;
  if (consent !== undefined) await readConsent(consent, owner.tenant, env);
  else if (env.REFERENCE_CONSENT === 'required') throw new CosyError('consent_required', 'A voice is imitated with the consent of its speaker here: send `reference.consent` with the id of a consent record (POST /v1/audio/voice_consents).', { param: 'reference.consent' });
  const audit = (key: string) => auditRow(env, { what: 'voice.created', subject: key }, { caller: owner, tenant: owner.tenant, requestId });
  const recording = { clip: decoded(audio), transcript };
  const { promptKey, modelRevision }: Prompt = await enrol(recording, { owner, env, ask, audit });
  return {
    id: 'clip',
    contentKey: promptKey,
    job: { kind: 'prompt', key: promptKey },
    withPrompt: async () => {
      const bytes = await readPrompt(promptKey, owner, env);
      if (bytes) return withBytes(promptKey, bytes);
      const made = await enrol(recording, { owner, env, ask }, promptKey);
      return withBytes(made.promptKey, await promptOf(made.promptKey, context));
    },
    modelRevision,
    remade: async () => {
      await announcedNow(ask, owner.residency);
      const made = await enrol(recording, { owner, env, ask });
      return withBytes(made.promptKey, await promptOf(made.promptKey, context));
    },
    warnings: [],
  };
}

async function promptOf(key: string, { caller, env }: ResolveContext): Promise<Uint8Array> {
  const bytes = await readPrompt(key, caller, env);
  if (!bytes) throw new CosyError('store_unavailable', 'The voice was changed this moment: try again.', { retryAfterMs: 1000 });
  return bytes;
}

function withBytes(key: string, bytes: Uint8Array): JobVoice {
  return { kind: 'prompt', key, bytes: bytes.toBase64() };
}

function decoded(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw new CosyError('invalid_value', 'reference.audio must be base64 or a base64 data URL.', { param: 'reference.audio' });
  }
}

function notFound(name: string, presets: readonly string[] = []): CosyError {
  const known = presets.length === 0 ? '' : `: there are ${presets.slice(0, 12).join(', ')} and your own voices`;
  return new CosyError('voice_not_found', `There is no voice ${JSON.stringify(name.slice(0, 60))}${known}.`, { param: 'voice' });
}
