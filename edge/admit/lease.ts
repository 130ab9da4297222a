/**
 * One isolate's side of a tenant's limits. A quiet tenant costs one round trip per request; a busy one is granted a small
 * block for the next second, from which requests are admitted without asking. What is over is told to the object in one
 * message for many. State is plain data: requests share it, but none waits for another's I/O.
 */
import { BLOCK_MS, LEASE_MS, RENEW_MS, RESEND_MS } from './message.ts';
import type { Answer, Block, Figures, Message, Refusal, Running, Settled } from './message.ts';

/** Requests within a second from which on a tenant is busy. */
const BUSY = 4;
/** A busy tenant's endings are told together this often. */
const GATHER_MS = 100;
/** A block is asked for at most this often: what was granted needs time to be spent before more of the limits are out. */
const WANT_AGAIN_MS = BLOCK_MS / 10;
/** Waits between sendings of one message; an object that restarts is back within the first. */
const RETRY_MS = [0, 100, 1000, 5000];
/** Of them, while a listener waits. */
const RETRIES_WAITING = 2;

/** In a quiet moment after it the lease is replaced, so that no miscount of its places is for ever. */
const MAX_LEASE_MS = 10 * 60_000;

export type Send = (message: Message) => Promise<Answer>;

/** Of one request in the lease. */
export type Place = {
  readonly figures: Figures;
  /** What was delivered so far, cumulative. */
  readonly progress: (characters: number, audioMs: number) => void;
  /** Says that the request lives, and tells the object about all that runs when it is time. */
  readonly beat: (send: Send) => Promise<void>;
  /** Resolves when the object knows, or another request is telling it. The first call counts. */
  readonly settle: (end: Pick<Settled, 'characters' | 'audioMs' | 'served' | 'cached'>, send: Send) => Promise<void>;
  /** After the end: gives back what was granted in advance, should no other request come for it. */
  readonly rest: (send: Send) => Promise<void>;
};

type Entry = { readonly running: Running; readonly touchedMs: number };

export class TenantLease {
  readonly #tenant: string;
  readonly #plan: string;
  #id: string = crypto.randomUUID();
  #bornMs = Date.now();
  #seq = 0;
  /** When the message was sent whose answer came last: until `LEASE_MS` after it the object surely knows the lease. */
  #knownMs = -Infinity;
  #reportedMs = -Infinity;
  #block: Block = { requests: 0, characters: 0, streams: 0 };
  #blockEndsMs = 0;
  #wantedMs = 0;
  #restsUntilMs = 0;
  #figures: Figures = {};
  #entries = new Map<string, Entry>();
  #outbox: Settled[] = [];
  /** Sent without an answer: sent again as they were. */
  #unanswered: { readonly message: Message; readonly sentMs: number }[] = [];
  #second = { startMs: 0, requests: 0, characters: 0, before: 0, charactersBefore: 0 };

  constructor(tenant: string, plan: string) {
    this.#tenant = tenant;
    this.#plan = plan;
  }

  /** Nothing would be lost without it. */
  get idle(): boolean {
    return this.#entries.size === 0 && this.#outbox.length === 0 && this.#unanswered.length === 0;
  }

