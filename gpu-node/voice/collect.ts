/** Decoded pieces → one mono clip, stopping as soon as there is more than is allowed. */
import { CosyError } from '../../shared/errors/index.ts';
import { tooLong } from './wav.ts';

/** Highest rate of common sound hardware; bounds the memory of a clip. */
const MAX_RATE_HZ = 192_000;

/** One buffer that grows by doubling up to `maxSeconds`; the channels of each piece are averaged into it. */
export class Collector {
  readonly #maxSeconds: number;
  #samples = new Float32Array(1 << 16);
  #length = 0;
  #sampleRateHz = 0;
  #channels = 0;

  constructor(maxSeconds: number) {
    this.#maxSeconds = maxSeconds;
  }

  get length(): number {
    return this.#length;
  }

  /** `channels`: one array of equal length per channel. Throws `audio_too_long`, `audio_invalid`. */
  add(channels: readonly Float32Array[], sampleRateHz: number): void {
    const count = channels[0]?.length ?? 0;
    if (count === 0) return;
    if (sampleRateHz < 1 || sampleRateHz > MAX_RATE_HZ) throw new CosyError('audio_invalid', `The audio claims ${sampleRateHz} samples a second; at most ${MAX_RATE_HZ} are supported.`);
    if (this.#length > 0 && sampleRateHz !== this.#sampleRateHz) throw new CosyError('audio_invalid', 'The audio changes its sample rate midway. Save it again as WAV.');
    this.#sampleRateHz = sampleRateHz;
    this.#channels = channels.length;
    if (this.#length + count > this.#maxSeconds * sampleRateHz) throw tooLong(this.#maxSeconds);
    this.#reserve(this.#length + count);
    const out = this.#samples.subarray(this.#length, this.#length + count);
    for (const channel of channels) for (let i = 0; i < count; i++) out[i] = (out[i] ?? 0) + (channel[i] ?? 0);
    if (channels.length > 1) for (let i = 0; i < count; i++) out[i] = (out[i] ?? 0) / channels.length;
    this.#length += count;
  }

  /** Removes samples from the end: what an encoder had to add to fill its last frame. */
  cut(length: number): void {
    this.#samples.fill(0, Math.max(0, length), this.#length);
    this.#length = Math.min(this.#length, Math.max(0, length));
  }

  clip(): { readonly samples: Float32Array<ArrayBuffer>; readonly sampleRateHz: number; readonly channels: number } {
    return { samples: this.#samples.slice(0, this.#length), sampleRateHz: this.#sampleRateHz, channels: this.#channels };
  }

  #reserve(length: number): void {
    if (length <= this.#samples.length) return;
    const grown = new Float32Array(Math.max(length, 2 * this.#samples.length));
    grown.set(this.#samples.subarray(0, this.#length));
    this.#samples = grown;
  }
}
