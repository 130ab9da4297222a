/**
 * The node tells its edges about itself: every few seconds, and at once when something changed that edges choose by. Signed
 * like jobs are. An edge that does not answer is told again with the next one; the node speaks meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { HEARTBEAT_PATH, MAX_WARM_VOICES, warmKeyOf } from '../../shared/contract/heartbeat.ts';
import type { Heartbeat } from '../../shared/contract/heartbeat.ts';
import type { Frame } from '../../shared/contract/frames.ts';
import type { Job, JobVoice } from '../../shared/contract/job.ts';
import { SIGNATURE_HEADER, sign } from '../../shared/signing/index.ts';
import type { SigningKey } from '../../shared/signing/index.ts';

/** What a node says of itself each time; the rest of a heartbeat is counted here. */
export type NodeState = Omit<Heartbeat, 'version' | 'instance' | 'sequence' | 'periodMs'>;

export type HeartbeatOptions = {
  /** Base URLs. */
  readonly edges: readonly string[];
  readonly key: SigningKey;
  readonly describe: () => NodeState;
  readonly periodMs?: number;
  /** Told once when an edge does not take heartbeats, once when it does again, and of a clock that is off. One line each. */
  readonly onChange?: (line: string) => void;
};

/** `now`: sends at once and resolves when every edge answered or did not. `soon`: what edges choose by has changed. `stop`: the last word. */
export type Heartbeats = { readonly now: () => Promise<void>; readonly soon: () => void; readonly stop: () => Promise<void> };

const PERIOD_MS = 2000;
/** Nodes that started together shall not stay together. */
const JITTER = 0.2;
const TIMEOUT_MS = 3000;
/** Changes within this time are told together. */
const SOON_MS = 50;
/** Clocks further apart than this are mentioned, long before signatures are refused. */
const MENTIONED_SKEW_MS = 60_000;

/** The first heartbeat leaves with the first `now`, the others follow by themselves. */
export function startHeartbeats({ edges, key, describe, periodMs = PERIOD_MS, onChange }: HeartbeatOptions): Heartbeats {
  const instance = randomUUID();
  const troubles = new Map<string, string>();
  let sequence = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const mention = (edge: string, trouble: string): void => {
    if ((troubles.get(edge) ?? '') === trouble) return;
    troubles.set(edge, trouble);
    onChange?.(trouble === '' ? `${edge} takes heartbeats.` : `${edge} ${trouble}`);
  };

  const tell = async (edge: string, state: NodeState): Promise<void> => {
    const body = Uint8Array.from(new TextEncoder().encode(JSON.stringify({ version: 1, instance, sequence: sequence++, periodMs, ...state } satisfies Heartbeat)));
    try {
      const signature = await sign({ method: 'POST', path: HEARTBEAT_PATH, body }, key, Date.now());
      const response = await fetch(new URL(HEARTBEAT_PATH, edge), { method: 'POST', body, headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature }, signal: AbortSignal.timeout(TIMEOUT_MS) });
      const answer = (await response.json().catch(() => ({}))) as { now_ms?: number; detail?: string };
      const skewMs = Math.abs((answer.now_ms ?? Date.now()) - Date.now());
      if (!response.ok) mention(edge, `refuses heartbeats: ${String(answer.detail ?? response.status).slice(0, 200)}`);
      else mention(edge, skewMs > MENTIONED_SKEW_MS ? 'has a clock more than a minute from this machine’s.' : '');
    } catch {
      mention(edge, 'does not answer heartbeats: it is told again every few seconds.');
    }
  };

  const now = async (): Promise<void> => {
    clearTimeout(timer);
    const state = describe();
    await Promise.all(edges.map((edge) => tell(edge, state)));
    if (!stopped) plan(periodMs * (1 - JITTER * Math.random()));
  };
  const plan = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void now(), ms);
    timer.unref();
  };

  return {
    now,
    soon: () => {
      if (!stopped) plan(SOON_MS);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      const state = describe();
      await Promise.all(edges.map((edge) => tell(edge, { ...state, state: 'gone' })));
    },
  };
}

/** Weight of the newest job in the running mean. */
const NEWEST = 0.2;

/** What heartbeats say of the jobs so far: voices that were spoken lately, and how long the first sound took. Owned by one node. */
export class Recent {
  readonly #voices = new Set<string>();
  #firstMs = 0;

  /** The latest first; the node may have dropped the last of them. */
  get voices(): string[] {
    return [...this.#voices].toReversed();
  }

  /** From a job's turn to its first sound, lately. */
  get firstMs(): number {
    return this.#firstMs;
  }

  /** The same frames. `waitMs`: what the node promised for the job's turn. `onNewVoice`: a voice is warm that was not. */
  async *watch(job: Pick<Job, 'voice'>, frames: AsyncGenerator<Frame>, { waitMs, onNewVoice }: { readonly waitMs: number; readonly onNewVoice: () => void }): AsyncGenerator<Frame> {
    const startMs = performance.now();
    let first = true;
    for await (const frame of frames) {
      if (first && frame.type === 'start') {
        const tookMs = Math.max(0, performance.now() - startMs - waitMs);
        this.#firstMs = this.#firstMs === 0 ? tookMs : this.#firstMs * (1 - NEWEST) + tookMs * NEWEST;
        if (this.#use(job.voice)) onNewVoice();
        first = false;
      }
      yield frame;
    }
  }

  /** A voice that was deleted is no longer told. */
  forget(key: string): void {
    this.#voices.delete(key);
  }

  #use(voice: JobVoice): boolean {
    const key = warmKeyOf(voice);
    if (key === undefined) return false;
    const isNew = !this.#voices.delete(key);
    this.#voices.add(key);
    for (const oldest of this.#voices) {
      if (this.#voices.size <= MAX_WARM_VOICES) break;
      this.#voices.delete(oldest);
    }
    return isNew;
  }
}
