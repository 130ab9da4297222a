/**
 * Spans of jobs to a collector, as OTLP over HTTP in JSON (opentelemetry-proto trace.proto, OTLP 1.x): one span for the job and
 * one for each stretch of work in it. A bounded queue: what a slow or absent collector does not take is dropped and counted, and
 * no job ever waits for it. Names, times and numbers only, no texts.
 */
import { newId } from './traceparent.ts';
import type { TraceContext } from './traceparent.ts';
import type { Trace } from './trace.ts';

/** What is told of a job. Milliseconds since the epoch. */
export type JobSpan = {
  readonly context: TraceContext;
  readonly startMs: number;
  readonly endMs: number;
  /** `ok` or an error code. */
  readonly outcome: string;
  readonly trace: Trace;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
};

export type SpanExporterOptions = {
  /** Where spans are posted to, as a whole. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly serviceName?: string;
  /** Spans that may wait. */
  readonly maxQueue?: number;
  /** How long they are gathered, and how long a collector may take to answer. */
  readonly delayMs?: number;
  readonly timeoutMs?: number;
};

type Value = { readonly stringValue: string } | { readonly intValue: string } | { readonly doubleValue: number } | { readonly boolValue: boolean };
type Attribute = { readonly key: string; readonly value: Value };
type Span = { readonly traceId: string; readonly spanId: string; readonly parentSpanId?: string; readonly name: string; readonly kind: number; readonly startTimeUnixNano: string; readonly endTimeUnixNano: string; readonly attributes: readonly Attribute[]; readonly status?: { readonly code: number } };

const KIND_INTERNAL = 1;
const KIND_SERVER = 2;
const STATUS_ERROR = 2;
/** Spans of one post. */
const BATCH = 512;

/** The exporter that OTEL_* variables describe (OpenTelemetry specification, OTLP exporter); undefined when none is asked for. */
export function exporterFromEnvironment(env: Readonly<Record<string, string | undefined>>): SpanExporter | undefined {
  const base = env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const url = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? (base ? `${base.replace(/\/+$/, '')}/v1/traces` : undefined);
  if (!url || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  const pairs = (env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] ?? env['OTEL_EXPORTER_OTLP_HEADERS'] ?? '').split(',').filter((pair) => pair.includes('='));
  const headers = Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), decoded(pair.slice(pair.indexOf('=') + 1).trim())]));
  const serviceName = env['OTEL_SERVICE_NAME'];
  return new SpanExporter({ url, headers, ...(serviceName !== undefined && { serviceName }) });
}

/** A percent sign that begins nothing stays one. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

export class SpanExporter {
  readonly #options: Required<SpanExporterOptions>;
  #queue: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: SpanExporterOptions) {
    this.#options = { headers: {}, serviceName: 'cosyvoice-node', maxQueue: 2048, delayMs: 1000, timeoutMs: 5000, ...options };
  }

  /** Spans that no collector took. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a finished job, unless its caller's trace is not sampled. Returns at once. */
  add(job: JobSpan): void {
    if (!job.context.sampled) return;
    const spans = spansOf(job);
    const room = Math.max(0, this.#options.maxQueue - this.#queue.length);
    this.#queue.push(...spans.slice(0, room));
    this.#dropped += Math.max(0, spans.length - room);
    this.#timer ??= setTimeout(() => void this.flush(), this.#options.delayMs).unref();
  }

  /** Sends what waits; resolves when the collector answered or gave no answer in time. Never throws. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#sending) await this.#sending;
    this.#sending = this.#send().finally(() => (this.#sending = undefined));
    await this.#sending;
  }

  async #send(): Promise<void> {
    while (this.#queue.length > 0) {
      const spans = this.#queue.splice(0, BATCH);
      if (await this.#post(spans)) continue;
      // the collector is away: what came meanwhile waits for the next job
      this.#dropped += spans.length;
      return;
    }
  }

  async #post(spans: readonly Span[]): Promise<boolean> {
    const { url, headers, serviceName, timeoutMs } = this.#options;
    const body = { resourceSpans: [{ resource: { attributes: [attribute('service.name', serviceName)] }, scopeSpans: [{ scope: { name: 'cosyvoice' }, spans }] }] };
    try {
      const response = await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }
}

function spansOf({ context, startMs, endMs, outcome, trace, attributes }: JobSpan): Span[] {
  const { traceId, parentId } = context;
  const spanId = newId(8);
  const figures = { ...attributes, 'cosyvoice.outcome': outcome, 'cosyvoice.guards': trace.guards.length, 'cosyvoice.retries': trace.retries.length, 'cosyvoice.spans_left_out': trace.stretchesLeftOut };
  const job: Span = {
    traceId,
    spanId,
    ...(parentId !== undefined && { parentSpanId: parentId }),
    name: 'job',
    kind: KIND_SERVER,
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(endMs),
    attributes: Object.entries(figures).map(([key, value]) => attribute(key, value)),
    ...(outcome !== 'ok' && { status: { code: STATUS_ERROR } }),
  };
  return [job, ...trace.stretches.map((stretch): Span => ({ traceId, spanId: newId(8), parentSpanId: spanId, name: stretch.stage, kind: KIND_INTERNAL, startTimeUnixNano: nanoseconds(stretch.startMs), endTimeUnixNano: nanoseconds(stretch.endMs), attributes: [] }))];
}

function attribute(key: string, value: string | number | boolean): Attribute {
  if (typeof value === 'string') return { key, value: { stringValue: value } };
  if (typeof value === 'boolean') return { key, value: { boolValue: value } };
  return { key, value: Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value } };
}

/** More digits than a number holds. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}
