/** One signed job → frames: the engine's sound, resampled and encoded, with its speech tokens beside it. */
import type { Frame } from '../../shared/contract/frames.ts';
import type { Job } from '../../shared/contract/job.ts';
import { isCosyError } from '../../shared/errors/index.ts';
import type { Engine } from '../engine.ts';
import type { NodeMetrics } from '../metrics/index.ts';
import type { Admission } from '../schedule/admission.ts';
import { renderBytes } from '../render.ts';

export type JobContext = { readonly signal: AbortSignal; readonly metrics: NodeMetrics; readonly admission: Admission };

export async function* runJob(job: Job, engine: Engine, { signal, metrics, admission }: JobContext): AsyncGenerator<Frame> {
  const startMs = performance.now();
  let outcome = 'cancelled';
  let leave = () => {};
  try {
    leave = await admission.enter(signal);
    metrics.queueSeconds.observe((performance.now() - startMs) / 1000);
    metrics.running.set(admission.running);
    const { seed, sounds } = engine.speak(job, signal);
    const rendered = await renderBytes(sounds, { format: job.format, fromHz: engine.sampleRateHz, sampleRateHz: job.sampleRateHz, volume: job.volume });
    yield { type: 'start', value: { sampleRateHz: job.sampleRateHz, contentType: rendered.contentType, seed } };
    let firstAudioMs: number | undefined;
    let audioMs = 0;
    let speechTokens = 0;
    for await (const piece of rendered.pieces) {
      if (piece.speechTokens.length > 0) yield { type: 'tokens', value: Uint16Array.from(piece.speechTokens) };
      if (piece.bytes.length > 0) {
        firstAudioMs ??= performance.now() - startMs;
        yield { type: 'audio', value: piece.bytes };
      }
      audioMs += piece.durationMs;
      speechTokens += piece.speechTokens.length;
    }
    const totalMs = performance.now() - startMs;
    yield { type: 'end', value: { audioMs: Math.round(audioMs), speechTokens, timings: { firstAudioMs: Math.round(firstAudioMs ?? totalMs), totalMs: Math.round(totalMs) } } };
    outcome = 'ok';
    metrics.audioSeconds.inc(audioMs / 1000);
    metrics.firstAudioSeconds.observe((firstAudioMs ?? totalMs) / 1000);
    if (audioMs > 0) metrics.realTimeFactor.observe(totalMs / audioMs);
  } catch (error) {
    outcome = isCosyError(error) ? error.code : 'internal_error';
    throw error;
  } finally {
    leave();
    metrics.running.set(admission.running);
    metrics.jobs.inc({ outcome });
  }
}
