/** Who agreed to be imitated: a row in D1, and in R2 the recording or the words. A voice names the consent it stands on. */
import { auditRow } from '../audit.ts';
import type { Caller } from '../caller.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { newId } from './catalogue.ts';
import type { Listing } from './catalogue.ts';
import { consentObject, deleteObjects, writeConsent } from './objects.ts';

export type Consent = { readonly id: string; readonly tenant: string; readonly name: string; readonly language: string | undefined; readonly kind: 'recording' | 'statement'; readonly createdMs: number };

export type ConsentContext = { readonly caller: Caller; readonly requestId: string; readonly env: Env };

/** A recording of the speaker, or words in which the one who asks answers for it. */
export type NewConsent = { readonly name: string; readonly language: string | undefined; readonly recording: Uint8Array } | { readonly name: string; readonly language: string | undefined; readonly statement: string };

type Row = { id: string; tenant: string; name: string; language: string | null; kind: Consent['kind']; created_ms: number };

/** Its content is in R2 when this returns; the statements are for the caller's batch, so that a consent is there or not as a whole. */
export async function prepareConsent(given: NewConsent, { caller, requestId, env }: ConsentContext): Promise<{ readonly consent: Consent; readonly statements: readonly D1PreparedStatement[] }> {
  const { name, language } = given;
  const kind = 'recording' in given ? 'recording' : 'statement';
  const consent: Consent = { id: newId('cons'), tenant: caller.tenant, name, language, kind, createdMs: Date.now() };
  await writeConsent(consent.id, 'recording' in given ? given.recording : given.statement, caller, env);
  const statements = [
    env.DB.prepare('INSERT INTO consents (id, tenant, name, language, kind, created_ms) VALUES (?, ?, ?, ?, ?, ?)').bind(consent.id, consent.tenant, name, language ?? null, kind, consent.createdMs),
    auditRow(env, { what: 'consent.given', subject: consent.id }, { caller, tenant: caller.tenant, requestId }),
  ];
  return { consent, statements };
}

export async function giveConsent(given: NewConsent, context: ConsentContext): Promise<Consent> {
  const { consent, statements } = await prepareConsent(given, context);
  await context.env.DB.batch([...statements]);
  return consent;
}

/** Throws `not_found`, also for another tenant's. */
export async function readConsent(id: string, tenant: string, env: Env): Promise<Consent> {
  const row = await env.DB.prepare('SELECT * FROM consents WHERE id = ? AND tenant = ?').bind(id, tenant).first<Row>();
  if (!row) throw new CosyError('not_found', 'There is no such consent record.', { param: 'consent' });
  return toConsent(row);
}

export async function listConsents({ tenant, limit, after, order }: Listing, env: Env): Promise<Consent[]> {
  const [sign, edge] = order === 'desc' ? ['<', '~'] : ['>', ''];
  const { results } = await env.DB.prepare(`SELECT * FROM consents WHERE tenant = ? AND id ${sign} ? ORDER BY id ${order} LIMIT ?`).bind(tenant, after ?? edge, limit).all<Row>();
  return results.map(toConsent);
}

/** Throws `not_found`. */
export async function renameConsent(id: string, name: string, { caller, env }: ConsentContext): Promise<Consent> {
  await env.DB.prepare('UPDATE consents SET name = ? WHERE id = ? AND tenant = ?').bind(name, id, caller.tenant).run();
  return readConsent(id, caller.tenant, env);
}

/** Throws `not_found`, or `consent_in_use` while voices stand on it. */
export async function deleteConsent(id: string, { caller, requestId, env }: ConsentContext): Promise<void> {
  const { tenant } = await readConsent(id, caller.tenant, env);
  const [deleted] = await env.DB.batch([
    env.DB.prepare('DELETE FROM consents WHERE id = ? AND tenant = ? AND NOT EXISTS (SELECT 1 FROM voices WHERE consent = ?)').bind(id, tenant, id),
    auditConsentGone(id, { caller, requestId, env }),
  ]);
  if (!deleted?.meta.changes) throw new CosyError('consent_in_use', 'Voices stand on this consent: delete them first.', { param: 'id' });
  await deleteObjects([consentObject(id, caller)], caller, env);
}

/** Only when the row is gone: a deletion that was refused leaves no line. */
function auditConsentGone(id: string, { caller, requestId, env }: ConsentContext): D1PreparedStatement {
  return env.DB.prepare("INSERT INTO audit (at_ms, tenant, actor, what, subject, request_id) SELECT ?, ?, ?, 'consent.deleted', ?, ? WHERE NOT EXISTS (SELECT 1 FROM consents WHERE id = ?)").bind(Date.now(), caller.tenant, caller.keyId, id, requestId, id);
}

function toConsent({ id, tenant, name, language, kind, created_ms }: Row): Consent {
  return { id, tenant, name, language: language ?? undefined, kind, createdMs: created_ms };
}
