/** Nodes tell the edge about themselves; people see which there are. */
import { Hono } from 'hono';
import { z } from 'zod';
import { HEARTBEAT_PATH, REGIONS, heartbeatSchema } from '../../shared/contract/heartbeat.ts';
import type { Heartbeat, Region } from '../../shared/contract/heartbeat.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { SIGNATURE_HEADER, parseKeys, replayed, verifySignature } from '../../shared/signing/index.ts';
import { readBody } from '../admit/body.ts';
import { requireScope } from '../auth/authenticate.ts';
import type { EdgeContext, Env } from '../env.ts';
import { readRegistry, registryOf, staticNodes } from '../route/directory.ts';
import { measured } from '../route/job.ts';
import type { RegisteredNode } from '../route/registry-object.ts';
import type { Operation } from './operation.ts';

/** A full list of speakers and warm voices. */
const MAX_HEARTBEAT_BYTES = 256 * 1024;

/** Before the authentication: a heartbeat is signed with a node's key and needs no other. */
export const heartbeats = new Hono<EdgeContext>();

heartbeats.post('/', async (c) => {
  const body = await readBody(c.req.raw, MAX_HEARTBEAT_BYTES);
  const verified = await verifySignature({ method: 'POST', path: HEARTBEAT_PATH, body }, c.req.header(SIGNATURE_HEADER), { keys: parseKeys(c.env.NODE_KEYS), nowMs: Date.now() });
  const heartbeat = parse(body);
  const outcome = await registryOf(heartbeat.region, c.env).heartbeat(heartbeat, verified);
  if (outcome === 'replayed') throw replayed();
  if (outcome === 'full') throw new CosyError('overloaded', `The registry of ${heartbeat.region} takes no more nodes.`, { retryAfterMs: 60_000 });
  return c.json({ status: 'ok', now_ms: Date.now() });
});

const regionSchema = z.object({ id: z.enum(REGIONS), nodes: z.int(), ready: z.int(), running: z.int(), waiting: z.int() });
const nodeSchema = z.object({
  id: z.string(),
  url: z.string(),
  region: z.enum(REGIONS),
  state: z.enum(['ready', 'draining', 'unknown']),
  source: z.enum(['heartbeat', 'settings']),
  device: z.string().nullable(),
  release: z.string().nullable(),
  models: z.array(z.string()),
  running: z.int().nullable(),
  waiting: z.int().nullable(),
  capacity: z.int().nullable(),
  first_audio_ms: z.number().nullable(),
  /** How much later than that the first sound came, as this place measured it lately. */
  late_ms: z.number(),
  breaker: z.string(),
  warm_voices: z.int(),
  heard_ms_ago: z.number().nullable(),
});

/** `/v1/regions`: for every caller; a region that does not answer is left out. */
export const regions = new Hono<EdgeContext>();

regions.get('/', async (c) => {
  const all = await everything(c.env);
  const data = REGIONS.flatMap((id) => {
    const nodes = all.filter(({ heartbeat }) => heartbeat.region === id).map(({ heartbeat }) => heartbeat);
    const own = staticNodes(c.env).filter(({ region, url }) => region === id && !nodes.some((node) => new URL(node.url).origin === url)).length;
    if (nodes.length + own === 0) return [];
    const sum = (of: (node: Heartbeat) => number) => nodes.reduce((total, node) => total + of(node), 0);
    return [{ id, nodes: nodes.length + own, ready: sum(({ state }) => Number(state === 'ready')) + own, running: sum(({ running }) => running), waiting: sum(({ waiting }) => waiting) } satisfies z.infer<typeof regionSchema>];
  });
  return c.json({ object: 'list', data });
});

/** `/v1/nodes`: for the operator. */
export const nodes = new Hono<EdgeContext>();

nodes.get('/', async (c) => {
  requireScope(c.get('caller'), 'admin');
  const registered = (await everything(c.env)).map(fromHeartbeat);
  const known = new Set(registered.map(({ url }) => url));
  return c.json({ object: 'list', data: [...registered, ...staticNodes(c.env).filter(({ url }) => !known.has(url)).map(({ url, region }) => fromSettings(url, region))] });
});

async function everything(env: Env): Promise<RegisteredNode[]> {
  return (await Promise.all(REGIONS.map((region) => readRegistry(region, env).catch(() => [])))).flat();
}

function fromHeartbeat({ heartbeat, agoMs }: RegisteredNode): z.infer<typeof nodeSchema> {
  const { node, region, state, device, release, models, running, waiting, capacity, firstAudioMs, warmVoices } = heartbeat;
  const url = new URL(heartbeat.url).origin;
  const { standing, excessMs } = measured(url);
  return { id: node, url, region, state: state === 'ready' ? 'ready' : 'draining', source: 'heartbeat', device, release, models, running, waiting, capacity, first_audio_ms: firstAudioMs, late_ms: excessMs, breaker: standing, warm_voices: warmVoices.length, heard_ms_ago: agoMs };
}

function fromSettings(url: string, region: Region): z.infer<typeof nodeSchema> {
  const { standing, excessMs } = measured(url);
  return { id: new URL(url).host, url, region, state: 'unknown', source: 'settings', device: null, release: null, models: [], running: null, waiting: null, capacity: null, first_audio_ms: null, late_ms: excessMs, breaker: standing, warm_voices: 0, heard_ms_ago: null };
}

function parse(body: Uint8Array): Heartbeat {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new CosyError('invalid_json', 'The heartbeat is not valid JSON.');
  }
  const parsed = heartbeatSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CosyError('invalid_value', `The heartbeat's ${issue?.path.join('.') || 'body'} is wrong: node and edge may be of different releases.`);
}

const list = (data: z.ZodType) => [{ type: 'application/json', schema: z.object({ object: z.literal('list'), data: z.array(data) }) }];

export const nodeOperations: readonly Operation[] = [
  { method: 'get', path: '/v1/regions', id: 'listRegions', tag: 'system', summary: 'Regions that have nodes, and how busy they are', scope: 'speech', answers: { 200: { description: 'The regions', content: list(regionSchema) } } },
  { method: 'get', path: '/v1/nodes', id: 'listNodes', tag: 'system', summary: 'Nodes, what they say of themselves and what was measured', scope: 'admin', answers: { 200: { description: 'The nodes', content: list(nodeSchema) } } },
];
