/**
 * A clip → its prompt in R2, computed by one node once, however many requests bring the clip at once and wherever they
 * arrive: the row of the upload in D1 is a lease, one request holds it and asks a node, the others wait for what becomes of
 * it. A holder that dies is replaced when its lease ends; a clip that was refused is refused from the row for a while.
 */
import { waitUntil } from 'cloudflare:workers';
import { z } from 'zod';
import { enrolledSchema, readEnvelope, reportSchema, writeEnvelope } from '../../shared/contract/voice.ts';
import type { VoiceReport } from '../../shared/contract/voice.ts';
import { CosyError, ERRORS, isCosyError } from '../../shared/errors/index.ts';
import type { ErrorCode } from '../../shared/errors/index.ts';
import { readVoicePromptHeader, uploadKey } from '../../shared/voice-prompt/index.ts';
import type { Env } from '../env.ts';
import { announced, learnRevision } from './announced.ts';
import type { AskNode } from './announced.ts';
import { hasPrompt, readPrompt, writePrompt } from './objects.ts';
import type { Owner, Recording } from './objects.ts';

/** `audit`: written with the prompt, when one is made here. */
export type EnrolContext = { readonly owner: Owner; readonly env: Env; readonly ask: AskNode; readonly audit?: (promptKey: string) => D1PreparedStatement };

/** A prompt that lies in R2. */
export type Prompt = { readonly promptKey: string; readonly modelRevision: string; readonly report: VoiceReport };

/** What a slow node takes for 30 s of speech, its queue included. */
const LEASE_MS = 60_000;
/** Of a prompt that no voice has; counted from its making, and anew when it is used in the second half. */
const KEEP_MS = 24 * 3_600_000;
const REFUSED_MS = 60_000;
const FIRST_WAIT_MS = 40;
const MAX_WAIT_MS = 500;
/** Found again without a store, per isolate. */
const REMEMBERED_MS = 60_000;
const MAX_REMEMBERED = 1000;

const failureSchema = z.object({ code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]), message: z.string() });

type Row = { owner: string; prompt_key: string | null; report: string | null; failure: string | null; until_ms: number };

const remembered = new Map<string, { readonly prompt: Prompt; readonly untilMs: number }>();

/**
 * `lost`: a prompt of this clip that was not where it should be, and is made again. Throws what the node finds wrong with
 * the clip, `no_node_available`, or `store_unavailable`.
 */
