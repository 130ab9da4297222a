/** Text in pieces to the bundled voice, through `npm start`: client, Worker, node, engine, all real. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { scratch } from './command.ts';
import { startServer } from './server.ts';
import type { Server } from './server.ts';

type Event = { readonly type: string; readonly [name: string]: unknown };

describe('a text that is spoken while it is written', () => {
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

  async function connect() {
    const socket = new WebSocket(`${edge.replace('http', 'ws')}/v1/audio/speech/ws`, { headers: { authorization: `Bearer ${key}` } });
    const events: Event[] = [];
    const sound: Buffer[] = [];
    const waiting = new Set<() => void>();
    socket.on('message', (message: Buffer, isBinary: boolean) => {
      if (isBinary) sound.push(message);
      else events.push(JSON.parse(message.toString()) as Event);
      for (const look of waiting) look();
    });
    await once(socket, 'open');
    const until = (type: string, count = 1) =>
      new Promise<Event>((resolve) => {
        const look = () => {
          const found = events.filter((event) => event.type === type)[count - 1];
          if (found && waiting.delete(look)) resolve(found);
        };
        waiting.add(look);
        look();
      });
    return { socket, events, sound, until, say: (message: unknown) => socket.send(JSON.stringify(message)) };
  }

  async function running(): Promise<number> {
    return ((await (await fetch(`${node}/healthz`)).json()) as { running: number }).running;
  }

  it('is heard before it has ended, with times of the words as they were written', async () => {
    const { say, until, events, sound, socket } = await connect();
    say({ type: 'context.create', context_id: 'c', timestamps: 'word', seed: 3 });
    for (const text of ['Hello', ' there', '. It', ' costs $', '5']) say({ type: 'input.append', context_id: 'c', text });
    // the first sentence is complete, the second is not
    await until('audio.chunk');
    say({ type: 'input.append', context_id: 'c', text: ' today.' });
    say({ type: 'input.flush', context_id: 'c', flush_id: 'f' });
    await until('flush.done');
    say({ type: 'input.done', context_id: 'c' });
    const { usage } = await until('context.done');
    expect(events.filter(({ type }) => type === 'error')).toEqual([]);
    const pcm = Buffer.concat(sound);
    expect(pcm.length / 48_000).toBeCloseTo((usage as { audio_seconds: number }).audio_seconds, 1);
    const samples = new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length >> 1);
    expect(Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length)).toBeGreaterThan(300);
    const words = events.flatMap((event) => (event.type === 'audio.timestamps' ? (event['words'] as { text: string; start_ms: number; end_ms: number; begin_index: number; end_index: number }[]) : []));
    expect(words.map(({ text }) => text.toLowerCase())).toEqual(['hello', 'there', 'it', 'costs', 'five', 'dollars', 'today']);
    expect('Hello there. It costs $5 today.'.slice(words[4]?.begin_index, words[4]?.end_index)).toBe('$5');
    expect(words.every(({ start_ms }, i) => start_ms >= (words[i - 1]?.start_ms ?? 0))).toBe(true);
    expect(words.at(-1)?.end_ms).toBeLessThanOrEqual(1000 * (pcm.length / 48_000) + 50);
    socket.close();
  });

  it('gives its place on the node back when it is cancelled, and when the socket goes away', async () => {
    const { say, until, socket } = await connect();
    for (const id of ['a', 'b']) {
      say({ type: 'context.create', context_id: id });
      say({ type: 'input.append', context_id: id, text: 'This goes on for quite a while. '.repeat(40) });
    }
    await until('context.started', 2);
    expect(await running()).toBe(2);
    say({ type: 'context.cancel', context_id: 'a' });
    expect(await until('context.done')).toMatchObject({ context_id: 'a', reason: 'cancelled' });
    await expect.poll(running, { timeout: 5000, interval: 50 }).toBe(1);
    socket.terminate();
    await expect.poll(running, { timeout: 5000, interval: 50 }).toBe(0);
  });
});
