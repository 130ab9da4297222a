/**
 * A checkpoint made ready to speak: opened, converted, its sessions in worker threads. The command line and the server both
 * drive this one object.
 */
import { basename } from 'node:path';
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { CosyError } from '../shared/errors/index.ts';
import type { Job, JobVoice, Mode } from '../shared/contract/job.ts';
import { openCheckpoint } from './checkpoint/index.ts';
import type { Checkpoint } from './checkpoint/types.ts';
import { chosenPrecisions, convertCheckpoint } from './graphs/convert.ts';
import type { Precision, Stage } from './graphs/network.ts';
import type { Device } from './runtime/session.ts';
import { startThread } from './runtime/thread.ts';
import type { Thread } from './runtime/thread.ts';
import type { AcousticMethods, AcousticStats } from './schedule/acoustic-thread.ts';
import { Rounds } from './schedule/rounds.ts';
import { convert } from './schedule/voicing.ts';
import { WaveHelper, fillsOneCore } from './schedule/wave-parts.ts';
import type { WaveThreads } from './schedule/wave-parts.ts';
import type { WaveMethods, WaveStats, WaveThreadOptions } from './schedule/wave-thread.ts';
import type { MadeVoice, Recording } from './schedule/enrolment.ts';
import type { PreparedVoice } from './schedule/voice-shelf.ts';
import { Seeds } from './schedule/reading.ts';
import type { SourceLimits, TextPiece } from './schedule/source.ts';
import type { TokenMethods, TokenStats } from './schedule/tokens-thread.ts';
import type { ResumePoint } from '../shared/contract/tokens.ts';
import { Trace } from './metrics/trace.ts';
import { synthesize } from './synthesize.ts';
import type { Sound } from './synthesize.ts';
import { openTextFrontEnd } from './text/index.ts';
import type { TextFrontEnd } from './text/index.ts';

export type EngineSettings = {
  /** Checkpoint directory in the official layout. */
  readonly model: string;
  readonly cacheDirectory: string;
  readonly device: Device;
  /** Threads per operator; 0 takes one per core. */
  readonly threads: number;
  /** Per stage; absent: the fastest that stays within the stated distance of fp32. */
  readonly precisions: Partial<Record<Stage, Precision>>;
  /** Speech tokens of a sentence that one run of the language model makes; absent: as the device wants. */
  readonly stepsPerRun?: number | undefined;
  /** Told what start-up is doing (`converting llm`). */
  readonly onProgress?: (what: string) => void;
};

export type EngineRequest = {
  /** Speakable; in pieces it is spoken while it arrives. */
  readonly text: string | AsyncIterable<TextPiece>;
  /** Silence behind `at` characters of a text that is whole. */
  readonly breaks?: Job['breaks'];
  /** For text in pieces. */
  readonly limits?: SourceLimits | undefined;
  /** Whose clips are whose: equal clips of two tenants are two voices. */
  readonly tenant?: string | undefined;
  readonly voice: JobVoice | undefined;
  readonly mode?: Mode | undefined;
  readonly instruction?: string | undefined;
  readonly language?: string | undefined;
  readonly seed?: number | undefined;
  readonly speed: number;
  readonly steps?: number | undefined;
  readonly streaming: boolean;
  /** What an earlier run of the request sent: tokens and marks, and samples at the model's rate. Seed, text and voice must be those of that run. */
  readonly resume?: ResumePoint | undefined;
  /** Filled in on the way; one of its own when absent. */
  readonly trace?: Trace | undefined;
};

/** A request under way. Nothing runs before the first `next()` of `sounds`. */
export type Speech = {
  /** The seed that makes this speech; final with the first sound, because a first sentence that went wrong is read with another one. */
  readonly seed: number;
  readonly trace: Trace;
  /** At the engine's `sampleRateHz`. */
  readonly sounds: AsyncGenerator<Sound>;
};

export type EngineStats = { readonly tokens: TokenStats; readonly acoustic: AcousticStats; readonly wave: WaveStats };

export type ConvertRequest = { readonly source: Uint8Array; readonly tenant?: string | undefined; readonly voice: JobVoice | undefined; readonly speed: number; readonly steps?: number | undefined; readonly seed?: number | undefined };

