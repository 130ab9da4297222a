/** A listener's clock: what was sent plays from the moment its first sample left, and runs dry when all of it has played. */
export class Playback {
  readonly #arrivedMs = Date.now();
  readonly #sampleRateHz: number;
  #firstMs: number | undefined;
  #sentSamples = 0;

  constructor(sampleRateHz: number) {
    this.#sampleRateHz = sampleRateHz;
  }

  /** Milliseconds since the epoch; before the first sound, the moment the request came. */
  get deadlineMs(): number {
    return this.#firstMs === undefined ? this.#arrivedMs : this.#firstMs + (1000 * this.#sentSamples) / this.#sampleRateHz;
  }

  sent(samples: number): void {
    if (samples > 0) this.#firstMs ??= Date.now();
    this.#sentSamples += samples;
  }
}
