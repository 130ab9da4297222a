/** The append-only record of what was done with keys, voices and consents. Nothing here changes or deletes a row. */
import type { Caller } from './caller.ts';
import type { Env } from './env.ts';

export type AuditEvent = {
  readonly what: 'key.created' | 'key.revoked' | 'key.rotated' | 'token.minted' | 'tenant.created' | 'tenant.changed' | 'voice.created' | 'voice.deleted' | 'consent.given' | 'consent.deleted';
  /** Id of the key, voice or consent. Never a secret, a text or a name that a person gave. */
  readonly subject: string;
};

/** Written together with what it records: put it into the same `env.DB.batch`. `tenant`: whose; the caller: who did it. */
export function auditRow(env: Env, { what, subject }: AuditEvent, { caller, tenant, requestId }: { readonly caller: Caller; readonly tenant: string; readonly requestId: string }): D1PreparedStatement {
  return env.DB.prepare('INSERT INTO audit (at_ms, tenant, actor, what, subject, request_id) VALUES (?, ?, ?, ?, ?, ?)').bind(Date.now(), tenant, caller.keyId, what, subject, requestId);
}