export interface Engine {
  readonly modelName: string;
  readonly sampleRateHz: number;
  voices(): readonly { readonly name: string; readonly language: string | undefined }[];
  speak(request: EngineRequest, signal: AbortSignal): Speech;
  /** Voice conversion: `source` (an audio file's bytes) in the given voice. */
  convert(request: ConvertRequest, signal: AbortSignal): Speech;
  /** Of the checkpoint: voice prompts of another one mean nothing to this. */
  readonly modelRevision: string;
  /** A recording → its stored form, which `speak` takes by key. Throws what is wrong with it, `audio_unsuitable` with what to do. */
  makeVoice(recording: Recording, signal: AbortSignal): Promise<MadeVoice>;
  /** Nothing of the voice is left here, but in streams under way. */
  forgetVoice(key: string): Promise<void>;
  /** What is held right now: rows, streams, bytes. */
  stats(): Promise<EngineStats>;
  /** Ends a thread that hangs; its requests fail with a retryable error and the next one starts a fresh thread. */
  restart(thread: keyof EngineStats): Promise<void>;
  close(): Promise<void>;
}

/** Converts what the cache does not hold, starts the threads and waits until they are warm. */
export async function openEngine(settings: EngineSettings): Promise<Engine> {
  const checkpoint = await openCheckpoint(settings.model, { cacheDirectory: settings.cacheDirectory });
  try {
    const { precisions, cacheDirectory, onProgress } = settings;
    const directories = await convertCheckpoint({ checkpoint, cacheDirectory, precisions, onProgress: (stage) => onProgress?.(`converting ${stage}`) });
    const shared = { config: checkpoint.config, directories, precisions: chosenPrecisions(checkpoint.config, precisions), device: settings.device, threads: settings.threads };
    const engine = new ThreadedEngine(checkpoint, {
      tokens: startThread<TokenMethods>({ module: new URL('./schedule/tokens-thread.ts', import.meta.url), options: { ...shared, stepsPerRun: settings.stepsPerRun }, name: 'tokens' }),
      acoustic: startThread<AcousticMethods>({
        module: new URL('./schedule/acoustic-thread.ts', import.meta.url),
        options: { ...shared, source: { campplusPath: checkpoint.campplusPath, speechTokenizerPath: checkpoint.speechTokenizerPath, hash: checkpoint.hash } },
        name: 'acoustic',
      }),
      ...waveThreads(shared),
    });
    await engine.warmUp().catch(async (error: unknown) => {
      await engine.close();
      throw error;
    });
    return engine;
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

/** Two of one core each where one thread could not use more. */
function waveThreads(options: WaveThreadOptions): WaveThreads {
  const start = (name: string, threads: number): Thread<WaveMethods> => startThread<WaveMethods>({ module: new URL('./schedule/wave-thread.ts', import.meta.url), options: { ...options, threads } satisfies WaveThreadOptions, name });
  const cores = options.threads === 0 ? availableParallelism() : options.threads;
  if (options.device !== 'cpu' || cores < 2 || !fillsOneCore(options.config.hift)) return { wave: start('wave', options.threads) };
  return { wave: start('wave', 1), second: new WaveHelper(start('second wave', 1)) };
}

type Threads = WaveThreads & { readonly tokens: Thread<TokenMethods>; readonly acoustic: Thread<AcousticMethods> };

class ThreadedEngine implements Engine {
  readonly #checkpoint: Checkpoint;
  readonly #threads: Threads;
  readonly #text: Promise<TextFrontEnd>;
  readonly #rounds = new Rounds();

  constructor(checkpoint: Checkpoint, threads: Threads) {
    this.#checkpoint = checkpoint;
    this.#threads = threads;
    this.#text = openTextFrontEnd(checkpoint);
    this.#text.catch(() => {}); // warmUp reports it
  }

  get modelName(): string {
    return basename(this.#checkpoint.directory);
  }

  get sampleRateHz(): number {
    return this.#checkpoint.config.sampleRateHz;
  }

  async warmUp(): Promise<void> {
    const { tokens, acoustic, wave } = this.#threads;
    await Promise.all([this.#text, tokens.call('ready', null), acoustic.call('ready', null), wave.call('ready', null)]);
    this.#threads.second?.start();
  }

  voices(): readonly { readonly name: string; readonly language: string | undefined }[] {
    return [...this.#checkpoint.speakers.keys()].map((name) => ({ name, language: undefined }));
  }

  speak(request: EngineRequest, signal: AbortSignal): Speech {
    const seeds = new Seeds(request.seed ?? randomSeed());
    const trace = request.trace ?? new Trace();
    return {
      get seed() {
        return seeds.base;
      },
      trace,
      sounds: this.#speak(request, { seeds, trace, signal }),
    };
  }

  async *#speak(request: EngineRequest, { seeds, trace, signal }: { readonly seeds: Seeds; readonly trace: Trace; readonly signal: AbortSignal }): AsyncGenerator<Sound> {
    const { flow, textFrontEnd } = this.#checkpoint.config;
    const text = await this.#text;
    const startMs = performance.now();
    const voice = await this.#prepare(request.voice, request.tenant, signal);
    trace.add('voice', performance.now() - startMs);
    const stages = { text, speaksPieces: textFrontEnd === 'qwen', ...this.#threads, rounds: this.#rounds, sampleRateHz: this.sampleRateHz, blockTokens: flow.encoder.chunkTokens };
    const { mode, instruction, language, speed, steps, streaming, limits, resume, breaks } = request;
    yield* synthesize({ text: request.text, breaks, limits, resume, voice, mode, instruction, language, seeds, speed, steps, streaming }, stages, trace, signal);
  }

  convert(request: ConvertRequest, signal: AbortSignal): Speech {
    const seed = request.seed ?? randomSeed();
    return { seed, trace: new Trace(), sounds: this.#convert(request, seed, signal) };
  }

  async *#convert({ source, tenant, voice, speed, steps }: ConvertRequest, seed: number, signal: AbortSignal): AsyncGenerator<Sound> {
    const prepared = await this.#prepare(voice, tenant, signal);
    const speechTokens = await this.#threads.acoustic.call('speechTokens', { audio: source }, signal);
    const samples = await convert(this.#threads, { key: prepared.key, seed, speed, steps, prompt: prepared.hasPrompt, speechTokens: [...speechTokens] }, signal);
    yield { samples, speechTokens: [...speechTokens] };
  }

  get modelRevision(): string {
    return this.#checkpoint.hash;
  }

  makeVoice(recording: Recording, signal: AbortSignal): Promise<MadeVoice> {
    return this.#threads.acoustic.call('make', recording, signal);
  }

  forgetVoice(key: string): Promise<void> {
    return this.#threads.acoustic.call('forget', { key });
  }

  async stats(): Promise<EngineStats> {
    const { tokens, acoustic, wave } = this.#threads;
    const stats = await Promise.all([tokens.call('stats', null), acoustic.call('stats', null), wave.call('stats', null)]);
    return { tokens: stats[0], acoustic: stats[1], wave: stats[2] };
  }

  async restart(thread: keyof EngineStats): Promise<void> {
    await this.#threads[thread].restart();
  }

  async #prepare(voice: JobVoice | undefined, tenant: string | undefined, signal: AbortSignal): Promise<PreparedVoice> {
    if (voice?.kind === 'clip') {
      const audio = Buffer.from(voice.audio, 'base64');
      return this.#threads.acoustic.call('imitate', { audio, transcript: voice.transcript, tenant: tenant ?? 'local' }, signal);
    }
    if (voice?.kind === 'prompt') {
      // keys name their owner: a job of another tenant that names this one is a mistake at the edge, and not served
      if (tenant !== undefined && !voice.key.startsWith(`${tenant}/`)) throw new CosyError('voice_not_found', 'There is no such voice.', { param: 'voice' });
      return this.#threads.acoustic.call('hold', { key: voice.key, bytes: voice.bytes === undefined ? undefined : Buffer.from(voice.bytes, 'base64') }, signal);
    }
    const { speakers } = this.#checkpoint;
    const name = voice === undefined || voice.name === 'default' ? speakers.keys().next().value : voice.name;
    const speaker = name === undefined ? undefined : speakers.get(name);
    if (!speaker) {
      const known = [...speakers.keys()].slice(0, 12).join(', ');
      throw new CosyError('voice_not_found', known === '' ? 'This checkpoint has no speakers of its own: give a clip to imitate (--prompt-audio).' : `There is no voice ${JSON.stringify((name ?? '').slice(0, 60))}: this checkpoint has ${known}.`, { param: 'voice' });
    }
    return this.#threads.acoustic.call('preset', speaker, signal);
  }

  async close(): Promise<void> {
    const { tokens, acoustic, wave, second } = this.#threads;
    await Promise.all([tokens.close(), acoustic.close(), wave.close(), second?.thread.close()]);
    this.#checkpoint.close();
  }
}

function randomSeed(): number {
  return randomInt(2 ** 32);
}
