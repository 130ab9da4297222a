/**
 * mel frames in pieces → samples in pieces, equal to those of the whole utterance at once: the harmonic phase runs on, the
 * noise depends on the sample's index, and every window is decoded with true frames on both sides (MODEL.md §6.3). Work is
 * done in tiles, so memory does not grow with the length.
 *
 * With fewer `contextFrames` than the network sees, the end of each piece is an approximation; a held-back frame is faded
 * into its exact repetition in the next piece, with weights that add up to 1.
 */
import { concatenate } from '../runtime/floats.ts';
import { strict as assert } from 'node:assert';
import type { VocoderEngine } from './engine.ts';
import { HarmonicSource } from './source.ts';
import type { SourceNoise } from './source.ts';

/**
 * Frames of true context to the right; absent or ≥ the network's reach (15): exact, 20 frames behind the mel. Fewer sound
 * earlier with approximate ends. Measured on the pilot of the bundled voice, pieces of 25 frames, signal to error of the
 * whole: 10 → 131 dB (16 frames behind), 8 → 87 dB (14), 6 → 63 dB (12), 4 → 52 dB (10), 2 → 42 dB (8).
 */
export type ContextFrames = number;

export type StreamOptions = {
  readonly noise: SourceNoise;
  readonly contextFrames?: ContextFrames;
  /** Samples before this one are not made (resume); frames still start at 0, because the phase depends on all of them. */
  readonly startSample?: number;
  /** Frames decoded at once. */
  readonly tileFrames?: number;
};

/** Measured: shorter tiles repeat more context, longer ones leave the cache. */
const TILE_FRAMES = 150;
const PITCH_TILE_FRAMES = 512;

export class VocoderStream {
  readonly #engine: VocoderEngine;
  readonly #source: HarmonicSource;
  readonly #tile: number;
  readonly #contextFrames: ContextFrames;
  readonly #startSample: number;
  readonly #mel: Slices;
  readonly #excitation: Slices;
  /** Frames: received, with pitch, decoded. */
  #received = 0;
  #pitched = 0;
  #decoded = 0;
  /** Approximate samples of the frame before `#decoded`, to be faded into the exact ones. */
  #held = new Float32Array(0);
  #ended = false;

  constructor(engine: VocoderEngine, options: StreamOptions) {
    const { total } = engine.context;
    this.#engine = engine;
    this.#tile = options.tileFrames ?? TILE_FRAMES;
    this.#contextFrames = options.contextFrames ?? total;
    this.#startSample = options.startSample ?? 0;
    this.#mel = new Slices(engine.config.melBins);
    this.#excitation = new Slices(engine.samplesPerFrame);
    this.#decoded = Math.max(0, Math.floor(this.#startSample / engine.samplesPerFrame));
    this.#source = new HarmonicSource({ config: engine.config, weights: engine.weights, noise: options.noise, startSample: (this.#decoded - total) * engine.samplesPerFrame });
  }

  /** Frames by which the samples lag behind the mel until the last piece. */
  get lookaheadFrames(): number {
    const right = this.#right(this.#contextFrames);
    return this.#engine.context.f0 + right + (right === this.#engine.context.total ? 0 : 1);
  }

