/** The sound thread itself: what is broken or cancelled costs its neighbours nothing. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { chosenPrecisions, convertCheckpoint } from '../../../gpu-node/graphs/convert.ts';
import { startThread } from '../../../gpu-node/runtime/thread.ts';
import type { Thread } from '../../../gpu-node/runtime/thread.ts';
import type { AcousticMethods } from '../../../gpu-node/schedule/acoustic-thread.ts';

describe('the sound thread', () => {
  let checkpoint: Checkpoint;
  let thread: Thread<AcousticMethods>;
  beforeAll(async () => {
    const cacheDirectory = process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice');
    checkpoint = await openCheckpoint(BUNDLED_MODEL, { cacheDirectory });
    const directories = await convertCheckpoint({ checkpoint, cacheDirectory, precisions: {} });
    const { campplusPath, speechTokenizerPath, hash, config } = checkpoint;
    thread = startThread<AcousticMethods>({
      module: new URL('../../../gpu-node/schedule/acoustic-thread.ts', import.meta.url),
      options: { config, directories, precisions: chosenPrecisions({}), device: 'cpu', threads: 1, budgetBytes: 1, source: { campplusPath, speechTokenizerPath, hash } },
      name: 'acoustic',
    });
  });
  afterAll(async () => {
    await thread.close();
    checkpoint.close();
  });

  it('refuses a voice whose values are not numbers, and serves its neighbours', async () => {
    const [speaker] = checkpoint.speakers.values();
    if (!speaker) throw new Error('the bundled voice has speakers');
    const results = await Promise.allSettled([
      thread.call('preset', { ...speaker, name: 'broken', embedding: new Float32Array(speaker.embedding.length).fill(NaN) }),
      thread.call('preset', speaker),
    ]);
    expect(results).toMatchObject([{ status: 'rejected', reason: { code: 'voice_prompt_invalid' } }, { status: 'fulfilled' }]);
    const { key, hasPrompt } = await thread.call('preset', speaker);
    const speechTokens = Array.from({ length: 30 }, (_, i) => (7 * i) % 50);
    const { samples } = await thread.call('whole', { key, prompt: hasPrompt, seed: 1, speed: 1, steps: undefined, deadlineMs: 0, speechTokens });
    expect(samples.length).toBe(30 * 960);
  });

  it('frees a stream that was cancelled while it was being opened', async () => {
    const [speaker] = checkpoint.speakers.values();
    if (!speaker) throw new Error('the bundled voice has speakers');
    const { key, hasPrompt } = await thread.call('preset', speaker);
    const stop = new AbortController();
    const opening = thread.call('open', { id: 2, key, prompt: hasPrompt, early: true, seed: 1, speed: 1, steps: 3, deadlineMs: 0 }, stop.signal);
    stop.abort();
    await expect(opening).rejects.toMatchObject({ code: 'cancelled' });
    await thread.call('close', { id: 2 });
    expect(await thread.call('stats', null)).toMatchObject({ streams: 0, queued: 0, streamBytes: 0 });
  });

  it('refuses a stream that it has no memory for, says when to come again, and lets it in when another one has left', async () => {
    const [speaker] = checkpoint.speakers.values();
    if (!speaker) throw new Error('the bundled voice has speakers');
    const { key, hasPrompt } = await thread.call('preset', speaker);
    const opened = (id: number): Promise<unknown> => thread.call('open', { id, key, prompt: hasPrompt, early: true, seed: 1, speed: 1, steps: 3, deadlineMs: 0 });
    await opened(10);
    await expect(opened(11)).rejects.toMatchObject({ code: 'overloaded', retryable: true, retryAfterMs: 2000 });
    await thread.call('close', { id: 10 });
    await opened(11);
    await thread.call('close', { id: 11 });
  });
});
