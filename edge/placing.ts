/** What other stages want of nodes: a job on its node, and on the next one when that breaks off (`route/`, `stream/failover.ts`), and prompts of clips (`voices/`). */
import type { Frame } from '../shared/contract/frames.ts';
import type { Region } from '../shared/contract/heartbeat.ts';
import type { Job } from '../shared/contract/job.ts';
import type { Caller } from './caller.ts';
import type { Env } from './env.ts';
import { askNode } from './route/ask.ts';
import { brokeOff, routeJob } from './route/job.ts';
import type { RoutedJob } from './route/job.ts';
import { homeRegion } from './route/regions.ts';
import { survive } from './stream/failover.ts';
import type { AskNode } from './voices/announced.ts';
import type { ResolvedVoice } from './voices/resolve.ts';

export type PlaceContext = {
  readonly voice: Pick<ResolvedVoice, 'withPrompt' | 'modelRevision' | 'remade'>;
  readonly caller: Pick<Caller, 'residency'>;
  /** Where the caller is; absent: where this Worker is. */
  readonly region?: Region | undefined;
  /** Of the caller's trace. */
  readonly traceparent?: string | undefined;
  readonly env: Env;
  readonly signal: AbortSignal;
};

/** `frames` begin with `start` and go on over seams. `headers`: which region speaks. */
export type PlacedJob = Pick<RoutedJob, 'node' | 'region' | 'attempts' | 'routeMs'> & { readonly frames: AsyncGenerator<Frame>; readonly headers: Readonly<Record<string, string>> };

/** Throws as `routeJob`, and in the middle as `survive`. */
export async function placeJob(job: Job, { voice, caller, region, traceparent, env, signal }: PlaceContext): Promise<PlacedJob> {
  const untilMs = job.deadlineMs === undefined ? undefined : Date.now() + job.deadlineMs;
  const request = { withPrompt: voice.withPrompt, modelRevision: voice.modelRevision, remade: voice.remade, region: region ?? homeRegion(env), residency: caller.residency, traceparent, env, signal };
  const routed = await routeJob({ ...request, job });
  const frames = survive(routed, {
    format: job.format,
    goOn: ({ resume, seed, after }) => routeJob({ ...request, after, job: { ...job, resume, seed, deadlineMs: untilMs === undefined ? undefined : Math.max(1, untilMs - Date.now()) } }),
    onBreak: brokeOff,
    signal,
  });
  const { node, attempts, routeMs } = routed;
  return { node, region: routed.region, attempts, routeMs, frames, headers: { 'x-region': routed.region } };
}

/** How the stage of voices asks a node. Not ended by the request: what a node computes is for the next one too. */
export function asking({ caller, region, env }: Pick<PlaceContext, 'caller' | 'region' | 'env'>): AskNode {
  return (request) => askNode(request, { env, signal: new AbortController().signal, region: region ?? homeRegion(env), residency: caller.residency });
}
