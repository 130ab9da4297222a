/**
 * What is measured, by name. Each task runs in a process of its own (child.ts), so that its memory is its own and nothing
 * it loads helps the next one.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/index.ts';
import type { Checkpoint } from '../checkpoint/types.ts';
import { openEngine } from '../engine.ts';
import type { EngineSettings } from '../engine.ts';
import { chosenPrecisions, convertStage } from '../graphs/convert.ts';
import type { Stage } from '../graphs/network.ts';
import { openFlow } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import type { OpenGraph } from '../runtime/session.ts';
import { LanguageModel, STEPS_PER_RUN, operatorThreads } from '../tokens/index.ts';
import { openVocoder } from '../wave/index.ts';
import { streamed } from './stream.ts';
import { timeEach } from './measure.ts';
import type { Measurement, Report } from './measure.ts';

/** `bounded`: random weights speak until their length limit, so texts are kept short. */
export type TaskInput = { readonly settings: EngineSettings; readonly samples: number; readonly bounded: boolean };

export const TASKS = { llm, flow, vocoder, start, whole, stream } as const satisfies Record<string, (input: TaskInput, report: Report) => Promise<Measurement[]>>;
export type TaskName = keyof typeof TASKS;

const TOKENS_PER_SECOND = 25;
const PROMPT_SECONDS = 3;
const BATCHES = [1, 4, 8] as const;
const SECONDS = [2, 10, 30] as const;
const SENTENCE = 'The morning train was late again, so we walked along the river and talked about the summer.';

/** Milliseconds per decode step, with sampling, behind a prompt of 100 positions. */
async function llm({ settings, samples }: TaskInput): Promise<Measurement[]> {
  const { checkpoint, directory } = await stage(settings, 'llm');
  const { config } = checkpoint;
  const open = graphOpener({ ...settings, threads: operatorThreads(config.llm, settings) });
  const precision = chosenPrecisions(config, settings.precisions).llm;
  const startMs = performance.now();
  const stepsPerRun = settings.stepsPerRun ?? STEPS_PER_RUN[settings.device];
  const model = await LanguageModel.open({ open, directory, config: config.llm, precision, limits: { stepsPerRun } });
  const loadMs = performance.now() - startMs;
  const measurements: Measurement[] = [{ name: 'llm load', unit: 'ms', samples: [loadMs] }];
  for (const batch of BATCHES) {
    const steps = 8 * samples;
    const text = Int32Array.from({ length: 30 }, (_, i) => i % config.llm.textVocabSize);
    const promptSpeech = Int32Array.from({ length: 70 }, (_, i) => i);
    const rows = Array.from({ length: batch }, (_, seed) => model.add({ promptText: new Int32Array(0), promptSpeech, text, seed, guards: false, minTokens: 10 * steps, maxTokens: 20 * steps }));
    // the prompts first: decoding has begun when every row gave a token
    for (let made = 0; made < batch; ) made += (await model.step()).filter((event) => event.kind === 'token').length;
    measurements.push({ name: `llm step, batch ${batch}`, unit: 'ms', samples: (await timeEach(steps, () => model.step())).map((ms) => ms / stepsPerRun) });
    for (const row of rows) model.cancel(row);
  }
  await model.close();
  checkpoint.close();
  return measurements;
}

/** Real-time factors of the whole Euler solve with guidance, prompt included in the work and not in the duration. */
async function flow({ settings, samples }: TaskInput): Promise<Measurement[]> {
  const { checkpoint, directory, open } = await stage(settings, 'flow');
  const { flow: config } = checkpoint.config;
  const model = await openFlow({ directory, config, open });
  const promptTokens = PROMPT_SECONDS * TOKENS_PER_SECOND;
  const prompt = { speechTokens: ramp(promptTokens, config.vocabSize), mel: new Float32Array(promptTokens * config.tokenMelRatio * config.melBins).fill(-2) };
  const measurements: Measurement[] = [];
  for (const seconds of SECONDS) {
    const speechTokens = ramp(seconds * TOKENS_PER_SECOND, config.vocabSize);
    const embedding = new Float32Array(config.speakerDim).fill(0.1);
    const times = await timeEach(rounds(samples, seconds), () => model.offline({ speechTokens, prompt, embedding }));
    measurements.push({ name: `flow, ${seconds} s + ${PROMPT_SECONDS} s prompt`, unit: 'real-time factor', samples: times.map((ms) => ms / 1000 / seconds) });
  }
  await model.close();
  checkpoint.close();
  return measurements;
}

