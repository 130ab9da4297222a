/** Prompt features and prompt rules against the recorded official front end. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WHISPER_MEL, kaldiFilters, slaneyFilters } from '../graphs/features.ts';
import { openTokenizer } from '../text/index.ts';
import { embedSpeaker, keptTokens, kernelWidth, makeVoicePrompt, melFrames, openVoiceSessions, phaseTaps, prepareClip, readWav, reduceRates, resample, speechTokens, whisperFrames } from '../voice/index.ts';
import type { Clip, VoiceSessions } from '../voice/index.ts';
import type { CaseTensor, NumberArray, ParityAnswer, ParityContext, ParityRunner } from './case.ts';

export const runners: Readonly<Record<string, ParityRunner>> = {
  frontend_resample: async ({ inputs, params }) => {
    const clip24k = int16Samples(inputs.get('clip24k'));
    const clip16k = int16Samples(inputs.get('clip16k'));
    const to16k = resample(clip24k, 24000, 16000);
    const to24k = resample(clip16k, 16000, 24000);
    const { lengths } = params as { lengths: { to16k: number; to24k: number } };
    return {
      outputs: { to16k, to24k_first_second: to24k.subarray(0, 24000), to24k_last_64: to24k.subarray(-64), kernel_16_24: kernel(16000, 24000), kernel_24_16: kernel(24000, 16000) },
      checks: [
        { name: 'length at 16 kHz', ok: to16k.length === lengths.to16k },
        { name: 'length at 24 kHz', ok: to24k.length === lengths.to24k },
      ],
    };
  },

  frontend_mel24k: (parityCase, context) =>
    withSessions(context, async (sessions) => {
      const { nFft, melBins, sampleRateHz, fMinHz, fMaxHz } = context.checkpoint.config.mel;
      const mel = await melFrames(sessions, readClip(context, parityCase.inputsFrom).samples);
      const filters = slaneyFilters({ sampleRateHz, nFft, bands: melBins, fMinHz, fMaxHz });
      return {
        outputs: { mel, mel_basis_rows: rows(filters, [0, 1, 20, 79], nFft / 2 + 1) },
        checks: [{ name: 'frames', ok: mel.length / melBins === parityCase.params['frames'] }],
      };
    }),

  frontend_whisper_mel: (parityCase, context) =>
    withSessions(context, async (sessions) => {
      const { sampleRateHz, nFft, bins: bands, fMinHz, fMaxHz } = WHISPER_MEL;
      const samples = await fromCase(context, parityCase.inputsFrom);
      const mel = await whisperFrames(sessions, samples);
      return {
        outputs: {
          mel: mel.data as NumberArray,
          filter_rows: rows(slaneyFilters({ sampleRateHz, nFft, bands, fMinHz, fMaxHz }), [0, 1, 64, 127], nFft / 2 + 1),
          tokens: await speechTokens(sessions, readClip(context, 'clip24k.wav')),
        },
        checks: [{ name: 'frames', ok: mel.dims[2] === parityCase.params['frames'] }],
      };
    }),

  frontend_fbank: (parityCase, context) =>
    withSessions(context, async (sessions) => {
      const samples = await fromCase(context, parityCase.inputsFrom);
      const { fbank, log } = await sessions.fbank.run({ samples: { type: 'float32', dims: [1, samples.length], data: samples } });
      assert(fbank && log);
      return {
        outputs: {
          fbank: fbank.data as NumberArray,
          fbank_before_mean_first4: (log.data as Float32Array).subarray(0, 4 * (log.dims[2] ?? 0)),
          embedding: await embedSpeaker(sessions, samples),
        },
        checks: [
          { name: 'frames', ok: fbank.dims[1] === parityCase.params['frames'] },
          { name: 'bands end below Nyquist', ok: kaldiFilters().length === 80 * 256 },
        ],
      };
    }),

  frontend_prompt: (parityCase, context) =>
    withSessions(context, async (sessions) => {
      const prompt = await makeVoicePrompt({ ...readClip(context, parityCase.inputsFrom), transcript: '', sessions, wholeBlocks: false });
      const frames = prompt.mel.length / prompt.melBins;
      return {
        outputs: {
          mono: mono(parityCase.inputs.get('stereo')),
          prompt_text: await promptTextIds(context),
          speech_token: prompt.flowSpeechTokens,
          speech_feat_shape: Int32Array.of(1, frames, prompt.melBins),
          speech_feat_first4: prompt.mel.subarray(0, 4 * prompt.melBins),
        },
        checks: [...(await trimmingChecks(sessions, parityCase.params)), ...limitChecks(parityCase.params)],
      };
    }),
};

async function withSessions(context: ParityContext, run: (sessions: VoiceSessions) => Promise<ParityAnswer>): Promise<ParityAnswer> {
  const sessions = await openVoiceSessions({ checkpoint: context.checkpoint, featuresDirectory: await context.graphs('features'), open: context.open });
  try {
    return await run(sessions);
  } finally {
    await sessions.release();
  }
}

type TrimmingRow = { samples24k: number; samples16k: number; mel24k_frames: number; whisper_frames: number; tokens_ceil_div4: number; kept_tokens: number; kept_frames: number };

/** Frame and token counts of the real graphs for clips of awkward lengths. */
async function trimmingChecks(sessions: VoiceSessions, params: Readonly<Record<string, unknown>>): Promise<{ name: string; ok: boolean; detail: string }[]> {
  const checks = [];
  for (const row of params['trimming'] as TrimmingRow[]) {
    const silence = new Float32Array(row.samples24k);
    const at16k = resample(silence, 24000, 16000);
    const melFrameCount = (await melFrames(sessions, silence)).length / sessions.melBins;
    const whisperCount = (await whisperFrames(sessions, at16k)).dims[2];
    const tokens = (await speechTokens(sessions, { samples: silence, sampleRateHz: 24000 })).length;
    const kept = keptTokens(melFrameCount, tokens, sessions.tokenMelRatio);
    const ok =
      at16k.length === row.samples16k &&
      melFrameCount === row.mel24k_frames &&
      whisperCount === row.whisper_frames &&
      tokens === row.tokens_ceil_div4 &&
      kept === row.kept_tokens &&
      kept * sessions.tokenMelRatio === row.kept_frames;
    checks.push({ name: `trimming of ${row.samples24k} samples`, ok, detail: `${at16k.length} samples, ${melFrameCount} and ${whisperCount} frames, ${tokens} tokens, ${kept} kept` });
  }
  return checks;
}