export async function enrol(recording: Recording, { owner, env, ask, audit }: EnrolContext, lost?: string): Promise<Prompt> {
  let { modelRevision } = await announced(ask, owner.residency);
  let key = await keyOf(recording, modelRevision, owner);
  const known = remembered.get(key);
  if (known && known.untilMs > Date.now() && known.prompt.modelRevision === modelRevision && known.prompt.promptKey !== lost) return known.prompt;
  const me = crypto.randomUUID();
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(MAX_WAIT_MS, 2 * waitMs)) {
    const row = await readRow(key, env);
    const { modelRevision: present } = await announced(ask, owner.residency);
    if (!row && present !== modelRevision) {
      // who made it was answered by a node of another model, under which it is kept
      modelRevision = present;
      key = await keyOf(recording, modelRevision, owner);
      continue;
    }
    const nowMs = Date.now();
    const current = row && row.until_ms > nowMs ? row : undefined;
    if (current?.failure) throw refusal(current.failure);
    // one that was lost may have been made again since
    const stillLost = lost !== undefined && current?.prompt_key === lost && !(await readPrompt(lost, owner, env));
    if (current?.prompt_key && current.report && !stillLost) {
      if (current.until_ms - nowMs < KEEP_MS / 2) await env.DB.prepare('UPDATE prompts SET until_ms = ? WHERE upload_key = ?').bind(nowMs + KEEP_MS, key).run();
      return remember(key, { promptKey: current.prompt_key, modelRevision, report: reportSchema.parse(JSON.parse(current.report)) });
    }
    const free = !current || stillLost;
    if (free && (await take(key, { me, owner, before: stillLost ? current?.owner : undefined, env }))) {
      // goes on when this request is left: the others wait for it
      const making = make(recording, { key, me, owner, env, ask, ...(audit && { audit }) });
      waitUntil(making.catch(() => {}));
      return remember(key, await making);
    }
    if (!free) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** As `enrol`, and the prompt is known to be in R2: for what is going to be a voice. */
export async function enrolForGood(recording: Recording, context: EnrolContext): Promise<Prompt> {
  const prompt = await enrol(recording, context);
  return (await hasPrompt(prompt.promptKey, context.owner, context.env)) ? prompt : enrol(recording, context, prompt.promptKey);
}

/** What this isolate remembers of a prompt that is being deleted. */
export function forgetPrompt(promptKey: string): void {
  for (const [key, { prompt }] of remembered) if (prompt.promptKey === promptKey) remembered.delete(key);
}

function keyOf({ transcript, clip }: Recording, modelRevision: string, { tenant }: Owner): Promise<string> {
  return uploadKey({ tenant, modelRevision, transcript }, clip);
}

function readRow(key: string, env: Env): Promise<Row | null> {
  return env.DB.prepare('SELECT owner, prompt_key, report, failure, until_ms FROM prompts WHERE upload_key = ?').bind(key).first<Row>();
}

/** One statement, so that one request of all gets it. `before`: who made what was lost, so that nobody takes what was made since. */
async function take(key: string, { me, owner, before, env }: { readonly me: string; readonly owner: Owner; readonly before: string | undefined; readonly env: Env }): Promise<boolean> {
  const nowMs = Date.now();
  const { meta } = await env.DB.prepare(
    `INSERT INTO prompts (upload_key, eu, owner, until_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (upload_key) DO UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms, prompt_key = NULL, report = NULL, failure = NULL
     WHERE prompts.until_ms <= ? OR prompts.owner = ?`,
  )
    .bind(key, owner.residency === undefined ? 0 : 1, me, nowMs + LEASE_MS, nowMs, before ?? '')
    .run();
  return meta.changes > 0;
}

async function make(recording: Recording, { key, me, owner, env, ask, audit }: EnrolContext & { readonly key: string; readonly me: string }): Promise<Prompt> {
  try {
    const body = writeEnvelope({ tenant: owner.tenant, transcript: recording.transcript }, recording.clip);
    const response = await ask({ method: 'POST', path: '/v1/voices', body, contentType: 'application/octet-stream' });
    const { value, bytes } = readEnvelope(new Uint8Array(await response.arrayBuffer()), enrolledSchema);
    if (!value.key.startsWith(`${owner.tenant}/`) || readVoicePromptHeader(bytes).modelRevision !== value.modelRevision) throw new CosyError('internal_error', 'A node answered with another voice: try again.');
    await writePrompt(value.key, bytes, owner, env);
    const madeFor = await keyOf(recording, value.modelRevision, owner);
    const made =
      madeFor === key
        ? [env.DB.prepare('UPDATE prompts SET prompt_key = ?, report = ?, until_ms = ? WHERE upload_key = ? AND owner = ?').bind(value.key, JSON.stringify(value.report), Date.now() + KEEP_MS, key, me)]
        : [
            // while nodes are upgraded, one of another model than was announced may answer
            env.DB.prepare('INSERT OR REPLACE INTO prompts (upload_key, eu, owner, prompt_key, report, until_ms) VALUES (?, ?, ?, ?, ?, ?)').bind(madeFor, owner.residency === undefined ? 0 : 1, me, value.key, JSON.stringify(value.report), Date.now() + KEEP_MS),
            env.DB.prepare('DELETE FROM prompts WHERE upload_key = ? AND owner = ?').bind(key, me),
          ];
    if (madeFor !== key) learnRevision(value.modelRevision, owner.residency);
    await env.DB.batch([...made, ...(audit ? [audit(value.key)] : [])]);
    return { promptKey: value.key, modelRevision: value.modelRevision, report: value.report };
  } catch (error) {
    const failure = isCosyError(error) && !error.retryable ? JSON.stringify({ code: error.code, message: error.message }) : undefined;
    const statement = failure === undefined ? env.DB.prepare('DELETE FROM prompts WHERE upload_key = ? AND owner = ?').bind(key, me) : env.DB.prepare('UPDATE prompts SET failure = ?, until_ms = ? WHERE upload_key = ? AND owner = ?').bind(failure, Date.now() + REFUSED_MS, key, me);
    await statement.run().catch(() => {});
    throw error;
  }
}

function refusal(failure: string): CosyError {
  const { code, message } = failureSchema.parse(JSON.parse(failure));
  return new CosyError(code, message, { param: 'audio' });
}

function remember(key: string, prompt: Prompt): Prompt {
  remembered.delete(key);
  remembered.set(key, { prompt, untilMs: Date.now() + REMEMBERED_MS });
  const oldest = remembered.keys().next().value;
  if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  return prompt;
}
