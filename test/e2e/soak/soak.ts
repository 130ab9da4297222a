/**
 * `npm run soak`: 200 mixed requests at random arrival, through jobs as the server runs them; ends with every slot and byte
 * back, or with exit code 1 and what is still held. `SOAK_REQUESTS` and `SOAK_SEED` change the number and the draw.
 */
import { nodeMetrics } from '../../../gpu-node/metrics/index.ts';
import { Admission } from '../../../gpu-node/schedule/admission.ts';
import { runJob } from '../../../gpu-node/server/job.ts';
import { jobSchema } from '../../../shared/contract/job.ts';
import { isCosyError } from '../../../shared/errors/index.ts';
import { bundledEngine } from '../engine.ts';

const REQUESTS = Number(process.env['SOAK_REQUESTS'] ?? 200);
const SENTENCES = ['Hello, and welcome.', 'The morning train was late again.', '你好，今天天气真好。', 'We walked along the river and talked about the summer.', 'Bye.'];
const FORMATS = ['pcm', 'wav', 'mp3', 'opus', 'flac'] as const;
/** Most of the time some are running and some wait. */
const MEAN_GAP_MS = 400;

/** Numbers from 0 to 1 of a seed (Marsaglia, xorshift32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const draw = random(Number(process.env['SOAK_SEED'] ?? 1));
const pick = <T>(values: readonly T[]): T => values[Math.floor(draw() * values.length)] as T;
const engine = await bundledEngine();
const admission = new Admission();
const metrics = nodeMetrics();
const outcomes = new Map<string, number>();
const running: Promise<void>[] = [];

for (let i = 0; i < REQUESTS; i++) {
  running.push(one(i));
  await new Promise((resolve) => setTimeout(resolve, -Math.log(1 - draw()) * MEAN_GAP_MS));
}
await Promise.all(running);
// a step under way when the last listener left ends between two answers
for (let i = 0; i < 2; i++) await engine.stats();
const { tokens, acoustic } = await engine.stats();
const held = { running: admission.running, waiting: admission.waiting, rows: tokens.rows, rowsWaiting: tokens.waiting, streams: acoustic.streams, queued: acoustic.queued, streamBytes: acoustic.streamBytes };
await engine.close();
process.stdout.write(`${JSON.stringify({ requests: REQUESTS, outcomes: Object.fromEntries(outcomes), held })}\n`);
const known = [...outcomes.keys()].every((outcome) => ['ok', 'left', 'cancelled', 'overloaded', 'deadline_exceeded'].includes(outcome));
process.exitCode = known && Object.values(held).every((value) => value === 0) ? 0 : 1;

/** One in five leaves after a few frames, one in ten is cancelled from outside, one in ten has hardly any time. */
async function one(index: number): Promise<void> {
  const stop = new AbortController();
  const kind = draw();
  const leavesAfter = kind < 0.2 ? Math.ceil(draw() * 6) : Infinity;
  if (kind >= 0.2 && kind < 0.3) setTimeout(() => stop.abort(), draw() * 2000);
  const job = jobSchema.parse({
    version: 1,
    id: `soak-${index}`,
    text: Array.from({ length: 1 + Math.floor(draw() * 4) }, () => pick(SENTENCES)).join(' '),
    voice: { kind: 'preset', name: 'default' },
    format: pick(FORMATS),
    sampleRateHz: pick([24000, 48000]),
    speed: pick([1, 1, 0.8, 1.5]),
    volume: 1,
    seed: index,
    streaming: draw() < 0.8,
    ...(kind >= 0.3 && kind < 0.4 ? { deadlineMs: Math.ceil(draw() * 1500) } : {}),
  });
  let outcome = 'ok';
  try {
    let count = 0;
    for await (const _ of runJob(job, engine, { signal: stop.signal, metrics, admission })) if (++count >= leavesAfter) break;
    if (count >= leavesAfter) outcome = 'left';
  } catch (error) {
    outcome = isCosyError(error) ? error.code : `unknown: ${String(error)}`;
  }
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}