  /** A place, or why not; throws when the object does not answer. `ask: false` admits without asking. */
  async admit({ key, characters, once, ask, send }: { readonly key: string; readonly characters: number; readonly once: string | undefined; readonly ask: boolean; readonly send: Send }): Promise<Place | (Refusal & { readonly figures: Figures })> {
    this.#count(characters);
    if (ask && !this.#spend(characters)) {
      const { granted, refused } = await this.#exchange(send, RETRIES_WAITING, { need: { characters, want: this.#wanted() } });
      if (granted) this.#keep({ requests: granted.requests - 1, characters: granted.characters - characters, streams: granted.streams - 1 });
      // what is left may be what another request was granted in advance meanwhile
      else if (!this.#spend(characters)) return { ...(refused ?? { code: 'rate_limit_exceeded', what: 'requests', retryAfterMs: BLOCK_MS }), figures: this.#withBlock() };
    }
    return this.#place(key, characters, once);
  }

  /** What the object says is left, of whatever is going on. */
  async look(send: Send): Promise<Figures> {
    await this.#exchange(send, 1, {});
    return this.#withBlock();
  }

  #place(key: string, reserved: number, once: string | undefined): Place {
    const reservation = crypto.randomUUID();
    this.#entries.set(reservation, { running: { reservation, key, reserved, characters: 0, audioMs: 0, ...(once === undefined ? {} : { once }) }, touchedMs: Date.now() });
    return {
      figures: this.#withBlock(),
      progress: (characters, audioMs) => this.#touch(reservation, { characters: Math.min(characters, reserved), audioMs }),
      beat: async (send) => {
        this.#touch(reservation, {});
        this.#endUntouched();
        if (Date.now() - this.#reportedMs >= RENEW_MS / 2) await this.#exchange(send, RETRY_MS.length, {}, true).catch(() => {});
      },
      settle: (end, send) => this.#settle(reservation, end, send),
      rest: (send) => this.#rest(send),
    };
  }

  async #settle(reservation: string, end: Pick<Settled, 'characters' | 'audioMs' | 'served' | 'cached'>, send: Send): Promise<void> {
    if (!this.#end(reservation, end)) return;
    if (this.#busy) await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    // told together with another's, which also tries again should it have to
    if (this.#unanswered.length === 0 && !this.#outbox.some((settled) => settled.reservation === reservation)) return;
    await this.#exchange(send, RETRY_MS.length, {});
  }

  async #rest(send: Send): Promise<void> {
    const now = Date.now();
    if (now < this.#restsUntilMs || this.#block.streams === 0) return;
    this.#restsUntilMs = Math.max(now, this.#blockEndsMs) + GATHER_MS;
    await new Promise((resolve) => setTimeout(resolve, this.#restsUntilMs - now));
    if (this.#block.streams > 0 && Date.now() >= this.#blockEndsMs) await this.#exchange(send, RETRY_MS.length, {});
  }

  /** False when it ended before. */
  #end(reservation: string, end: Pick<Settled, 'characters' | 'audioMs' | 'served' | 'cached'>): boolean {
    const entry = this.#entries.get(reservation);
    if (!entry || entry.running.over) return false;
    // a place in a block that lives is for the next request, without a way to the object and back
    const placeKept = this.#blockLives;
    if (placeKept) this.#block = { ...this.#block, streams: this.#block.streams + 1 };
    const running = { ...entry.running, ...(placeKept ? { placeKept } : {}) };
    this.#entries.set(reservation, { ...entry, running: { ...running, over: true } });
    this.#outbox.push({ ...running, ...end });
    return true;
  }

  /** Requests whose context the runtime took away without a word: they end with what they had delivered. */
  #endUntouched(): void {
    const now = Date.now();
    for (const [reservation, { running, touchedMs }] of this.#entries) {
      if (!running.over && touchedMs < now - LEASE_MS) this.#end(reservation, { characters: running.characters, audioMs: running.audioMs, served: running.audioMs > 0, cached: false });
    }
  }

  async #exchange(send: Send, tries: number, { need }: Pick<Message, 'need'>, report = false): Promise<Answer> {
    for (let left = this.#unanswered.length; left > 0; left--) {
      const next = this.#unanswered.shift();
      if (next && Date.now() - next.sentMs < RESEND_MS) this.#learn(next.message, await this.#deliver(next.message, next.sentMs, { send, tries }), true);
      // the object was away for longer than it could tell a repetition from news: it charged what was last reported
      else if (next) this.#forget(next.message);
    }
    const message = this.#write(need, report);
    const answer = await this.#deliver(message, Date.now(), { send, tries });
    this.#learn(message, answer, false);
    return answer;
  }

  #write(need: Message['need'], report: boolean): Message {
    const now = Date.now();
    // what the object may have forgotten it is told anew, under another name, so that it cannot be counted twice
    const quiet = this.idle && this.#block.streams === 0 && now - this.#bornMs > MAX_LEASE_MS;
    if (quiet || (now - this.#knownMs > LEASE_MS && this.#knownMs > 0)) {
      this.#id = crypto.randomUUID();
      this.#bornMs = now;
      this.#knownMs = -Infinity;
      this.#block = { requests: 0, characters: 0, streams: 0 };
    }
    const running = [...this.#entries.values()].map((entry) => entry.running);
    const settled = this.#outbox.splice(0);
    const give = now >= this.#blockEndsMs ? this.#block : undefined;
    if (give) this.#block = { requests: 0, characters: 0, streams: 0 };
    if (report) this.#reportedMs = now;
    return {
      tenant: this.#tenant,
      plan: this.#plan,
      lease: this.#id,
      seq: ++this.#seq,
      ...(need ? { need } : {}),
      ...(give && (give.requests > 0 || give.characters > 0 || give.streams > 0) ? { give } : {}),
      settled,
      ...(report || this.#knownMs < 0 ? { running } : {}),
    };
  }

  async #deliver(message: Message, sentMs: number, { send, tries }: { readonly send: Send; readonly tries: number }): Promise<Answer> {
    let failure: unknown;
    for (const waitMs of RETRY_MS.slice(0, tries)) {
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      try {
        const answer = await send(message);
        if (message.lease === this.#id) this.#knownMs = Math.max(this.#knownMs, sentMs);
        return answer;
      } catch (error) {
        failure = error;
      }
    }
    this.#unanswered.push({ message, sentMs });
    throw failure;
  }

  /** `late`: nobody waits for its grant any more. */
  #learn(message: Message, { granted, figures }: Answer, late: boolean): void {
    this.#forget(message);
    this.#figures = figures;
    if (granted && late && message.lease === this.#id) this.#keep(granted);
  }

  #forget({ settled }: Message): void {
    for (const { reservation } of settled) this.#entries.delete(reservation);
  }

  #touch(reservation: string, heard: Partial<Pick<Running, 'characters' | 'audioMs'>>): void {
    const entry = this.#entries.get(reservation);
    if (entry) this.#entries.set(reservation, { running: { ...entry.running, ...heard }, touchedMs: Date.now() });
  }

  #spend(characters: number): boolean {
    const { requests, characters: left, streams } = this.#block;
    if (!this.#blockLives || streams < 1 || left < characters) return false;
    this.#block = { requests: requests - 1, characters: left - characters, streams: streams - 1 };
    return true;
  }

  get #blockLives(): boolean {
    return Date.now() < this.#blockEndsMs && this.#block.requests > 0;
  }

  #keep({ requests, characters, streams }: Block): void {
    if (requests === 0 && characters === 0 && streams === 0) return;
    this.#block = { requests: this.#block.requests + requests, characters: this.#block.characters + characters, streams: this.#block.streams + streams };
    this.#blockEndsMs = Date.now() + BLOCK_MS;
  }

  #count(characters: number): void {
    const now = Date.now();
    const { startMs, requests, characters: sum } = this.#second;
    if (now - startMs < 1000) this.#second = { ...this.#second, requests: requests + 1, characters: sum + characters };
    else this.#second = { startMs: now, requests: 1, characters, before: now - startMs < 2000 ? requests : 0, charactersBefore: now - startMs < 2000 ? sum : 0 };
  }

