/** Durable Object of one region: the nodes that sent a heartbeat lately. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';

export class NodeRegistry extends DurableObject<Env> {}
