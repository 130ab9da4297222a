import { expect, test } from 'vitest';
import type { FlowVoice, FlowVoiceState } from '../../../gpu-node/mel/index.ts';
import { VoiceShelf } from '../../../gpu-node/schedule/voice-shelf.ts';
import type { ShelfVoice } from '../../../gpu-node/schedule/voice-shelf.ts';

/** 4 · (10 + 80 + 1) + 8 bytes. */
const VOICE_BYTES = 372;
const voice = (key: string, value = 0): ShelfVoice => ({ embedding: new Float32Array(10).fill(value), prompt: { speechTokens: new Int32Array(1), mel: new Float32Array(80) }, prepared: { key, hasPrompt: true, transcript: undefined, speechTokens: [1] } });

/** States of 100 bytes, made when the test lets them. */
function slowFlow() {
  const asked: { voice: FlowVoice; done: (state: FlowVoiceState) => void; failed: (error: Error) => void }[] = [];
  return { asked, voiceState: (of: FlowVoice) => new Promise<FlowVoiceState>((done, failed) => asked.push({ voice: of, done, failed })) };
}
const state = { bytes: 100 } as FlowVoiceState;
const use = { prompt: true, steps: undefined };

test('the least recently used prompts leave when there are too many bytes', () => {
  const shelf = new VoiceShelf(slowFlow(), { promptBytes: 3 * VOICE_BYTES });
  for (const key of ['a', 'b', 'c']) shelf.put(voice(key));
  expect(shelf.promptBytes).toBe(3 * VOICE_BYTES);
  shelf.voice('a', use);
  shelf.put(voice('d'));
  expect(shelf.keys()).toEqual(['d', 'a', 'c']);
  expect(shelf.promptBytes).toBe(3 * VOICE_BYTES);
  expect(() => shelf.voice('b', use)).toThrow(expect.objectContaining({ code: 'voice_prompt_needed' }));
  expect(shelf.prepared('b')).toBeUndefined();
});

test('a voice that is put twice counts once', () => {
  const shelf = new VoiceShelf(slowFlow());
  shelf.put(voice('a'));
  shelf.put(voice('a'));
  expect([shelf.keys(), shelf.promptBytes]).toEqual([['a'], VOICE_BYTES]);
});

test('one voice larger than all room is held until the next comes', () => {
  const shelf = new VoiceShelf(slowFlow(), { promptBytes: 1 });
  shelf.put(voice('a'));
  expect(shelf.keys()).toEqual(['a']);
  shelf.put(voice('b'));
  expect(shelf.keys()).toEqual(['b']);
});

test('values that are not numbers are refused', () => {
  expect(() => new VoiceShelf(slowFlow()).put(voice('a', NaN))).toThrow(expect.objectContaining({ code: 'voice_prompt_invalid' }));
});

test('a state is computed once for all who ask meanwhile', async () => {
  const flow = slowFlow();
  const shelf = new VoiceShelf(flow);
  shelf.put(voice('a'));
  const both = Promise.all([shelf.state('a', use), shelf.state('a', use)]);
  expect(flow.asked).toHaveLength(1);
  flow.asked[0]?.done(state);
  expect(await both).toEqual([state, state]);
  expect([shelf.hits, shelf.misses, shelf.bytes]).toEqual([1, 1, 100]);
});

test('a voice that is forgotten leaves with its states, also one that is being computed', async () => {
  const flow = slowFlow();
  const shelf = new VoiceShelf(flow);
  shelf.put(voice('a'));
  shelf.put(voice('ab'));
  const first = shelf.state('a', use);
  flow.asked[0]?.done(state);
  await first;
  const second = shelf.state('a', { prompt: false, steps: 3 });
  const neighbour = shelf.state('ab', use);
  shelf.forget('a');
  expect([shelf.keys(), shelf.bytes]).toEqual([['ab'], 0]);
  flow.asked[1]?.done(state);
  flow.asked[2]?.done(state);
  // the stream under way gets it, the shelf does not keep it
  expect(await second).toBe(state);
  await neighbour;
  expect(shelf.bytes).toBe(100);
  shelf.forget('nobody');
});

test('a state that could not be computed is tried anew', async () => {
  const flow = slowFlow();
  const shelf = new VoiceShelf(flow);
  shelf.put(voice('a'));
  const failing = shelf.state('a', use);
  flow.asked[0]?.failed(new Error('no memory'));
  await expect(failing).rejects.toThrow('no memory');
  const again = shelf.state('a', use);
  flow.asked[1]?.done(state);
  expect(await again).toBe(state);
});
