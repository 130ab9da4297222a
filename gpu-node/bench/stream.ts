/** What streaming gives its listeners: first sound alone and among others, long texts, and when one of them leaves. */
import { SECOND_TRY, SENTENCE_END } from '../../shared/contract/tokens.ts';
import { openCheckpoint } from '../checkpoint/index.ts';
import { openEngine } from '../engine.ts';
import type { Engine, EngineSettings } from '../engine.ts';
import { openTextFrontEnd } from '../text/index.ts';
import { blocks } from './blocks.ts';
import type { Report } from './measure.ts';

const WORDS = 'The morning train was late again, so we walked along the river and talked about the summer.'.split(' ');
const LISTENERS = 8;
/** About so long is what each listener hears. */
const SENTENCE_SECONDS = 5;
const LONG_SECONDS = 60;
/**
 * At full size a second of sound takes a second and more: listeners hear shorter ones, and fewer of them one after another.
 * What is compared is sound per time, so the numbers of listeners need not be equal.
 */
const BOUNDED = { sentenceSeconds: 2, inTurn: 3 } as const;
/** No new round begins after this. */
const ROUNDS_MS = 60_000;

/** `sentence` and `long`: texts of about these lengths. */
type Texts = { readonly sentence: string; readonly long: string };
type Heard = { readonly firstMs: number; readonly totalMs: number; readonly seconds: number; readonly underrunMs: number; readonly speechTokens: readonly number[] };
/** Some listeners, together or in turn; the processor time is that of the whole process. */
type Audience = { readonly heard: readonly Heard[]; readonly seconds: number; readonly ms: number; readonly cpuMs: number };

/**
 * `bounded`: the weights are random, so speech ends where its length limit is, at so many tokens for each of the text: texts
 * are cut to what makes the length wanted. Each figure is reported as soon as it is known.
 */
export async function streamed({ settings, samples, bounded }: { readonly settings: EngineSettings; readonly samples: number; readonly bounded: boolean }, report: Report): Promise<void> {
  const rounds = bounded ? 1 : Math.max(1, Math.round(samples / 3));
  const beginMs = performance.now();
  report.progress('opening the engine');
  const texts = await textsFor(settings, bounded);
  const engine = await openEngine(settings);
  const say = (seed: number): Promise<Heard> => hear(engine, { text: texts.sentence, seed });
  let speechTokens: readonly number[] = [];
  try {
    report.progress('warm-up');
    ({ speechTokens } = await say(0));
    const alone: Audience[] = [];
    const together: Audience[] = [];
    const left: { readonly ms: number; readonly bytes: number }[] = [];
    const before = (await engine.stats()).acoustic;
    for (let round = 1; round <= rounds && (round === 1 || performance.now() - beginMs < ROUNDS_MS); round++) {
      const seeds = Array.from({ length: LISTENERS }, (_, i) => round * LISTENERS + i);
      report.progress(`one after another, round ${round} of ${rounds}`);
      alone.push(
        await audience(async () => {
          const heard: Heard[] = [];
          for (const seed of seeds.slice(0, bounded ? BOUNDED.inTurn : LISTENERS)) heard.push(await say(seed));
          return heard;
        }),
      );
      report.progress(`${LISTENERS} at once, round ${round} of ${rounds}`);
      together.push(await audience(() => Promise.all(seeds.map(say))));
    }
    const after = (await engine.stats()).acoustic;
    const one = alone.flatMap(({ heard }) => heard);
    const many = together.flatMap(({ heard }) => heard);
    report.measured([
      { name: 'first audio, 1 listener', unit: 'ms', samples: one.map(({ firstMs }) => firstMs) },
      { name: `first audio, ${LISTENERS} listeners at once`, unit: 'ms', samples: many.map(({ firstMs }) => firstMs) },
      { name: 'silence for a player that starts at once, 1 listener', unit: 'ms', samples: one.map(({ underrunMs }) => underrunMs) },
      { name: `the same, ${LISTENERS} listeners at once`, unit: 'ms', samples: many.map(({ underrunMs }) => underrunMs) },
      { name: 'whole real-time factor, streaming', unit: 'real-time factor', samples: one.map(({ totalMs, seconds }) => totalMs / 1000 / seconds) },
      // of random weights some speak longer: what counts is sound per time
      { name: `${LISTENERS} at once against one after another, throughput`, unit: '×', samples: together.map((at, i) => rate(at) / rate(alone[i] ?? at)) },
      { name: 'the same by processor time', unit: '×', samples: together.map((at, i) => work(alone[i] ?? at) / work(at)) },
      { name: 'processor time per second of sound, 1 listener', unit: 'ms', samples: alone.map(work) },
      { name: `the same, ${LISTENERS} listeners at once`, unit: 'ms', samples: together.map(work) },
      { name: `cores in use, ${LISTENERS} listeners at once`, unit: 'cores', samples: together.map(({ cpuMs, ms }) => cpuMs / ms) },
      { name: 'blocks of the flow per run', unit: 'blocks', samples: [(after.blocks - before.blocks) / Math.max(1, after.blockRuns - before.blockRuns)] },
    ]);
    for (let round = 1; round <= rounds; round++) {
      report.progress(`a listener leaves, round ${round} of ${rounds}`);
      left.push(await leave(engine, { text: texts.long, seed: round }));
    }
    report.measured([
      { name: 'listener leaves until row and stream are free', unit: 'ms', samples: left.map(({ ms }) => ms) },
      { name: 'state of a stream when its listener leaves, without its voice', unit: 'MB', samples: left.map(({ bytes }) => bytes / 1e6) },
    ]);
  } finally {
    await engine.close();
  }
  await blocks({ settings, rounds, bounded, beginMs, speechTokens }, report);
}

