/** What streaming costs and gives: beside offline, for long texts, for many listeners, and when one of them leaves. */
import { openEngine } from '../engine.ts';
import type { Engine, EngineSettings } from '../engine.ts';
import type { Measurement } from './measure.ts';

const SENTENCE = 'The morning train was late again, so we walked along the river and talked about the summer. ';
const LISTENERS = 8;
/** Sentences that make about 5, 30 and 60 seconds. */
const SHORT = 1;
const MIDDLE = 6;
const LONG = 12;

type Heard = { readonly firstMs: number; readonly totalMs: number; readonly seconds: number };

export async function streamed({ settings, samples }: { readonly settings: EngineSettings; readonly samples: number }): Promise<Measurement[]> {
  const engine = await openEngine(settings);
  const rounds = Math.max(1, Math.round(samples / 3));
  try {
    await hear(engine, { sentences: SHORT, seed: 0 });
    const firstOfMany: number[] = [];
    const gain: number[] = [];
    const overOffline: number[] = [];
    const growth: number[] = [];
    const cancelMs: number[] = [];
    const stateMb: number[] = [];
    for (let seed = 1; seed <= rounds; seed++) {
      const alone = await inTurn(engine, seed);
      const together = await timed(() => Promise.all(seeds(seed).map((each) => hear(engine, { sentences: SHORT, seed: each }))));
      firstOfMany.push(...together.value.map(({ firstMs }) => firstMs));
      gain.push(alone / together.ms);
      const middle = await hear(engine, { sentences: MIDDLE, seed });
      const offline = await hear(engine, { sentences: MIDDLE, seed, streaming: false });
      overOffline.push(middle.totalMs / middle.seconds / (offline.totalMs / offline.seconds));
      const short = await hear(engine, { sentences: SHORT, seed });
      const long = await hear(engine, { sentences: LONG, seed });
      growth.push(long.totalMs / long.seconds / (short.totalMs / short.seconds));
      const left = await leave(engine, seed);
      cancelMs.push(left.ms);
      stateMb.push(left.bytes / 1e6);
    }
    return [
      { name: `first audio, ${LISTENERS} listeners at once`, unit: 'ms', samples: firstOfMany },
      { name: `${LISTENERS} at once against one after another, throughput`, unit: '×', samples: gain },
      { name: 'streaming about 30 s against offline, time per second', unit: '×', samples: overOffline },
      { name: 'time per second, about 60 s against about 5 s', unit: '×', samples: growth },
      { name: 'listener leaves until row and stream are free', unit: 'ms', samples: cancelMs },
      { name: 'state of a stream, without its voice', unit: 'MB', samples: stateMb },
    ];
  } finally {
    await engine.close();
  }
}

/** Milliseconds of all listeners, one after another. */
async function inTurn(engine: Engine, seed: number): Promise<number> {
  const { ms } = await timed(async () => {
    for (const each of seeds(seed)) await hear(engine, { sentences: SHORT, seed: each });
  });
  return ms;
}

function seeds(round: number): number[] {
  return Array.from({ length: LISTENERS }, (_, i) => round * LISTENERS + i);
}

async function hear(engine: Engine, { sentences, seed, streaming = true }: { readonly sentences: number; readonly seed: number; readonly streaming?: boolean }): Promise<Heard> {
  const startMs = performance.now();
  let firstMs: number | undefined;
  let count = 0;
  for await (const { samples } of engine.speak({ text: SENTENCE.repeat(sentences), voice: undefined, seed, speed: 1, streaming }, new AbortController().signal).sounds) {
    if (samples.length > 0) firstMs ??= performance.now() - startMs;
    count += samples.length;
  }
  return { firstMs: firstMs ?? NaN, totalMs: performance.now() - startMs, seconds: count / engine.sampleRateHz };
}

/** A listener who leaves in the middle of a sentence: how long until nothing is held for it, and how much was. */
async function leave(engine: Engine, seed: number): Promise<{ readonly ms: number; readonly bytes: number }> {
  const stop = new AbortController();
  const { sounds } = engine.speak({ text: SENTENCE.repeat(LONG), voice: undefined, seed, speed: 1, streaming: true }, stop.signal);
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
