/** Background jobs through the real Worker, its queue, database and bucket; the node's speech is counted bytes. */
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame } from '../../../shared/contract/frames.ts';
import type { Job } from '../../../shared/contract/job.ts';
import { CosyError } from '../../../shared/errors/index.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { listen } from '../../../gpu-node/server/listen.ts';
import type { Listener } from '../../../gpu-node/server/listen.ts';
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';

const KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };
const SENTENCE = 'The morning train was late again, so we walked along the river and talked about the summer. ';

type JobAnswer = { id: string; status: string; progress: { segments: number; segments_done: number; audio_seconds: number }; items: { custom_id: string | null; status: string; url?: string; error?: { code: string } }[]; webhook_secret?: string; webhook_status?: string };

/** Texts the node was asked to speak, in their order. */
const spoken: string[] = [];
let holding: PromiseWithResolvers<void> | undefined;

/** Each character of the text is one sample, so the sound tells what was said and in which order. */
async function* counted(job: Job, signal: AbortSignal): AsyncGenerator<Frame> {
  if (job.text.includes('impossible')) throw new CosyError('generation_failed', 'The speech did not come out.');
  if (job.voice.kind === 'preset' && job.voice.name !== 'a') throw new CosyError('voice_not_found', 'There is no such voice.');
  spoken.push(job.text);
  yield { type: 'start', value: { sampleRateHz: job.sampleRateHz, contentType: 'audio/pcm', seed: 1 } };
  yield { type: 'audio', value: bytesOf(job.text) };
  if (holding && job.text.includes('hold')) await Promise.race([holding.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
  yield { type: 'end', value: { audioMs: job.text.length, speechTokens: 1, timings: {} } };
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Int16Array.from(text, (character) => character.charCodeAt(0)).buffer);
}

describe('background jobs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jobs-'));
  let node: Listener;
  let edge: LocalEdge;
  const nodes = () => nodeApp({ run: counted, voices: () => [{ name: 'a', language: undefined }], health: () => ({ status: 'ok' as const, model: 'm', running: 0, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' }, new SignatureVerifier([KEY]));
  const open = () => startLocalEdge({ host: '127.0.0.1', port: 0, dataDirectory: folder, bindings: { AUTH: 'off', NODES: node.url.href, NODE_KEYS: `${KEY.id}:${KEY.secret}`, TOKEN_KEYS: 'k1:another-secret-that-only-this-test-knows', OUTSIDE_LOOPBACK: 'allow' } });
  beforeAll(async () => {
    node = await listen(nodes(), '127.0.0.1', 0);
    edge = await open();
  });
  afterAll(async () => {
    await edge.close();
    await node.close();
    rmSync(folder, { recursive: true });
  });

  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(new URL(`/v1/audio/jobs${path}`, edge.url), { method, headers: { 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: response.status, body: (await response.json()) as JobAnswer & { error: { code: string; message: string } } };
  };

  /** Asks until the job is as wanted; the test's own time limit ends it. */
  async function until(id: string, wanted: (job: JobAnswer) => boolean): Promise<JobAnswer> {
    for (;;) {
      const { body } = await call('GET', `/${id}`);
      if (wanted(body)) return body;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const isOver = ({ status }: JobAnswer) => !['queued', 'running'].includes(status);

  it('speaks a long text piece by piece and joins the pieces in their order', async () => {
    const input = Array.from({ length: 60 }, (_, i) => `Number ${i}. ${SENTENCE}`).join('');
    const made = await call('POST', '', { input, voice: 'a', response_format: 'wav' });
    expect(made.status).toBe(202);
    const job = await until(made.body.id, isOver);
    expect(job.status).toBe('succeeded');
    expect(job.progress.segments).toBeGreaterThan(3);
    expect(job.progress.segments_done).toBe(job.progress.segments);

    const whole = await fetch(job.items[0]?.url ?? '');
    const wav = Buffer.from(await whole.arrayBuffer());
    expect(whole.headers.get('content-length')).toBe(String(wav.length));
    expect([wav.toString('latin1', 0, 4), wav.readUInt32LE(40), wav.readUInt32LE(24)]).toEqual(['RIFF', wav.length - 44, 24_000]);
    const heard = String.fromCharCode(...new Uint16Array(new Uint8Array(wav.subarray(44)).buffer));
    expect([...heard.matchAll(/Number ([a-z -]+?)\./g)].map(([, word]) => word).slice(0, 4)).toEqual(['zero', 'one', 'two', 'three']);
    expect(heard).toContain('Number fifty-nine.');

    const part = await fetch(job.items[0]?.url ?? '', { headers: { range: 'bytes=40-1999' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 40-1999/${wav.length}`]);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(wav.subarray(40, 2000));
    const crossing = await fetch(job.items[0]?.url ?? '', { headers: { range: `bytes=-${wav.length - 100}` } });
    expect(Buffer.from(await crossing.arrayBuffer())).toEqual(wav.subarray(100));
    expect((await fetch(job.items[0]?.url ?? '', { headers: { range: `bytes=${wav.length}-` } })).status).toBe(416);
  });

  it('gives links that carry their own permission, and refuses altered ones', async () => {
    const { body } = await call('POST', '', { input: 'Hello.', voice: 'a', response_format: 'pcm' });
    const { items } = await until(body.id, isOver);
    const url = items[0]?.url ?? '';
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url.replace(/(job_[0-9a-f]+)\.0\./, '$1.1.'))).status).toBe(403);
    expect((await fetch(url.slice(0, -2))).status).toBe(403);
  });

  it('makes what it can of a batch and says what failed and why', async () => {
    const { body } = await call('POST', '', { items: [{ input: 'One.', voice: 'a', response_format: 'pcm', custom_id: 'x' }, { input: 'Two.', voice: 'missing', response_format: 'pcm', custom_id: 'y' }] });
    const job = await until(body.id, isOver);
    expect(job.status).toBe('failed');
    expect(job.items.map(({ custom_id, status, error }) => [custom_id, status, error?.code])).toEqual([['x', 'succeeded', undefined], ['y', 'failed', 'voice_not_found']]);
  });

  it('waits in the queue while no node answers, and goes on when one does', async () => {
    const { port } = new URL(node.url);
    await node.close();
    const { body } = await call('POST', '', { input: 'Patience.', voice: 'a', response_format: 'pcm' });
    expect((await call('GET', `/${body.id}`)).body.status).toBe('queued');
    node = await listen(nodes(), '127.0.0.1', Number(port));
    expect((await until(body.id, isOver)).status).toBe('succeeded');
  });

  it('is finished after the process that held the queue went away in the middle', async () => {
    holding = Promise.withResolvers();
    const { body } = await call('POST', '', { items: [{ input: 'First.', voice: 'a', response_format: 'pcm' }, { input: 'Please hold.', voice: 'a', response_format: 'pcm' }] });
    await until(body.id, ({ progress }) => progress.segments_done === 1);
    await edge.close();
    holding.resolve();
    edge = await open();
    const job = await until(body.id, isOver);
    expect([job.status, job.items.length]).toEqual(['succeeded', 2]);
    expect(spoken.filter((text) => text === 'First.')).toHaveLength(1);
  });

  it('stops when it is cancelled, and is gone when it is deleted', async () => {
    holding = Promise.withResolvers();
    const { body } = await call('POST', '', { input: 'Please hold on.', voice: 'a', response_format: 'pcm' });
    await until(body.id, () => spoken.includes('Please hold on.'));
    const cancelled = await call('POST', `/${body.id}/cancel`);
    expect([cancelled.body.status, cancelled.body.items[0]?.status]).toEqual(['cancelled', 'cancelled']);
    holding.resolve();
    expect((await call('GET', `/${body.id}/audio`)).body.error.code).toBe('job_not_finished');
    expect((await call('DELETE', `/${body.id}`)).status).toBe(200);
    expect((await call('GET', `/${body.id}`)).body.error.code).toBe('job_not_found');
  });

  it('tells a webhook, signed, and again when it was not taken', async () => {
    const calls: { headers: IncomingHttpHeaders; body: string }[] = [];
    const told = Promise.withResolvers<void>();
    const hook = createServer((request, response) => {
      let body = '';
      request.on('data', (piece: Buffer) => (body += piece.toString()));
      request.on('end', () => {
        calls.push({ headers: request.headers, body });
        response.writeHead(calls.length === 1 ? 500 : 204).end();
        if (calls.length === 2) told.resolve();
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    const { body } = await call('POST', '', { input: 'Ring me.', voice: 'a', response_format: 'pcm', webhook_url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/done`, metadata: { order: '7' } });
    await told.promise;
    hook.close();
    const { headers, body: text } = calls[1] ?? { headers: {}, body: '' };
    const secret = Buffer.from((body.webhook_secret ?? '').replace('whsec_', ''), 'base64');
    const expected = createHmac('sha256', secret).update(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${text}`).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${expected}`);
    expect(JSON.parse(text)).toMatchObject({ type: 'job.succeeded', data: { id: body.id, status: 'succeeded', metadata: { order: '7' } } });
    expect((await until(body.id, ({ webhook_status }) => webhook_status === 'delivered')).webhook_status).toBe('delivered');
  });

  it.each([
    ['no text', { voice: 'a' }, 400, 'invalid_value'],
    ['only signs', { input: '…', voice: 'a' }, 400, 'input_empty'],
    ['half a million and one characters', { input: 'a'.repeat(500_001), voice: 'a' }, 400, 'invalid_value'],
    ['a long text in a format that cannot be joined', { input: SENTENCE.repeat(60), voice: 'a', response_format: 'flac' }, 400, 'unsupported_format'],
    ['a clip', { input: 'Hi.', reference: { audio: 'AAAA' } }, 400, 'invalid_value'],
    ['a webhook in a private network', { input: 'Hi.', voice: 'a', webhook_url: 'https://10.0.0.1/' }, 400, 'url_refused'],
  ])('refuses %s with one clear line', async (_, body, status, code) => {
    const answer = await call('POST', '', body);
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.body.error.message.split('\n')).toHaveLength(1);
  });

  it('lists jobs newest first, page by page, each once', async () => {
    const ids: string[] = [];
    let after = '';
    for (;;) {
      const response = await fetch(new URL(`/v1/audio/jobs?limit=3${after}`, edge.url));
      const page = (await response.json()) as { data: { id: string }[]; has_more: boolean; last_id: string };
      ids.push(...page.data.map(({ id }) => id));
      if (!page.has_more) break;
      after = `&after=${page.last_id}`;
    }
    expect(ids.length).toBeGreaterThan(5);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
