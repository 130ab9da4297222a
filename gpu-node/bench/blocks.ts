/**
 * Tokens → sound without the language model, so that both sides of a comparison do the same work: what streaming costs beside
 * all at once, what length costs, and what a bounded left context costs in memory and distance. Work is measured in processor
 * time, because that is what is compared; a busy machine stretches the clock and not the work.
 */
import { openCheckpoint } from '../checkpoint/index.ts';
import type { StoredSpeaker } from '../checkpoint/types.ts';
import type { EngineSettings } from '../engine.ts';
import { convertStage } from '../graphs/convert.ts';
import { openFlow } from '../mel/index.ts';
import type { FlowVoice } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import { Streams } from '../schedule/streams.ts';
import { Turns } from '../schedule/turns.ts';
import { openVocoder } from '../wave/index.ts';
import type { Measurement } from './measure.ts';

const SHORT_SECONDS = 5;
const MIDDLE_SECONDS = 30;
const LONG_SECONDS = 60;
/** −1: all; the first one is what the others are compared with. */
const LEFT_BLOCKS = [-1, 1, 2, 4, 8] as const;
const LEFT_SECONDS = 10;

type Cost = { readonly cpuMs: number; readonly wallMs: number };

/** `speechTokens`: of some natural speech, repeated to the length wanted. */
export async function blocks({ settings, rounds, speechTokens }: { readonly settings: EngineSettings; readonly rounds: number; readonly speechTokens: readonly number[] }): Promise<Measurement[]> {
  const checkpoint = await openCheckpoint(settings.model, { cacheDirectory: settings.cacheDirectory });
  const { config } = checkpoint;
  const directory = async (stage: 'flow' | 'hift'): Promise<string> => convertStage({ checkpoint, cacheDirectory: settings.cacheDirectory, stage, precision: settings.precisions[stage] });
  const open = graphOpener(settings);
  const files = { directory: await directory('flow'), config: config.flow, open };
  const flow = await openFlow(files);
  const vocoder = await openVocoder({ directory: await directory('hift'), config: config.hift, open });
  const [speaker] = checkpoint.speakers.values();
  const voice = voiceOf(speaker, config.speakerDim);
  const state = await flow.voiceState(voice);
  const streams = new Streams({ flow, vocoder, turns: new Turns(), budgetBytes: Infinity, shrinkVoices: () => {} });
  const tokens = (seconds: number): number[] => Array.from({ length: seconds * config.tokenRateHz }, (_, i) => speechTokens[i % speechTokens.length] ?? 0);
  const { signal } = new AbortController();

  async function streamed(seconds: number): Promise<Cost> {
    const all = tokens(seconds);
    return costOf(async () => {
      streams.open(state, { id: 1, seed: 1, speed: 1, early: true });
      for (let at = 0; at < all.length; at += config.flow.encoder.chunkTokens) {
        const end = at + config.flow.encoder.chunkTokens;
        await streams.push({ id: 1, speechTokens: all.slice(at, end), last: end >= all.length, deadlineMs: 0, signal });
      }
      streams.close(1);
    });
  }

  async function whole(seconds: number): Promise<Cost> {
    const all = Int32Array.from(tokens(seconds));
    return costOf(async () => vocoder.offline(await flow.offline({ ...voice, speechTokens: all }), { noise: { seed: 1 } }));
  }

  await streamed(SHORT_SECONDS);
  await whole(SHORT_SECONDS);
  const samples = { overOffline: [] as number[], overOfflineWall: [] as number[], growth: [] as number[], factor: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const [middle, offline] = [await streamed(MIDDLE_SECONDS), await whole(MIDDLE_SECONDS)];
    const [short, long] = [await streamed(SHORT_SECONDS), await streamed(LONG_SECONDS)];
    samples.overOffline.push(middle.cpuMs / offline.cpuMs);
    samples.overOfflineWall.push(middle.wallMs / offline.wallMs);
    samples.growth.push(long.cpuMs / LONG_SECONDS / (short.cpuMs / SHORT_SECONDS));
    samples.factor.push(middle.wallMs / 1000 / MIDDLE_SECONDS);
  }
  const measurements: Measurement[] = [
    { name: `tokens to sound, streaming ${MIDDLE_SECONDS} s`, unit: 'real-time factor', samples: samples.factor },
    { name: `compute of streaming ${MIDDLE_SECONDS} s against offline`, unit: '× processor time', samples: samples.overOffline },
    { name: `the same by the clock`, unit: '×', samples: samples.overOfflineWall },
    { name: `compute per second, ${LONG_SECONDS} s against ${SHORT_SECONDS} s`, unit: '× processor time', samples: samples.growth },
    { name: 'state of a stream at most, without its voice', unit: 'MB', samples: [flow.maxStreamBytes / 1e6] },
  ];
  await flow.close();
  await vocoder.release();
  measurements.push(...(await leftContext(files, { voice, speechTokens: Int32Array.from(tokens(LEFT_SECONDS)) })));
  checkpoint.close();
  return measurements;
}

/** Bytes of a stream, and its mel's relative distance (RMS) to that with all context. */
async function leftContext(files: Parameters<typeof openFlow>[0], { voice, speechTokens }: { readonly voice: FlowVoice; readonly speechTokens: Int32Array }): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  let exact: Float32Array | undefined;
  for (const leftBlocks of LEFT_BLOCKS) {
    const flow = await openFlow({ ...files, leftBlocks, promptBlocks: leftBlocks });
    const stream = flow.stream(await flow.voiceState(voice));
    const mel = [...(await stream.push(speechTokens, { last: false }))];
    const { bytes } = stream;
    mel.push(...(await stream.push(new Int32Array(0), { last: true })));
    stream.close();
    await flow.close();
    exact ??= Float32Array.from(mel);
    const name = leftBlocks < 0 ? 'all' : String(leftBlocks);
    measurements.push({ name: `state after ${LEFT_SECONDS} s, left blocks ${name}`, unit: 'MB', samples: [bytes / 1e6] });
    if (leftBlocks >= 0) measurements.push({ name: `mel, left blocks ${name} against all`, unit: '% RMS', samples: [100 * relativeRms(mel, exact)] });
  }
  return measurements;
}

function voiceOf(speaker: StoredSpeaker | undefined, speakerDim: number): FlowVoice {
  if (!speaker) return { embedding: new Float32Array(speakerDim).fill(0.1) };
  return { embedding: speaker.embedding, prompt: speaker.prompt && { speechTokens: speaker.prompt.flowSpeechTokens, mel: speaker.prompt.mel } };
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() - startMs };
}

function relativeRms(mel: readonly number[], exact: Float32Array): number {
  const squares = exact.reduce((sum, value, i) => sum + (value - (mel[i] ?? 0)) ** 2, 0);
  return Math.sqrt(squares / exact.reduce((sum, value) => sum + value * value, 0));
}
