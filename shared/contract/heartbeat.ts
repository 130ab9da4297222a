/** What a node tells its edges about itself, every few seconds and whenever it changes: one signed JSON document. Both sides validate with the same schema. */
import { z } from 'zod';
import type { JobVoice } from './job.ts';

/** Where nodes stand. `local` is one machine or one network: near to everyone, and inside no jurisdiction. */
export const REGIONS = ['local', 'na-west', 'na-east', 'sa', 'eu', 'me', 'af', 'asia', 'oc'] as const;
/** One of `REGIONS`. */
export type Region = (typeof REGIONS)[number];

/** Where a heartbeat is sent, on any edge. */
export const HEARTBEAT_PATH = '/v1/nodes/heartbeat';
/** Voices that a node names as warm, the latest used first. */
export const MAX_WARM_VOICES = 64;

/** A node is gone when this many of its periods have passed in silence. */
export const MISSED_PERIODS = 3;

export const heartbeatSchema = z.object({
  version: z.literal(1),
  /** Name for people; several processes may share it. */
  node: z.string().regex(/^[\w.-]{1,64}$/),
  /** Of one process from start to end. */
  instance: z.string().regex(/^[\w-]{8,64}$/),
  /** Grows with each heartbeat of the process, so that one that was late changes nothing. */
  sequence: z.int().min(0),
  /** Where edges reach it. */
  url: z.url({ protocol: /^https?$/ }).max(300),
  region: z.enum(REGIONS),
  device: z.string().max(64),
  release: z.string().max(64),
  models: z.array(z.string().max(100)).max(16),
  /** What prompts must be made with; absent: it does not say. */
  modelRevision: z.string().min(1).max(200).optional(),
  /** Speakers of its checkpoint by name; empty: it does not say. */
  presets: z.array(z.string().max(200)).max(512),
  running: z.int().min(0),
  waiting: z.int().min(0),
  /** Jobs that run at once. */
  capacity: z.int().min(1),
  /** What a job that came now would wait for its first sound. */
  firstAudioMs: z.number().min(0).max(3_600_000),
  /** Keys of voices that need no preparation (`warmKeyOf`). */
  warmVoices: z.array(z.string().max(200)).max(MAX_WARM_VOICES),
  /** `draining`: it finishes what it has; `gone`: its last word. */
  state: z.enum(['ready', 'draining', 'gone']),
  periodMs: z.int().min(100).max(60_000),
});

export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** Name of a job's voice among the warm ones; undefined for a clip, which no other job has. */
export function warmKeyOf(voice: JobVoice): string | undefined {
  if (voice.kind === 'preset') return `preset/${voice.name}`;
  return voice.kind === 'prompt' ? voice.key : undefined;
}
