/** Sound → bytes of a format: volume, rate, encoding. */
import { concatenate } from './runtime/floats.ts';
import { CosyError } from '../shared/errors/index.ts';
import type { AudioFormat } from '../shared/limits/index.ts';
import { createEncoder, encodeFile } from './encode/index.ts';
import type { Trace } from './metrics/trace.ts';
import type { WordSource, WordTime } from './schedule/word-times.ts';
import type { Sound } from './synthesize.ts';
import { amplify, createResampler, resample } from './wave/index.ts';

export type RenderOptions = {
  readonly format: AudioFormat;
  readonly fromHz: number;
  readonly sampleRateHz: number;
  /** Factor on the samples, softly limited. */
  readonly volume: number;
  /** Told what it took. */
  readonly trace?: Trace | undefined;
};

/** `samples`: how many at `sampleRateHz` went into the bytes so far, those of an earlier run included. */
export type RenderedPiece = { readonly bytes: Uint8Array; readonly contentType: string; readonly speechTokens: readonly number[]; readonly words: readonly WordTime[]; readonly wordSource?: WordSource | undefined; readonly samples: number; readonly durationMs: number };

/** Where an earlier run stopped: `sound` begins at sample `fromSample` (model's rate), and `sampleOffset` samples (`sampleRateHz`) were sent. */
export type RenderResume = { readonly fromSample: number; readonly sampleOffset: number };

/**
 * Streams: the first bytes leave with the first sound. Throws `unsupported_format` when the format cannot carry the rate, or
 * cannot go on in the middle.
 */
export async function* renderBytes(sounds: AsyncIterable<Sound>, options: RenderOptions & { readonly resume?: RenderResume | undefined }): AsyncGenerator<RenderedPiece> {
  const { fromHz, sampleRateHz, volume, resume, trace } = options;
  // a generator that is never started runs no `finally`, so what it owns is opened inside
  const encoder = await createEncoder(resume ? resumable(options.format) : options.format, { sampleRateHz });
  try {
    const resampler = createResampler(fromHz, sampleRateHz);
    const { lead, skip } = resume ? alignment(resume, fromHz, sampleRateHz) : { lead: 0, skip: 0 };
    let unsent = skip;
    let samples = resume?.sampleOffset ?? 0;
    const encode = (resampled: Float32Array): Promise<Uint8Array> => {
      const fresh = resampled.subarray(Math.min(unsent, resampled.length));
      unsent -= resampled.length - fresh.length;
      samples += fresh.length;
      return encoder.push(fresh);
    };
    let head = await encode(resampler.push(new Float32Array(lead)));
    for await (const sound of sounds) {
      const startMs = performance.now();
      const bytes = await encode(resampler.push(volume === 1 ? sound.samples : amplify(sound.samples.slice(), volume)));
      if (sound.samples.length > 0) trace?.add('encode', performance.now() - startMs);
      yield { bytes: Buffer.concat([head, bytes]), contentType: encoder.contentType, speechTokens: sound.speechTokens, words: sound.words ?? [], wordSource: sound.wordSource, samples, durationMs: (1000 * sound.samples.length) / fromHz };
      head = EMPTY;
    }
    const rest = await encode(resampler.flush());
    yield { bytes: Buffer.concat([head, rest, await encoder.end()]), contentType: encoder.contentType, speechTokens: [], words: [], samples, durationMs: 0 };
  } finally {
    encoder.close();
  }
}

const EMPTY = new Uint8Array(0);

/** Silence in front, so that the resampler's phase is that of the earlier run, and outputs to leave out. */
function alignment({ fromSample, sampleOffset }: RenderResume, fromHz: number, toHz: number): { readonly lead: number; readonly skip: number } {
  const period = fromHz / greatestCommonDivisor(fromHz, toHz);
  let lead = fromSample % period;
  // at a sentence's end the resampler still held a few samples of its fade-out: silence stands for them, so that none is missing
  while (((fromSample - lead) * toHz) / fromHz > sampleOffset && lead + period <= fromSample) lead += period;
  return { lead, skip: Math.max(0, sampleOffset - ((fromSample - lead) * toHz) / fromHz) };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Formats whose bytes can follow those of another encoder; a WAV file's samples go on as they are. */
function resumable(format: AudioFormat): AudioFormat {
  if (format === 'wav') return 'pcm';
  if (format === 'pcm' || format === 'mulaw' || format === 'alaw' || format === 'mp3' || format === 'aac') return format;
  throw new CosyError('unsupported_format', `${format} cannot go on in the middle of a stream: ask for pcm, wav, mp3 or aac, or send the request again.`, { param: 'format' });
}

/** Whole sound, whole file: its headers know the length. Throws like `renderBytes`. */
export async function renderFile(sounds: AsyncIterable<Sound>, options: RenderOptions): Promise<{ readonly bytes: Uint8Array; readonly durationMs: number }> {
  const samples = concatenate((await Array.fromAsync(sounds)).map((sound) => sound.samples));
  if (options.volume !== 1) amplify(samples, options.volume);
  const bytes = await encodeFile(options.format, resample(samples, options.fromHz, options.sampleRateHz), { sampleRateHz: options.sampleRateHz });
  return { bytes, durationMs: (1000 * samples.length) / options.fromHz };
}
