/**
 * How much sound may be on its way to one listener. A Worker cannot see what its socket holds back, so the listener says what
 * it has taken (`audio.ack`): from its first word on, no more than `WINDOW_BYTES` are unacknowledged. A listener that never
 * says so may be sent `MAX_UNACKNOWLEDGED_BYTES` on one socket; then it is cut off, and what was held for it is bounded.
 */

/** For listeners that acknowledge: some seconds of sound. */
export const WINDOW_BYTES = 256 * 1024;
/** For those that do not: about three minutes of 24 kHz pcm, nine of mp3. */
export const MAX_UNACKNOWLEDGED_BYTES = 8 * 1024 * 1024;
/** A listener that acknowledges nothing for so long, while sound waits for it, is gone. */
const STALL_MS = 60_000;

export class SoundWindow {
  readonly #sent = new Map<string, { seq: number; bytes: number }[]>();
  readonly #cut: () => void;
  #unacknowledged = 0;
  #acknowledges = false;
  #closed = false;
  #wakes: (() => void)[] = [];

  /** `cut`: called once when the listener does not take what it is sent. */
  constructor(cut: () => void) {
    this.#cut = cut;
  }

  /** Waits for room. False when there will be none. */
  async room(context: string, seq: number, bytes: number): Promise<boolean> {
    while (this.#acknowledges && this.#unacknowledged >= WINDOW_BYTES && !this.#closed) await this.#acknowledgement();
    if (!this.#closed && !this.#acknowledges && this.#unacknowledged + bytes > MAX_UNACKNOWLEDGED_BYTES) this.#fail();
    if (this.#closed) return false;
    const list = this.#sent.get(context) ?? [];
    list.push({ seq, bytes });
    this.#sent.set(context, list);
    this.#unacknowledged += bytes;
    return true;
  }

  acknowledge(context: string, seq: number): void {
    this.#acknowledges = true;
    const list = this.#sent.get(context) ?? [];
    while (list[0] && list[0].seq <= seq) this.#unacknowledged -= list.shift()?.bytes ?? 0;
    if (list.length === 0) this.#sent.delete(context);
    for (const wake of this.#wakes.splice(0)) wake();
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    for (const wake of this.#wakes.splice(0)) wake();
  }

  #fail(): void {
    this.close();
    this.#cut();
  }

  async #acknowledgement(): Promise<void> {
    const stall = setTimeout(() => this.#fail(), STALL_MS);
    await new Promise<void>((resolve) => this.#wakes.push(resolve));
    clearTimeout(stall);
  }
}
