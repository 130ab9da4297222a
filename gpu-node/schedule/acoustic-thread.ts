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

/** Samples at the model's rate, and how many more tokens make the next ones. */
export type Pushed = { readonly samples: Float32Array; readonly needed: number };

/** When the listener's sound runs out, in milliseconds since the epoch; the nearest deadline runs first. */
export type Deadline = { readonly deadlineMs: number };

export type AcousticMethods = {
  ready: (args: null) => Promise<void>;
  preset: (speaker: StoredSpeaker) => PreparedVoice;
  enroll: (args: { readonly audio: Uint8Array; readonly transcript: string | undefined }) => Promise<PreparedVoice>;
  speechTokens: (args: { readonly audio: Uint8Array }) => Promise<Int32Array>;
  whole: (args: Voicing & Deadline & { readonly speechTokens: readonly number[] }, signal: AbortSignal) => Promise<Transfer<Float32Array>>;
  open: (args: Voicing) => Promise<{ readonly id: number; readonly needed: number }>;
  push: (args: Deadline & { readonly id: number; readonly speechTokens: readonly number[]; readonly last: boolean }, signal: AbortSignal) => Promise<Transfer<Pushed>>;
  close: (args: { readonly id: number }) => void;
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
  let nextId = 1;

  return {
    ready: async () => {},

    preset(speaker) {
      const { name, embedding, prompt } = speaker;
      const key = `preset/${name}`;
      shelf.put(key, { embedding, prompt: prompt && { speechTokens: prompt.flowSpeechTokens, mel: prompt.mel } });
      const transcript = prompt && (prompt.text !== undefined || prompt.textIds) ? { text: prompt.text, ids: prompt.textIds && [...prompt.textIds] } : undefined;
      return { key, hasPrompt: prompt !== undefined, transcript, speechTokens: [...(prompt?.llmSpeechTokens ?? [])] };
    },

    async enroll({ audio, transcript }) {
      const clip = await decodePrompt(audio);
      const key = `clip/${await voiceKey({ tenant: 'local', transcript: transcript ?? '', modelRevision: source.hash }, clip)}`;
      const made = await makeVoicePrompt({ ...clip, transcript: transcript ?? '', sessions: await sessions() });
      shelf.put(key, { embedding: made.embedding, prompt: { speechTokens: made.flowSpeechTokens, mel: made.mel } });
      return { key, hasPrompt: true, transcript: transcript === undefined ? undefined : { text: transcript }, speechTokens: [...made.llmSpeechTokens] };
    },

    async speechTokens({ audio }) {
      return speechTokens(await sessions(), await decodePrompt(audio));
    },

    whole({ key, seed, speed, steps, prompt, speechTokens: tokens, deadlineMs }, signal) {
      return turns.run(deadlineMs, async () => {
        signal.throwIfAborted();
        const mel = await flow.offline({ ...shelf.voice(key, { prompt, steps }), speechTokens: Int32Array.from(tokens) });
        const samples = await vocoder.offline(mel, { noise: { seed }, speed });
        return new Transfer(samples, [samples.buffer]);
      });
    },

    async open({ key, seed, speed, steps, prompt }) {
      const state = await shelf.state(key, { prompt, steps });
      const stream: Stream = {
        flow: flow.stream(state),
        tempo: speed === 1 ? undefined : new TempoStretch(config.flow.melBins, speed),
        wave: vocoder.stream({ noise: { seed } }),
      };
      const id = nextId++;
      streams.set(id, stream);
      return { id, needed: stream.flow.needed };
    },

    push({ id, speechTokens: tokens, last, deadlineMs }, signal) {
      return turns.run(deadlineMs, async () => {
        signal.throwIfAborted();
        const stream = streams.get(id);
        if (!stream) throw new CosyError('internal_error', 'The stream was closed.');
        const mel = await stream.flow.push(Int32Array.from(tokens), { last });
        const samples = await stream.wave.push(stream.tempo ? stream.tempo.push(mel, { last }) : mel, { last });
        return new Transfer({ samples, needed: last ? 0 : stream.flow.needed }, [samples.buffer]);
      });
    },

    close({ id }) {
      streams.delete(id);
    },
  };
});

/** Half a second of silence through both networks. */
async function warmUp(flow: Flow, vocoder: Vocoder, config: ModelConfig): Promise<void> {
  const voice: FlowVoice = { embedding: new Float32Array(config.speakerDim) };
  await vocoder.offline(await flow.offline({ ...voice, speechTokens: new Int32Array(12), steps: 1 }), { noise: { seed: 0 } });
}
