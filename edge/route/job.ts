/**
 * A job finds its node: regions from the nearest on, in each the order of `choose`, until one lets its first sound be heard.
 * Tried elsewhere is what another node may do better: it cannot be reached, is silent, full, stopping, or broke. What is wrong
 * with the job itself is wrong everywhere, and is answered at once.
 */
import { waitUntil } from 'cloudflare:workers';
import type { StreamStart, Frame } from '../../shared/contract/frames.ts';
import { warmKeyOf } from '../../shared/contract/heartbeat.ts';
import type { Region } from '../../shared/contract/heartbeat.ts';
import type { Job, JobVoice } from '../../shared/contract/job.ts';
import type { CosyError, ErrorCode } from '../../shared/errors/index.ts';
import type { Residency } from '../caller.ts';
import type { Env } from '../env.ts';
import { AttemptFailure, attempt } from './attempt.ts';
import type { AttemptContext, Opened } from './attempt.ts';
import { choose, chooseTroubled } from './choose.ts';
import type { Choice, KnownNode, Wanted } from './choose.ts';
import { nodesOf } from './directory.ts';
import { regionsFor } from './regions.ts';
import { healthOf, unanswered } from './request.ts';
import { standings } from './standing.ts';

export type RouteRequest = {
  readonly job: Job;
  /** The voice with its prompt's bytes, for a node that does not hold them. */
  readonly withPrompt: () => Promise<JobVoice>;
  /** With which the prompt was made. */
  readonly modelRevision?: string | undefined;
  /** The voice made for the model that the nodes have now; absent: as it is or not at all. */
  readonly remade?: (() => Promise<JobVoice>) | undefined;
  /** Where the caller is (`regionOf`). */
  readonly region: Region;
  readonly residency: Residency | undefined;
  /** Address of the node that just broke this job off: it is asked last. */
  readonly after?: string | undefined;
  /** Of the caller's trace (W3C Trace Context), which the node goes on with. */
  readonly traceparent?: string | undefined;
  readonly env: Env;
  readonly signal: AbortSignal;
};

/** `attempts`: nodes that were asked. `routeMs`: until the one that speaks was asked. */
export type RoutedJob = { readonly start: StreamStart; readonly frames: AsyncGenerator<Frame>; readonly node: string; readonly region: Region; readonly attempts: number; readonly routeMs: number };

/** Nodes that are asked for one job. */
const MAX_ATTEMPTS = 4;
/** Nodes that may fail from within at one job: it may be the job's fault. */
const MAX_BROKEN = 2;
/** Silence at the most, before the first sound and in the middle; what a sentence of a slow machine takes. */
const TIMEOUT_MS = 30_000;
/** A node that is full is left alone no longer than this, whatever it says. */
const MAX_REST_MS = 5000;

/** What this isolate measured of a node, beside what the node says. */
export function measured(url: string): { readonly standing: string; readonly excessMs: number } {
  return { standing: standings.standing(url), excessMs: Math.round(standings.excessMs(url)) };
}

/** A node broke a stream in the middle. */
export function brokeOff(url: string): void {
  standings.failed(url);
}

