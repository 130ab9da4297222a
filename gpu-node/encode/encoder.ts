/** What every format's encoder is to its user. */

/** One stream of mono samples → bytes of one format. Calls follow each other: push …, push, end; or `close` at any time. */
export interface Encoder {
  /** MIME type with the parameters a player needs. */
  readonly contentType: string;
  /**
   * (N,) samples at the encoder's rate in ±1; beyond that they saturate, NaN is silence. Any N, also 0. Returns the bytes that
   * are complete so far, perhaps none; they are the caller's.
   */
  push(samples: Float32Array): Promise<Uint8Array>;
  /** The rest of the stream, padding and trailer included. */
  end(): Promise<Uint8Array>;
  /** Frees what the encoder holds. Needed only when `end` was not reached (the listener left). */
  close(): void;
}

export type EncoderOptions = {
  readonly sampleRateHz: number;
  /** Exact number of samples that will come, when known: it goes into headers that have a place for it. */
  readonly totalSamples?: number;
  /** Bits per second for the lossy formats; a good value for one voice when absent. */
  readonly bitrate?: number;
};

/** ±1 → int16: ×32768, rounded, saturated. 32768 rather than 32767, so that 16-bit audio passes through unchanged. */
export function toInt16(samples: Float32Array): Int16Array {
  // Math.max(NaN, …) is NaN, which Int16Array stores as 0
  return Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
}

export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** Cuts a stream of samples into frames of one length. Owned by an encoder. */
export class Framer {
  readonly #frame: Float32Array;
  #filled = 0;

  constructor(frameSamples: number) {
    this.#frame = new Float32Array(frameSamples);
  }

  /** Samples of the unfinished frame. */
  get filled(): number {
    return this.#filled;
  }

  /** Calls `use` with each frame that is full; its memory is reused. */
  push(samples: Float32Array, use: (frame: Float32Array) => void): void {
    for (let at = 0; at < samples.length; ) {
      const count = Math.min(samples.length - at, this.#frame.length - this.#filled);
      this.#frame.set(samples.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#frame.length) {
        use(this.#frame);
        this.#filled = 0;
      }
    }
  }

  /** The unfinished frame, not padded. */
  rest(): Float32Array {
    return this.#frame.slice(0, this.#filled);
  }
}
