/** One signed job → frames: the engine's sound, resampled and encoded, with its speech tokens, marks and word times beside it. */
import type { Frame } from '../../shared/contract/frames.ts';
import type { Job } from '../../shared/contract/job.ts';
import { resumePoint } from '../../shared/contract/tokens.ts';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import type { Engine } from '../engine.ts';
import { Trace, traceContext } from '../metrics/index.ts';
import type { NodeMetrics, SpanExporter } from '../metrics/index.ts';
import type { Admission } from '../schedule/admission.ts';
import type { TextPiece } from '../schedule/source.ts';
import { renderBytes } from '../render.ts';
import type { RenderedPiece } from '../render.ts';

export type JobContext = {
  readonly signal: AbortSignal;
  readonly metrics: NodeMetrics;
  readonly admission: Admission;
  readonly pieces?: AsyncIterable<TextPiece> | undefined;
  /** Where spans go; nowhere when absent. */
  readonly spans?: SpanExporter | undefined;
  /** W3C header of the caller, whose trace the job joins. */
  readonly traceparent?: string | undefined;
};

/** `pieces`: text that arrives while it is spoken, instead of the job's. */
export async function* runJob(job: Job, engine: Engine, { signal: caller, metrics, admission, pieces, spans, traceparent }: JobContext): AsyncGenerator<Frame> {
  const deadline = job.deadlineMs === undefined ? undefined : AbortSignal.timeout(job.deadlineMs);
  const signal = deadline ? AbortSignal.any([caller, deadline]) : caller;
  const startMs = performance.now();
  const trace = new Trace();
  let outcome = 'cancelled';
  let leave = () => {};
  try {
    leave = await admission.enter(signal);
    const waitedMs = performance.now() - startMs;
    trace.add('queue', waitedMs);
    metrics.queueSeconds.observe(waitedMs / 1000);
    metrics.running.set(admission.running);
    yield* frames(job, engine, { signal, metrics, startMs, pieces, trace });
    outcome = 'ok';
  } catch (error) {
    const late = deadline?.aborted === true && !caller.aborted;
    outcome = late ? 'deadline_exceeded' : isCosyError(error) ? error.code : 'internal_error';
    throw late ? new CosyError('deadline_exceeded', `The speech was not finished within ${job.deadlineMs} ms.`) : error;
  } finally {
    leave();
    metrics.running.set(admission.running);
    metrics.jobs.inc({ outcome });
    metrics.record(trace);
    const now = performance.timeOrigin + performance.now();
    spans?.add({ context: traceContext(traceparent), startMs: performance.timeOrigin + startMs, endMs: now, outcome, trace, attributes: { 'cosyvoice.job': job.id, 'cosyvoice.format': job.format, 'cosyvoice.streaming': job.streaming, 'cosyvoice.resumed': job.resume !== undefined } });
  }
}

type FramesContext = { readonly signal: AbortSignal; readonly metrics: NodeMetrics; readonly startMs: number; readonly pieces: AsyncIterable<TextPiece> | undefined; readonly trace: Trace };

async function* frames(job: Job, engine: Engine, { signal, metrics, startMs, pieces, trace }: FramesContext): AsyncGenerator<Frame> {
  const resume = job.resume && resumePoint(job.resume.tokens);
  if (resume && job.seed === undefined) throw new CosyError('invalid_value', 'A job that goes on needs the seed of its beginning.', { param: 'seed' });
  const speech = engine.speak({ ...job, text: pieces ?? job.text, resume, trace }, signal);
  const rendered = renderBytes(speech.sounds, {
    format: job.format,
    fromHz: engine.sampleRateHz,
    sampleRateHz: job.sampleRateHz,
    volume: job.volume,
    trace,
    resume: job.resume && resume && { fromSample: resume.samples, sampleOffset: job.resume.sampleOffset },
  });
  let audioMs = 0;
  let speechTokens = 0;
  let firstAudioMs: number | undefined;
  try {
    let started = false;
    for await (const piece of rendered) {
      // the first sound is there, so the seed is final, and a failure before it was a status and no broken stream
      if (!started) yield { type: 'start', value: { sampleRateHz: job.sampleRateHz, contentType: piece.contentType, seed: speech.seed } };
      started = true;
      if (piece.durationMs > 0 && firstAudioMs === undefined) {
        firstAudioMs = performance.now() - startMs;
        metrics.firstAudioSeconds.observe(firstAudioMs / 1000);
      }
      yield* pieceFrames(piece);
      audioMs += piece.durationMs;
      speechTokens += piece.speechTokens.length;
    }
    const totalMs = performance.now() - startMs;
    yield { type: 'end', value: { audioMs: Math.round(audioMs), speechTokens, timings: { firstAudioMs: Math.round(firstAudioMs ?? totalMs), totalMs: Math.round(totalMs), ...trace.timings() } } };
    if (audioMs > 0) metrics.realTimeFactor.observe(totalMs / audioMs);
  } finally {
    metrics.audioSeconds.inc(audioMs / 1000);
  }
}

/** Tokens follow their audio: whatever was received, a node that goes on from it leaves no gap. */
function* pieceFrames({ bytes, speechTokens, samples, words, wordSource }: RenderedPiece): Generator<Frame> {
  if (bytes.length > 0) yield { type: 'audio', value: bytes };
  if (speechTokens.length > 0) yield { type: 'tokens', value: Uint16Array.from(speechTokens) };
  if (bytes.length > 0 || words.length > 0) yield { type: 'mark', value: { samples, ...(words.length > 0 && { words, wordSource }) } };
}