/** Throws the node's own error when the job is at fault, `overloaded` when all nodes are full, `no_node_available` when none is there. */
export async function routeJob(request: RouteRequest): Promise<RoutedJob> {
  const { env, signal, traceparent } = request;
  const timeoutMs = Number(env.NODE_TIMEOUT_MS) || TIMEOUT_MS;
  const startMs = Date.now();
  let attempts = 0;
  let broken = 0;
  let refusal: CosyError | undefined;
  for await (const { node, promisedMs } of candidates(request)) {
    const leftMs = startMs + 2 * timeoutMs - Date.now();
    if (attempts >= MAX_ATTEMPTS || broken >= MAX_BROKEN || leftMs <= 0) break;
    attempts += 1;
    const routeMs = Date.now() - startMs;
    const course = standings.begin(node.url, promisedMs);
    try {
      const opened = await withVoice(node.url, request, { env, signal, firstMs: Math.min(timeoutMs, leftMs), idleMs: timeoutMs, traceparent });
      course.heard();
      return { ...opened, node: node.url, region: node.region, attempts, routeMs };
    } catch (error) {
      const failure = error instanceof AttemptFailure ? error : undefined;
      const outcome = failure ? judge(failure) : 'answer';
      if (outcome === 'rests') course.rests(Math.min(MAX_REST_MS, failure?.refusal?.retryAfterMs ?? MAX_REST_MS));
      else if (outcome === 'fails') course.failed(failure?.kind === 'silent' ? 'silent' : 'broken');
      else course.left();
      if (outcome === 'answer') throw failure?.refusal ?? error;
      if (failure?.refusal?.code === 'internal_error') broken += 1;
      refusal = outcome === 'elsewhere' && refusal ? refusal : (failure?.refusal ?? refusal);
    }
  }
  // the nodes of the prompt's model are gone
  if (refusal?.code === 'voice_prompt_invalid' && request.remade) return routeJob({ ...request, job: { ...request.job, voice: await request.remade() }, modelRevision: undefined, remade: undefined });
  throw unanswered(refusal);
}

/** The same node again, with the prompt's bytes, when it does not hold them. */
async function withVoice(url: string, { job, withPrompt }: RouteRequest, context: AttemptContext): Promise<Opened> {
  try {
    return await attempt(url, job, context);
  } catch (error) {
    if (!(error instanceof AttemptFailure) || error.refusal?.code !== 'voice_prompt_needed') throw error;
    return await attempt(url, { ...job, voice: await withPrompt() }, context);
  }
}

/** `answer`: wrong everywhere. `rests`: the node is well and wants no more. `fails`: counts against the node. `elsewhere`: this node has another model than the prompt. */
export function judge({ kind, refusal }: AttemptFailure): 'answer' | 'rests' | 'fails' | 'elsewhere' {
  if (kind !== 'refused' || !refusal) return 'fails';
  if (refusal.code === 'voice_prompt_invalid') return 'elsewhere';
  if (RESTS.has(refusal.code)) return 'rests';
  return NODE_FAULTS.has(refusal.code) ? 'fails' : 'answer';
}

const RESTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['overloaded', 'draining', 'disk_full']);
/** What is wrong with a node and not with the job. */
const NODE_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['internal_error', 'signature_invalid', 'provider_unavailable', 'checkpoint_not_found', 'checkpoint_invalid', 'hash_mismatch', 'not_found']);

/** In the order of asking: the near regions at once, the others only when those have nobody left; troubled nodes after all others. No node comes twice. */
export async function* candidates({ job, modelRevision, region, residency, after, env }: Omit<RouteRequest, 'withPrompt' | 'signal'>): AsyncGenerator<Choice> {
  const regions = regionsFor(region, residency);
  const wanted: Wanted = { warmKey: warmKeyOf(job.voice), preset: job.voice.kind === 'preset' && job.voice.name !== 'default' ? job.voice.name : undefined, modelRevision, avoid: new Set(after === undefined ? [] : [after]) };
  const all: KnownNode[] = [];
  const given = new Set<string>();
  const fresh = (choices: readonly Choice[]) => choices.filter(({ node }) => !given.has(node.url) && given.add(node.url));
  for (const group of [regions.slice(0, 2), regions.slice(2)]) {
    for (const nodes of await Promise.all(group.map((one) => nodesOf(one, env)))) {
      all.push(...nodes);
      for (const { url } of nodes) if (standings.standing(url) === 'probe') waitUntil(standings.probe(url, async (node) => (await healthOf(node)) !== undefined));
      yield* fresh(choose(nodes, wanted, { standings }));
    }
  }
  // nodes of another model refuse the prompt: then it is made for them
  if (modelRevision !== undefined) yield* fresh(choose(all, { ...wanted, modelRevision: undefined }, { standings }));
  // the node that broke this job off may have come back, or only one thread of it went down
  yield* fresh(choose(all.filter(({ url }) => url === after), { ...wanted, avoid: new Set() }, { standings }));
  yield* fresh(chooseTroubled(all, { ...wanted, avoid: new Set() }, { standings }));
}