  /**
   * mel (F, 80), any F ≥ 0 → the samples that are final now. `contextFrames`: of this piece, when not that of the stream; a
   * piece with less context than the next one gives its samples sooner, and its last frame is faded into the next one's.
   * Throws `generation_failed` on values that are not numbers.
   */
  async push(mel: Float32Array, { last = false, contextFrames = this.#contextFrames }: { readonly last?: boolean; readonly contextFrames?: ContextFrames | undefined } = {}): Promise<Float32Array> {
    assert(!this.#ended, 'push after the last piece');
    assert(mel.length % this.#engine.config.melBins === 0, 'whole mel frames');
    this.#ended = last;
    this.#mel.append(mel);
    this.#received += mel.length / this.#engine.config.melBins;
    await this.#extendSource(last);
    const until = last ? this.#received : this.#pitched - this.#right(contextFrames);
    const pieces: Float32Array[] = [];
    const tiles = Math.ceil((until - this.#decoded) / this.#tile);
    for (let left = tiles; left > 0; left--) pieces.push(await this.#decodeTo(this.#decoded + Math.ceil((until - this.#decoded) / left), last));
    this.#mel.drop(Math.min(this.#decoded - 1 - this.#engine.context.total, this.#pitched - this.#engine.context.f0));
    this.#excitation.drop(Math.min(this.#decoded - 1 - this.#engine.context.total, this.#pitched - 1));
    return concatenate(pieces);
  }

  /** At least one frame, because the source of the last one is only half known. */
  #right(contextFrames: ContextFrames): number {
    return Math.max(1, Math.min(this.#engine.context.total, contextFrames));
  }

  /** Pitch and source of the frames whose pitch is decided now. */
  async #extendSource(last: boolean): Promise<void> {
    const { f0: reach } = this.#engine.context;
    const until = last ? this.#received : Math.max(this.#pitched, this.#received - reach);
    while (this.#pitched < until) {
      const to = Math.min(until, this.#pitched + PITCH_TILE_FRAMES);
      const from = Math.max(0, this.#pitched - reach);
      const window = this.#mel.read(from, Math.min(this.#received, to + reach));
      this.#excitation.append(this.#source.push(await this.#engine.pitch(window, this.#pitched - from, to - from)));
      this.#pitched = to;
    }
    if (last) this.#excitation.append(this.#source.tail());
  }

  async #decodeTo(to: number, last: boolean): Promise<Float32Array> {
    const { total } = this.#engine.context;
    // The held-back frame is made once more.
    const from = this.#held.length > 0 ? this.#decoded - 1 : this.#decoded;
    const begin = Math.max(0, from - total);
    const end = Math.min(last ? this.#received : this.#pitched, to + total);
    const samples = await this.#engine.decode({
      mel: this.#mel.read(begin, end),
      source: this.#sourceWindow(begin, end),
      from: from - begin,
      to: to - begin,
      first: begin === 0,
      last: last && end === this.#received,
    });
    const faded = fade(this.#held, samples);
    this.#decoded = to;
    const keep = end - to >= total || (last && end === this.#received) ? faded.length : faded.length - this.#engine.samplesPerFrame;
    this.#held = faded.slice(keep);
    return faded.subarray(Math.max(0, Math.min(keep, this.#startSample - from * this.#engine.samplesPerFrame)), keep);
  }

  /** The half frame behind the last known pitch is not made yet; what stands in for it is out of reach or faded over. */
  #sourceWindow(begin: number, end: number): Float32Array {
    const hop = this.#engine.samplesPerFrame;
    const known = Math.min(this.#source.samples + (this.#ended ? hop / 2 : 0), end * hop);
    const values = this.#excitation.readValues(begin * hop, known);
    if (values.length === (end - begin) * hop) return values;
    return concatenate([values, this.#source.tail()]);
  }
}

/** Values in rows of `width`, with absolute row numbers; the front can be given up. */
class Slices {
  readonly #width: number;
  #values = new Float32Array(0);
  #length = 0;
  #start = 0;

  constructor(width: number) {
    this.#width = width;
  }

  append(values: Float32Array): void {
    if (this.#length + values.length > this.#values.length) {
      const larger = new Float32Array(2 * (this.#length + values.length));
      larger.set(this.#values.subarray(0, this.#length));
      this.#values = larger;
    }
    this.#values.set(values, this.#length);
    this.#length += values.length;
  }

  /** Rows `from` … `to`, copied. */
  read(from: number, to: number): Float32Array {
    return this.readValues(from * this.#width, to * this.#width);
  }

  readValues(from: number, to: number): Float32Array {
    const offset = this.#start * this.#width;
    assert(from >= offset && to <= offset + this.#length, 'rows that are still there');
    return this.#values.slice(from - offset, to - offset);
  }

  /** Gives up the rows before `row`. */
  drop(row: number): void {
    const count = (row - this.#start) * this.#width;
    if (count <= 0) return;
    this.#values.copyWithin(0, count, this.#length);
    this.#length -= count;
    this.#start = row;
  }
}

/** The beginning of `next` faded in over `held` with raised cosines, which add up to 1. */
function fade(held: Float32Array, next: Float32Array): Float32Array {
  for (let i = 0; i < held.length; i++) {
    const weight = 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / held.length);
    next[i] = weight * (next[i] as number) + (1 - weight) * (held[i] as number);
  }
  return next;
}
