/** Reads the audit: what was done with a tenant's keys, voices and consents, and by whom. */
import type { AuditEvent } from '../audit.ts';
import type { Env } from '../env.ts';

export type AuditRow = AuditEvent & { readonly id: number; readonly atMs: number; readonly actor: string; readonly requestId: string };

/** Of one tenant, from the newest or from the oldest. */
export async function listAudit({ tenant, limit, after, order, env }: { readonly tenant: string; readonly limit: number; readonly after: number | undefined; readonly order: 'asc' | 'desc'; readonly env: Env }): Promise<AuditRow[]> {
  const [sign, direction] = order === 'asc' ? ['>', 'ASC'] : ['<', 'DESC'];
  const from = after ?? (order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER);
  const { results } = await env.DB.prepare(`SELECT id, at_ms, actor, what, subject, request_id FROM audit WHERE tenant = ? AND id ${sign} ? ORDER BY id ${direction} LIMIT ?`)
    .bind(tenant, from, limit)
    .all<{ id: number; at_ms: number; actor: string; what: AuditEvent['what']; subject: string; request_id: string }>();
  return results.map(({ id, at_ms, actor, what, subject, request_id }) => ({ id, atMs: at_ms, actor, what, subject, requestId: request_id }));
}
