/**
 * SPINE of the node: one request from text to sound, top to bottom.
 *
 *   voice → mode → segments → text ids → speech tokens → mel → samples
 *
 * Speech tokens come from one thread and sound from another, so the next sentence is being read while this one is voiced.
 * Bytes are made by the caller (encode/): the command line writes a file, the server sends frames.
 */
import type { Mode } from '../shared/contract/job.ts';
import { CosyError } from '../shared/errors/index.ts';
import type { AcousticMethods, PreparedVoice } from './schedule/acoustic-thread.ts';
import { Playback } from './schedule/playback.ts';
import type { GenerateRequest, TokenBatch, TokenMethods } from './schedule/tokens-thread.ts';
import type { Thread } from './runtime/thread.ts';
import { oneAhead } from './schedule/ahead.ts';
import type { TextFrontEnd } from './text/index.ts';
import { Joiner, Trimmer } from './wave/index.ts';

/** What one request says, in this stage's own terms. */
export type SpeakRequest = {
  /** Speakable text; normalization has happened. */
  readonly text: string;
  readonly voice: PreparedVoice;
  readonly mode: Mode | undefined;
  readonly instruction: string | undefined;
  readonly language: string | undefined;
  readonly seed: number;
  /** 0.5 … 2; the pitch stays. */
  readonly speed: number;
  /** Euler steps of the flow; undefined: the checkpoint's. */
  readonly steps: number | undefined;
  /** True: sound leaves in blocks while tokens are made. False: each sentence is made whole with full attention. */
  readonly streaming: boolean;
};

/** A piece of sound, and the speech tokens (25 per second) that were read since the piece before. */
export type Sound = { readonly samples: Float32Array; readonly speechTokens: readonly number[] };

export type Stages = {
  readonly text: TextFrontEnd;
  readonly tokens: Thread<TokenMethods>;
  readonly acoustic: Thread<AcousticMethods>;
  readonly sampleRateHz: number;
};

/** Throws `input_empty` when nothing in the text can be spoken, `invalid_value` when voice and mode do not fit. */
export async function* synthesize(request: SpeakRequest, stages: Stages, signal: AbortSignal): AsyncGenerator<Sound> {
  const mode = chooseMode(request);
  const context = promptOf(request, mode, stages.text);
  const segments = stages.text.segments(request.text, request.language);
  if (segments.length === 0) throw new CosyError('input_empty', 'The text has nothing that can be spoken: give at least one word.');
  const requests = segments.map(({ ids }, i): GenerateRequest => ({ ...context, textIds: ids, seed: segmentSeed(request.seed, i) }));
  const read = request.streaming ? readOnce : readGuarded;
  const playback = new Playback(stages.sampleRateHz);
  const joiner = new Joiner({ sampleRateHz: stages.sampleRateHz });
  for await (const [i, tokens] of oneAhead(requests.map((reading) => () => read(reading, stages.tokens, signal)))) {
    const voicing = { key: request.voice.key, seed: segmentSeed(request.seed, i), speed: request.speed, steps: request.steps, prompt: mode !== 'sft' };
    const sounds = request.streaming ? voiceInBlocks(tokens, voicing, playback, stages, signal) : voiceWhole(tokens, voicing, playback, stages, signal);
    for await (const sound of finished(sounds, new Trimmer({ sampleRateHz: stages.sampleRateHz }), joiner)) {
      playback.sent(sound.samples.length);
      yield sound;
    }
  }
}

/** Speech tokens as they are made. */
async function* readOnce(request: GenerateRequest, tokens: Thread<TokenMethods>, signal: AbortSignal): AsyncGenerator<readonly number[]> {
  for await (const batch of tokens.stream('generate', request, signal)) yield batch.tokens;
}

/** Nothing has been sent yet: a sentence that loops or does not end is read once more with another seed, and the better one is kept. */
async function* readGuarded(request: GenerateRequest, tokens: Thread<TokenMethods>, signal: AbortSignal): AsyncGenerator<readonly number[]> {
  const first = await Array.fromAsync(tokens.stream('generate', request, signal));
  const again = endedWell(first) ? undefined : await Array.fromAsync(tokens.stream('generate', { ...request, seed: segmentSeed(request.seed, 1) }, signal));
  yield (again && endedWell(again) ? again : first).flatMap((batch) => batch.tokens);
}

