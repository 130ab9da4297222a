/** The threads of sound themselves: what is broken or cancelled costs its neighbours nothing. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import type { Checkpoint } from '../../../gpu-node/checkpoint/types.ts';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { chosenPrecisions, convertCheckpoint } from '../../../gpu-node/graphs/convert.ts';
import { Transfer, startThread } from '../../../gpu-node/runtime/thread.ts';
import type { Thread } from '../../../gpu-node/runtime/thread.ts';
import type { AcousticMethods } from '../../../gpu-node/schedule/acoustic-thread.ts';
import type { WaveMethods } from '../../../gpu-node/schedule/wave-thread.ts';

const MEL_BINS = 80;

describe('the threads of sound', () => {
  let checkpoint: Checkpoint;
  let thread: Thread<AcousticMethods>;
  let wave: Thread<WaveMethods>;
  beforeAll(async () => {
    const cacheDirectory = process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice');
    checkpoint = await openCheckpoint(BUNDLED_MODEL, { cacheDirectory });
    const directories = await convertCheckpoint({ checkpoint, cacheDirectory, precisions: {} });
    const { campplusPath, speechTokenizerPath, hash, config } = checkpoint;
    thread = startThread<AcousticMethods>({
      module: new URL('../../../gpu-node/schedule/acoustic-thread.ts', import.meta.url),
      options: { config, directories, precisions: chosenPrecisions(config), device: 'cpu', threads: 1, budgetBytes: 1, source: { campplusPath, speechTokenizerPath, hash } },
      name: 'acoustic',
    });
    wave = startThread<WaveMethods>({ module: new URL('../../../gpu-node/schedule/wave-thread.ts', import.meta.url), options: { config, directories, device: 'cpu', threads: 1 }, name: 'wave' });
  });
  afterAll(async () => {
    await thread.close();
    await wave.close();
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
    const { mel } = await thread.call('whole', { key, prompt: hasPrompt, steps: undefined, deadlineMs: 0, speechTokens });
    expect(mel.length).toBe(60 * MEL_BINS);
    const { samples } = await wave.call('whole', new Transfer({ mel, seed: 1, speed: 1, deadlineMs: 0 }, [mel.buffer]));
    expect(samples.length).toBe(30 * 960);
    // it moved there
    expect(mel.length).toBe(0);
  });

  it('frees a stream that was cancelled while it was being opened', async () => {
    const [speaker] = checkpoint.speakers.values();
    if (!speaker) throw new Error('the bundled voice has speakers');
    const { key, hasPrompt } = await thread.call('preset', speaker);
    const stop = new AbortController();
    const opening = thread.call('open', { id: 2, key, prompt: hasPrompt, early: true, steps: 3, deadlineMs: 0 }, stop.signal);
    stop.abort();
    await expect(opening).rejects.toMatchObject({ code: 'cancelled' });
    await thread.call('close', { id: 2 });
    expect(await thread.call('stats', null)).toMatchObject({ streams: 0, queued: 0, streamBytes: 0 });
  });

  it('frees the vocoder of a stream whose first push was cancelled, and knows no stream that has not begun', async () => {
    const pieces = [{ mel: new Float32Array(40 * MEL_BINS), early: false }];
    const stop = new AbortController();
    const running = wave.call('push', { id: 3, begin: { seed: 1, speed: 1 }, pieces, last: false, deadlineMs: 0 });
    const pushing = wave.call('push', { id: 4, begin: { seed: 1, speed: 1 }, pieces, last: false, deadlineMs: 1 }, stop.signal);
    stop.abort();
    await expect(pushing).rejects.toMatchObject({ code: 'cancelled' });
    await wave.call('close', { id: 4 });
    expect((await running).samples.length).toBe((40 - 20) * 480);
    expect(await wave.call('stats', null)).toEqual({ streams: 1, queued: 0 });
    await wave.call('close', { id: 3 });
    expect(await wave.call('stats', null)).toEqual({ streams: 0, queued: 0 });
    for (const id of [3, 4, 99]) await expect(wave.call('push', { id, begin: undefined, pieces, last: true, deadlineMs: 0 })).rejects.toMatchObject({ code: 'internal_error', retryable: true });
  });

  it('refuses a stream that it has no memory for, says when to come again, and lets it in when another one has left', async () => {
    const [speaker] = checkpoint.speakers.values();
    if (!speaker) throw new Error('the bundled voice has speakers');
    const { key, hasPrompt } = await thread.call('preset', speaker);
    const opened = (id: number): Promise<unknown> => thread.call('open', { id, key, prompt: hasPrompt, early: true, steps: 3, deadlineMs: 0 });
    await opened(10);
    await expect(opened(11)).rejects.toMatchObject({ code: 'overloaded', retryable: true, retryAfterMs: 2000 });
    await thread.call('close', { id: 10 });
    await opened(11);
    await thread.call('close', { id: 11 });
  });
});
