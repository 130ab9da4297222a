/** Requests about voices: to one node, whichever answers, or to all of them. */
import type { Region } from '../../shared/contract/heartbeat.ts';
import { REGIONS } from '../../shared/contract/heartbeat.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Residency } from '../caller.ts';
import type { Env } from '../env.ts';
import { choose, prevailingFirst } from './choose.ts';
import type { KnownNode } from './choose.ts';
import { nodesOf } from './directory.ts';
import { regionsFor } from './regions.ts';
import { nodeError, requestNode, unanswered } from './request.ts';
import type { NodeRequest } from './request.ts';
import { standings } from './standing.ts';

export type AskContext = { readonly env: Env; readonly signal: AbortSignal; readonly region: Region; readonly residency: Residency | undefined };

const MAX_ATTEMPTS = 3;
/** What is only looked up, and enrolment of a clip of 30 s on a slow machine. */
const LOOK_UP_MS = 3000;
const WORK_MS = 60_000;

/** The answer of the first node that gives one. Throws the node's own refusal, or `no_node_available`. */
export async function askNode(request: NodeRequest, { env, signal, region, residency }: AskContext): Promise<Response> {
  const nodes: KnownNode[] = (await Promise.all(regionsFor(region, residency).map((one) => nodesOf(one, env)))).flat();
  const byRegion = regionsFor(region, residency).flatMap((one) => choose(nodes.filter((node) => node.region === one), ANY, { standings }));
  const order = new Map(prevailingFirst(byRegion.map(({ node }) => node)).map((node, i) => [node.url, i]));
  let refusal: CosyError | undefined;
  for (const { node, promisedMs } of byRegion.toSorted((a, b) => (order.get(a.node.url) ?? 0) - (order.get(b.node.url) ?? 0)).slice(0, MAX_ATTEMPTS)) {
    const course = standings.begin(node.url, promisedMs);
    const limit = limitOf(request);
    try {
      const response = await requestNode(node.url, request, { env, signal: AbortSignal.any([signal, limit]) });
      course.left();
      if (response.ok) return response;
      refusal = (await nodeError(response)) ?? refusal;
      if (refusal && !refusal.retryable && refusal.code !== 'signature_invalid') throw refusal;
    } catch (error) {
      if (error === refusal || signal.aborted) throw error;
      course.failed(limit.aborted ? 'silent' : 'broken');
    }
  }
  throw unanswered(refusal);
}

function limitOf({ method }: NodeRequest): AbortSignal {
  return AbortSignal.timeout(method === 'POST' ? WORK_MS : LOOK_UP_MS);
}

const ANY = { warmKey: undefined, preset: undefined, avoid: new Set<string>() };

/** To every node that is known, draining ones included, at once. Never throws: an answer that did not come is undefined. */
export async function askAllNodes(request: NodeRequest, { env, signal, residency }: Omit<AskContext, 'region'>): Promise<{ readonly node: string; readonly response: Response | undefined }[]> {
  const nodes = (await Promise.all((residency === undefined ? REGIONS : [residency]).map((region) => nodesOf(region, env)))).flat();
  return Promise.all(nodes.map(async ({ url }) => ({ node: url, response: await requestNode(url, request, { env, signal: AbortSignal.any([signal, limitOf(request)]) }).catch(() => undefined) })));
}
