/** `/v1/tenants`, for the operator, and `GET /v1/audit`, for every tenant its own. */
import { Hono } from 'hono';
import { z } from 'zod';
import { PLANS } from '../../shared/limits/plans.ts';
import { readJson } from '../admit/body.ts';
import { requireScope } from '../auth/authenticate.ts';
import { tenantChanged } from '../auth/keys.ts';
import { changeTenant, createTenant, listTenants, noTenant, readTenant } from '../auth/tenants.ts';
import type { Tenant } from '../auth/tenants.ts';
import { listAudit } from '../auth/trail.ts';
import type { EdgeContext } from '../env.ts';
import { actorOf } from './keys.ts';
import type { Operation } from './operation.ts';
import { accept, pageOf, pageQuery, toPage } from './page.ts';

const MAX_BODY_BYTES = 16 * 1024;

const plan = z.enum(Object.keys(PLANS) as (keyof typeof PLANS)[], { error: `must be one of ${Object.keys(PLANS).join(', ')}` });
const residency = z.enum(['eu']).nullable();
/** Stands in keys of stores, in the name of an object and in a header. `local` is everyone's where keys are off. */
const id = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be 1 to 63 small letters, digits, - or _').refine((value) => value !== 'local', 'is taken');

const createSchema = z.object({ id, plan: plan.default('standard'), residency: residency.default(null) });
const changeSchema = z.object({ plan: plan.optional(), residency: residency.optional() });
const tenantSchema = z.object({ id: z.string(), object: z.literal('tenant'), plan: z.string(), residency, created_at: z.int() });
const auditSchema = z.object({ id: z.string(), object: z.literal('audit_event'), at: z.string(), actor: z.string(), what: z.string(), subject: z.string(), request_id: z.string() });

const json = (schema: z.ZodType) => [{ type: 'application/json', schema }];

export const tenantOperations: readonly Operation[] = [
  { method: 'post', path: '/v1/tenants', id: 'createTenant', tag: 'keys', summary: 'Make a tenant', scope: 'admin', body: json(createSchema), answers: { 201: { description: 'The tenant.', content: json(tenantSchema) } } },
  { method: 'get', path: '/v1/tenants', id: 'listTenants', tag: 'keys', summary: 'Tenants by id', scope: 'admin', query: pageQuery.omit({ order: true }), answers: { 200: { description: 'A page.', content: json(pageOf(tenantSchema)) } } },
  { method: 'get', path: '/v1/tenants/{id}', id: 'getTenant', tag: 'keys', summary: 'One tenant', scope: 'admin', answers: { 200: { description: 'The tenant.', content: json(tenantSchema) } } },
  { method: 'patch', path: '/v1/tenants/{id}', id: 'updateTenant', tag: 'keys', summary: 'Change plan or residency; what exists stays where it is', scope: 'admin', body: json(changeSchema), answers: { 200: { description: 'The tenant.', content: json(tenantSchema) } } },
  { method: 'get', path: '/v1/audit', id: 'listAudit', tag: 'keys', summary: 'What was done with keys, voices and consents', scope: 'keys', query: pageQuery, answers: { 200: { description: 'A page.', content: json(pageOf(auditSchema)) } } },
];

export const tenants = new Hono<EdgeContext>();

tenants.use(async (c, next) => {
  requireScope(c.get('caller'), 'admin');
  await next();
});

tenants.post('/', async (c) => {
  const wanted = accept(createSchema, await readJson(c.req.raw, MAX_BODY_BYTES));
  return c.json(shown(await createTenant({ ...wanted, residency: wanted.residency ?? undefined }, actorOf(c), c.env)), 201);
});

tenants.get('/', async (c) => {
  const { limit, after } = accept(pageQuery, c.req.query());
  return c.json(toPage((await listTenants({ limit: limit + 1, after, env: c.env })).map(shown), limit));
});

tenants.get('/:id', async (c) => {
  const tenant = await readTenant(c.req.param('id'), c.env);
  if (!tenant) throw noTenant(c.req.param('id'));
  return c.json(shown(tenant));
});

tenants.patch('/:id', async (c) => {
  const change = accept(changeSchema, await readJson(c.req.raw, MAX_BODY_BYTES));
  const tenant = await changeTenant(c.req.param('id'), change, actorOf(c), c.env);
  tenantChanged(tenant);
  return c.json(shown(tenant));
});

export const audit = new Hono<EdgeContext>();

audit.get('/', async (c) => {
  requireScope(c.get('caller'), 'keys');
  const { limit, after, order } = accept(pageQuery, c.req.query());
  const from = after === undefined ? undefined : Number(/^audit_(\d{1,15})$/.exec(after)?.[1] ?? (order === 'asc' ? Number.MAX_SAFE_INTEGER : 0));
  const rows = await listAudit({ tenant: c.get('caller').tenant, limit: limit + 1, after: from, order, env: c.env });
  return c.json(toPage(rows.map(({ id: row, atMs, actor, what, subject, requestId }) => ({ id: `audit_${row}`, object: 'audit_event', at: new Date(atMs).toISOString(), actor, what, subject, request_id: requestId })), limit));
});

function shown({ id: name, plan: tariff, residency: place, createdMs }: Tenant): z.infer<typeof tenantSchema> {
  return { id: name, object: 'tenant', plan: tariff, residency: place ?? null, created_at: Math.floor(createdMs / 1000) };
}