  get #busy(): boolean {
    return Math.max(this.#second.requests, this.#second.before) >= BUSY;
  }

  /** As much as in the last second, beyond what is still there. Asked for by one request at a time: many would take everything. */
  #wanted(): Block {
    const now = Date.now();
    if (!this.#busy || now - this.#wantedMs < WANT_AGAIN_MS) return { requests: 0, characters: 0, streams: 0 };
    this.#wantedMs = now;
    const { requests, characters, before, charactersBefore } = this.#second;
    const [expected, expectedCharacters] = requests > before ? [requests, characters] : [before, charactersBefore];
    return { requests: Math.max(0, expected - this.#block.requests), characters: Math.max(0, expectedCharacters - this.#block.characters), streams: Math.max(0, expected - this.#block.streams) };
  }

  /** What the object said, and what this isolate may still spend of its own. */
  #withBlock(): Figures {
    const live = Date.now() < this.#blockEndsMs;
    const { requests, characters, concurrency, quota } = this.#figures;
    const more = <L extends { readonly remaining: number; readonly limit: number }>(level: L, own: number): L => ({ ...level, remaining: Math.min(level.limit, level.remaining + (live ? own : 0)) });
    return {
      ...(requests ? { requests: more(requests, this.#block.requests) } : {}),
      ...(characters ? { characters: more(characters, this.#block.characters) } : {}),
      ...(concurrency ? { concurrency: more(concurrency, this.#block.streams) } : {}),
      ...(quota ? { quota: more(quota, this.#block.characters) } : {}),
    };
  }
}
