/**
 * The nodes this isolate knows, by region: those that send heartbeats, as the region's registry last told, and those that the
 * settings name. A request reads what is there; what is older than a second is asked for again behind its back, and only an
 * isolate that knows nothing yet waits for the registry.
 */
import { waitUntil } from 'cloudflare:workers';
import { REGIONS } from '../../shared/contract/heartbeat.ts';
import type { Region } from '../../shared/contract/heartbeat.ts';
import type { Env } from '../env.ts';
import type { KnownNode } from './choose.ts';
import { LOCATION_HINTS, homeRegion } from './regions.ts';
import { healthOf } from './request.ts';
import type { NodeRegistry, RegisteredNode } from './registry-object.ts';

/** What was told is fresh for so long; later it is used while the registry is asked again. */
const FRESH_MS = 1000;
/** After so long without a request much may have changed: the registry is given a moment to say so. */
const OLD_MS = 10_000;
const PATIENCE_MS = 250;
/** What is older is used no more. */
const USABLE_MS = 60_000;
/** An isolate that knows nothing waits so long for a registry. */
const REGISTRY_TIMEOUT_MS = 3000;
/** How often a node of the settings is asked for its health while there are requests. */
const PROBE_EVERY_MS = 2000;

type Told = { readonly nodes: readonly KnownNode[]; readonly atMs: number };
type Health = { readonly firstAudioMs: number; readonly draining: boolean; readonly modelRevision: string | undefined };

const told = new Map<Region, Told>();
const healths = new Map<string, Health>();
/** When a question was last sent, so that one at a time is under way. */
const askedMs = new Map<string, number>();

/** Nodes of one region, without waiting once it was asked for before. Never throws: a registry that fails has no nodes. */
export async function nodesOf(region: Region, env: Env): Promise<readonly KnownNode[]> {
  const registered = await registeredIn(region, env);
  const known = new Set(registered.map(({ url }) => url));
  return [...registered, ...staticNodes(env).filter((node) => node.region === region && !known.has(node.url))];
}

/** The registry of a region, asked now. Throws when it does not answer. */
export function readRegistry(region: Region, env: Env): Promise<RegisteredNode[]> {
  return registryOf(region, env).nodes();
}

/** The object that keeps a region's nodes; that of the EU stays in the EU. */
export function registryOf(region: Region, env: Env): DurableObjectStub<NodeRegistry> {
  const hint = LOCATION_HINTS[region];
  return namespace(region, env).getByName(region, hint === undefined ? {} : { locationHint: hint });
}

function namespace(region: Region, env: Env): DurableObjectNamespace<NodeRegistry> {
  if (region !== 'eu') return env.REGISTRY;
  try {
    return env.REGISTRY.jurisdiction('eu');
  } catch {
    return env.REGISTRY; // workerd on one machine has no jurisdictions
  }
}

async function registeredIn(region: Region, env: Env): Promise<readonly KnownNode[]> {
  const last = told.get(region);
  const ageMs = last ? Date.now() - last.atMs : Infinity;
  if (last && ageMs < FRESH_MS) return last.nodes;
  const asking = due(`registry ${region}`, REGISTRY_TIMEOUT_MS, Date.now()) || ageMs > USABLE_MS ? ask(region, env) : undefined;
  if (!last || ageMs > USABLE_MS) return (await within(REGISTRY_TIMEOUT_MS, asking))?.nodes ?? [];
  if (asking) waitUntil(asking);
  return ageMs < OLD_MS ? last.nodes : ((await within(PATIENCE_MS, asking)) ?? last).nodes;
}

async function ask(region: Region, env: Env): Promise<Told | undefined> {
  try {
    const rows = await readRegistry(region, env);
    const answer = { nodes: rows.map(fromHeartbeat), atMs: Date.now() };
    told.set(region, answer);
    askedMs.delete(`registry ${region}`);
    return answer;
  } catch {
    return undefined; // nodes of the settings, and what was told before, are still there
  }
}

/** Undefined when it takes longer. */
async function within<T>(limitMs: number, work: Promise<T | undefined> | undefined): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), limitMs)));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function fromHeartbeat({ heartbeat }: RegisteredNode): KnownNode {
  const { url, region, firstAudioMs, modelRevision, presets, warmVoices, state } = heartbeat;
  return { url: base(url), region, firstAudioMs, modelRevision, presets, warmVoices: new Set(warmVoices), draining: state !== 'ready', heartbeat };
}

/** Of `NODES`: `URL` or `REGION=URL`, separated by blanks. */
export function staticNodes(env: Env): KnownNode[] {
  const own = homeRegion(env);
  return (env.NODES ?? '').split(/\s+/).filter(Boolean).map((entry) => {
    const region = REGIONS.find((name) => entry.startsWith(`${name}=`));
    const url = base(region ? entry.slice(region.length + 1) : entry);
    const health = lastHealth(url);
    return { url, region: region ?? own, firstAudioMs: health?.firstAudioMs ?? 0, draining: health?.draining ?? false, modelRevision: health?.modelRevision, presets: [], warmVoices: new Set(), heartbeat: undefined };
  });
}

function lastHealth(url: string): Health | undefined {
  if (due(`health ${url}`, PROBE_EVERY_MS, Date.now())) waitUntil(probe(url));
  return healths.get(url);
}

/** A node that does not answer here is found out by its jobs: this only learns what it says. */
async function probe(url: string): Promise<void> {
  const health = await healthOf(url);
  const modelRevision = health?.['modelRevision'];
  if (health) healths.set(url, { draining: health['status'] === 'draining', firstAudioMs: Number(health['firstAudioMs'] ?? health['estimatedWaitMs']) || 0, modelRevision: typeof modelRevision === 'string' ? modelRevision : undefined });
  else healths.delete(url);
}

/** Whether a question may be sent: none is under way, or it was lost. */
function due(name: string, everyMs: number, nowMs: number): boolean {
  if (nowMs - (askedMs.get(name) ?? -Infinity) < everyMs) return false;
  askedMs.set(name, nowMs);
  return true;
}

function base(url: string): string {
  return new URL(url).origin;
}
