/**
 * A file someone sent → mono samples at the file's own rate. Hostile input: decoded in a thread of its own with a bounded heap
 * and a deadline, stopped at the first sample over the limit. Does not resample (prompt.ts) or judge the voice (quality.ts).
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CosyError } from '../../shared/errors/index.ts';
import type { ErrorCode } from '../../shared/errors/index.ts';
import { MAX_PROMPT_SECONDS } from '../../shared/limits/index.ts';
import { MIN_PROMPT_SECONDS, MIN_SAMPLE_RATE_HZ } from './prompt.ts';
import type { Clip } from './prompt.ts';
import type { Container } from './sniff.ts';

/** 30 s of 96 kHz stereo at 24 bits are 17 MB. */
const MAX_FILE_BYTES = 24 * 1024 * 1024;
/** 30 s of any codec take under a second alone on one core; the rest is for a busy machine. */
const DEADLINE_MS = 10_000;
/** Below −60 dB of full scale there is nothing to imitate. */
const SILENCE_PEAK = 1e-3;
/** Heap of the decoding thread; samples and codec memory lie outside and are bounded by the sample limit. */
const HEAP_MB = 64;
/** Waiting files are held in memory. */
const MAX_WAITING = 32;

/** `ffmpeg`: path of a program for AAC, when one was named. */
export type DecodeTask = { readonly bytes: Uint8Array; readonly maxSeconds: number; readonly ffmpeg: string | undefined };
export type DecodedClip = Clip & { readonly samples: Float32Array<ArrayBuffer>; readonly channels: number; readonly format: Container };
export type DecodeAnswer = { readonly clip: DecodedClip } | { readonly error: { readonly code: ErrorCode; readonly message: string } };

export type DecodeOptions = {
  /** Longer audio is refused (inclusive). */
  readonly maxSeconds?: number;
  readonly minSeconds?: number;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Path of an ffmpeg for AAC; the environment's COSYVOICE_FFMPEG when absent. */
  readonly ffmpeg?: string;
};

/**
 * Mono samples (N,) in ±1, the channels averaged. Throws `audio_invalid` (not audio, damaged, or too slow to decode),
 * `unsupported_format`, `audio_too_long`, `audio_too_short`, `audio_silent`, `audio_sample_rate_too_low`, `body_too_large`,
 * `overloaded`, `cancelled`.
 */
export async function decodePrompt(bytes: Uint8Array, options: DecodeOptions = {}): Promise<DecodedClip> {
  const { maxSeconds = MAX_PROMPT_SECONDS, minSeconds = MIN_PROMPT_SECONDS, deadlineMs = DEADLINE_MS, signal, ffmpeg = process.env['COSYVOICE_FFMPEG'] } = options;
  if (bytes.length === 0) throw new CosyError('audio_invalid', 'The audio file is empty.');
  if (bytes.length > MAX_FILE_BYTES) throw new CosyError('body_too_large', `The audio file has ${(bytes.length / 2 ** 20).toFixed(0)} MB; at most ${MAX_FILE_BYTES / 2 ** 20} MB are accepted. Cut it to ${maxSeconds} s.`);
  const clip = await inTurn(() => decodeInThread({ bytes, maxSeconds, ffmpeg: ffmpeg === '' ? undefined : ffmpeg }, deadlineMs, signal));
  const seconds = clip.samples.length / clip.sampleRateHz;
  if (clip.sampleRateHz < MIN_SAMPLE_RATE_HZ) {
    throw new CosyError('audio_sample_rate_too_low', `The audio has ${clip.sampleRateHz} samples a second; at least ${MIN_SAMPLE_RATE_HZ} are needed. Use the original recording, not one made for the telephone.`);
  }
  if (seconds < minSeconds) throw new CosyError('audio_too_short', `The audio is ${seconds.toFixed(2)} s long; at least ${minSeconds} s are needed, and 5 to 10 s are best.`);
  if (!clip.samples.some((sample) => Math.abs(sample) > SILENCE_PEAK)) throw new CosyError('audio_silent', 'The audio is silent. Check the microphone and record again.');
  return clip;
}

function decodeInThread({ bytes, ...task }: DecodeTask, deadlineMs: number, signal: AbortSignal | undefined): Promise<DecodedClip> {
  return new Promise((resolve, reject) => {
    // not slice(): a Buffer's shares its memory, which cannot be handed over
    const copy = new Uint8Array(bytes);
    const worker = new Worker(new URL('decoder.ts', import.meta.url), {
      workerData: { bytes: copy, ...task } satisfies DecodeTask,
      transferList: [copy.buffer],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 16 },
      // codecs complain to the console about every damaged frame
      stdout: true,
      stderr: true,
    });
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      void worker.terminate();
      settle();
    };
    const timer = setTimeout(() => finish(() => reject(new CosyError('audio_invalid', `The audio could not be decoded within ${deadlineMs / 1000} s. Save it as WAV and try again.`))), deadlineMs);
    const abort = (): void => finish(() => reject(new CosyError('cancelled', 'The request was cancelled.')));
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) return abort();
    worker.once('message', (answer: DecodeAnswer) => finish(() => ('clip' in answer ? resolve(answer.clip) : reject(new CosyError(answer.error.code, answer.error.message)))));
    // an exhausted heap, or a trap inside a codec
    worker.once('error', (error) => finish(() => reject(damaged(error))));
    worker.once('exit', () => finish(() => reject(damaged())));
  });
}

function damaged(cause?: unknown): CosyError {
  return new CosyError('audio_invalid', 'The audio file is damaged: it cannot be decoded.', { cause });
}

let running = 0;
const waiting: (() => void)[] = [];

/** At most one file per core at a time, the others in the order they came. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= availableParallelism()) {
    if (waiting.length >= MAX_WAITING) throw new CosyError('overloaded', 'Too many audio files are being decoded. Try again in a moment.', { retryAfterMs: 2000 });
    // whoever ends hands its place over, so `running` stays as it is
    await new Promise<void>((turn) => waiting.push(turn));
  } else {
    running++;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}
