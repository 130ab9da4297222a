/**
 * Wave thread: mel → samples. ONNX Runtime's Node binding computes in the thread that calls it, so the vocoder has one beside
 * the flow's (`acoustic-thread.ts`): while it makes the sound of one block, the next is being solved.
 */
import type { ModelConfig } from '../checkpoint/types.ts';
import type { Stage } from '../graphs/network.ts';
import { graphOpener } from '../runtime/session.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { Transfer, serveThread } from '../runtime/thread.ts';
import { openVocoder } from '../wave/index.ts';
import type { Part } from '../wave/index.ts';
import type { Deadline } from './acoustic-thread.ts';
import type { MelPiece } from './flow-streams.ts';
import { Turns } from './turns.ts';
import { WaveStreams } from './wave-streams.ts';
import type { Piece, WaveBegin } from './wave-streams.ts';

export type WaveThreadOptions = SessionOptions & { readonly config: ModelConfig; readonly directories: Readonly<Record<Stage, string>> };

/** mel (F, melBins) */
export type WholeSentence = Deadline & { readonly mel: Float32Array; readonly seed: number; readonly speed: number };

export type WaveStats = { readonly streams: number; readonly queued: number };

export type WaveMethods = {
  ready: (args: null) => Promise<void>;
  /** A sentence, or a part of it: mel (F, melBins) of all of it. */
  whole: (args: WholeSentence & { readonly part?: Part | undefined }, signal: AbortSignal) => Promise<Transfer<Piece>>;
  /** `id` is that of the acoustic thread; `begin`: the first time. `close` frees it, also when `push` failed or was cancelled. */
  push: (args: Deadline & { readonly id: number; readonly begin: WaveBegin | undefined; readonly pieces: readonly MelPiece[]; readonly last: boolean }, signal: AbortSignal) => Promise<Transfer<Piece>>;
  close: (args: { readonly id: number }) => Promise<void>;
  stats: (args: null) => WaveStats;
};

/** Frames of silence that warm the sessions up, and the logarithm of the smallest energy that a mel has (official `dynamic_range_compression`). */
const WARM_UP_FRAMES = 24;
const SILENCE = Math.log(1e-5);

serveThread<WaveThreadOptions, WaveMethods>(async ({ config, directories, ...options }) => {
  const vocoder = await openVocoder({ directory: directories.hift, config: config.hift, open: graphOpener(options) });
  await vocoder.offline(new Float32Array(WARM_UP_FRAMES * config.hift.melBins).fill(SILENCE), { noise: { seed: 0 } });
  const turns = new Turns();
  const streams = new WaveStreams({ vocoder, turns, melBins: config.hift.melBins });

  return {
    ready: async () => {},

    whole({ mel, seed, speed, part, deadlineMs }, signal) {
      const askedMs = performance.now();
      return turns.run(
        deadlineMs,
        async () => {
          const beginMs = performance.now();
          const samples = await vocoder.offline(mel, { noise: { seed }, speed, part });
          return new Transfer({ samples, turnMs: beginMs - askedMs, waveMs: performance.now() - beginMs }, [samples.buffer]);
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

    stats: () => ({ streams: streams.count, queued: turns.queued }),
  };
});