function endedWell(batches: readonly TokenBatch[]): boolean {
  return batches.at(-1)?.end === 'stop';
}

type Voicing = { readonly key: string; readonly seed: number; readonly speed: number; readonly steps: number | undefined; readonly prompt: boolean };

async function* voiceWhole(tokens: AsyncIterable<readonly number[]>, voicing: Voicing, playback: Playback, stages: Stages, signal: AbortSignal): AsyncGenerator<Sound> {
  const speechTokens = (await Array.fromAsync(tokens)).flat();
  yield { samples: await stages.acoustic.call('whole', { ...voicing, speechTokens, deadlineMs: playback.deadlineMs }, signal), speechTokens };
}

async function* voiceInBlocks(tokens: AsyncIterable<readonly number[]>, voicing: Voicing, playback: Playback, stages: Stages, signal: AbortSignal): AsyncGenerator<Sound> {
  let { id, needed } = await stages.acoustic.call('open', voicing, signal);
  try {
    let waiting: number[] = [];
    for await (const batch of tokens) {
      waiting.push(...batch);
      if (waiting.length < needed) continue;
      const speechTokens = waiting;
      waiting = [];
      const made = await stages.acoustic.call('push', { id, speechTokens, last: false, deadlineMs: playback.deadlineMs }, signal);
      needed = made.needed;
      yield { samples: made.samples, speechTokens };
    }
    const made = await stages.acoustic.call('push', { id, speechTokens: waiting, last: true, deadlineMs: playback.deadlineMs }, signal);
    yield { samples: made.samples, speechTokens: waiting };
  } finally {
    await stages.acoustic.call('close', { id });
  }
}

/** Silence before and noise after the sentence go; sentences are joined with a short pause and without a step. */
async function* finished(sounds: AsyncIterable<Sound>, trimmer: Trimmer, joiner: Joiner): AsyncGenerator<Sound> {
  for await (const { samples, speechTokens } of sounds) yield { samples: joiner.push(trimmer.push(samples)), speechTokens };
  yield { samples: joiner.push(trimmer.push(new Float32Array(0), { last: true }), { end: true }), speechTokens: [] };
}

/** Official table of modes: MODEL §2.1, cosyvoice/cli/frontend.py. */
function chooseMode({ mode, instruction, voice }: SpeakRequest): Mode {
  const chosen = mode ?? (instruction !== undefined ? 'instruct' : !voice.hasPrompt ? 'sft' : voice.transcript === undefined ? 'cross_lingual' : 'zero_shot');
  if (chosen === 'zero_shot' && (!voice.hasPrompt || voice.transcript === undefined)) {
    throw new CosyError('invalid_value', 'Mode zero_shot needs a clip and its transcript (--prompt-audio and --prompt-text).', { param: 'mode' });
  }
  if (chosen === 'cross_lingual' && !voice.hasPrompt) throw new CosyError('invalid_value', 'Mode cross_lingual needs a clip to imitate (--prompt-audio).', { param: 'mode' });
  if (chosen === 'instruct' && (instruction ?? '').trim() === '') throw new CosyError('invalid_value', 'Mode instruct needs an instruction (--instruct).', { param: 'instructions' });
  return chosen;
}

/** What stands before the text in the language model's input. */
function promptOf({ voice, instruction, language }: SpeakRequest, mode: Mode, text: TextFrontEnd): { readonly promptTextIds: readonly number[]; readonly promptSpeechTokens: readonly number[] } {
  if (mode === 'zero_shot') return { promptTextIds: voice.transcript?.ids ?? text.ids(voice.transcript?.text ?? '', language), promptSpeechTokens: voice.speechTokens };
  if (mode === 'instruct') return { promptTextIds: text.instructionIds(instruction ?? ''), promptSpeechTokens: [] };
  return { promptTextIds: [], promptSpeechTokens: [] };
}

/** Each sentence draws its own random numbers; the first one the request's. */
function segmentSeed(seed: number, index: number): number {
  return (seed + Math.imul(index, 0x9e37_79b1)) >>> 0;
}
