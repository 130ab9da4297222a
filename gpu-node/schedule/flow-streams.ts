/**
 * Requests that are voiced in blocks, on the side of the flow: each one's state, from `open` to `close`. Speech tokens come in
 * and mel goes out, in the pieces in which the vocoder takes it (`wave-streams.ts`). Every block is a turn of its own, so that
 * the listener who runs dry first never waits for more than one; blocks of several requests that wait at the same time go
 * through the flow together where that is faster (`prepareBatches`).
 */
import { concatenate } from '../runtime/floats.ts';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import type { FlowConfig } from '../checkpoint/types.ts';
import type { Flow, FlowStream, FlowVoiceState } from '../mel/index.ts';
import type { Turns } from './turns.ts';
import type { Shared } from './turns.ts';

/**
 * Tokens after which the first sentence of a request has additional block ends. Twelve give 0.28 s of sound with their look-ahead,
 * of which a voice that begins with silence loses a part. Where a block takes long, the first sound is worth two short runs:
 * seven tokens give 0.08 s, fourteen 0.36 s. On the bundled voice, which is trained for an end after twelve, the frames of a first
 * block of 7 or 12 tokens are 7.9 and 5.6 % from those of the whole utterance, and those of a whole first block 4.3 % (relative
 * RMS of the mel).
 */
export function earlyEnds({ estimator }: Pick<FlowConfig, 'estimator'>): readonly number[] {
  return estimator.heads * estimator.headDim >= OFFICIAL_WIDTH ? [7, 14] : [12];
}

/** Of the estimator's attention in CosyVoice2-0.5B. */
const OFFICIAL_WIDTH = 512;
/** A stream that finds no memory may come again after this. */
const RETRY_MS = 2000;

/** `early`: whether a listener waits for its first sound. */
export type FlowStreamOpening = { readonly id: number; readonly early: boolean };

/** (F, melBins) frames that the vocoder takes at once. `early`: behind them is an additional end, and their sound is waited for. */
export type MelPiece = { readonly mel: Float32Array; readonly early: boolean };

/** How many more tokens make the next frames come, the blocks that these took, and the milliseconds of waiting and of work. */
export type Solved = { readonly pieces: readonly MelPiece[]; readonly needed: number; readonly blocks: number; readonly turnMs: number; readonly melMs: number };

export type Solving = { readonly id: number; readonly speechTokens: readonly number[]; readonly last: boolean; readonly deadlineMs: number; readonly signal: AbortSignal };

export type FlowStreamsOptions = {
  readonly flow: Flow;
  readonly turns: Turns;
  /** Bytes that voices and streams may hold together. */
  readonly budgetBytes: number;
  /** Gives voices up until they hold at most so many bytes; says how many they hold then. */
  readonly shrinkVoices: (bytes: number) => void;
};

export class FlowStreams {
  readonly #options: FlowStreamsOptions;
  readonly #streams = new Map<number, FlowStream>();
  readonly #blocks: Shared<FlowStream, { readonly mel: Float32Array; readonly ms: number }>;

  constructor(options: FlowStreamsOptions) {
    this.#options = options;
    const { flow } = options;
    this.#blocks = {
      get sizes() {
        return flow.batches;
      },
      key: (stream) => stream.next?.shape ?? 'closed',
      work: async (streams) => {
        if (streams.some((stream) => !stream.next)) throw closed();
        const startMs = performance.now();
        const mels = await flow.advance(streams);
        const ms = (performance.now() - startMs) / streams.length;
        return mels.map((result) => (result.status === 'fulfilled' ? { status: 'fulfilled', value: { mel: result.value, ms } } : result));
      },
    };
  }

  get count(): number {
    return this.#streams.size;
  }

  /** Bytes of their own, without the voices'. */
  get bytes(): number {
    return [...this.#streams.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Throws `overloaded` when the memory for one more stream is not there, after voices that nobody waits for were given up.
   * One stream alone is always let in.
   */
  reserve(): void {
    const { flow, budgetBytes, shrinkVoices } = this.#options;
    const left = budgetBytes - flow.runBytes - (this.#streams.size + 1) * flow.maxStreamBytes;
    if (left < 0 && this.#streams.size > 0) throw new CosyError('overloaded', `This node has no memory for another stream: try again in ${RETRY_MS / 1000} s.`, { retryAfterMs: RETRY_MS });
    shrinkVoices(Math.max(0, left));
  }

  /** Tokens that make the first frames come. */
  open(state: FlowVoiceState, { id, early }: FlowStreamOpening): number {
    const stream = this.#options.flow.stream(state, { early: early ? earlyEnds(this.#options.flow.config) : [] });
    this.#streams.set(id, stream);
    return stream.needed;
  }

  /**
   * The frames that new tokens make final; with `last` there is a last piece, if only an empty one. Pushes of one stream come
   * one after another. Where a run finds no memory, idle voices are given up for those who come after it, and this stream
   * ends with `overloaded`.
   */
  async push(solving: Solving): Promise<Solved> {
    try {
      return await this.#push(solving);
    } catch (error) {
      if (isCosyError(error) && error.code === 'overloaded') this.#options.shrinkVoices(0);
      throw error;
    }
  }

  async #push({ id, speechTokens, last, deadlineMs, signal }: Solving): Promise<Solved> {
    const startMs = performance.now();
    const stream = this.#stream(id);
    stream.add(Int32Array.from(speechTokens), { last });
    const pieces: MelPiece[] = [];
    let waiting: Float32Array[] = [];
    let melMs = 0;
    let blocks = 0;
    for (let next = stream.next; next; next = stream.next) {
      const { mel, ms } = await this.#options.turns.share(deadlineMs, { shared: this.#blocks, item: this.#stream(id), signal });
      melMs += ms;
      blocks += 1;
      waiting.push(mel);
      if (!next.isEarly) continue;
      pieces.push({ mel: concatenate(waiting), early: true });
      waiting = [];
    }
    if (last || waiting.length > 0) pieces.push({ mel: concatenate(waiting), early: false });
    return { pieces, needed: last ? 0 : stream.needed, blocks, turnMs: performance.now() - startMs - melMs, melMs };
  }

  /** In a turn of its own, so that no run is using what is given back. */
  close(id: number): void {
    this.#streams.get(id)?.close();
    this.#streams.delete(id);
  }

  #stream(id: number): FlowStream {
    const stream = this.#streams.get(id);
    if (!stream) throw closed();
    return stream;
  }
}

/** Their memory, for `Transfer`: each has its own. */
export function melBuffers(pieces: readonly MelPiece[]): ArrayBufferLike[] {
  return pieces.map(({ mel }) => mel.buffer);
}

/** Half of the memory that this process may use. */
export function defaultBudgetBytes(totalBytes: number, constrainedBytes: number): number {
  return (constrainedBytes > 0 ? Math.min(totalBytes, constrainedBytes) : totalBytes) / 2;
}

/** Also after this thread was started anew. */
function closed(): CosyError {
  return new CosyError('internal_error', 'The stream was closed.');
}
