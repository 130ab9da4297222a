/** Name and unit of every counter of the node, in one place. Texts, voices and keys never become labels. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type NodeMetrics = ReturnType<typeof nodeMetrics>;

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function nodeMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    jobs: new Counter({ name: 'cosyvoice_jobs_total', help: 'Jobs by outcome (an error code, or ok)', labelNames: ['outcome'], registers }),
    running: new Gauge({ name: 'cosyvoice_jobs_running', help: 'Jobs being spoken', registers }),
    queueSeconds: new Histogram({ name: 'cosyvoice_queue_seconds', help: 'From the job to its turn', buckets: SECONDS, registers }),
    firstAudioSeconds: new Histogram({ name: 'cosyvoice_first_audio_seconds', help: 'From the job to its first sound', buckets: SECONDS, registers }),
    stageSeconds: new Histogram({ name: 'cosyvoice_stage_seconds', help: 'Time in each stage per job', labelNames: ['stage'], buckets: SECONDS, registers }),
    realTimeFactor: new Histogram({ name: 'cosyvoice_real_time_factor', help: 'Seconds of work per second of sound', buckets: [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], registers }),
    audioSeconds: new Counter({ name: 'cosyvoice_audio_seconds_total', help: 'Sound sent', registers }),
    guards: new Counter({ name: 'cosyvoice_guards_total', help: 'Generations stopped by a guard, by reason', labelNames: ['reason'], registers }),
    text: () => registry.metrics(),
  };
}
