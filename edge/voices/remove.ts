/**
 * The end of voices. A deletion is one transaction in D1, which also notes what has to go from R2, results and nodes; a note
 * leaves when that is done, so a Worker that stops in between leaves no voice behind.
 */
import { auditRow } from '../audit.ts';
import type { Caller } from '../caller.ts';
import type { Env } from '../env.ts';
import type { Voice } from './catalogue.ts';
import { forgetPrompt } from './enrol.ts';
import { forgetHot } from './hot.ts';
import { deleteObjects, promptObject } from './objects.ts';
import type { Owner } from './objects.ts';

/** What other stages hold of a voice. A node that does not answer now has the voice in memory only, and nobody can name it there. */
export type Elsewhere = {
  /** DELETE of the prompt's key at every node. */
  readonly nodes: (promptKey: string, owner: Owner) => Promise<unknown>;
  /** Finished sounds with this content key. */
  readonly results: (promptKey: string, owner: Owner) => Promise<unknown>;
};

export type RemovalContext = { readonly caller: Caller; readonly requestId: string; readonly env: Env; readonly elsewhere: Elsewhere };

/** False when it was gone already. What is shared with another voice of the tenant stays. */
export async function removeVoice(voice: Voice, { caller, requestId, env, elsewhere }: RemovalContext): Promise<boolean> {
  const [deleted] = await env.DB.batch([
    env.DB.prepare('DELETE FROM voices WHERE id = ? AND tenant = ?').bind(voice.id, voice.tenant),
    ...noteUnused(voice, caller, env),
    auditRow(env, { what: 'voice.deleted', subject: voice.id }, { caller, tenant: voice.tenant, requestId }),
  ]);
  await forgetHot(voice, caller, env);
  // nobody can name the voice any more; what a failing store still holds goes when it answers again
  await finishRemovals(env, elsewhere).catch(() => {});
  return (deleted?.meta.changes ?? 0) > 0;
}

/** For a batch, behind what took the last row away: notes prompt and recording of `voice` that no voice has any more. */
export function noteUnused({ promptKey, recording }: Pick<Voice, 'promptKey' | 'recording'>, { tenant, residency }: Owner, env: Env): D1PreparedStatement[] {
  const note = (object: string, key: string | null, column: 'prompt_key' | 'recording', value: string): D1PreparedStatement =>
    env.DB.prepare(`INSERT OR IGNORE INTO voice_removals (object, eu, tenant, prompt_key, created_ms) SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM voices WHERE ${column} = ?)`).bind(object, residency === undefined ? 0 : 1, tenant, key, Date.now(), value);
  return [
    note(promptObject(promptKey), promptKey, 'prompt_key', promptKey),
    ...(recording === undefined ? [] : [note(recording, null, 'recording', recording)]),
    // the same clip in a request is computed anew
    env.DB.prepare('DELETE FROM prompts WHERE prompt_key = ? AND NOT EXISTS (SELECT 1 FROM voices WHERE prompt_key = ?)').bind(promptKey, promptKey),
  ];
}

/** In one go; the rest the next time. */
const MAX_REMOVALS = 50;

type Removal = { object: string; eu: number; tenant: string; prompt_key: string | null };

/** What is noted, also by a Worker that stopped. Leaves the note of what could not be done. */
export async function finishRemovals(env: Env, { nodes, results }: Elsewhere): Promise<void> {
  // a voice made since from the same clip has the object again
  await env.DB.prepare('DELETE FROM voice_removals WHERE prompt_key IN (SELECT prompt_key FROM voices) OR object IN (SELECT recording FROM voices WHERE recording IS NOT NULL)').run();
  const { results: rows } = await env.DB.prepare('SELECT object, eu, tenant, prompt_key FROM voice_removals ORDER BY created_ms LIMIT ?').bind(MAX_REMOVALS).all<Removal>();
  await Promise.all(
    rows.map(async ({ object, eu, tenant, prompt_key }) => {
      const owner: Owner = { tenant, residency: eu === 1 ? 'eu' : undefined };
      await deleteObjects([object], owner, env);
      if (prompt_key !== null) {
        forgetPrompt(prompt_key);
        await Promise.all([results(prompt_key, owner), nodes(prompt_key, owner)]);
      }
      await env.DB.prepare('DELETE FROM voice_removals WHERE object = ?').bind(object).run();
    }),
  );
}

/** Now and then: prompts of one-shot clips whose time is over, and what an earlier deletion left. */
export async function tidyVoices(env: Env, elsewhere: Elsewhere): Promise<void> {
  const nowMs = Date.now();
  const { results: rows } = await env.DB.prepare('SELECT upload_key, prompt_key, eu FROM prompts WHERE until_ms <= ? LIMIT ?').bind(nowMs, MAX_REMOVALS).all<{ upload_key: string; prompt_key: string | null; eu: number }>();
  if (rows.length > 0) await env.DB.batch(rows.flatMap(({ upload_key, prompt_key, eu }) => [
    env.DB.prepare('DELETE FROM prompts WHERE upload_key = ? AND until_ms <= ?').bind(upload_key, nowMs),
    ...(prompt_key === null ? [] : noteUnused({ promptKey: prompt_key, recording: undefined }, { tenant: prompt_key.split('/')[0] ?? '', residency: eu === 1 ? 'eu' : undefined }, env)),
  ]));
  await finishRemovals(env, elsewhere);
}
