/**
 * Thread of sound: speech tokens → mel → samples, and recordings → voices. Holds what a voice costs to make (its prompt and
 * the flow's state after it), shared read-only by every request that uses the voice.
 */
import { totalmem } from 'node:os';
import type { Checkpoint, ModelConfig, StoredSpeaker } from '../checkpoint/types.ts';
import type { Precision, Stage } from '../graphs/network.ts';
import { openFlow } from '../mel/index.ts';
import type { Flow, FlowVoice } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { Transfer, serveThread } from '../runtime/thread.ts';
import { openVocoder } from '../wave/index.ts';
import type { Vocoder } from '../wave/index.ts';
import { decodePrompt, openVoiceSessions, speechTokens } from '../voice/index.ts';
import type { VoiceSessions } from '../voice/index.ts';
import { Streams, defaultBudgetBytes } from './streams.ts';
import { Turns } from './turns.ts';
import { Enrolment } from './enrolment.ts';
import type { MadeVoice, Recording } from './enrolment.ts';
import { VoiceShelf } from './voice-shelf.ts';
import type { PreparedVoice } from './voice-shelf.ts';

export type AcousticThreadOptions = SessionOptions & {
  readonly config: ModelConfig;
  readonly directories: Readonly<Record<Stage, string>>;
  readonly precisions: Readonly<Record<Stage, Precision>>;
  readonly source: Pick<Checkpoint, 'campplusPath' | 'speechTokenizerPath' | 'hash'>;
  /** What voices and streams may hold together; half of the memory when absent. */
  readonly budgetBytes?: number;
};

export type Voicing = {
  readonly key: string;
  readonly seed: number;
  readonly speed: number;
  /** Euler steps; undefined: the checkpoint's. */
  readonly steps: number | undefined;
  /** Off: the speaker's embedding alone, without the clip (mode SFT). */
  readonly prompt: boolean;
};

/** Milliseconds: until its turn, tokens → mel, mel → samples. */
export type Spent = { readonly turnMs: number; readonly melMs: number; readonly waveMs: number };

/** Samples at the model's rate, how many more tokens make the next ones, and about how long it will be until they can be there (`Piece`). */
export type Pushed = Spent & { readonly samples: Float32Array; readonly needed: number; readonly roundMs: number };

/** `voices`: keys on the shelf, the latest used first. `blocks` went through the flow in `blockRuns` runs: those of several requests share one. */
export type AcousticStats = { readonly streams: number; readonly queued: number; readonly voiceBytes: number; readonly streamBytes: number; readonly voiceHits: number; readonly voiceMisses: number; readonly promptBytes: number; readonly voices: readonly string[]; readonly blocks: number; readonly blockRuns: number };

/** When the listener's sound runs out, in milliseconds since the epoch; the nearest deadline runs first. */
export type Deadline = { readonly deadlineMs: number };

export type AcousticMethods = {
  ready: (args: null) => Promise<void>;
  preset: (speaker: StoredSpeaker) => PreparedVoice;
  /** A recording for one request. */
  imitate: (args: Recording, signal: AbortSignal) => Promise<PreparedVoice>;
  /** A recording for a store. */
  make: (args: Recording, signal: AbortSignal) => Promise<Transfer<MadeVoice>>;
  /** A stored prompt; bytes are needed when it is not on the shelf. */
  hold: (args: { readonly key: string; readonly bytes: Uint8Array | undefined }) => Promise<PreparedVoice>;
  forget: (args: { readonly key: string }) => void;
  speechTokens: (args: { readonly audio: Uint8Array }, signal: AbortSignal) => Promise<Int32Array>;
  whole: (args: Voicing & Deadline & { readonly speechTokens: readonly number[] }, signal: AbortSignal) => Promise<Transfer<Pushed>>;
  /** `id` is the caller's and new; `close` frees it, also when `open` failed or was cancelled. `early`: a listener waits for the first sound. */
  open: (args: Voicing & Deadline & { readonly id: number; readonly early: boolean }, signal: AbortSignal) => Promise<{ readonly needed: number }>;
  push: (args: Deadline & { readonly id: number; readonly speechTokens: readonly number[]; readonly last: boolean }, signal: AbortSignal) => Promise<Transfer<Pushed>>;
  close: (args: { readonly id: number }) => Promise<void>;
  stats: (args: null) => AcousticStats;
};

