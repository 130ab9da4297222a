/**
 * Tokens → sound without the language model, so that both sides of a comparison do the same work: what streaming costs beside
 * all at once, what length costs, and what a bounded left context costs in memory and distance. Work is measured in processor
 * time, because that is what is compared; a busy machine stretches the clock and not the work.
 */
import { strict as assert } from 'node:assert';
import { openCheckpoint } from '../checkpoint/index.ts';
import type { StoredSpeaker } from '../checkpoint/types.ts';
import type { EngineSettings } from '../engine.ts';
import { convertStage } from '../graphs/convert.ts';
import { openFlow } from '../mel/index.ts';
import type { FlowVoice } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import { FlowStreams } from '../schedule/flow-streams.ts';
import { Turns } from '../schedule/turns.ts';
import { WaveStreams } from '../schedule/wave-streams.ts';
import { openVocoder } from '../wave/index.ts';
import type { Measurement, Report } from './measure.ts';

const SHORT_SECONDS = 5;
const MIDDLE_SECONDS = 30;
const LONG_SECONDS = 60;
/** −1: all; the first one is what the others are compared with. */
const LEFT_BLOCKS = [-1, 1, 2, 4, 8] as const;
const LEFT_SECONDS = 10;
/** What would begin later than so long after the bench is left out, and said to be. */
const LATEST_MS = 300_000;
/** At full size, where opening a graph and each second take long. */
const BOUNDED = { leftBlocks: [-1, 1, 2], leftSeconds: 4 } as const;

type Cost = { readonly cpuMs: number; readonly wallMs: number };
/** What a stream has cost so far, and how much sound it has given for it. */
type Mark = Cost & { readonly seconds: number };

type BlocksInput = { readonly settings: EngineSettings; readonly rounds: number; readonly bounded: boolean; readonly beginMs: number; readonly speechTokens: readonly number[] };

/** `speechTokens`: of some natural speech, repeated to the length wanted. `beginMs`: of the whole bench (`performance.now()`). `bounded`: less of what takes long at full size. */
export async function blocks({ settings, rounds, bounded, beginMs, speechTokens }: BlocksInput, report: Report): Promise<void> {
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
  const flows = new FlowStreams({ flow, turns: new Turns(), budgetBytes: Infinity, shrinkVoices: () => {} });
  const waves = new WaveStreams({ vocoder, turns: new Turns(), melBins: config.hift.melBins });
  const tokens = (seconds: number): number[] => Array.from({ length: seconds * config.tokenRateHz }, (_, i) => speechTokens[i % speechTokens.length] ?? 0);
  const { signal } = new AbortController();

  async function streamed(seconds: number): Promise<Mark[]> {
    const all = tokens(seconds);
    const marks: Mark[] = [];
    const spent = stopwatch();
    let samples = 0;
    flows.open(state, { id: 1, early: true });
    for (let at = 0; at < all.length; at += config.flow.encoder.chunkTokens) {
      const end = at + config.flow.encoder.chunkTokens;
      const last = end >= all.length;
      const { pieces } = await flows.push({ id: 1, speechTokens: all.slice(at, end), last, deadlineMs: 0, signal });
      const made = await waves.push({ id: 1, begin: at === 0 ? { seed: 1, speed: 1 } : undefined, pieces, last, deadlineMs: 0, signal });
      samples += made.samples.length;
      marks.push({ ...spent(), seconds: samples / config.sampleRateHz });
      report.progress(`streaming ${seconds} s: ${(samples / config.sampleRateHz).toFixed(0)} s`);
    }
    flows.close(1);
    waves.close(1);
    return marks;
  }

  async function whole(seconds: number): Promise<Cost> {
    report.progress(`offline, ${seconds} s`);
    const all = Int32Array.from(tokens(seconds));
    const spent = stopwatch();
    await vocoder.offline(await flow.offline({ ...voice, speechTokens: all }), { noise: { seed: 1 } });
    return spent();
  }

  await streamed(2);
  await whole(2);
  const isLate = (): boolean => performance.now() - beginMs > LATEST_MS;
  const late = `not begun within ${LATEST_MS / 1000} s`;
  const unitOf = (samples: readonly number[], unit: string): string => (samples.length === 0 ? late : unit);
  const samples = { overOffline: [] as number[], overOfflineWall: [] as number[], growth: [] as number[], factor: [] as number[] };
  for (let round = 0; round < rounds && !isLate(); round++) {
    // both of a comparison one behind the other, for a machine that is busy now and then
    const [offline, middle] = [await whole(MIDDLE_SECONDS), at(await streamed(MIDDLE_SECONDS), MIDDLE_SECONDS)];
    samples.overOffline.push(middle.cpuMs / offline.cpuMs);
    samples.overOfflineWall.push(middle.wallMs / offline.wallMs);
    samples.factor.push(middle.wallMs / 1000 / middle.seconds);
  }
  report.measured([
    { name: `tokens to sound, streaming ${MIDDLE_SECONDS} s`, unit: unitOf(samples.factor, 'real-time factor'), samples: samples.factor },
    { name: `compute of streaming ${MIDDLE_SECONDS} s against offline`, unit: unitOf(samples.overOffline, '× processor time'), samples: samples.overOffline },
    { name: `the same by the clock`, unit: unitOf(samples.overOfflineWall, '×'), samples: samples.overOfflineWall },
    { name: 'state of a stream at most, without its voice', unit: 'MB', samples: [flow.maxStreamBytes / 1e6] },
    { name: 'and of the one block under way, for all streams', unit: 'MB', samples: [flow.runBytes / 1e6] },
  ]);
  for (let round = 0; round < rounds && !isLate(); round++) {
    const marks = await streamed(LONG_SECONDS);
    const [short, long] = [at(marks, SHORT_SECONDS), at(marks, LONG_SECONDS)];
    samples.growth.push(long.cpuMs / long.seconds / (short.cpuMs / short.seconds));
  }
  report.measured([{ name: `compute per second of sound, ${LONG_SECONDS} s against their first ${SHORT_SECONDS} s`, unit: unitOf(samples.growth, '× processor time'), samples: samples.growth }]);
  await flow.close();
  await vocoder.release();
  const left = bounded ? { seconds: BOUNDED.leftSeconds, bounds: BOUNDED.leftBlocks } : { seconds: LEFT_SECONDS, bounds: LEFT_BLOCKS };
  if (isLate()) report.measured([{ name: 'left context', unit: late, samples: [] }]);
  else await leftContext(files, { voice, speechTokens: Int32Array.from(tokens(left.seconds)), ...left }, report);
  checkpoint.close();
}

