/**
 * Thread of sound: speech tokens → mel → samples, and recordings → voices. Holds what a voice costs to make (its prompt and
 * the flow's state after it), shared read-only by every request that uses the voice.
 */
import type { Checkpoint, ModelConfig, StoredSpeaker } from '../checkpoint/types.ts';
import type { Precision, Stage } from '../graphs/network.ts';
import { openFlow } from '../mel/index.ts';
import type { Flow, FlowStream, FlowVoice } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { Transfer, serveThread } from '../runtime/thread.ts';
import { TempoStretch, openVocoder } from '../wave/index.ts';
import type { Vocoder, VocoderStream } from '../wave/index.ts';
import { decodePrompt, makeVoicePrompt, openVoiceSessions, speechTokens } from '../voice/index.ts';
import type { VoiceSessions } from '../voice/index.ts';
import { voiceKey } from '../../shared/voice-prompt/index.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { Turns } from './turns.ts';
import { VoiceShelf } from './voice-shelf.ts';

export type AcousticThreadOptions = SessionOptions & {
  readonly config: ModelConfig;
  readonly directories: Readonly<Record<Stage, string>>;
  readonly precisions: Readonly<Record<Stage, Precision>>;
  readonly source: Pick<Checkpoint, 'campplusPath' | 'speechTokenizerPath' | 'hash'>;
};

/** What the spine needs to know of a voice; the rest stays in this thread under `key`. */
export type PreparedVoice = {
  readonly key: string;
  readonly hasPrompt: boolean;
  readonly transcript: { readonly text?: string | undefined; readonly ids?: readonly number[] | undefined } | undefined;
  /** Prompt tokens for the language model. */
  readonly speechTokens: readonly number[];
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

/** Samples at the model's rate, and how many more tokens make the next ones. */
export type Pushed = Spent & { readonly samples: Float32Array; readonly needed: number };

export type AcousticStats = { readonly streams: number; readonly queued: number; readonly voiceBytes: number; readonly streamBytes: number; readonly voiceHits: number; readonly voiceMisses: number };

/** When the listener's sound runs out, in milliseconds since the epoch; the nearest deadline runs first. */
export type Deadline = { readonly deadlineMs: number };

export type AcousticMethods = {
  ready: (args: null) => Promise<void>;
  preset: (speaker: StoredSpeaker) => PreparedVoice;
  enroll: (args: { readonly audio: Uint8Array; readonly transcript: string | undefined; readonly tenant: string }, signal: AbortSignal) => Promise<PreparedVoice>;
  speechTokens: (args: { readonly audio: Uint8Array }) => Promise<Int32Array>;
  whole: (args: Voicing & Deadline & { readonly speechTokens: readonly number[] }, signal: AbortSignal) => Promise<Transfer<Pushed>>;
  /** `id` is the caller's and new; `close` frees it, also when `open` failed or was cancelled. */
  open: (args: Voicing & Deadline & { readonly id: number }, signal: AbortSignal) => Promise<{ readonly needed: number }>;
  push: (args: Deadline & { readonly id: number; readonly speechTokens: readonly number[]; readonly last: boolean }, signal: AbortSignal) => Promise<Transfer<Pushed>>;
  close: (args: { readonly id: number }) => Promise<void>;
  stats: (args: null) => AcousticStats;
};

type Stream = { readonly flow: FlowStream; readonly tempo: TempoStretch | undefined; readonly wave: VocoderStream };

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
  const streams = new Map<number, Stream>();

  return {
    ready: async () => {},

    preset(speaker) {
      const { name, embedding, prompt } = speaker;
      const key = `preset/${name}`;
      shelf.put(key, { embedding, prompt: prompt && { speechTokens: prompt.flowSpeechTokens, mel: prompt.mel } });
      const transcript = prompt && (prompt.text !== undefined || prompt.textIds) ? { text: prompt.text, ids: prompt.textIds && [...prompt.textIds] } : undefined;
      return { key, hasPrompt: prompt !== undefined, transcript, speechTokens: [...(prompt?.llmSpeechTokens ?? [])] };
    },

    async enroll({ audio, transcript, tenant }, signal) {
      const clip = await decodePrompt(audio);
      const key = `clip/${await voiceKey({ tenant, transcript: transcript ?? '', modelRevision: source.hash }, clip)}`;
      const opened = await sessions();
      const made = await turns.run(Date.now(), () => makeVoicePrompt({ ...clip, transcript: transcript ?? '', sessions: opened }), signal);
      shelf.put(key, { embedding: made.embedding, prompt: { speechTokens: made.flowSpeechTokens, mel: made.mel } });
      return { key, hasPrompt: true, transcript: transcript === undefined ? undefined : { text: transcript }, speechTokens: [...made.llmSpeechTokens] };
    },

    async speechTokens({ audio }) {
      return speechTokens(await sessions(), await decodePrompt(audio));
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
          return new Transfer({ samples, needed: 0, ...clock.laps }, [samples.buffer]);
        },
        signal,
      );
    },

    open({ id, key, seed, speed, steps, prompt, deadlineMs }, signal) {
      return turns.run(
        deadlineMs,
        async () => {
          const state = await shelf.state(key, { prompt, steps });
          // cancelled meanwhile: its `close` has been here or is behind this
          signal.throwIfAborted();
          const stream: Stream = {
            flow: flow.stream(state),
            tempo: speed === 1 ? undefined : new TempoStretch(config.flow.melBins, speed),
            wave: vocoder.stream({ noise: { seed } }),
          };
          streams.set(id, stream);
          return { needed: stream.flow.needed };
        },
        signal,
      );
    },

    push({ id, speechTokens: tokens, last, deadlineMs }, signal) {
      const clock = new Clock();
      return turns.run(
        deadlineMs,
        async () => {
          clock.lap('turnMs');
          const stream = streams.get(id);
          if (!stream) throw new CosyError('internal_error', 'The stream was closed.');
          const mel = await stream.flow.push(Int32Array.from(tokens), { last });
          clock.lap('melMs');
          const samples = await stream.wave.push(stream.tempo ? stream.tempo.push(mel, { last }) : mel, { last });
          clock.lap('waveMs');
          return new Transfer({ samples, needed: last ? 0 : stream.flow.needed, ...clock.laps }, [samples.buffer]);
        },
        signal,
      );
    },

    // in turn, so that no run is using what is given back
    close({ id }) {
      return turns.run(-Infinity, async () => {
        streams.get(id)?.flow.close();
        streams.delete(id);
      });
    },

    stats: () => ({ streams: streams.size, queued: turns.queued, voiceBytes: shelf.bytes, streamBytes: [...streams.values()].reduce((sum, stream) => sum + stream.flow.bytes, 0), voiceHits: shelf.hits, voiceMisses: shelf.misses }),
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

/** Half a second of silence through both networks. */
async function warmUp(flow: Flow, vocoder: Vocoder, config: ModelConfig): Promise<void> {
  const voice: FlowVoice = { embedding: new Float32Array(config.speakerDim) };
  await vocoder.offline(await flow.offline({ ...voice, speechTokens: new Int32Array(12), steps: 1 }), { noise: { seed: 0 } });
}
