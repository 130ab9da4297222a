/**
 * Tempo by resampling the mel in time: the vocoder takes the pitch from the mel's shape and not from its frame rate, so
 * the pitch stays. Linear, half-pixel centres, as torch's interpolate (official cosyvoice/cli/model.py token2wav `speed`).
 */
import { strict as assert } from 'node:assert';
import { CosyError } from '../../shared/errors/index.ts';
import { concatenate } from '../runtime/floats.ts';

const SLOWEST = 0.5;
const FASTEST = 2;

/** mel (F, bins) → (⌊F/speed⌋, bins), the official way: the step is F/⌊F/speed⌋. Throws `invalid_value` outside 0.5…2. */
export function resizeMel(mel: Float32Array, bins: number, speed: number): Float32Array {
  checkSpeed(speed);
  const frames = mel.length / bins;
  const count = Math.floor(frames / speed);
  const out = new Float32Array(count * bins);
  for (let i = 0; i < count; i++) interpolate({ mel, bins, position: (i + 0.5) * (frames / count) - 0.5, out, at: i, offset: 0, frames });
  return out;
}

/**
 * The same for frames that arrive in pieces, with the step `speed` itself. The frames given out are those of the whole
 * mel, whatever the pieces; after the last one there are max(1, ⌊F/speed⌋), or 0 of 0.
 */
export class TempoStretch {
  readonly #bins: number;
  readonly #speed: number;
  /** Frames from absolute index `#start` on. */
  #mel: Float32Array = new Float32Array(0);
  #start = 0;
  #received = 0;
  #given = 0;
  #ended = false;

  /** Throws `invalid_value` outside 0.5…2. */
  constructor(bins: number, speed: number) {
    checkSpeed(speed);
    this.#bins = bins;
    this.#speed = speed;
  }

  /** (F, bins) → the frames that need no later one. */
  push(mel: Float32Array, { last = false } = {}): Float32Array {
    assert(!this.#ended, 'push after the last piece');
    this.#ended = last;
    if (this.#speed === 1) return mel.slice();
    this.#mel = concatenate([this.#mel, mel]);
    this.#received += mel.length / this.#bins;
    // Frame i reads up to ⌊(i + 0.5)·speed − 0.5⌋ + 1.
    const ready = last ? Math.max(Math.floor(this.#received / this.#speed), Math.sign(this.#received)) : Math.max(0, Math.ceil((this.#received - 0.5) / this.#speed - 0.5));
    const out = new Float32Array(Math.max(0, ready - this.#given) * this.#bins);
    for (let i = 0; this.#given < ready; i++, this.#given++) {
      interpolate({ mel: this.#mel, bins: this.#bins, position: (this.#given + 0.5) * this.#speed - 0.5, out, at: i, offset: this.#start, frames: this.#received });
    }
    const drop = Math.min(this.#mel.length / this.#bins, Math.max(0, Math.floor((this.#given + 0.5) * this.#speed - 0.5) - this.#start));
    this.#mel = this.#mel.slice(drop * this.#bins);
    this.#start += drop;
    return out;
  }
}

function checkSpeed(speed: number): void {
  if (!(speed >= SLOWEST && speed <= FASTEST)) throw new CosyError('invalid_value', `speed must be between ${SLOWEST} and ${FASTEST}.`, { param: 'speed' });
}

/** Frame `at` of `out` = the mel at `position`; `mel` begins with frame `offset` of `frames`. Positions in front of frame 0 are frame 0. */
function interpolate({ mel, bins, position, out, at, offset, frames }: { mel: Float32Array; bins: number; position: number; out: Float32Array; at: number; offset: number; frames: number }): void {
  const clamped = Math.min(frames - 1, Math.max(0, position));
  const whole = Math.floor(clamped);
  const part = clamped - whole;
  const next = Math.min(whole + 1, frames - 1);
  for (let bin = 0; bin < bins; bin++) {
    const low = mel[(whole - offset) * bins + bin] as number;
    const high = mel[(next - offset) * bins + bin] as number;
    out[at * bins + bin] = low + part * (high - low);
  }
}