serveThread<AcousticThreadOptions, AcousticMethods>(async (options) => {
  const { config, directories, source } = options;
  const open = graphOpener(options);
  const flow = await openFlow({ directory: directories.flow, config: config.flow, open });
  const vocoder = await openVocoder({ directory: directories.hift, config: config.hift, open });
  // only cloning needs the front ends: they are loaded by the first clip
  let front: Promise<VoiceSessions> | undefined;
  const sessions = () => (front ??= openVoiceSessions({ checkpoint: { config, ...source }, featuresDirectory: directories.features, open }));
  await warmUp(flow, vocoder, config);

  const shelf = new VoiceShelf(flow);
  const turns = new Turns();
  const enrolment = new Enrolment({ config, modelRevision: source.hash, shelf, turns, sessions });
  const budgetBytes = options.budgetBytes ?? defaultBudgetBytes(totalmem(), process.constrainedMemory());
  const streams = new Streams({ flow, vocoder, turns, budgetBytes, shrinkVoices: (bytes) => shelf.shrink(bytes) });

  return {
    ready: async () => {},

    preset(speaker) {
      const { name, embedding, prompt } = speaker;
      const key = `preset/${name}`;
      const transcript = prompt && (prompt.text !== undefined || prompt.textIds) ? { text: prompt.text, ids: prompt.textIds && [...prompt.textIds] } : undefined;
      const prepared = { key, hasPrompt: prompt !== undefined, transcript, speechTokens: [...(prompt?.llmSpeechTokens ?? [])] };
      return shelf.put({ embedding, prompt: prompt && { speechTokens: prompt.flowSpeechTokens, mel: prompt.mel }, prepared });
    },

    imitate: (recording, signal) => enrolment.imitate(recording, signal),
    make: (recording, signal) => enrolment.make(recording, signal),
    hold: (stored) => enrolment.hold(stored),
    forget: ({ key }) => shelf.forget(key),

    async speechTokens({ audio }, signal) {
      const clip = await decodePrompt(audio);
      const opened = await sessions();
      return turns.run(Date.now(), () => speechTokens(opened, clip), signal);
    },

    whole({ key, seed, speed, steps, prompt, speechTokens: tokens, deadlineMs }, signal) {
      const clock = new Clock();
      return turns.run(
        deadlineMs,
        async () => {
          clock.lap('turnMs');
          const mel = await flow.offline({ ...shelf.voice(key, { prompt, steps }), speechTokens: Int32Array.from(tokens) });
          clock.lap('melMs');
          const samples = await vocoder.offline(mel, { noise: { seed }, speed });
          clock.lap('waveMs');
          return new Transfer({ samples, needed: 0, roundMs: 0, ...clock.laps }, [samples.buffer]);
        },
        signal,
      );
    },

    open({ id, key, seed, speed, steps, prompt, early, deadlineMs }, signal) {
      return turns.run(
        deadlineMs,
        async () => {
          streams.reserve();
          const state = await shelf.state(key, { prompt, steps });
          // cancelled meanwhile: its `close` has been here or is behind this
          signal.throwIfAborted();
          return { needed: streams.open(state, { id, seed, speed, early }) };
        },
        signal,
      );
    },

    async push(args, signal) {
      const made = await streams.push({ ...args, signal });
      return new Transfer(made, [made.samples.buffer]);
    },

    // in turn, so that no run is using what is given back
    close({ id }) {
      return turns.run(-Infinity, async () => streams.close(id));
    },

    stats: () => ({ streams: streams.count, queued: turns.queued, voiceBytes: shelf.bytes, streamBytes: streams.bytes, voiceHits: shelf.hits, voiceMisses: shelf.misses, promptBytes: shelf.promptBytes, voices: shelf.keys(), blocks: turns.shared.items, blockRuns: turns.shared.turns }),
  };
});

class Clock {
  #sinceMs = performance.now();
  readonly laps = { turnMs: 0, melMs: 0, waveMs: 0 };

  lap(name: keyof Spent): void {
    const now = performance.now();
    this.laps[name] = now - this.#sinceMs;
    this.#sinceMs = now;
  }
}

/** Half a second of silence through both networks, and the measurement that decides about batches. */
async function warmUp(flow: Flow, vocoder: Vocoder, config: ModelConfig): Promise<void> {
  const voice: FlowVoice = { embedding: new Float32Array(config.speakerDim) };
  await vocoder.offline(await flow.offline({ ...voice, speechTokens: new Int32Array(12), steps: 1 }), { noise: { seed: 0 } });
  await flow.prepareBatches();
}
