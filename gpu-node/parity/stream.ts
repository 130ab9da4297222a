/**
 * Cases `stream_*`: tokens → waveform the way the official loop drives its model (MODEL.md §6, cosyvoice/cli/model.py
 * CosyVoice2Model.tts). The loop is written out here from its description; flow and vocoder are ours. The flow runs
 * incrementally with every block kept, where the official code computes everything again for each piece.
 */
import { strict as assert } from 'node:assert';
import { binsFirst, openVocoder, resizeMel } from '../wave/index.ts';
import { float32, int32, openExactFlow } from './flow.ts';
import { bankNoise } from './hift.ts';
import type { Flow, FlowVoice } from '../mel/index.ts';
import type { OfficialPiece, SourceNoise, Vocoder } from '../wave/index.ts';
import type { ParityAnswer, ParityCase, ParityContext, ParityRunner } from './case.ts';

export const runners: Readonly<Record<string, ParityRunner>> = {
  stream_input: async () => ({ outputs: {} }),
  stream_offline: (parityCase, context) => withStages(parityCase, context, offline),
  stream_speed_0_8: (parityCase, context) => withStages(parityCase, context, atSpeed),
  stream_speed_1_3: (parityCase, context) => withStages(parityCase, context, atSpeed),
  stream_hop_fixed: (parityCase, context) => withStages(parityCase, context, inPieces),
  stream_hop_doubling: (parityCase, context) => withStages(parityCase, context, inPieces),
  stream_short: (parityCase, context) => withStages(parityCase, context, inPieces),
  stream_no_prompt: (parityCase, context) => withStages(parityCase, context, (stages) => inPieces({ ...stages, voice: { embedding: stages.voice.embedding } })),
};

type Stages = {
  readonly parityCase: ParityCase;
  readonly flow: Flow;
  readonly vocoder: Vocoder;
  readonly voice: FlowVoice;
  readonly tokens: Int32Array;
  /** Hop of the first piece, before the pad: the model's chunk. */
  readonly hop: number;
  readonly noise: SourceNoise;
};

async function withStages(parityCase: ParityCase, context: ParityContext, run: (stages: Stages) => Promise<ParityAnswer>): Promise<ParityAnswer> {
  const { inputs, params } = await context.readCase(parityCase.inputsFrom ?? '');
  const given = parityCase.params['tokens'];
  const flow = await openExactFlow(context);
  const vocoder = await openVocoder({ directory: await context.graphs('hift'), config: context.checkpoint.config.hift, open: context.open });
  try {
    return await run({
      parityCase,
      flow,
      vocoder,
      voice: { prompt: { speechTokens: int32(inputs, 'prompt_tokens'), mel: float32(inputs, 'prompt_feat') }, embedding: float32(inputs, 'embedding') },
      tokens: int32(inputs, 'tokens').slice(0, given === undefined ? undefined : Number(given)),
      hop: Number(params['chunk']),
      noise: await bankNoise(context),
    });
  } finally {
    await Promise.all([flow.close(), vocoder.release()]);
  }
}

async function offline({ flow, vocoder, voice, tokens, noise }: Stages): Promise<ParityAnswer> {
  const mel = await flow.offline({ ...voice, speechTokens: tokens });
  const wav = await vocoder.offline(mel, { noise });
  return { outputs: { mel: binsFirst(mel, flow.config.melBins), wav, wav_f64: wav } };
}

async function atSpeed({ parityCase, flow, vocoder, voice, tokens, noise }: Stages): Promise<ParityAnswer> {
  const { melBins } = flow.config;
  const mel = await flow.offline({ ...voice, speechTokens: tokens });
  const resampled = resizeMel(mel, melBins, Number(parityCase.params['speed']));
  const wav = await vocoder.offline(resampled, { noise });
  return {
    outputs: { mel: binsFirst(mel, melBins), mel_resampled: binsFirst(resampled, melBins), wav },
    checks: [{ name: 'frames', ok: resampled.length / melBins === parityCase.params['frames_out'] }],
  };
}

type Call = { readonly tokens: number; readonly token_offset: number; readonly stream: boolean; readonly finalize: boolean; readonly flow_frames: number; readonly vocoder_frames: number; readonly vocoder_samples: number; readonly emitted_samples: number };

