/**
 * Clip and transcript → voice prompt: two resampled copies, three feature front ends, the speaker encoder and the speech
 * tokenizer of the checkpoint, then the official trimming. Does not decode files (decode.ts) and does not judge them
 * (quality.ts). Source: cosyvoice/cli/frontend.py frontend_zero_shot, _extract_*.
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { tokensInWholeBlocks } from '../checkpoint/config.ts';
import type { Checkpoint } from '../checkpoint/types.ts';
import { FEATURE_FILES, FBANK, WHISPER_MEL } from '../graphs/features.ts';
import type { GraphSession, OpenGraph, Tensor } from '../runtime/session.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_PROMPT_SECONDS } from '../../shared/limits/index.ts';
import type { VoicePrompt } from '../../shared/voice-prompt/index.ts';
import { resample } from './resample.ts';

/** Lower rates lose consonants, and the official loader refuses to raise them (cosyvoice/utils/file_utils.py load_wav). */
export const MIN_SAMPLE_RATE_HZ = 16000;
/** Less than this is not enough for one analysis window of every front end, let alone a voice. */
export const MIN_PROMPT_SECONDS = 0.5;

/** Mono samples in ±1, (N,). */
export type Clip = { readonly samples: Float32Array; readonly sampleRateHz: number };

/** Everything a clip runs through; made by `openVoiceSessions`, ended by `release`. */
export type VoiceSessions = {
  readonly mel: GraphSession;
  readonly whisperMel: GraphSession;
  readonly fbank: GraphSession;
  readonly speakerEncoder: GraphSession;
  readonly speechTokenizer: GraphSession;
  /** Facts of the checkpoint that shape a prompt. */
  readonly sampleRateHz: number;
  readonly melBins: number;
  readonly speakerDim: number;
  readonly tokenMelRatio: number;
  readonly blockTokens: number;
  readonly lookaheadTokens: number;
  readonly modelRevision: string;
  release(): Promise<void>;
};

/** `featuresDirectory`: converted graphs of the `features` stage. Throws what `open` throws. */
export async function openVoiceSessions({ checkpoint, featuresDirectory, open }: { checkpoint: Pick<Checkpoint, 'config' | 'hash' | 'campplusPath' | 'speechTokenizerPath'>; featuresDirectory: string; open: OpenGraph }): Promise<VoiceSessions> {
  const paths = [
    ...[FEATURE_FILES.mel, FEATURE_FILES.whisperMel, FEATURE_FILES.fbank].map((file) => join(featuresDirectory, file)),
    checkpoint.campplusPath,
    checkpoint.speechTokenizerPath,
  ];
  const sessions: GraphSession[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(sessions.map((session) => session.release()));
  };
  try {
    for (const path of paths) sessions.push(await open(path));
  } catch (error) {
    await release();
    throw error;
  }
  const [mel, whisperMel, fbank, speakerEncoder, speechTokenizer] = sessions;
  assert(mel && whisperMel && fbank && speakerEncoder && speechTokenizer);
  const { config, hash } = checkpoint;
  return {
    mel,
    whisperMel,
    fbank,
    speakerEncoder,
    speechTokenizer,
    sampleRateHz: config.mel.sampleRateHz,
    melBins: config.mel.melBins,
    speakerDim: config.speakerDim,
    tokenMelRatio: config.flow.tokenMelRatio,
    blockTokens: config.flow.encoder.chunkTokens,
    lookaheadTokens: config.flow.preLookaheadTokens,
    modelRevision: hash,
    release,
  };
}

export type VoicePromptRequest = Clip & {
  readonly transcript: string;
  readonly sessions: VoiceSessions;
  /**
   * On (default): the flow's part is cut at its start to whole blocks and the look-ahead of the last one, so that all blocks
   * are made once with the voice and the first chunk of a stream needs neither padding nor another block before it.
   * A clip shorter than that is left as it is. Off: as the official front end.
   */
  readonly wholeBlocks?: boolean;
};

/** Throws `audio_too_short`, `audio_too_long`, `audio_sample_rate_too_low`. */
export async function makeVoicePrompt(request: VoicePromptRequest): Promise<VoicePrompt> {
  const { sessions, transcript, wholeBlocks = true } = request;
  const { melBins, tokenMelRatio, sampleRateHz, modelRevision } = sessions;
  const clip = prepareClip(request, sampleRateHz);
  const mel = await melFrames(sessions, clip.atModelRate);
  const tokens = await tokenize(sessions, clip.at16kHz);
  const embedding = await embedSpeaker(sessions, clip.at16kHz);

  const kept = keptTokens(mel.length / melBins, tokens.length, tokenMelRatio);
  const inFlow = wholeBlocks ? tokensInWholeBlocks(kept, sessions) : kept;
  const firstFrame = tokenMelRatio * (kept - inFlow);
  return {
    transcript,
    llmSpeechTokens: tokens.slice(0, kept),
    flowSpeechTokens: tokens.slice(kept - inFlow, kept),
    mel: mel.slice(firstFrame * melBins, tokenMelRatio * kept * melBins),
    melBins,
    embedding,
    sampleRateHz,
    modelRevision,
  };
}

