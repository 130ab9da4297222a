/**
 * `npm run soak`: 200 mixed requests at random arrival, through jobs as the server runs them; ends with every slot and byte
 * back, or with exit code 1 and what is still held or went otherwise than it should. `SOAK_REQUESTS`, `SOAK_SEED` and
 * `SOAK_GAP_MS` change the number, the draw and the mean time between two.
 */
import { nodeMetrics } from '../../../gpu-node/metrics/index.ts';
import { Admission } from '../../../gpu-node/schedule/admission.ts';
import type { TextPiece } from '../../../gpu-node/schedule/source.ts';
import { runJob } from '../../../gpu-node/server/job.ts';
import { jobSchema } from '../../../shared/contract/job.ts';
import type { Frame } from '../../../shared/contract/frames.ts';
import { isCosyError } from '../../../shared/errors/index.ts';
import { bundledEngine } from '../engine.ts';

const REQUESTS = Number(process.env['SOAK_REQUESTS'] ?? 200);
/** Most of the time some are running and some wait. */
const MEAN_GAP_MS = Number(process.env['SOAK_GAP_MS'] ?? 300);
const SENTENCES = ['Hello, and welcome.', 'The morning train was late again.', '你好，今天天气真好。', 'We walked along the river.', 'Bye.'];
const FORMATS = ['pcm', 'wav', 'mp3', 'opus', 'flac', 'aac'] as const;
const VOICES = ['default', 'af_heart', 'am_michael', 'zf_xiaoxiao', 'zm_yunyang'] as const;

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

/** What a request meets, how often, and how it may end. All may be refused by a full node. */
const KINDS = {
  plain: { share: 0.25, ends: ['ok'] },
  pieces: { share: 0.2, ends: ['ok'] },
  resumed: { share: 0.1, ends: ['ok'] },
  leaves: { share: 0.15, ends: ['left', 'ok'] },
  cancelled: { share: 0.1, ends: ['cancelled', 'ok'] },
  hurried: { share: 0.07, ends: ['deadline_exceeded', 'ok'] },
  stalls: { share: 0.03, ends: ['deadline_exceeded'] },
  breaks: { share: 0.03, ends: ['broken'] },
  'unknown voice': { share: 0.03, ends: ['voice_not_found'] },
  'other language': { share: 0.04, ends: ['unsupported_language'] },
} as const satisfies Record<string, { readonly share: number; readonly ends: readonly string[] }>;
type Kind = keyof typeof KINDS;

const BROKEN = 'the line went dead';

type Received = { readonly job: Record<string, unknown>; readonly seed: number; readonly frames: readonly Frame[]; readonly bytes: number };

const draw = random(Number(process.env['SOAK_SEED'] ?? 1));
const pick = <T>(values: readonly T[]): T => values[Math.floor(draw() * values.length)] as T;
const engine = await bundledEngine();
const admission = new Admission();
const metrics = nodeMetrics();
const outcomes = new Map<string, number>();
const wrong: string[] = [];
/** Whole streams of PCM: what a node that goes on has to match. */
const whole: Received[] = [];
const running: Promise<void>[] = [];
const startMs = performance.now();

for (let i = 0; i < REQUESTS; i++) {
  running.push(one(i, kindOf(draw())));
  await new Promise((resolve) => setTimeout(resolve, -Math.log(1 - draw()) * MEAN_GAP_MS));
}
await Promise.all(running);
// a step under way when the last listener left ends before three answers
for (let i = 0; i < 3; i++) await engine.stats();
const { tokens, acoustic, wave } = await engine.stats();
const held = { running: admission.running, waiting: admission.waiting, rows: tokens.rows, rowsWaiting: tokens.waiting, streams: acoustic.streams + wave.streams, queued: acoustic.queued + wave.queued, streamBytes: acoustic.streamBytes };
await engine.close();
process.stdout.write(`${JSON.stringify({ requests: REQUESTS, seconds: Math.round((performance.now() - startMs) / 1000), outcomes: Object.fromEntries([...outcomes].toSorted()), held, wrong }, null, 1)}\n`);
process.exitCode = wrong.length === 0 && Object.values(held).every((value) => value === 0) ? 0 : 1;

function kindOf(at: number): Kind {
  let sum = 0;
  for (const [kind, { share }] of Object.entries(KINDS)) if (at < (sum += share)) return kind as Kind;
  return 'plain';
}