async function vocoder({ settings, samples }: TaskInput): Promise<Measurement[]> {
  const { checkpoint, directory, open } = await stage(settings, 'hift');
  const { hift: config } = checkpoint.config;
  const model = await openVocoder({ directory, config, open });
  const measurements: Measurement[] = [];
  for (const seconds of SECONDS) {
    const frames = seconds * TOKENS_PER_SECOND * checkpoint.config.flow.tokenMelRatio;
    const mel = Float32Array.from({ length: frames * config.melBins }, (_, i) => Math.sin(i * 0.37) - 2);
    const times = await timeEach(rounds(samples, seconds), () => model.offline(mel, { noise: { seed: 1 } }));
    measurements.push({ name: `vocoder, ${seconds} s`, unit: 'real-time factor', samples: times.map((ms) => ms / 1000 / seconds) });
  }
  await model.release();
  checkpoint.close();
  return measurements;
}

/** From nothing to ready, with an empty cache and with a filled one. */
async function start({ settings }: TaskInput): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cosyvoice-bench-'));
  try {
    const measurements: Measurement[] = [];
    for (const name of ['start, empty cache', 'start, from cache']) {
      const startMs = performance.now();
      const engine = await openEngine({ ...settings, cacheDirectory: folder });
      measurements.push({ name, unit: 's', samples: [(performance.now() - startMs) / 1000] });
      await engine.close();
    }
    return measurements;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Offline, text to samples. */
async function whole({ settings, samples }: TaskInput): Promise<Measurement[]> {
  const engine = await openEngine(settings);
  const factors: number[] = [];
  const firstMs: number[] = [];
  for (let i = 0; i <= samples; i++) {
    const startMs = performance.now();
    let first: number | undefined;
    let count = 0;
    for await (const { samples: sound } of engine.speak({ text: SENTENCE, voice: undefined, seed: i, speed: 1, streaming: false }, new AbortController().signal).sounds) {
      if (sound.length > 0) first ??= performance.now() - startMs;
      count += sound.length;
    }
    if (i === 0) continue; // warm-up
    factors.push((performance.now() - startMs) / 1000 / (count / engine.sampleRateHz));
    firstMs.push(first ?? NaN);
  }
  await engine.close();
  return [
    { name: 'whole sentence, offline', unit: 'real-time factor', samples: factors },
    { name: 'first audio, offline', unit: 'ms', samples: firstMs },
  ];
}

/** Long: it reports on the way. */
async function stream(input: TaskInput, report: Report): Promise<Measurement[]> {
  await streamed(input, report);
  return [];
}

async function stage(settings: EngineSettings, name: Stage): Promise<{ readonly checkpoint: Checkpoint; readonly directory: string; readonly open: OpenGraph }> {
  const checkpoint = await openCheckpoint(settings.model, { cacheDirectory: settings.cacheDirectory });
  const directory = await convertStage({ checkpoint, cacheDirectory: settings.cacheDirectory, stage: name, precision: settings.precisions[name] });
  return { checkpoint, directory, open: graphOpener(settings) };
}

/** Long inputs are measured fewer times. */
function rounds(samples: number, seconds: number): number {
  return Math.max(2, Math.round((samples * 4) / Math.max(4, seconds)));
}

function ramp(count: number, limit: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 97) % limit);
}
