/** `npm start`: Worker in workerd, node, bundled voice, all real. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scratch } from './command.ts';
import { startServer } from './server.ts';
import type { Server } from './server.ts';

describe('node and edge on one machine', () => {
  let server: Server;
  let edge: string;
  let node: string;
  let key: string;
  const data = scratch();

  beforeAll(async () => {
    server = await startServer(data);
    ({ edge, node, key } = server);
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  function speak(body: Record<string, unknown>, init: RequestInit = {}): Promise<Response> {
    return fetch(`${edge}/v1/audio/speech`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body), ...init });
  }

  async function running(): Promise<number> {
    return ((await (await fetch(`${node}/healthz`)).json()) as { running: number }).running;
  }

  it('streams a WAV file of speech', async () => {
    const response = await speak({ model: 'tts-1', input: 'Hello, and welcome.', response_format: 'wav', seed: 1 });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('wav');
    const file = Buffer.from(await response.arrayBuffer());
    expect(file.toString('latin1', 0, 4)).toBe('RIFF');
    expect(file.length).toBeGreaterThan(0.5 * 2 * 24000);
  });

  it('gives the same bytes for the same seed, at another rate too', async () => {
    const request = { input: 'Once more.', response_format: 'pcm', seed: 4, sample_rate: 16000 };
    const [a, b] = [await (await speak(request)).arrayBuffer(), await (await speak(request)).arrayBuffer()];
    expect(a.byteLength).toBeGreaterThan(0.4 * 2 * 16000);
    expect(Buffer.from(a).equals(Buffer.from(b))).toBe(true);
  });

  it('speaks for eight listeners at once', async () => {
    const sizes = await Promise.all(Array.from({ length: 8 }, async (_, seed) => (await (await speak({ input: 'All of us at once.', response_format: 'pcm', seed })).arrayBuffer()).byteLength));
    for (const size of sizes) expect(size).toBeGreaterThan(0.4 * 2 * 24000);
    expect(await running()).toBe(0);
  });

  it('stops the work when the listener leaves', async () => {
    const stop = new AbortController();
    const response = await speak({ input: 'This goes on for quite a while. '.repeat(40), response_format: 'pcm' }, { signal: stop.signal });
    await response.body?.getReader().read();
    expect(await running()).toBe(1);
    stop.abort();
    await expect.poll(running, { timeout: 5000, interval: 50 }).toBe(0);
  });

  it('answers a voice that does not exist, and lists those that do', async () => {
    const response = await speak({ input: 'hi', voice: 'nobody' });
    expect(response.status).toBe(404);
    expect(((await response.json()) as { error: { code: string } }).error.code).toBe('voice_not_found');
    const { data } = (await (await fetch(`${edge}/v1/audio/voices`, { headers: { authorization: `Bearer ${key}` } })).json()) as { data: { name: string }[] };
    expect(data.length).toBeGreaterThan(1);
  });

  it('keeps the event loop of the HTTP side free while it speaks, and counts what it did', async () => {
    await Promise.all(Array.from({ length: 4 }, (_, seed) => speak({ input: 'The loop stays free while this is said, however long it takes.', response_format: 'pcm', seed }).then((r) => r.arrayBuffer())));
    const metrics = await (await fetch(`${node}/metrics`)).text();
    expect(metrics).toMatch(/cosyvoice_jobs_total\{outcome="ok"\} \d+/);
    expect(metrics).toMatch(/cosyvoice_jobs_total\{outcome="cancelled"\} 1/);
    expect(metrics).toMatch(/nodejs_eventloop_lag_p99_seconds/);
  });
});
