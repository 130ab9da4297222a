import { afterEach, describe, expect, it } from 'vitest';
import { SpanExporter, exporterFromEnvironment, traceContext } from '../../../gpu-node/metrics/index.ts';
import { Trace } from '../../../gpu-node/metrics/trace.ts';
import { collector } from './collector.ts';
import type { Collector } from './collector.ts';
import { processorMs } from '../../processor-time.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

let open: Collector[] = [];
afterEach(() => {
  for (const each of open) each.close();
  open = [];
});

async function collecting(answer?: 'ok' | 'never' | 'refuse'): Promise<Collector> {
  const made = await collector(answer);
  open.push(made);
  return made;
}

function job(stretches: number, header = `00-${TRACE}-${PARENT}-01`) {
  const trace = new Trace();
  for (let i = 0; i < stretches; i++) trace.add('mel', 5, 10);
  return { context: traceContext(header), startMs: 1_700_000_000_000.25, endMs: 1_700_000_001_000, outcome: 'ok', trace, attributes: { 'cosyvoice.format': 'wav', 'cosyvoice.streaming': true } };
}

describe('the header of a trace', () => {
  it('is read as W3C says', () => {
    expect(traceContext(`00-${TRACE}-${PARENT}-01`)).toEqual({ traceId: TRACE, parentId: PARENT, sampled: true });
    expect(traceContext(`00-${TRACE}-${PARENT}-00`).sampled).toBe(false);
    // a later version may say more
    expect(traceContext(`cc-${TRACE}-${PARENT}-01-what-the-future-brings`)).toMatchObject({ traceId: TRACE, sampled: true });
  });

  it.each([undefined, '', 'x', `00-${TRACE}-${PARENT}`, `ff-${TRACE}-${PARENT}-01`, `00-${'0'.repeat(32)}-${PARENT}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`, `00-${TRACE.toUpperCase()}-${PARENT}-01`, `00-${TRACE}-${PARENT}-01-more`])('begins a new trace when it is %s', (header) => {
    const { traceId, parentId, sampled } = traceContext(header);
    expect([traceId === TRACE, /^[0-9a-f]{32}$/.test(traceId), parentId, sampled]).toEqual([false, true, undefined, true]);
  });
});

describe('spans of a job', () => {
  it('reach a collector as OTLP in JSON, below the span of the caller', async () => {
    const { url, posts, spans } = await collecting();
    const exporter = exporterFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`, OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc', OTEL_SERVICE_NAME: 'node-7' });
    exporter?.add(job(2));
    await exporter?.flush();
    expect(posts[0]).toMatchObject({ path: '/v1/traces', headers: { 'content-type': 'application/json', authorization: 'Bearer abc' } });
    expect(posts[0]?.body.resourceSpans[0]?.resource).toEqual({ attributes: [{ key: 'service.name', value: { stringValue: 'node-7' } }] });
    const [whole, ...parts] = spans();
    expect(whole).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, name: 'job', kind: 2, startTimeUnixNano: '1700000000000250000', endTimeUnixNano: '1700000001000000000' });
    expect(whole?.attributes).toContainEqual({ key: 'cosyvoice.streaming', value: { boolValue: true } });
    expect(whole?.attributes).toContainEqual({ key: 'cosyvoice.retries', value: { intValue: '0' } });
    expect(parts.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([['mel', whole?.spanId], ['mel', whole?.spanId]]);
    for (const { startTimeUnixNano, endTimeUnixNano } of parts) expect(Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano))).toBeCloseTo(5e6, -4);
    expect(exporter?.dropped).toBe(0);
  });

  it('are not sent where no collector is named, where the caller does not sample, and stay few in long jobs', async () => {
    expect(exporterFromEnvironment({})).toBeUndefined();
    expect(exporterFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x', OTEL_SDK_DISABLED: 'true' })).toBeUndefined();
    const { url, posts, spans } = await collecting();
    const exporter = new SpanExporter({ url });
    exporter.add(job(1, `00-${TRACE}-${PARENT}-00`));
    await exporter.flush();
    expect(posts).toEqual([]);
    exporter.add(job(5000));
    await exporter.flush();
    expect(spans().length).toBeLessThanOrEqual(201);
    expect(spans()[0]?.attributes).toContainEqual({ key: 'cosyvoice.spans_left_out', value: { intValue: String(5000 - (spans().length - 1)) } });
  });

  it('are dropped and counted when the collector hangs, refuses or is not there, and no job waits', async () => {
    const hanging = await collecting('never');
    const slow = new SpanExporter({ url: hanging.url, maxQueue: 10, timeoutMs: 50 });
    const add = () => {
      for (let i = 0; i < 100; i++) slow.add(job(4));
    };
    expect(await processorMs(add)).toBeLessThan(40);
    expect(slow.dropped).toBe(490);
    await slow.flush();
    expect(slow.dropped).toBe(500);
    for (const url of [(await collecting('refuse')).url, 'http://127.0.0.1:9']) {
      const refused = new SpanExporter({ url });
      refused.add(job(1));
      await refused.flush();
      expect(refused.dropped).toBe(2);
    }
  });
});
