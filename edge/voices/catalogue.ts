/** Rows of voices in D1: the truth about which voices there are. What was said and heard lies in R2 (objects.ts). */
import { reportSchema } from '../../shared/contract/voice.ts';
import type { VoiceReport } from '../../shared/contract/voice.ts';
import type { Env } from '../env.ts';

export type Voice = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly description: string;
  readonly language: string | undefined;
  readonly promptKey: string;
  readonly modelRevision: string;
  /** Object of the recording; undefined when it was not kept. */
  readonly recording: string | undefined;
  readonly consent: string;
  readonly report: VoiceReport;
  readonly createdMs: number;
};

type Row = { id: string; tenant: string; name: string; description: string; language: string | null; prompt_key: string; model_revision: string; recording: string | null; consent: string; report: string; created_ms: number };

/** `PREFIX_` and 21 characters that sort by the time of making. */
export function newId(prefix: string): string {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => (byte & 31).toString(32)).join('');
  return `${prefix}_${Date.now().toString(36).padStart(9, '0')}${random}`;
}

export async function readVoice(id: string, tenant: string, env: Env): Promise<Voice | undefined> {
  const row = await env.DB.prepare('SELECT * FROM voices WHERE id = ? AND tenant = ?').bind(id, tenant).first<Row>();
  return row ? toVoice(row) : undefined;
}

/** The newest of that name. */
export async function findByName(name: string, tenant: string, env: Env): Promise<Voice | undefined> {
  const row = await env.DB.prepare('SELECT * FROM voices WHERE tenant = ? AND name = ? ORDER BY id DESC LIMIT 1').bind(tenant, name).first<Row>();
  return row ? toVoice(row) : undefined;
}

/** `after`: an id; it need not be there any more. */
export type Listing = { readonly tenant: string; readonly limit: number; readonly after: string | undefined; readonly order: 'asc' | 'desc' };

export async function listVoices({ tenant, limit, after, order }: Listing, env: Env): Promise<Voice[]> {
  const [sign, edge] = order === 'desc' ? ['<', '~'] : ['>', ''];
  const { results } = await env.DB.prepare(`SELECT * FROM voices WHERE tenant = ? AND id ${sign} ? ORDER BY id ${order} LIMIT ?`).bind(tenant, after ?? edge, limit).all<Row>();
  return results.map(toVoice);
}

export async function countVoices(tenant: string, env: Env): Promise<number> {
  return (await env.DB.prepare('SELECT COUNT(*) AS count FROM voices WHERE tenant = ?').bind(tenant).first<number>('count')) ?? 0;
}

/** For a batch. */
export function insertVoice(voice: Voice, env: Env): D1PreparedStatement {
  const { id, tenant, name, description, language, promptKey, modelRevision, recording, consent, report, createdMs } = voice;
  return env.DB.prepare('INSERT INTO voices (id, tenant, name, description, language, prompt_key, model_revision, recording, consent, report, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').bind(id, tenant, name, description, language ?? null, promptKey, modelRevision, recording ?? null, consent, JSON.stringify(report), createdMs);
}

/** For a batch. Everything but id, tenant, consent and time; changes nothing when the voice is gone. */
export function updateVoice({ id, tenant, name, description, language, promptKey, modelRevision, recording, report }: Voice, env: Env): D1PreparedStatement {
  return env.DB.prepare('UPDATE voices SET name = ?, description = ?, language = ?, prompt_key = ?, model_revision = ?, recording = ?, report = ? WHERE id = ? AND tenant = ?').bind(name, description, language ?? null, promptKey, modelRevision, recording ?? null, JSON.stringify(report), id, tenant);
}

function toVoice({ id, tenant, name, description, language, prompt_key, model_revision, recording, consent, report, created_ms }: Row): Voice {
  return { id, tenant, name, description, language: language ?? undefined, promptKey: prompt_key, modelRevision: model_revision, recording: recording ?? undefined, consent, report: reportSchema.parse(JSON.parse(report)), createdMs: created_ms };
}
