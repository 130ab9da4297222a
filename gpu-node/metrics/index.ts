/** Name and unit of every counter of the node, in one place. Texts, voices and keys never become labels. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Trace } from './trace.ts';

export { Trace } from './trace.ts';
export { SpanExporter, exporterFromEnvironment } from './spans.ts';
export { traceContext } from './traceparent.ts';

/** The counters of one process. */
export type NodeMetrics = ReturnType<typeof nodeMetrics>;

/** What the engine holds, read when the metrics are asked for. */
export type HeldStats = {
  readonly tokens: { readonly rows: number; readonly waiting: number; readonly cacheBytes: number };
  readonly acoustic: { readonly streams: number; readonly queued: number; readonly voiceBytes: number; readonly streamBytes: number; readonly voiceHits: number; readonly voiceMisses: number; readonly blocks: number; readonly blockRuns: number };
  readonly wave: { readonly queued: number };
};

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Registers every counter under its name and unit. */
export function nodeMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const seconds = (name: string, help: string) => new Histogram({ name: `cosyvoice_${name}_seconds`, help, buckets: SECONDS, registers });
  const gauge = (name: string, help: string) => new Gauge({ name: `cosyvoice_${name}`, help, registers });
  const prefillSeconds = seconds('prefill', 'From asking for a row of the language model to the first speech token of a job');
  const firstHopSeconds = seconds('first_hop', 'First block of tokens to its sound, waiting for the thread included');
  const audibleSeconds = seconds('audible', 'From the job to the first sample that can be heard, as a player would play it');
  const stageSeconds = new Histogram({ name: 'cosyvoice_stage_seconds', help: 'Time in each stage per job, sums over its sentences; turn is waiting for the threads of sound', labelNames: ['stage'], buckets: SECONDS, registers });
  const guards = new Counter({ name: 'cosyvoice_guards_total', help: 'Sentences that did not end by themselves, or ended without sound, by reason', labelNames: ['reason'], registers });
  const retries = new Counter({ name: 'cosyvoice_retries_total', help: 'Sentences read again with another seed, by reason', labelNames: ['reason'], registers });
  const trimmedSeconds = new Counter({ name: 'cosyvoice_trimmed_seconds_total', help: 'Sound removed in front of sentences (lead) and behind them (tail)', labelNames: ['end'], registers });
  const words = new Counter({ name: 'cosyvoice_words_total', help: 'Words whose times were given, by where the times come from', labelNames: ['source'], registers });
  const spansDropped = new Counter({ name: 'cosyvoice_spans_dropped_total', help: 'Trace spans that no collector took', registers });
  const underruns = new Counter({ name: 'cosyvoice_underruns_total', help: 'Times a listener who plays at once had nothing to play', registers });
  const underrunSeconds = new Counter({ name: 'cosyvoice_underrun_seconds_total', help: 'How long they had nothing to play', registers });
  const batchRows = new Histogram({ name: 'cosyvoice_batch_rows', help: 'Rows that decoded together, per batch of tokens', buckets: [1, 2, 4, 8, 16], registers });
  const held = {
    rows: gauge('token_rows', 'Rows of the language model in use'),
    waiting: gauge('token_rows_waiting', 'Sentences that wait for a row'),
    cacheBytes: gauge('token_cache_bytes', 'Keys and values of the language model'),
    streams: gauge('streams', 'Sentences that are being voiced in blocks'),
    queued: gauge('sound_queue', 'Runs that wait for the threads of sound'),
    voiceBytes: gauge('voice_cache_bytes', 'Flow states of voices'),
    streamBytes: gauge('stream_bytes', 'Flow states of streams, without their voices'),
  };
  const total = (name: string, help: string) => new Counter({ name: `cosyvoice_${name}_total`, help, registers });
  // counted in a thread that may be started again; Prometheus knows a counter that begins anew
  const counted = {
    voiceHits: total('voice_cache_hits', 'Streams that found the state of their voice ready'),
    voiceMisses: total('voice_cache_misses', 'Streams whose voice had to be computed'),
    blocks: total('flow_blocks', 'Blocks of streams that went through the flow'),
    blockRuns: total('flow_block_runs', 'Runs that they took: fewer than blocks when requests share them'),
  };
  return {
    jobs: new Counter({ name: 'cosyvoice_jobs_total', help: 'Jobs by outcome (an error code, or ok)', labelNames: ['outcome'], registers }),
    running: gauge('jobs_running', 'Jobs being spoken'),
    queueSeconds: seconds('queue', 'From the job to its turn'),
    firstAudioSeconds: seconds('first_audio', 'From the job to its first sound'),
    realTimeFactor: new Histogram({ name: 'cosyvoice_real_time_factor', help: 'Seconds of work per second of sound', buckets: [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], registers }),
    audioSeconds: new Counter({ name: 'cosyvoice_audio_seconds_total', help: 'Sound sent', registers }),

    /** Adds what one job cost and met. */
    record(trace: Trace): void {
      for (const [stage, ms] of Object.entries(trace.stages)) stageSeconds.observe({ stage }, ms / 1000);
      for (const [histogram, ms] of [[prefillSeconds, trace.prefillMs], [firstHopSeconds, trace.firstHopMs], [audibleSeconds, trace.audibleMs]] as const) if (ms !== undefined) histogram.observe(ms / 1000);
      for (const reason of trace.guards) guards.inc({ reason });
      for (const rows of trace.batchRows) batchRows.observe(rows);
      for (const reason of trace.retries) retries.inc({ reason });
      for (const [end, ms] of Object.entries(trace.trimmedMs)) trimmedSeconds.inc({ end }, ms / 1000);
      for (const [source, count] of Object.entries(trace.words)) words.inc({ source }, count);
      underruns.inc(trace.underruns.count);
      underrunSeconds.inc(trace.underruns.ms / 1000);
    },

    /** Prometheus text. `droppedSpans`: since the process started. */
    text(stats: HeldStats, droppedSpans = 0): Promise<string> {
      const gauges: Readonly<Record<string, Gauge>> = held;
      const counters: Readonly<Record<string, Counter>> = { ...counted, spansDropped };
      for (const [name, value] of Object.entries({ ...stats.tokens, ...stats.acoustic, queued: stats.acoustic.queued + stats.wave.queued, spansDropped: droppedSpans })) {
        gauges[name]?.set(value);
        counters[name]?.reset();
        counters[name]?.inc(value);
      }
      return registry.metrics();
    },
  };
}