async function audience(listen: () => Promise<readonly Heard[]>): Promise<Audience> {
  const before = process.cpuUsage();
  const { ms, value: heard } = await timed(listen);
  const { user, system } = process.cpuUsage(before);
  return { heard, ms, cpuMs: (user + system) / 1000, seconds: heard.reduce((sum, { seconds }) => sum + seconds, 0) };
}

/** Sound per time. */
function rate({ seconds, ms }: Audience): number {
  return seconds / ms;
}

/** Milliseconds of processor time per second of sound: a busy machine changes it little. */
function work({ seconds, cpuMs }: Audience): number {
  return cpuMs / seconds;
}

async function textsFor(settings: EngineSettings, bounded: boolean): Promise<Texts> {
  const whole = (sentences: number): string => Array.from({ length: sentences }, () => WORDS.join(' ')).join(' ');
  if (!bounded) return { sentence: whole(1), long: whole(LONG_SECONDS / SENTENCE_SECONDS) };
  const checkpoint = await openCheckpoint(settings.model, { cacheDirectory: settings.cacheDirectory });
  const front = await openTextFrontEnd(checkpoint);
  const { tokenRateHz, llm } = checkpoint.config;
  const wanted = (BOUNDED.sentenceSeconds * tokenRateHz) / llm.maxTokenTextRatio;
  const count = WORDS.findIndex((_, i) => front.ids(WORDS.slice(0, i + 1).join(' ')).length >= wanted);
  checkpoint.close();
  return { sentence: WORDS.slice(0, count < 0 ? undefined : count + 1).join(' '), long: whole(1) };
}

async function hear(engine: Engine, { text, seed }: { readonly text: string; readonly seed: number }): Promise<Heard> {
  const startMs = performance.now();
  let firstMs: number | undefined;
  let count = 0;
  const speechTokens: number[] = [];
  const speech = engine.speak({ text, voice: undefined, seed, speed: 1, streaming: true }, new AbortController().signal);
  for await (const sound of speech.sounds) {
    if (sound.samples.length > 0) firstMs ??= performance.now() - startMs;
    count += sound.samples.length;
    if (sound.speechTokens[0] !== SENTENCE_END) speechTokens.push(...sound.speechTokens.filter((token) => token !== SECOND_TRY));
  }
  return { firstMs: firstMs ?? NaN, totalMs: performance.now() - startMs, seconds: count / engine.sampleRateHz, underrunMs: speech.trace.underruns.ms, speechTokens };
}

/** A listener who leaves in the middle of a sentence: how long until nothing is held for it, and how much was. */
async function leave(engine: Engine, { text, seed }: { readonly text: string; readonly seed: number }): Promise<{ readonly ms: number; readonly bytes: number }> {
  const stop = new AbortController();
  const { sounds } = engine.speak({ text, voice: undefined, seed, speed: 1, streaming: true }, stop.signal);
  await sounds.next();
  await sounds.next();
  const bytes = (await engine.stats()).acoustic.streamBytes;
  const going = sounds.next().catch(() => {});
  const { ms } = await timed(async () => {
    stop.abort();
    for (;;) {
      const { tokens, acoustic } = await engine.stats();
      if (tokens.rows === 0 && acoustic.streams === 0) return;
    }
  });
  await going;
  return { ms, bytes };
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly value: T }> {
  const startMs = performance.now();
  const value = await work();
  return { ms: performance.now() - startMs, value };
}