async function one(index: number, kind: Kind): Promise<void> {
  const donor = kind === 'resumed' ? whole.at(-1) : undefined;
  const stop = new AbortController();
  if (kind === 'cancelled') setTimeout(() => stop.abort(), draw() * 1500);
  const leavesAfter = kind === 'leaves' ? Math.ceil(draw() * 6) : Infinity;
  const seam = donor ? seamOf(donor) : undefined;
  const text = Array.from({ length: 1 + Math.floor(draw() * 3) }, () => pick(SENTENCES)).join(' ');
  const asked = {
    version: 1,
    id: `soak-${index}`,
    text: kind === 'other language' ? 'こんにちは、元気ですか。' : text,
    voice: { kind: 'preset', name: kind === 'unknown voice' ? 'nobody' : pick(VOICES) },
    format: kind === 'plain' ? 'pcm' : pick(FORMATS),
    sampleRateHz: pick([24000, 48000]),
    speed: pick([1, 1, 0.8, 1.5]),
    volume: 1,
    seed: index,
    streaming: kind === 'pieces' || draw() < 0.8,
    ...(kind === 'hurried' && { deadlineMs: Math.ceil(draw() * 1500) }),
    ...(kind === 'stalls' && { deadlineMs: 2000, streaming: true }),
    ...(donor && { ...donor.job, id: `soak-${index}`, seed: donor.seed, resume: seam }),
  };
  const pieces = kind === 'pieces' || kind === 'stalls' || kind === 'breaks' ? typed(text, kind) : undefined;
  const outcome = await outcomeOf(asked, { stop, pieces, leavesAfter, donor, seam });
  outcomes.set(`${kind}: ${outcome}`, (outcomes.get(`${kind}: ${outcome}`) ?? 0) + 1);
  if (outcome !== 'overloaded' && !KINDS[kind].ends.some((end) => end === outcome)) wrong.push(`${index} ${kind}: ${outcome}`);
}

type Meeting = { readonly stop: AbortController; readonly pieces: AsyncIterable<TextPiece> | undefined; readonly leavesAfter: number; readonly donor: Received | undefined; readonly seam: { readonly sampleOffset: number } | undefined };

async function outcomeOf(asked: Record<string, unknown>, { stop, pieces, leavesAfter, donor, seam }: Meeting): Promise<string> {
  const frames: Frame[] = [];
  try {
    for await (const frame of runJob(jobSchema.parse(asked), engine, { signal: stop.signal, metrics, admission, pieces })) {
      frames.push(frame);
      if (frames.length >= leavesAfter) return 'left';
    }
  } catch (error) {
    return isCosyError(error) ? error.code : error instanceof Error && error.message === BROKEN ? 'broken' : `unknown: ${String(error)}`;
  }
  const [first, last] = [frames[0], frames.at(-1)];
  const bytes = frames.reduce((sum, frame) => sum + (frame.type === 'audio' ? frame.value.length : 0), 0);
  if (first?.type !== 'start' || last?.type !== 'end' || (bytes === 0 && !donor)) return 'frames out of order';
  if (donor && seam && bytes + 2 * seam.sampleOffset !== donor.bytes) return `${bytes / 2 + seam.sampleOffset} samples instead of ${donor.bytes / 2}`;
  if (asked['format'] === 'pcm' && !pieces && !donor) whole.push({ job: asked, seed: first.value.seed, frames, bytes });
  return 'ok';
}

/** Somewhere in what another request received: the tokens and samples of its first frames. */
function seamOf({ frames }: Received): { readonly tokens: readonly number[]; readonly sampleOffset: number } {
  const heard = frames.slice(0, Math.floor(draw() * frames.length));
  return {
    tokens: heard.flatMap((frame) => (frame.type === 'tokens' ? [...frame.value] : [])),
    sampleOffset: heard.reduce((sum, frame) => sum + (frame.type === 'audio' ? frame.value.length / 2 : 0), 0),
  };
}

/** A few letters at a time, with pauses; some sources hang and some fail. */
async function* typed(text: string, kind: Kind): AsyncGenerator<TextPiece> {
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(draw() * 8);
    yield { text: text.slice(at, at + size), flush: draw() < 0.05 };
    at += size;
    if (draw() < 0.3) await new Promise((resolve) => setTimeout(resolve, draw() * 60));
    if (kind === 'breaks' && at > text.length / 2) throw new Error(BROKEN);
  }
  if (kind === 'stalls') await new Promise(() => {});
}
