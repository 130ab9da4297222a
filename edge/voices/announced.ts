/** What nodes say of their checkpoint: its speakers, and the revision that prompts must be of. Asked now and then, behind requests. */
import { waitUntil } from 'cloudflare:workers';
import { announcedSchema } from '../../shared/contract/voice.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Residency } from '../caller.ts';

/** A request to one node that answers, signed and routed by the spine's choice. Throws the node's refusal or `no_node_available`. */
export type AskNode = (request: { readonly method: 'GET' | 'POST'; readonly path: string; readonly body?: Uint8Array<ArrayBuffer>; readonly contentType?: string }) => Promise<Response>;

export type Announced = { readonly presets: readonly string[]; readonly modelRevision: string };

const FRESH_MS = 15_000;

type Entry = { readonly value: Announced; readonly atMs: number; askingMs: number };
const known = new Map<Residency | 'anywhere', Entry>();

/** Waits for a node only when this isolate knows nothing yet. Throws what `ask` throws. */
export async function announced(ask: AskNode, residency: Residency | undefined): Promise<Announced> {
  const name = residency ?? 'anywhere';
  const entry = known.get(name);
  if (!entry) return (await load(ask, name)).value;
  const nowMs = Date.now();
  if (nowMs - entry.atMs > FRESH_MS && nowMs - entry.askingMs > FRESH_MS) {
    entry.askingMs = nowMs;
    waitUntil(load(ask, name).catch(() => {}));
  }
  return entry.value;
}

/** As it is now: what was known proved wrong. */
export async function announcedNow(ask: AskNode, residency: Residency | undefined): Promise<Announced> {
  return (await load(ask, residency ?? 'anywhere')).value;
}

/** A node of another model than the known one answered: the next question is about that model. */
export function learnRevision(modelRevision: string, residency: Residency | undefined): void {
  const entry = known.get(residency ?? 'anywhere');
  if (entry) known.set(residency ?? 'anywhere', { ...entry, value: { ...entry.value, modelRevision } });
}

async function load(ask: AskNode, name: Residency | 'anywhere'): Promise<Entry> {
  const parsed = announcedSchema.safeParse(await (await ask({ method: 'GET', path: '/v1/voices' })).json());
  if (!parsed.success) throw new CosyError('internal_error', 'A node describes its voices in a way this edge does not know.');
  const { model_revision: modelRevision = '', data } = parsed.data;
  const entry = { value: { presets: data.map((voice) => voice.name), modelRevision }, atMs: Date.now(), askingMs: 0 };
  known.set(name, entry);
  return entry;
}