function limitChecks(params: Readonly<Record<string, unknown>>): { name: string; ok: boolean }[] {
  const limits = params['limits'] as { seconds: number; accepted: boolean }[];
  const rates = params['sample_rates'] as { rate: number; accepted_for_24k: boolean }[];
  return [
    ...limits.map(({ seconds, accepted }) => ({ name: `${seconds} s`, ok: accepted === accepts({ samples: new Float32Array(Math.round(seconds * 16000)), sampleRateHz: 16000 }) })),
    ...rates.map(({ rate, accepted_for_24k }) => ({ name: `${rate} Hz`, ok: accepted_for_24k === accepts({ samples: new Float32Array(rate), sampleRateHz: rate }) })),
  ];
}

function accepts(clip: Clip): boolean {
  try {
    prepareClip(clip, 24000);
    return true;
  } catch {
    return false;
  }
}

function readClip(context: ParityContext, file: string | undefined): Clip {
  assert(file !== undefined);
  return readWav(readFileSync(join(context.casesDirectory, file)));
}

/** `CASE:OUTPUT` → its samples. */
async function fromCase(context: ParityContext, reference: string | undefined): Promise<Float32Array> {
  const [id = '', output = ''] = (reference ?? '').split(':');
  const tensor = (await context.readCase(id)).outputs.get(output);
  assert(tensor?.data instanceof Float32Array);
  return tensor.data;
}

/** The two channels as a file, read by the loader. */
function mono(stereo: CaseTensor | undefined): Float32Array {
  assert(stereo);
  const data = stereo.data as Int16Array;
  const view = new DataView(new ArrayBuffer(44 + data.byteLength));
  new TextEncoder().encodeInto('RIFF____WAVEfmt ', new Uint8Array(view.buffer));
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, 16000, true);
  view.setUint16(34, 16, true);
  new TextEncoder().encodeInto('data', new Uint8Array(view.buffer, 36));
  view.setUint32(40, data.byteLength, true);
  data.forEach((value, i) => view.setInt16(44 + 2 * i, value, true));
  return readWav(new Uint8Array(view.buffer)).samples;
}

/** The transcript of the official run; the zero-shot case of the language model names it. */
async function promptTextIds(context: ParityContext): Promise<Int32Array> {
  const { params } = await context.readCase('lm_zero_shot');
  return Int32Array.from(openTokenizer(context.checkpoint.tokenizerDirectory).encode(String(params['prompt_text'])));
}

function int16Samples(tensor: CaseTensor | undefined): Float32Array {
  assert(tensor);
  return Float32Array.from(tensor.data as Int16Array, (value) => value / 32768);
}

/** The official dense kernel (to, 2·width + from) from our taps. */
function kernel(fromHz: number, toHz: number): Float32Array {
  const ratio = reduceRates(fromHz, toHz);
  const width = kernelWidth(ratio);
  const length = 2 * width + ratio.from;
  const dense = new Float32Array(ratio.to * length);
  for (let phase = 0; phase < ratio.to; phase++) {
    const { first, taps } = phaseTaps(ratio, phase);
    dense.set(taps, phase * length + width + first);
  }
  return dense;
}

function rows(matrix: Float32Array, which: readonly number[], columns: number): Float32Array {
  const out = new Float32Array(which.length * columns);
  which.forEach((row, i) => out.set(matrix.subarray(row * columns, (row + 1) * columns), i * columns));
  return out;
}
