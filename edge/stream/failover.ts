/**
 * One stream of frames out of as many as it takes: when a node breaks off, another one goes on behind what was heard, and the
 * listener's sound has no seam. What is kept for that is small: the speech tokens, and how much of the sound was handed on.
 */
import type { Frame, StreamEnd, StreamStart } from '../../shared/contract/frames.ts';
import type { Job } from '../../shared/contract/job.ts';
import { SENTENCE_END } from '../../shared/contract/tokens.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { ErrorCode } from '../../shared/errors/index.ts';
import { soundMeter } from './seam.ts';
import type { SoundMeter } from './seam.ts';

/** A node's answer: `frames` begin with the start frame and throw when the node breaks off. */
export type NodeStream = { readonly start: StreamStart; readonly frames: AsyncGenerator<Frame>; readonly node: string };

/** Where to go on (`jobSchema`), with the seed of the beginning, and not at the node that broke off if there is another. */
export type GoOn = (from: { readonly resume: NonNullable<Job['resume']>; readonly seed: number; readonly after: string }) => Promise<NodeStream>;

export type SurviveOptions = {
  readonly format: Job['format'];
  readonly goOn: GoOn;
  /** Told of each node that broke off. */
  readonly onBreak: (node: string) => void;
  /** The listener's: once it fires, nothing is tried again. */
  readonly signal: AbortSignal;
};

/** Nodes that may break off one stream; a text that breaks every node ends here. */
const MAX_BREAKS = 3;
/** No listener hears this pause: there is more sound than that on its way. */
const LEAVING_MS = 20;
/** What another node may do better. Everything else (`generation_failed`, say) would go wrong there too. */
const NODE_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['internal_error', 'draining', 'overloaded', 'disk_full']);

/** Throws `internal_error` when the sound cannot go on: its format has no seam (`seam.ts`), or too many nodes broke off; and what `goOn` throws. */
export async function* survive(first: NodeStream, { format, goOn, onBreak, signal }: SurviveOptions): AsyncGenerator<Frame> {
  const heard = new Heard(format, first.start);
  let stream = first;
  for (let breaks = 0; ; breaks++) {
    const going = stream;
    try {
      for await (const frame of going.frames) {
        if (frame.type === 'error' && NODE_FAULTS.has(frame.value.code)) throw new CosyError(frame.value.code, frame.value.message);
        if (frame.type === 'start' && going !== first) continue;
        if (frame.type === 'audio') {
          const whole = heard.audio(frame.value);
          if (whole.length > 0) yield { type: 'audio', value: whole };
          continue;
        }
        heard.add(frame);
        if (frame.type === 'end') {
          const rest = heard.rest();
          if (rest.length > 0) yield { type: 'audio', value: rest };
          yield going === first ? frame : { type: 'end', value: heard.total(frame.value) };
          return;
        }
        yield frame;
        if (frame.type === 'error') return;
      }
      throw brokenOff();
    } catch (error) {
      const resume = heard.resume();
      // a listener who leaves also cuts the node off, and which of the two is seen first is chance
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, LEAVING_MS));
      if (signal.aborted) throw error;
      onBreak(going.node);
      if (!resume || breaks >= MAX_BREAKS) throw brokenOff();
      stream = await goOn({ resume, seed: first.start.seed, after: going.node });
      heard.seam();
    }
  }
}

function brokenOff(): CosyError {
  return new CosyError('internal_error', 'The node stopped in the middle of the speech: try again.');
}

/** What was handed on, so that another node can go on behind it. */
class Heard {
  readonly #start: StreamStart;
  readonly #meter: SoundMeter | undefined;
  #tokens = new Uint16Array(256);
  #count = 0;
  #samples = 0;
  /** Sentences whose end is not yet in the sound that was handed on: where their end stands in the tokens, and their samples. */
  #ends: { readonly at: number; samples: number }[] = [];

  constructor(format: Job['format'], start: StreamStart) {
    this.#start = start;
    this.#meter = soundMeter(format);
  }

  /** What of it may be handed on now. */
  audio(bytes: Uint8Array): Uint8Array {
    return this.#meter ? this.#meter.push(bytes) : bytes;
  }

  /** What was held back until the end. */
  rest(): Uint8Array {
    return this.#meter?.rest() ?? new Uint8Array(0);
  }

  add(frame: Frame): void {
    if (frame.type === 'mark') this.#mark(frame.value.samples);
    if (frame.type !== 'tokens') return;
    const end = frame.value.indexOf(SENTENCE_END);
    if (end >= 0) this.#ends.push({ at: this.#count + end, samples: Infinity });
    if (this.#count + frame.value.length > this.#tokens.length) {
      const larger = new Uint16Array(2 * (this.#count + frame.value.length));
      larger.set(this.#tokens);
      this.#tokens = larger;
    }
    this.#tokens.set(frame.value, this.#count);
    this.#count += frame.value.length;
  }

  /** Undefined when the format cannot go on. */
  resume(): NonNullable<Job['resume']> | undefined {
    if (!this.#meter) return undefined;
    // an encoder may hold the end of a sentence back: then the sentence is not over, and all that follows is still to come
    const sampleOffset = this.#meter.samples;
    const open = this.#ends.find(({ samples }) => Number.isFinite(samples) && samples > sampleOffset);
    if (open) this.#count = open.at;
    this.#ends = [];
    return { tokens: [...this.#tokens.subarray(0, this.#count)], sampleOffset };
  }

  #mark(samples: number): void {
    this.#samples = samples;
    for (const end of this.#ends) if (end.samples === Infinity) end.samples = samples;
    this.#ends = this.#ends.filter((end) => end.samples > (this.#meter?.samples ?? 0));
  }

  /** Another encoder's bytes follow. */
  seam(): void {
    this.#meter?.seam();
  }

  /** The last node counted only its own part; marks count the whole. */
  total(end: StreamEnd): StreamEnd {
    return { ...end, audioMs: Math.round((1000 * this.#samples) / this.#start.sampleRateHz), speechTokens: this.#count };
  }
}
