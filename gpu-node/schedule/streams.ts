/**
 * Requests that are voiced in blocks: each one's flow and vocoder state, from `open` to `close`. Every block of the flow and
 * every piece of the vocoder is a turn of its own, so that the listener who runs dry first never waits for more than one;
 * blocks of several requests that wait at the same time go through the flow together where that is faster (`prepareBatches`).
 * The vocoder takes them one by one: together it was not faster (27 instead of 29 ms a second of sound, measured).
 */
import { concatenate } from '../runtime/floats.ts';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import type { Flow, FlowStream, FlowVoiceState } from '../mel/index.ts';
import { TempoStretch } from '../wave/index.ts';
import type { Vocoder, VocoderStream } from '../wave/index.ts';
import type { Turns } from './turns.ts';
import type { Shared } from './turns.ts';

/**
 * Tokens after which the first sentence of a request has an additional block end: with their look-ahead ten tokens have to be
 * read for the first sound, 0.08 s of it. On the bundled voice the frames of that block are 8.5 % from those of the whole
 * utterance, with 12 tokens 9.9 %, and those of a whole first block 4.5 % (relative RMS of the mel).
 */
const EARLY_ENDS = [7];
/** Of the vocoder, at an early end: 52 dB of signal to error in its last frames, which are faded into the exact ones. */
const EARLY_CONTEXT_FRAMES = 4;
/** A stream that finds no memory may come again after this. */
const RETRY_MS = 2000;
/** Weight of the newest run in the running mean of what a block costs. */
const NEWEST = 0.2;

export type StreamOptions = {
  readonly id: number;
  readonly seed: number;
  readonly speed: number;
  /** Whether a listener waits for its first sound. */
  readonly early: boolean;
};

/**
 * Samples at the model's rate, and the milliseconds that each stage took; waiting is `turnMs`. `roundMs`: an estimate of the
 * time until every stream that runs dry as soon as this one has had its next block, this one among them.
 */
export type Piece = { readonly samples: Float32Array; readonly needed: number; readonly turnMs: number; readonly melMs: number; readonly waveMs: number; readonly roundMs: number };

export type Pushing = { readonly id: number; readonly speechTokens: readonly number[]; readonly last: boolean; readonly deadlineMs: number; readonly signal: AbortSignal };

export type StreamsOptions = {
  readonly flow: Flow;
  readonly vocoder: Vocoder;
  readonly turns: Turns;
  /** Bytes that voices and streams may hold together. */
  readonly budgetBytes: number;
  /** Gives voices up until they hold at most so many bytes; says how many they hold then. */
  readonly shrinkVoices: (bytes: number) => void;
};

/** `dryMs`: when its listener has played what was made for it, milliseconds since the epoch; Infinity when all of it was made. */
type Stream = { readonly flow: FlowStream; readonly tempo: TempoStretch | undefined; readonly wave: VocoderStream; dryMs: number };

export class Streams {
  readonly #options: StreamsOptions;
  readonly #streams = new Map<number, Stream>();
  /** Of a block with its piece of sound, lately. */
  #blockMs = 0;
  readonly #blocks: Shared<FlowStream, { readonly mel: Float32Array; readonly ms: number }>;

  constructor(options: StreamsOptions) {
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
    return [...this.#streams.values()].reduce((sum, { flow }) => sum + flow.bytes, 0);
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

  /** Tokens that make the first samples come. */
  open(state: FlowVoiceState, { id, seed, speed, early }: StreamOptions): number {
    const { flow, vocoder } = this.#options;
    const stream: Stream = {
      flow: flow.stream(state, { early: early ? EARLY_ENDS : [] }),
      tempo: speed === 1 ? undefined : new TempoStretch(flow.config.melBins, speed),
      wave: vocoder.stream({ noise: { seed } }),
      dryMs: 0,
    };
    this.#streams.set(id, stream);
    return stream.flow.needed;
  }

  /**
   * The samples that new tokens make final. Pieces of one stream are pushed one after another. Where a run finds no memory,
   * idle voices are given up for those who come after it, and this stream ends with `overloaded`.
   */
  async push(pushing: Pushing): Promise<Piece> {
    try {
      return await this.#push(pushing);
    } catch (error) {
      if (isCosyError(error) && error.code === 'overloaded') this.#options.shrinkVoices(0);
      throw error;
    }
  }

  async #push({ id, speechTokens, last, deadlineMs, signal }: Pushing): Promise<Piece> {
    const startMs = performance.now();
    const spent = { melMs: 0, waveMs: 0 };
    const samples: Float32Array[] = [];
    const stream = this.#stream(id);
    stream.flow.add(Int32Array.from(speechTokens), { last });
    let blocks = 0;
    let waiting: Float32Array[] = [];
    const voice = async (end: { readonly last: boolean; readonly contextFrames: number | undefined }): Promise<void> => {
      const mel = concatenate(waiting);
      waiting = [];
      const wave = async (): Promise<Float32Array> => {
        const { tempo, wave: vocoder } = this.#stream(id);
        const waveMs = performance.now();
        const made = await vocoder.push(tempo ? tempo.push(mel, end) : mel, end);
        spent.waveMs += performance.now() - waveMs;
        return made;
      };
      samples.push(await this.#options.turns.run(deadlineMs, wave, signal));
    };
    for (let next = stream.flow.next; next; next = stream.flow.next) {
      const { mel, ms } = await this.#options.turns.share(deadlineMs, { shared: this.#blocks, item: this.#stream(id).flow, signal });
      spent.melMs += ms;
      blocks += 1;
      waiting.push(mel);
      if (next.isEarly) await voice({ last: false, contextFrames: EARLY_CONTEXT_FRAMES });
    }
    if (last || waiting.length > 0) await voice({ last, contextFrames: undefined });
    const turnMs = performance.now() - startMs - spent.melMs - spent.waveMs;
    if (blocks > 0) this.#blockMs += ((spent.melMs + spent.waveMs) / blocks - this.#blockMs) * (this.#blockMs === 0 ? 1 : NEWEST);
    const made = concatenate(samples);
    const soundMs = (1000 * made.length) / this.#options.vocoder.sampleRateHz;
    stream.dryMs = last ? Infinity : Math.max(deadlineMs, Date.now()) + soundMs;
    return { samples: made, needed: last ? 0 : stream.flow.needed, turnMs, ...spent, roundMs: this.#roundMs(stream.dryMs) };
  }

  /** Streams without any sound yet run dry before all others. */
  #roundMs(dryMs: number): number {
    return this.#blockMs * [...this.#streams.values()].filter((stream) => stream.dryMs <= dryMs).length;
  }

  /** In a turn of its own, so that no run is using what is given back. */
  close(id: number): void {
    this.#streams.get(id)?.flow.close();
    this.#streams.delete(id);
  }

  #stream(id: number): Stream {
    const stream = this.#streams.get(id);
    if (!stream) throw closed();
    return stream;
  }
}

/** Half of the memory that this process may use. */
export function defaultBudgetBytes(totalBytes: number, constrainedBytes: number): number {
  return (constrainedBytes > 0 ? Math.min(totalBytes, constrainedBytes) : totalBytes) / 2;
}

/** Also after this thread was started anew. */
function closed(): CosyError {
  return new CosyError('internal_error', 'The stream was closed.');
}
