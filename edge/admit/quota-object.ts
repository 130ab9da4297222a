/** Durable Object of one tenant: its quota, its places, its usage until it is written down, its answers under idempotency keys. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import { AnswerBook } from './answer-book.ts';
import type { Begun, KeptAnswer } from './answer-book.ts';
import { writeUsage } from './catalogue.ts';
import { QuotaLedger } from './ledger.ts';
import type { Answer, Message, UsageRow } from './message.ts';

/** Counts reach the catalogue within this time; until then `usage()` has them. */
const WRITE_AFTER_MS = 5_000;
/** The catalogue did not take them. */
const WRITE_AGAIN_MS = 30_000;
/** Keys times days in one batch. */
const WRITE_ROWS = 100;
const PRUNE_AFTER_MS = 10 * 60_000;

export class TenantQuota extends DurableObject<Env> {
  readonly #storage: DurableObjectStorage;
  readonly #ledger: QuotaLedger;
  readonly #answers: AnswerBook;
  #alarmMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = ctx.storage;
    this.#ledger = new QuotaLedger(ctx.storage.sql);
    this.#answers = new AnswerBook(ctx.storage.sql);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmMs = await ctx.storage.getAlarm();
    });
  }

  /** All or nothing; on disk before the answer leaves. */
  exchange(message: Message): Answer {
    const answer = this.#storage.transactionSync(() => {
      this.#ledger.remember(message.tenant);
      return this.#ledger.exchange(message, Date.now());
    });
    this.#wakeWithin(WRITE_AFTER_MS);
    return answer;
  }

  /** Rows that the catalogue may not have yet. */
  usage(): UsageRow[] {
    return this.#ledger.usage.unwritten(-1);
  }

  /** See `AnswerBook`. */
  begin(key: string, bodyHash: string): Begun {
    this.#wakeWithin(PRUNE_AFTER_MS);
    return this.#storage.transactionSync(() => this.#answers.begin({ key, bodyHash, nowMs: Date.now() }));
  }

  /** Keeps the answer; without one the key is free again (`retry`) or remembered alone. */
  finish(key: string, token: string, end: KeptAnswer | 'done' | 'retry'): void {
    this.#storage.transactionSync(() => this.#answers.finish({ key, token, end, nowMs: Date.now() }));
  }

  override async alarm(): Promise<void> {
    this.#alarmMs = null;
    const nowMs = Date.now();
    this.#storage.transactionSync(() => {
      this.#ledger.expire(nowMs);
      this.#ledger.prune(nowMs);
      this.#answers.prune(nowMs);
    });
    const rows = this.#ledger.usage.unwritten(WRITE_ROWS);
    const written = await writeUsage(this.env.DB, this.#ledger.tenant, rows).then(() => true, () => false);
    if (written) this.#ledger.usage.written(rows);
    const nextMs = this.#ledger.nextExpiryMs();
    if (!written) this.#wakeWithin(WRITE_AGAIN_MS);
    else if (this.#ledger.usage.unwritten(1).length > 0) this.#wakeWithin(WRITE_AFTER_MS);
    else if (nextMs !== undefined) this.#wakeWithin(Math.max(WRITE_AFTER_MS, nextMs - Date.now()));
    else if (this.#ledger.remembers || this.#answers.remembers) this.#wakeWithin(PRUNE_AFTER_MS);
  }

  #wakeWithin(ms: number): void {
    const atMs = Date.now() + ms;
    if (this.#alarmMs !== null && this.#alarmMs <= atMs) return;
    this.#alarmMs = atMs;
    // written with the next commit; an alarm that cannot be set breaks the object, which is then made anew
    void this.#storage.setAlarm(atMs);
  }
}
