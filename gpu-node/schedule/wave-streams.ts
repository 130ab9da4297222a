/**
 * Requests that are voiced in blocks, on the side of the vocoder: each one's state, from its first push to `close`. Mel comes in, in
 * the pieces that the flow made (`flow-streams.ts`), and samples go out. Every piece is a turn of its own, and they are taken
 * one by one: together was not faster (27 instead of 29 ms a second of sound, measured).
 */
import { concatenate } from '../runtime/floats.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { TempoStretch } from '../wave/index.ts';
import type { Vocoder, VocoderStream } from '../wave/index.ts';
import type { MelPiece } from './flow-streams.ts';
import type { Turns } from './turns.ts';

/** Of the vocoder, at an early end: 52 dB of signal to error in its last frames, which are faded into the exact ones. */
const EARLY_CONTEXT_FRAMES = 4;

export type WaveBegin = { readonly seed: number; readonly speed: number };

/** Samples at the model's rate, and the milliseconds of waiting and of work. */
export type Piece = { readonly samples: Float32Array; readonly turnMs: number; readonly waveMs: number };

/** `begin`: with the first push of a stream. `last`: the last of the pieces ends it. */
export type Pushing = { readonly id: number; readonly begin?: WaveBegin | undefined; readonly pieces: readonly MelPiece[]; readonly last: boolean; readonly deadlineMs: number; readonly signal: AbortSignal };

export type WaveStreamsOptions = { readonly vocoder: Vocoder; readonly turns: Turns; readonly melBins: number };

type Stream = { readonly tempo: TempoStretch | undefined; readonly vocoder: VocoderStream };

export class WaveStreams {
  readonly #options: WaveStreamsOptions;
  readonly #streams = new Map<number, Stream>();

  constructor(options: WaveStreamsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#streams.size;
  }

  /** The samples that new frames make final. Pushes of one stream come one after another. Throws `invalid_value` for a speed outside 0.5…2. */
  async push({ id, begin, pieces, last, deadlineMs, signal }: Pushing): Promise<Piece> {
    const startMs = performance.now();
    // at once and not in its turn: a `close` that overtakes it finds it
    if (begin) this.#streams.set(id, this.#begin(begin));
    let waveMs = 0;
    const samples: Float32Array[] = [];
    for (const [index, { mel, early }] of pieces.entries()) {
      const end = { last: last && index === pieces.length - 1, contextFrames: early ? EARLY_CONTEXT_FRAMES : undefined };
      const work = async (): Promise<Float32Array> => {
        const { tempo, vocoder } = this.#stream(id);
        const beginMs = performance.now();
        const made = await vocoder.push(tempo ? tempo.push(mel, end) : mel, end);
        waveMs += performance.now() - beginMs;
        return made;
      };
      samples.push(await this.#options.turns.run(deadlineMs, work, signal));
    }
    return { samples: concatenate(samples), turnMs: performance.now() - startMs - waveMs, waveMs };
  }

  /** In a turn of its own, so that no run is using what is given back. */
  close(id: number): void {
    this.#streams.delete(id);
  }

  #begin({ seed, speed }: WaveBegin): Stream {
    const { vocoder, melBins } = this.#options;
    return { tempo: speed === 1 ? undefined : new TempoStretch(melBins, speed), vocoder: vocoder.stream({ noise: { seed } }) };
  }

  #stream(id: number): Stream {
    const stream = this.#streams.get(id);
    // also after this thread was started anew
    if (!stream) throw new CosyError('internal_error', 'The stream was closed.');
    return stream;
  }
}
