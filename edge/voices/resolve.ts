/** The voice a request names → what a node is told, and the key under which its sound may be kept. */
import type { JobVoice } from '../../shared/contract/job.ts';
import type { Caller } from '../caller.ts';
import type { Env } from '../env.ts';

/** A name (preset, alias, the tenant's own voice) or a clip sent along. */
export type WantedVoice = { readonly name: string } | { readonly audio: string; readonly transcript: string | undefined };

export type ResolvedVoice = {
  /** As the caller knows it. */
  readonly id: string;
  /** Equal exactly when the voice sounds the same: part of a result's key. */
  readonly contentKey: string;
  /** Without the prompt's bytes. */
  readonly job: JobVoice;
  /** The same with the prompt's bytes, for a node that does not hold them. */
  readonly withPrompt: () => Promise<JobVoice>;
};

export type ResolveContext = { readonly caller: Caller; readonly env: Env; readonly signal: AbortSignal };

/** Throws `voice_not_found` or what is wrong with a clip. */
export async function resolveVoice(wanted: WantedVoice, _context: ResolveContext): Promise<ResolvedVoice> {
  const job: JobVoice = 'name' in wanted ? { kind: 'preset', name: wanted.name } : { kind: 'clip', audio: wanted.audio, transcript: wanted.transcript };
  const id = 'name' in wanted ? wanted.name : 'clip';
  return { id, contentKey: `preset/${id}`, job, withPrompt: async () => job };
}
