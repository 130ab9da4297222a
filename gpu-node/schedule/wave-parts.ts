/**
 * Whole sentences, made by one wave thread or by two. A small vocoder fills one core and no more: its last stages have too few
 * channels for ONNX Runtime to share a convolution between cores, and its sines have one thread. A second thread then makes the
 * second half of a sentence while the first makes the first half. Blocks of a stream are too short for that; while they are
 * made, the other cores make tokens and mel.
 */
import type { VocoderConfig } from '../checkpoint/types.ts';
import { concatenate } from '../runtime/floats.ts';
import { Transfer } from '../runtime/thread.ts';
import type { Thread } from '../runtime/thread.ts';
import type { WaveMethods, WholeSentence } from './wave-thread.ts';
import type { Piece } from './wave-streams.ts';

export type WaveThreads = {
  readonly wave: Thread<WaveMethods>;
  /** Absent where one thread fills the cores. */
  readonly second?: WaveHelper | undefined;
};

/** Output channels that ONNX Runtime's blocked kernels make together (onnxruntime/core/mlas/lib/snchwc.cpp, AVX-512); with fewer a convolution has one thread. */
const CHANNELS_PER_THREAD = 64;

/** Whether most of the vocoder's work cannot be shared between cores. The last stage has an eighth of the channels. */
export function fillsOneCore({ baseChannels, upsampleRates }: VocoderConfig): boolean {
  return baseChannels >> upsampleRates.length < CHANNELS_PER_THREAD;
}

/** A wave thread that starts in the background: nobody waits for it, and until it is ready the first one makes its part. */
export class WaveHelper {
  readonly thread: Thread<WaveMethods>;
  #ready = false;

  constructor(thread: Thread<WaveMethods>) {
    this.thread = thread;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Also after the thread has died; when it does not start, the first one goes on alone. */
  start(): void {
    this.#ready = false;
    this.thread.call('ready', null).then(
      () => (this.#ready = true),
      () => {},
    );
  }
}

/**
 * mel moves to the thread. The parts are the same whoever makes them, and so are the samples, to the bit. Of two threads' waiting
 * and work the longer counts.
 */
export async function wholeSound({ wave, second }: WaveThreads, sentence: WholeSentence, signal: AbortSignal): Promise<Piece> {
  const moved = <T extends WholeSentence>(args: T): Transfer<T> => new Transfer(args, [args.mel.buffer]);
  if (!second) return wave.call('whole', moved(sentence), signal);
  const helps = second.ready;
  const behind = (helps ? second.thread : wave).call('whole', { ...sentence, part: { index: 1, of: 2 } }, signal);
  behind.catch(() => helps && second.start());
  const [first, last] = await Promise.all([wave.call('whole', moved({ ...sentence, part: { index: 0, of: 2 } }), signal), behind]);
  return { samples: concatenate([first.samples, last.samples]), turnMs: Math.max(first.turnMs, last.turnMs), waveMs: Math.max(first.waveMs, last.waveMs) };
}
