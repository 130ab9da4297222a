/**
 * Acoustic thread: speech tokens → mel, and recordings → voices. Holds what a voice costs to make (its prompt and the flow's
 * state after it), shared read-only by every request that uses the voice. The vocoder has a thread of its own
 * (`wave-thread.ts`), so that both work at the same time.
 */
import { totalmem } from 'node:os';
import type { Checkpoint, ModelConfig, StoredSpeaker } from '../checkpoint/types.ts';
import type { Precision, Stage } from '../graphs/network.ts';
import { openFlow } from '../mel/index.ts';
import type { Flow, FlowVoice } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { Transfer, serveThread } from '../runtime/thread.ts';
import { decodePrompt, openVoiceSessions, speechTokens } from '../voice/index.ts';
import type { VoiceSessions } from '../voice/index.ts';
import { FlowStreams, defaultBudgetBytes, melBuffers } from './flow-streams.ts';
import type { FlowStreamOpening, Solved } from './flow-streams.ts';
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

/** Whose voice. */
export type Speaking = {
  readonly key: string;
  /** Euler steps; undefined: the checkpoint's. */
  readonly steps: number | undefined;
  /** Off: the speaker's embedding alone, without the clip (mode SFT). */
  readonly prompt: boolean;
};

/** All frames (F, melBins) of a sentence, and the milliseconds of waiting and of work. */
export type WholeMel = { readonly mel: Float32Array; readonly turnMs: number; readonly melMs: number };

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
  whole: (args: Speaking & Deadline & { readonly speechTokens: readonly number[] }, signal: AbortSignal) => Promise<Transfer<WholeMel>>;
  /** `id` is the caller's and new; `close` frees it, also when `open` failed or was cancelled. */
  open: (args: Speaking & Deadline & FlowStreamOpening, signal: AbortSignal) => Promise<{ readonly needed: number }>;
  push: (args: Deadline & { readonly id: number; readonly speechTokens: readonly number[]; readonly last: boolean }, signal: AbortSignal) => Promise<Transfer<Solved>>;
  close: (args: { readonly id: number }) => Promise<void>;
  /** Gives idle voices up, because another thread found no memory. */
  spare: (args: null) => void;
  stats: (args: null) => AcousticStats;
};

serveThread<AcousticThreadOptions, AcousticMethods>(async (options) => {
  const { config, directories, source } = options;
  const open = graphOpener(options);
  const flow = await openFlow({ directory: directories.flow, config: config.flow, open });
  // only cloning needs the front ends: they are loaded by the first clip
  let front: Promise<VoiceSessions> | undefined;
  const sessions = () => (front ??= openVoiceSessions({ checkpoint: { config, ...source }, featuresDirectory: directories.features, open }));
  await warmUp(flow, config);

  const shelf = new VoiceShelf(flow);
  const turns = new Turns();
  const enrolment = new Enrolment({ config, modelRevision: source.hash, shelf, turns, sessions });
  const budgetBytes = options.budgetBytes ?? defaultBudgetBytes(totalmem(), process.constrainedMemory());
  const streams = new FlowStreams({ flow, turns, budgetBytes, shrinkVoices: (bytes) => shelf.shrink(bytes) });

  return {
    ready: async () => {},

    preset(speaker) {
      const { name, embedding, text, textIds, prompt } = speaker;
      const key = `preset/${name}`;
      const transcript = text === undefined && textIds === undefined ? undefined : { text, ids: textIds && [...textIds] };
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

    whole({ key, steps, prompt, speechTokens: tokens, deadlineMs }, signal) {
      const askedMs = performance.now();
      return turns.run(
        deadlineMs,
        async () => {
          const beginMs = performance.now();
          const mel = await flow.offline({ ...shelf.voice(key, { prompt, steps }), speechTokens: Int32Array.from(tokens) });
          return new Transfer({ mel, turnMs: beginMs - askedMs, melMs: performance.now() - beginMs }, [mel.buffer]);
        },
        signal,
      );
    },

    open({ id, key, steps, prompt, early, deadlineMs }, signal) {
      return turns.run(
        deadlineMs,
        async () => {
          streams.reserve();
          const state = await shelf.state(key, { prompt, steps });
          // cancelled meanwhile: its `close` has been here or is behind this
          signal.throwIfAborted();
          return { needed: streams.open(state, { id, early }) };
        },
        signal,
      );
    },

    async push(args, signal) {
      const solved = await streams.push({ ...args, signal });
      return new Transfer(solved, melBuffers(solved.pieces));
    },

    // in turn, so that no run is using what is given back
    close({ id }) {
      return turns.run(-Infinity, async () => streams.close(id));
    },

    spare: () => shelf.shrink(0),

    stats: () => ({ streams: streams.count, queued: turns.queued, voiceBytes: shelf.bytes, streamBytes: streams.bytes, voiceHits: shelf.hits, voiceMisses: shelf.misses, promptBytes: shelf.promptBytes, voices: shelf.keys(), blocks: turns.shared.items, blockRuns: turns.shared.turns }),
  };
});

/** Half a second of silence, and the measurement that decides about batches. */
async function warmUp(flow: Flow, config: ModelConfig): Promise<void> {
  const voice: FlowVoice = { embedding: new Float32Array(config.speakerDim) };
  await flow.offline({ ...voice, speechTokens: new Int32Array(12), steps: 1 });
  await flow.prepareBatches();
}
