/** What streaming gives its listeners: first sound alone and among others, long texts, and when one of them leaves. */
import { SECOND_TRY, SENTENCE_END } from '../../shared/contract/tokens.ts';
import { openCheckpoint } from '../checkpoint/index.ts';
import { openEngine } from '../engine.ts';
import type { Engine, EngineSettings } from '../engine.ts';
import { openTextFrontEnd } from '../text/index.ts';
import { blocks } from './blocks.ts';
import type { Measurement } from './measure.ts';

const WORDS = 'The morning train was late again, so we walked along the river and talked about the summer.'.split(' ');
const LISTENERS = 8;
/** About so long is what each listener hears. */
const SENTENCE_SECONDS = 5;
const LONG_SECONDS = 60;

/** `sentence` and `long`: texts of about these lengths. */
type Texts = { readonly sentence: string; readonly long: string };
type Heard = { readonly firstMs: number; readonly totalMs: number; readonly seconds: number; readonly underrunMs: number; readonly speechTokens: readonly number[] };

/**
 * `bounded`: the weights are random, so speech ends where its length limit is, at so many tokens for each of the text: texts
 * are cut to what makes the length wanted.
 */
export async function streamed({ settings, samples, bounded }: { readonly settings: EngineSettings; readonly samples: number; readonly bounded: boolean }): Promise<Measurement[]> {
  const rounds = Math.max(1, Math.round(samples / 3));
  const texts = await textsFor(settings, bounded);
  const engine = await openEngine(settings);
  const measurements: Measurement[] = [];
  let speechTokens: readonly number[] = [];
  try {
    ({ speechTokens } = await hear(engine, { text: texts.sentence, seed: 0 }));
    const alone: Heard[] = [];
    const together: Heard[] = [];
    const gain: number[] = [];
    const left: { readonly ms: number; readonly bytes: number }[] = [];
    const before = (await engine.stats()).acoustic;
    for (let round = 1; round <= rounds; round++) {
      const seeds = Array.from({ length: LISTENERS }, (_, i) => round * LISTENERS + i);
      const inTurn = await timed(async () => {
        for (const seed of seeds) alone.push(await hear(engine, { text: texts.sentence, seed }));
      });
      const atOnce = await timed(async () => Promise.all(seeds.map((seed) => hear(engine, { text: texts.sentence, seed }))));
      together.push(...atOnce.value);
      // of random weights some speak longer: what counts is sound per time
      const [one, many] = [alone.slice(-LISTENERS), atOnce.value].map((heard) => heard.reduce((sum, { seconds }) => sum + seconds, 0)) as [number, number];
      gain.push(many / atOnce.ms / (one / inTurn.ms));
      left.push(await leave(engine, { text: texts.long, seed: round }));
    }
    const after = (await engine.stats()).acoustic;
    measurements.push(
      { name: 'whole real-time factor, streaming', unit: 'real-time factor', samples: alone.map(({ totalMs, seconds }) => totalMs / 1000 / seconds) },
      { name: 'first audio, 1 listener', unit: 'ms', samples: alone.map(({ firstMs }) => firstMs) },
      { name: `first audio, ${LISTENERS} listeners at once`, unit: 'ms', samples: together.map(({ firstMs }) => firstMs) },
      { name: 'silence for a player that starts at once, 1 listener', unit: 'ms', samples: alone.map(({ underrunMs }) => underrunMs) },
      { name: `the same, ${LISTENERS} listeners at once`, unit: 'ms', samples: together.map(({ underrunMs }) => underrunMs) },
      { name: `${LISTENERS} at once against one after another, throughput`, unit: '×', samples: gain },
      { name: 'blocks of the flow per run', unit: 'blocks', samples: [(after.blocks - before.blocks) / Math.max(1, after.blockRuns - before.blockRuns)] },
      { name: 'listener leaves until row and stream are free', unit: 'ms', samples: left.map(({ ms }) => ms) },
      { name: 'state of a stream when its listener leaves, without its voice', unit: 'MB', samples: left.map(({ bytes }) => bytes / 1e6) },
    );
  } finally {
    await engine.close();
  }
  return [...measurements, ...(await blocks({ settings, rounds: bounded ? 1 : rounds, speechTokens }))];
}

async function textsFor(settings: EngineSettings, bounded: boolean): Promise<Texts> {
  const whole = (sentences: number): string => Array.from({ length: sentences }, () => WORDS.join(' ')).join(' ');
  if (!bounded) return { sentence: whole(1), long: whole(LONG_SECONDS / SENTENCE_SECONDS) };
  const checkpoint = await openCheckpoint(settings.model, { cacheDirectory: settings.cacheDirectory });
  const front = await openTextFrontEnd(checkpoint);
  const { tokenRateHz, llm } = checkpoint.config;
  const wanted = (SENTENCE_SECONDS * tokenRateHz) / llm.maxTokenTextRatio;
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