/**
 * Speech tokens of a clip, (S,), S = ⌈frames / 4⌉ with frames of 10 ms: the source of voice conversion.
 * Throws like `makeVoicePrompt`; the tokenizer reads at most 30 s at once.
 */
export async function speechTokens(sessions: VoiceSessions, clip: Clip): Promise<Int32Array> {
  return tokenize(sessions, prepareClip(clip, sessions.sampleRateHz).at16kHz);
}

/** The two copies the front ends read, each resampled from the original. Throws like `makeVoicePrompt`. */
export function prepareClip({ samples, sampleRateHz }: Clip, modelRateHz: number): { readonly atModelRate: Float32Array; readonly at16kHz: Float32Array } {
  if (sampleRateHz < MIN_SAMPLE_RATE_HZ) {
    throw new CosyError('audio_sample_rate_too_low', `The clip has ${sampleRateHz} samples a second; a voice needs at least ${MIN_SAMPLE_RATE_HZ}. Use the original recording.`);
  }
  if (samples.length < MIN_PROMPT_SECONDS * sampleRateHz) {
    throw new CosyError('audio_too_short', `The clip is ${(samples.length / sampleRateHz).toFixed(2)} s long; a voice needs at least ${MIN_PROMPT_SECONDS} s, and 5 to 10 s are best.`);
  }
  // checked before the work as well: resampling an hour would take minutes
  const at16kHzLength = Math.ceil((WHISPER_MEL.sampleRateHz * samples.length) / sampleRateHz);
  if (at16kHzLength > MAX_PROMPT_SECONDS * WHISPER_MEL.sampleRateHz) {
    throw new CosyError('audio_too_long', `The clip is ${(samples.length / sampleRateHz).toFixed(1)} s long; at most ${MAX_PROMPT_SECONDS} s can be used, and 5 to 10 s are best. Cut it.`);
  }
  return { atModelRate: resample(samples, sampleRateHz, modelRateHz), at16kHz: resample(samples, sampleRateHz, WHISPER_MEL.sampleRateHz) };
}

/** Tokens for which both features exist in full (frontend.py "force speech_feat % speech_token = 2"). */
export function keptTokens(melFrameCount: number, tokenCount: number, tokenMelRatio: number): number {
  return Math.min(Math.floor(melFrameCount / tokenMelRatio), tokenCount);
}

/** (N,) at the model's rate → (F, melBins) */
export async function melFrames({ mel }: Pick<VoiceSessions, 'mel'>, samples: Float32Array): Promise<Float32Array> {
  return floats(await runFirst(mel, [row(samples)]));
}

/** (N,) at 16 kHz → (1, 128, ⌊N / 160⌋) */
export async function whisperFrames({ whisperMel }: Pick<VoiceSessions, 'whisperMel'>, samples: Float32Array): Promise<Tensor> {
  return runFirst(whisperMel, [row(samples)]);
}

async function tokenize(sessions: VoiceSessions, samples: Float32Array): Promise<Int32Array> {
  const mel = await whisperFrames(sessions, samples);
  const frames = mel.dims[2] ?? 0;
  const ids = await runFirst(sessions.speechTokenizer, [mel, { type: 'int32', dims: [1], data: Int32Array.of(frames) }]);
  // the width of the ids differs between exports
  return ids.type === 'int64' ? Int32Array.from(ids.data, Number) : Int32Array.from(ids.data);
}

/** (N,) at 16 kHz → (192,) */
export async function embedSpeaker({ fbank, speakerEncoder, speakerDim }: Pick<VoiceSessions, 'fbank' | 'speakerEncoder' | 'speakerDim'>, samples: Float32Array): Promise<Float32Array> {
  assert(samples.length >= FBANK.frameLength);
  const embedding = floats(await runFirst(speakerEncoder, [await runFirst(fbank, [row(samples)])]));
  if (embedding.length !== speakerDim) {
    throw new CosyError('checkpoint_invalid', `campplus.onnx gives ${embedding.length} values where cosyvoice2.yaml says spk_embed_dim is ${speakerDim}: the files belong to different models.`);
  }
  return embedding;
}

/** Inputs and output by position: exports name them differently. */
async function runFirst(session: GraphSession, inputs: readonly Tensor[]): Promise<Tensor> {
  const [output] = session.outputNames;
  assert(output !== undefined);
  const feeds = Object.fromEntries(inputs.map((tensor, i) => [session.inputNames[i] ?? `input ${i}`, tensor]));
  const result = (await session.run(feeds, [output]))[output];
  assert(result !== undefined);
  return result;
}

function row(samples: Float32Array): Tensor {
  return { type: 'float32', dims: [1, samples.length], data: samples };
}

function floats(tensor: Tensor): Float32Array {
  assert(tensor.type === 'float32');
  return tensor.data;
}
