/**
 * SPINE of the node: one request from text to sound, top to bottom.
 *
 *   voice → mode → sentences → text ids → speech tokens → mel → samples
 *
 * Speech tokens, mel and samples come from a thread each, so the next sentence is being read while this one is voiced.
 * Bytes are made by the caller (render.ts): the command line writes a file, the server sends frames.
 */
import type { Mode } from '../shared/contract/job.ts';
import { sentenceEnd } from '../shared/contract/tokens.ts';
import type { ResumePoint } from '../shared/contract/tokens.ts';
import { concatenate } from './runtime/floats.ts';
import { CosyError } from '../shared/errors/index.ts';
import { MAX_SPEED, MIN_SPEED } from '../shared/limits/index.ts';
import type { Trace } from './metrics/trace.ts';
import type { Thread } from './runtime/thread.ts';
import type { PreparedVoice } from './schedule/voice-shelf.ts';
import { oneAhead } from './schedule/ahead.ts';
import { Playback } from './schedule/playback.ts';
import { read } from './schedule/reading.ts';
import type { Seeds } from './schedule/reading.ts';
import { readings } from './schedule/readings.ts';
import type { SourceLimits, TextPiece } from './schedule/source.ts';
import type { Rounds } from './schedule/rounds.ts';
import type { TokenMethods } from './schedule/tokens-thread.ts';
import { voiced } from './schedule/voicing.ts';
import type { SoundThreads } from './schedule/voicing.ts';
import { wordTimes } from './schedule/word-times.ts';
import type { WordSource, WordTime } from './schedule/word-times.ts';
import type { TextFrontEnd } from './text/index.ts';
import { Joiner, silence } from './wave/index.ts';

/** What one request says, in this stage's own terms. */
export type SpeakRequest = {
  /** Speakable text; normalization has happened. In pieces: it is spoken while it arrives. */
  readonly text: string | AsyncIterable<TextPiece>;
  /** Silence behind `at` characters, in milliseconds; only for a text that is whole. */
  readonly breaks?: readonly { readonly at: number; readonly ms: number }[] | undefined;
  readonly limits?: SourceLimits | undefined;
  readonly voice: PreparedVoice;
  readonly mode: Mode | undefined;
  readonly instruction: string | undefined;
  readonly language: string | undefined;
  readonly seeds: Seeds;
  /** 0.5 … 2; the pitch stays. */
  readonly speed: number;
  /** Euler steps of the flow; undefined: the checkpoint's. */
  readonly steps: number | undefined;
  /** True: sound leaves in blocks while tokens are made. False: each sentence is made whole with full attention. */
  readonly streaming: boolean;
  /** Where an earlier run of this request stopped. The sound begins at `resume.samples`, with the sentence under way. */
  readonly resume: ResumePoint | undefined;
};

/**
 * A piece of sound, and the speech tokens and marks (`shared/contract/tokens.ts`) since the piece before. `words` come with
 * the end of their sentence.
 */
export type Sound = { readonly samples: Float32Array; readonly speechTokens: readonly number[]; readonly words?: readonly WordTime[]; readonly wordSource?: WordSource };

export type Stages = SoundThreads & {
  readonly text: TextFrontEnd;
  /** Whether the language model was trained to speak while text arrives. */
  readonly speaksPieces: boolean;
  readonly tokens: Thread<TokenMethods>;
  readonly rounds: Rounds;
  readonly sampleRateHz: number;
  /** Tokens of one block of the flow. */
  readonly blockTokens: number;
};

/** Throws `input_empty` when nothing in the text can be spoken, `invalid_value` when voice and mode do not fit, `generation_failed` for silence. */
export async function* synthesize(request: SpeakRequest, stages: Stages, trace: Trace, signal: AbortSignal): AsyncGenerator<Sound> {
  const { voice, seeds, steps, resume } = request;
  const own = new AbortController();
  const either = AbortSignal.any([signal, own.signal]);
  const mode = chooseMode(request);
  const playback = new Playback(stages.sampleRateHz);
  const joiner = new Joiner({ sampleRateHz: stages.sampleRateHz });
  let samples = resume?.samples ?? 0;
  if (samples > 0) joiner.push(new Float32Array(1), { end: true }); // a sentence was there: a pause comes first
  try {
    const { speed, ...prompt } = promptOf(request, mode, stages.text);
    const source = readings({ ...request, prompt, frontEnd: stages.text, speaksPieces: stages.speaksPieces, signal: either });
    const context = { ...stages, seeds, trace, playback, signal: either };
    const manner = { key: voice.key, prompt: mode !== 'sft', steps, speed, streaming: request.streaming };
    for await (const { source: sentence, items } of voiced(oneAhead(source, (next) => read(next, context)), manner, context)) {
      const from = samples;
      let kept = 0;
      let removed = { lead: 0, tail: 0 };
      for await (const piece of items) {
        const sound = { speechTokens: piece.speechTokens, samples: joiner.push(piece.samples) };
        kept += piece.samples.length;
        removed = piece.removed ?? removed;
        samples += sound.samples.length;
        playback.sent(sound.samples.length);
        trace.underruns = playback.underruns;
        trace.audibleMs ??= audibleAt(sound.samples, stages.sampleRateHz, trace);
        yield sound;
      }
      const rest = joiner.push(new Float32Array(0), { end: true });
      samples += rest.length;
      const { words, source: wordSource } = wordTimes(sentence.words, sentence.said.alignment, { from, to: samples, pause: samples - from - kept, removed }, stages.sampleRateHz);
      trace.words[wordSource] = (trace.words[wordSource] ?? 0) + words.length;
      trace.trimmedMs.lead += (1000 * removed.lead) / stages.sampleRateHz;
      trace.trimmedMs.tail += (1000 * removed.tail) / stages.sampleRateHz;
      if (kept === 0) trace.guards.push('inaudible');
      const pause = silence(sentence.breakMs, stages.sampleRateHz);
      samples += pause.length;
      playback.sent(rest.length + pause.length);
      yield { samples: concatenate([rest, pause]), speechTokens: sentenceEnd(samples), words, wordSource };
    }
    if (samples === 0) throw new CosyError('generation_failed', 'The voice stayed silent: try again with another seed.');
  } finally {
    own.abort();
  }
}

/** When a player that starts at once reaches the first sample that is heard; nothing while there is none. */
function audibleAt(samples: Float32Array, sampleRateHz: number, trace: Trace): number | undefined {
  const at = samples.findIndex((sample) => Math.abs(sample) > AUDIBLE);
  return at < 0 ? undefined : trace.elapsedMs + (1000 * at) / sampleRateHz;
}

/** −40 dBFS. */
const AUDIBLE = 0.01;

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

/** What stands before the text in the language model's input, and how fast it is spoken. */
function promptOf({ voice, instruction, language, speed }: SpeakRequest, mode: Mode, text: TextFrontEnd): { readonly promptTextIds: readonly number[]; readonly promptSpeechTokens: readonly number[]; readonly speed: number } {
  const { ids, text: spoken } = voice.transcript ?? { ids: [] };
  const before = mode === 'zero_shot' || !voice.hasPrompt ? (ids ?? text.ids(spoken ?? '', language)) : [];
  if (mode !== 'instruct') return { promptTextIds: before, promptSpeechTokens: mode === 'zero_shot' ? voice.speechTokens : [], speed };
  const asked = text.instruct(instruction ?? '');
  return { promptTextIds: [...before, ...asked.ids], promptSpeechTokens: [], speed: Math.min(MAX_SPEED, Math.max(MIN_SPEED, speed * asked.speed)) };
}
