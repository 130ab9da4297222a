/** `/v1/audio/speech/ws` with the npm client `ws`: the real Worker, the node's real socket; the speech itself is counted bytes. */
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Frame } from '../../../shared/contract/frames.ts';
import type { Job } from '../../../shared/contract/job.ts';
import { CosyError } from '../../../shared/errors/index.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';
import type { TextPiece } from '../../../gpu-node/schedule/source.ts';
import { sentencesOf } from '../../../gpu-node/schedule/source.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import type { Synthesis } from '../../../gpu-node/server/app.ts';
import { listen } from '../../../gpu-node/server/listen.ts';
import type { Listener } from '../../../gpu-node/server/listen.ts';
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';

const KEY = { id: 'test', secret: 'a-secret-that-only-this-test-knows-32+' };
/** 100 ms at 24 kHz. */
const CHUNK = 4800;
const MS_PER_WORD = 100;

let running = 0;
let spoken: string[] = [];
let jobs: Job[] = [];
let chunksMade = 0;
let draining = false;

/** Each word of each sentence is one chunk; `endless` never stops speaking. Text comes through the node's own splitter. */
async function* counted(job: Job, signal: AbortSignal, _trace?: string, pieces?: AsyncIterable<TextPiece>): AsyncGenerator<Frame> {
  if (draining) throw new CosyError('draining', 'This node is shutting down: use another one.', { retryAfterMs: 1000 });
  running += 1;
  jobs.push(job);
  let samples = 0;
  try {
    for await (const sentence of sentencesOf(stoppable(pieces ?? [], signal))) {
      if (samples === 0) yield { type: 'start', value: { sampleRateHz: 24000, contentType: 'audio/pcm', seed: job.seed ?? 5 } };
      spoken.push(sentence);
      const words: readonly string[] = sentence.match(/[\p{L}\p{N}'-]+/gu) ?? [];
      const from = samples / 24;
      for (let i = 0; i < words.length || words[0] === 'Endless'; i++) {
        yield { type: 'audio', value: new Uint8Array(CHUNK).fill(i + 1) };
        samples += CHUNK / 2;
        chunksMade += 1;
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) throw new CosyError('cancelled', 'The request was cancelled.');
        if (words.includes('breaks')) throw new CosyError('generation_failed', 'The speech broke off.');
      }
      yield { type: 'mark', value: { samples, words: words.map((text, i) => ({ text, startMs: from + i * MS_PER_WORD, endMs: from + (i + 1) * MS_PER_WORD })), wordSource: 'estimate' } };
    }
    yield { type: 'end', value: { audioMs: samples / 24, speechTokens: samples / 960, timings: {} } };
  } finally {
    running -= 1;
  }
}

async function* stoppable(pieces: AsyncIterable<TextPiece> | readonly TextPiece[], signal: AbortSignal): AsyncGenerator<TextPiece> {
  yield* pieces;
  if (signal.aborted) throw new CosyError('cancelled', 'The request was cancelled.');
}

type Event = { readonly type: string; readonly [name: string]: unknown };
type Client = { readonly socket: WebSocket; readonly events: Event[]; readonly say: (message: unknown) => void; readonly until: (type: string, count?: number) => Promise<Event>; readonly sound: (context: string) => Buffer };

describe('text in, sound out, over one socket', () => {
  let node: Listener;
  let edge: LocalEdge;
  const open: WebSocket[] = [];
  beforeAll(async () => {
    const synthesis: Synthesis = { run: counted, voices: () => [{ name: 'a', language: undefined }], health: () => ({ status: 'ok', model: 'm', running, waiting: 0, estimatedWaitMs: 0 }), metrics: async () => '' };
    node = await listen(nodeApp(synthesis, new SignatureVerifier([KEY])), '127.0.0.1', 0);
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODES: node.url.href, NODE_KEYS: `${KEY.id}:${KEY.secret}`, AUTH: 'off' } });
  });
  afterAll(async () => {
    await edge.close();
    await node.close();
  });
  beforeEach(() => {
    spoken = [];
    jobs = [];
    chunksMade = 0;
    draining = false;
  });
  afterEach(() => {
    for (const socket of open.splice(0)) socket.terminate();
  });

  async function connect(): Promise<Client> {
    const socket = new WebSocket(new URL('/v1/audio/speech/ws', edge.url.href.replace('http', 'ws')), ['cosyvoice']);
    open.push(socket);
    const events: Event[] = [];
    const sounds = new Map<string, Buffer[]>();
    const waiting = new Set<() => void>();
    let next: string | undefined;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) {
        // a binary message belongs to the audio.chunk just before it
        expect(next).toBeDefined();
        sounds.get(next ?? '')?.push(data);
        next = undefined;
        return;
      }
      const event = JSON.parse(data.toString()) as Event;
      events.push(event);
      if (event.type === 'audio.chunk') {
        const id = String(event['context_id']);
        const list = sounds.get(id) ?? [];
        sounds.set(id, list);
        if (typeof event['audio'] === 'string') list.push(Buffer.from(event['audio'], 'base64'));
        else next = id;
      }
      for (const look of waiting) look();
    });
    await once(socket, 'open');
    const until = (type: string, count = 1) =>
      new Promise<Event>((resolve) => {
        const look = () => {
          const found = events.filter((event) => event.type === type)[count - 1];
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    return { socket, events, until, say: (message) => socket.send(JSON.stringify(message)), sound: (id) => Buffer.concat(sounds.get(id) ?? []) };
  }

  it('speaks a text that arrives token by token, in order, with times in the words as they were written', async () => {
    const { say, until, events, sound, socket } = await connect();
    expect(socket.protocol).toBe('cosyvoice');
    expect(await until('session.created')).toMatchObject({ session_id: expect.any(String), limits: { contexts: 5 } });
    say({ type: 'context.create', context_id: 'c', voice: 'a', timestamps: 'word', speed: 1.5 });
    for (const text of ['I pa', 'id $', '3.5', '0 to', ' Dr. Smith', '. And ', 'then ', 'home', '.']) say({ type: 'input.append', context_id: 'c', text });
    say({ type: 'input.done', context_id: 'c' });
    const done = await until('context.done');
    expect(spoken.join('')).toBe('I paid three dollars and fifty cents to Doctor Smith. And then home.');
    expect(jobs[0]).toMatchObject({ speed: 1.5, voice: { kind: 'preset', name: 'a' }, format: 'pcm' });
    expect(events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1])).toEqual(['session.created', 'context.started', 'audio.chunk', 'audio.timestamps', 'audio.chunk', 'audio.timestamps', 'context.done']);
    expect(events.filter(({ type }) => type === 'audio.chunk').map(({ seq }) => seq)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
    expect(sound('c')).toHaveLength(13 * CHUNK);
    expect(done).toMatchObject({ reason: 'completed', usage: { audio_seconds: 1.3, input_characters: 68 } });
    const words = events.flatMap((event) => (event.type === 'audio.timestamps' ? (event['words'] as { text: string; begin_index: number; end_index: number }[]) : []));
    const written = 'I paid $3.50 to Dr. Smith. And then home.';
    expect(words.filter(({ text }) => ['three', 'cents', 'Doctor', 'Smith', 'home'].includes(text)).map(({ begin_index, end_index }) => written.slice(begin_index, end_index))).toEqual(['$3.50', '$3.50', 'Dr.', 'Smith', 'home']);
  });

  it('keeps two contexts apart that speak at once, one of them in events alone', async () => {
    const { say, until, sound, events } = await connect();
    say({ type: 'session.update', defaults: { voice: 'a' } });
    say({ type: 'context.create', context_id: 'one' });
    say({ type: 'context.create', context_id: 'two', encoding: 'base64' });
    for (const [i, text] of ['First ', 'of ', 'all, ', 'this.'].entries()) {
      say({ type: 'input.append', context_id: 'one', text });
      if (i < 2) say({ type: 'input.append', context_id: 'two', text: 'Other ' });
    }
    say({ type: 'input.done', context_id: 'two' });
    say({ type: 'input.done', context_id: 'one' });
    await until('context.done', 2);
    expect([sound('one').length, sound('two').length]).toEqual([4 * CHUNK, 2 * CHUNK]);
    expect(events.filter(({ type }) => type === 'error')).toEqual([]);
    expect(jobs.every(({ voice }) => voice.kind === 'preset' && voice.name === 'a')).toBe(true);
  });

  it('speaks what came so far at a flush, and says when it was sent, while the context stays open', async () => {
    const { say, until, sound, events } = await connect();
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'One moment' });
    say({ type: 'input.flush', context_id: 'c', flush_id: 'f1' });
    expect(await until('flush.done')).toMatchObject({ context_id: 'c', flush_id: 'f1' });
    expect(sound('c')).toHaveLength(2 * CHUNK);
    say({ type: 'input.flush', context_id: 'c', flush_id: 'empty' });
    expect(await until('flush.done', 2)).toMatchObject({ flush_id: 'empty' });
    say({ type: 'input.append', context_id: 'c', text: ' and here it is' });
    say({ type: 'input.flush', context_id: 'c', flush_id: 'f2' });
    expect(await until('flush.done', 3)).toMatchObject({ flush_id: 'f2' });
    expect(sound('c')).toHaveLength(6 * CHUNK);
    say({ type: 'input.done', context_id: 'c' });
    await until('context.done');
    expect(events.filter(({ type }) => type === 'context.started')).toHaveLength(1);
  });

  it.each([
    ['context.cancel', 'cancelled'],
    ['context.interrupt', 'interrupted'],
  ])('gives the place on the node back at %s', async (type, reason) => {
    const { say, until } = await connect();
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'Endless talk. ' });
    say({ type: 'input.flush', context_id: 'c' });
    await until('audio.chunk', 3);
    expect(running).toBe(1);
    say({ type, context_id: 'c', audio_played_ms: 100 });
    expect(await until('context.done')).toMatchObject({ reason });
    await expect.poll(() => running, { interval: 5 }).toBe(0);
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'Again.' });
    say({ type: 'input.done', context_id: 'c' });
    expect(await until('context.done', 2)).toMatchObject({ reason: 'completed' });
  });

  it('tells at an interruption what was heard and what was not, in the words that were written', async () => {
    const { say, until } = await connect();
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'It costs $5 now. Tell me more. And' });
    say({ type: 'input.flush', context_id: 'c', flush_id: 'f' });
    await until('flush.done');
    say({ type: 'input.append', context_id: 'c', text: ' so on' });
    // It costs five dollars | now
    say({ type: 'context.interrupt', context_id: 'c', audio_played_ms: 4.5 * MS_PER_WORD });
    expect(await until('context.interrupted')).toMatchObject({ text_spoken: 'It costs $5', text_remaining: ' now. Tell me more. And so on' });
  });

  it('ends the work on the node when the socket closes', async () => {
    const { say, until, socket } = await connect();
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'Endless talk. ' });
    say({ type: 'input.flush', context_id: 'c' });
    await until('audio.chunk', 3);
    socket.close();
    await expect.poll(() => running, { interval: 5 }).toBe(0);
  });

  it('sends no more than the window to a listener who acknowledges, and the node makes no more', async () => {
    const { say, until, events } = await connect();
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'audio.ack', context_id: 'c', seq: 0 });
    say({ type: 'input.append', context_id: 'c', text: 'Endless talk. ' });
    say({ type: 'input.flush', context_id: 'c' });
    const window = Math.ceil((256 * 1024) / CHUNK);
    await until('audio.chunk', window);
    say({ type: 'ping' });
    await until('pong');
    let made = -1;
    while (made !== chunksMade) {
      made = chunksMade;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(events.filter(({ type }) => type === 'audio.chunk')).toHaveLength(window);
    expect(made).toBeLessThanOrEqual(2 * window + 4);
    say({ type: 'audio.ack', context_id: 'c', seq: 10 });
    await until('audio.chunk', window + 10);
  });

  it('cuts off a listener who takes nothing, before eight megabytes are held for it', async () => {
    const { say, until, socket, sound } = await connect();
    const closed = once(socket, 'close');
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'Endless talk. ' });
    say({ type: 'input.flush', context_id: 'c' });
    await until('audio.chunk');
    const [code] = (await closed) as [number];
    expect(code).toBe(1008);
    expect(sound('c').length).toBeLessThanOrEqual(8 * 1024 * 1024);
    await expect.poll(() => running, { interval: 5 }).toBe(0);
  });

  it.each([
    ['no JSON', '{', 'invalid_json'],
    ['an unknown type', '{"type":"sing"}', 'invalid_value'],
    ['a context that is not there', '{"type":"input.append","context_id":"x","text":"a"}', 'not_found'],
    ['a speed out of range', '{"type":"context.create","context_id":"c","speed":9}', 'invalid_value'],
  ])('answers %s with an error event, and goes on', async (_, message, code) => {
    const { socket, until, say } = await connect();
    socket.send(message);
    expect(await until('error')).toMatchObject({ error: { code, message: expect.any(String) } });
    socket.send(Buffer.from([1, 2, 3]));
    expect(await until('error', 2)).toMatchObject({ error: { code: 'invalid_value' } });
    say({ type: 'ping' });
    await until('pong');
  });

  it('closes with 1009 for a message that is too large', async () => {
    const { socket, say } = await connect();
    const closed = once(socket, 'close');
    say({ type: 'input.append', context_id: 'c', text: 'a'.repeat(70_000) });
    expect((await closed)[0]).toBe(1009);
  });

  it('has five contexts at most, and a text no longer than a request', async () => {
    const { say, until } = await connect();
    for (let i = 0; i < 6; i++) say({ type: 'context.create', context_id: `c${i}` });
    expect(await until('error')).toMatchObject({ context_id: 'c5', error: { code: 'concurrency_limit_exceeded' } });
    say({ type: 'input.append', context_id: 'c0', text: 'word '.repeat(4001) });
    expect(await until('error', 2)).toMatchObject({ context_id: 'c0', error: { code: 'input_too_long' } });
  });

  it('says in an event what goes wrong in one context, and the other goes on', async () => {
    const { say, until } = await connect();
    say({ type: 'context.create', context_id: 'bad' });
    say({ type: 'context.create', context_id: 'good' });
    say({ type: 'context.create', context_id: 'nobody', voice: 'does not exist' });
    say({ type: 'input.append', context_id: 'bad', text: 'This breaks.' });
    say({ type: 'input.done', context_id: 'bad' });
    expect(await until('error', 2)).toMatchObject({ error: { code: expect.stringMatching(/generation_failed|voice_not_found/) } });
    say({ type: 'input.append', context_id: 'good', text: 'Fine.' });
    say({ type: 'input.done', context_id: 'good' });
    expect(await until('context.done')).toMatchObject({ context_id: 'good', reason: 'completed' });
  });

  it('closes with 1001 when the service stops', async () => {
    const { say, until, socket } = await connect();
    draining = true;
    const closed = once(socket, 'close');
    say({ type: 'context.create', context_id: 'c' });
    say({ type: 'input.append', context_id: 'c', text: 'Late.' });
    expect(await until('error')).toMatchObject({ error: { code: 'draining' } });
    expect((await closed)[0]).toBe(1001);
  });

  it('is for sockets only, and the node asks for its signature', async () => {
    expect((await fetch(new URL('/v1/audio/speech/ws', edge.url))).status).toBe(400);
    const stranger = new WebSocket(new URL('/v1/synthesize/stream', node.url.href.replace('http', 'ws')));
    const [error] = (await once(stranger, 'error')) as [Error];
    expect(error.message).toContain('401');
  });
});
