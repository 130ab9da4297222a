/** Nodes that go away before, during and after the first sound, in front of the real Worker. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LocalEdge } from '../../../gpu-node/server/local-edge.ts';
import { CosyError } from '../../../shared/errors/index.ts';
import { codeOf, heard, speak, startEdge, startMute, startNode } from './nodes.ts';
import type { TestNode } from './nodes.ts';

describe('a job and its nodes', () => {
  let nodes: TestNode[];
  let edge: LocalEdge;
  beforeAll(async () => {
    nodes = await Promise.all([startNode(), startNode()]);
    edge = await startEdge({ NODES: nodes.map(({ url }) => url).join(' '), NODE_TIMEOUT_MS: '3000' });
  });
  beforeEach(async () => {
    for (const node of nodes) {
      node.behave = {};
      node.jobs.length = 0;
      await node.revive();
    }
  });
  afterAll(async () => {
    await edge.close();
    await Promise.all(nodes.map(({ kill }) => kill()));
  });

  const all = (before: NonNullable<TestNode['behave']['before']>) => nodes.forEach((node) => (node.behave = { before }));
  const asked = () => nodes.reduce((sum, { jobs }) => sum + jobs.length, 0);
  /** The node that took the job dies when the listener has so many blocks, and makes no more of them; the other one lives. */
  const dieAt = (block: number) => {
    const reached = Promise.withResolvers<void>();
    let died: TestNode | undefined;
    nodes.forEach((node) => {
      node.behave = {
        before: async (at) => {
          if (at !== block || died) return;
          died = node;
          if (block > 0) await reached.promise;
          await node.kill();
          await new Promise(() => {});
        },
      };
    });
    return { died: () => died, onBlock: (count: number) => void (count >= block && reached.resolve()) };
  };

  it.each([0, 1, 3, 5])('are one sound for the listener when the node dies at block %i', async (block) => {
    const { died, onBlock } = dieAt(block);
    expect(await heard(await speak(edge), { onBlock })).toBe('whole');
    expect(died()).toBeDefined();
    const second = nodes.find((node) => node !== died())?.jobs.at(-1);
    // before the first sound the job begins anew, later it goes on behind what was heard
    if (block === 0) expect(second?.resume).toBeUndefined();
    else expect(second).toMatchObject({ seed: 5, resume: { sampleOffset: block * 4800 } });
  });

  it('keep the seed that the first node chose', async () => {
    const { onBlock } = dieAt(2);
    const response = await speak(edge, { seed: undefined });
    expect(await heard(response, { seed: Number(response.headers.get('x-seed')), onBlock })).toBe('whole');
  });

  it('go on in a WAV file without a second header', async () => {
    const { died, onBlock } = dieAt(2);
    expect(await heard(await speak(edge, { response_format: 'wav' }), { skip: 44, onBlock })).toBe('whole');
    expect(died()).toBeDefined();
  });

  it('say in the events that nothing broke, and how long the whole sound is', async () => {
    const { died, onBlock } = dieAt(3);
    let text = '';
    for await (const piece of (await speak(edge, { stream_format: 'sse' })).body ?? []) {
      text += Buffer.from(piece).toString('latin1');
      onBlock(text.split('speech.audio.delta').length - 1);
    }
    expect(died()).toBeDefined();
    expect(text.includes('"type":"error"')).toBe(false);
    expect(/speech.audio.done.*"audio_seconds":([\d.]+)/.exec(text)?.[1]).toBe('1.2');
  });

  it('abort where the format cannot go on', async () => {
    const { onBlock } = dieAt(2);
    const response = await speak(edge, { response_format: 'flac' });
    await expect(heard(response, { onBlock })).rejects.toThrow();
    expect(asked()).toBe(1);
  });

  it('end when too many nodes break off the same text', async () => {
    // every node fails from within, again and again
    all((block) => {
      if (block >= 2) throw new CosyError('internal_error', 'A thread went down.');
    });
    const response = await speak(edge);
    await expect(heard(response)).rejects.toThrow();
    expect(asked()).toBeLessThanOrEqual(8);
  });

  it('are not tried again for what is wrong with the job itself, before and after the first sound', async () => {
    all(() => {
      throw new CosyError('generation_failed', 'The voice stayed silent: try again with another seed.');
    });
    const refused = await speak(edge);
    expect([refused.status, await codeOf(refused)]).toEqual([500, 'generation_failed']);
    expect(asked()).toBe(1);
    all((block) => {
      if (block === 2) throw new CosyError('generation_failed', 'The voice stayed silent: try again with another seed.');
    });
    await expect(heard(await speak(edge))).rejects.toThrow();
    expect(asked()).toBe(2);
  });

  it.each(['overloaded', 'draining', 'internal_error'] as const)('are tried elsewhere when one is %s', async (code) => {
    const [bad] = nodes;
    if (bad) bad.behave = { before: () => Promise.reject(new CosyError(code, 'No.', { retryAfterMs: 2000 })) };
    for (let i = 0; i < 4; i++) expect(await heard(await speak(edge))).toBe('whole');
    // the one that is full is left alone for a while
    if (code !== 'internal_error') expect(bad?.jobs.length).toBeLessThanOrEqual(1);
  });

  it('say how long to wait when all nodes are full', async () => {
    all(() => {
      throw new CosyError('overloaded', 'This node is busy: try again in 3 s.', { retryAfterMs: 3000 });
    });
    const response = await speak(edge);
    expect([response.status, response.headers.get('retry-after'), await codeOf(response)]).toEqual([503, '3', 'overloaded']);
    // full is not broken: they are asked again, at once
    all(() => {});
    expect(await heard(await speak(edge))).toBe('whole');
  });

  it('say when to come back when no node is left', async () => {
    await Promise.all(nodes.map(({ kill }) => kill()));
    const response = await speak(edge);
    expect([response.status, response.headers.get('retry-after'), await codeOf(response)]).toEqual([503, '5', 'no_node_available']);
  });

  it('are left by a listener who goes, at the latest when the next block is written', async () => {
    const reached = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    all(async (block, _, signal) => {
      if (block === 2) {
        signal.addEventListener('abort', () => cancelled.resolve());
        reached.resolve();
        // a listener who has read all there was closes without a word: who only waits for the node cannot know
        await gone.promise;
      }
      if (block === 3) await cancelled.promise;
    });
    const stop = new AbortController();
    const response = await speak(edge, {}, { signal: stop.signal });
    await response.body?.getReader().read();
    await reached.promise;
    stop.abort();
    gone.resolve();
    await cancelled.promise;
    expect(asked()).toBe(1);
  });

  it('send the prompt to a node that does not hold it', async () => {
    const [first] = nodes;
    await nodes[1]?.kill();
    let needs = true;
    if (first) {
      first.behave = {
        before: () => {
          if (!needs) return;
          needs = false;
          throw new CosyError('voice_prompt_needed', 'Send the prompt.');
        },
      };
    }
    expect(await heard(await speak(edge))).toBe('whole');
    expect(first?.jobs).toHaveLength(2);
  });
});

describe('nodes that say nothing', () => {
  it('are given up after the limit, and then left alone; in the middle another one goes on', async () => {
    const mute = await startMute();
    const node = await startNode();
    const edge = await startEdge({ NODES: `${mute.url} ${node.url}`, NODE_TIMEOUT_MS: '400' });
    for (let i = 0; i < 6; i++) expect(await heard(await speak(edge))).toBe('whole');
    // once for the job; health is asked too, and may be repeated
    expect(mute.asked()).toBeLessThanOrEqual(4);
    const other = await startNode();
    await other.heartbeats(edge, { warmVoices: ['preset/a'] }).now();
    // until the edge has asked its registry again
    await expect.poll(async () => (await heard(await speak(edge))) === 'whole' && other.jobs.length > 0, { timeout: 5000, interval: 100 }).toBe(true);
    let stuck = false;
    for (const one of [node, other]) {
      one.behave = {
        before: (block) => {
          if (block !== 2 || stuck) return;
          stuck = true;
          return new Promise(() => {});
        },
      };
    }
    expect(await heard(await speak(edge))).toBe('whole');
    expect(stuck).toBe(true);
    await edge.close();
    mute.close();
    await Promise.all([node.kill(), other.kill()]);
  });
});