async function inPieces(stages: Stages): Promise<ParityAnswer> {
  const { parityCase, flow } = stages;
  const { melBins } = flow.config;
  const scale = Number(parityCase.params['stream_scale_factor'] ?? 2);
  const official = await drive(stages, { scale, consistent: false });
  const consistent = await drive(stages, { scale, consistent: true });
  const last = consistent.pieces.at(-1);
  assert(last);
  const values: Record<string, Float32Array> = { mel_last_consistent: binsFirst(last.mel, melBins), wav_last_consistent: last.samples };
  for (const [index, { mel, samples, raw, source }] of official.pieces.entries()) {
    values[`mel_${index}`] = binsFirst(mel, melBins);
    values[`wav_${index}`] = samples;
    values[`wav_${index}_f64`] = samples;
    values[`raw_tail_${index}`] = raw.slice(-CACHED_SAMPLES);
    values[`source_tail_${index}`] = source.slice(-CACHED_SAMPLES);
  }
  const wanted = parityCase.params['calls'] as readonly Call[];
  const sameCalls = wanted.length === official.calls.length && official.calls.every((call, index) => Object.entries(call).every(([name, value]) => wanted[index]?.[name as keyof Call] === value));
  const hopAfter = parityCase.params['token_hop_len_after'];
  return {
    outputs: Object.fromEntries(Object.entries(values).filter(([name]) => parityCase.outputs.has(name))),
    checks: [{ name: 'calls', ok: sameCalls }, ...(hopAfter === undefined ? [] : [{ name: 'hop after', ok: hopAfter === official.hop }])],
  };
}

/** Source samples that a piece hands on: 8 frames. */
const CACHED_SAMPLES = 3840;
/** cosyvoice/cli/model.py: the hop doubles up to four times the first. */
const HOP_GROWTH_LIMIT = 4;

/** `consistent`: the last piece in the same mode as the others, not offline as the official code does it. */
async function drive({ flow, vocoder, voice, tokens, hop: firstHop, noise }: Stages, { scale, consistent }: { readonly scale: number; readonly consistent: boolean }): Promise<{ readonly pieces: readonly OfficialPiece[]; readonly calls: readonly Call[]; readonly hop: number }> {
  const { melBins, tokenMelRatio, preLookaheadTokens } = flow.config;
  const promptTokens = voice.prompt?.speechTokens.length ?? 0;
  const pad = Math.ceil(promptTokens / firstHop) * firstHop - promptTokens;
  const mel = flow.stream(await flow.voiceState(voice));
  const wave = vocoder.officialStream(noise);
  const pieces: OfficialPiece[] = [];
  const calls: Call[] = [];
  const emit = async (frames: Float32Array, call: Pick<Call, 'tokens' | 'token_offset' | 'stream' | 'finalize' | 'flow_frames'>): Promise<void> => {
    const piece = await wave.push(frames, { last: call.finalize });
    pieces.push(piece);
    calls.push({ ...call, vocoder_frames: piece.mel.length / melBins, vocoder_samples: piece.raw.length, emitted_samples: piece.samples.length });
  };
  let offset = 0;
  let pushed = 0;
  let hop = firstHop;
  for (;;) {
    const taken = offset === 0 ? hop + pad : hop;
    const end = offset + taken + preLookaheadTokens;
    if (tokens.length < end) break;
    const frames = await mel.push(tokens.slice(pushed, end), { last: false });
    pushed = end;
    await emit(frames, { tokens: end, token_offset: offset, stream: true, finalize: false, flow_frames: (offset + taken) * tokenMelRatio });
    offset += taken;
    hop = Math.min(HOP_GROWTH_LIMIT * firstHop, hop * scale);
  }
  const rest = consistent
    ? await mel.push(tokens.slice(pushed), { last: true })
    : (await flow.offline({ ...voice, speechTokens: tokens })).subarray(offset * tokenMelRatio * melBins);
  await emit(rest, { tokens: tokens.length, token_offset: offset, stream: false, finalize: true, flow_frames: tokens.length * tokenMelRatio });
  return { pieces, calls, hop };
}