type LeftInput = { readonly voice: FlowVoice; readonly speechTokens: Int32Array; readonly seconds: number; readonly bounds: readonly number[] };

/** Bytes of a stream, and its mel's relative distance (RMS) to that with all context. */
async function leftContext(files: Parameters<typeof openFlow>[0], { voice, speechTokens, seconds, bounds }: LeftInput, report: Report): Promise<void> {
  const measurements: Measurement[] = [];
  let exact: Float32Array | undefined;
  for (const leftBlocks of bounds) {
    const name = leftBlocks < 0 ? 'all' : String(leftBlocks);
    report.progress(`left blocks: ${name}`);
    const flow = await openFlow({ ...files, leftBlocks, promptBlocks: leftBlocks });
    const stream = flow.stream(await flow.voiceState(voice));
    const mel = [...(await stream.push(speechTokens, { last: false }))];
    const { bytes } = stream;
    mel.push(...(await stream.push(new Int32Array(0), { last: true })));
    stream.close();
    await flow.close();
    exact ??= Float32Array.from(mel);
    measurements.push({ name: `state after ${seconds} s, left blocks ${name}`, unit: 'MB', samples: [bytes / 1e6] });
    if (leftBlocks >= 0) measurements.push({ name: `mel, left blocks ${name} against all`, unit: '% RMS', samples: [100 * relativeRms(mel, exact)] });
  }
  report.measured(measurements);
}

/** Where the stream had given so many seconds, or its end. */
function at(marks: readonly Mark[], seconds: number): Mark {
  const mark = marks.find((one) => one.seconds >= seconds) ?? marks.at(-1);
  assert(mark, 'a stream has blocks');
  return mark;
}

function voiceOf(speaker: StoredSpeaker | undefined, speakerDim: number): FlowVoice {
  if (!speaker) return { embedding: new Float32Array(speakerDim).fill(0.1) };
  return { embedding: speaker.embedding, prompt: speaker.prompt && { speechTokens: speaker.prompt.flowSpeechTokens, mel: speaker.prompt.mel } };
}

/** Processor time and clock from now on. */
function stopwatch(): () => Cost {
  const before = process.cpuUsage();
  const startMs = performance.now();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { cpuMs: (user + system) / 1000, wallMs: performance.now() - startMs };
  };
}

function relativeRms(mel: readonly number[], exact: Float32Array): number {
  const squares = exact.reduce((sum, value, i) => sum + (value - (mel[i] ?? 0)) ** 2, 0);
  return Math.sqrt(squares / exact.reduce((sum, value) => sum + value * value, 0));
}
