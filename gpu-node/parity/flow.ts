/** Reference cases of the flow: speaker, encoder, estimator, solve, noise. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strict as assert } from 'node:assert';
import { encoderGraph, estimatorGraph, speakerGraph } from '../graphs/flow.ts';
import { writeModel } from '../graphs/onnx/write.ts';
import { cosineSchedule, normals, openFlow, scheduleOf } from '../mel/index.ts';
import { estimatorFeeds, eulerLoop } from '../mel/euler.ts';
import { FixedNoise, MAX_NOISE_FRAMES } from '../mel/noise.ts';
import { ENCODER_STATES, emptyState } from '../mel/state.ts';
import { floats } from '../mel/solver.ts';
import type { FlowConfig } from '../checkpoint/types.ts';
import type { Graph } from '../graphs/onnx/graph.ts';
import type { Flow } from '../mel/index.ts';
import type { GraphSession, Tensor } from '../runtime/session.ts';
import type { CaseTensor, ParityAnswer, ParityCase, ParityContext, ParityRunner } from './case.ts';

export const runners: Readonly<Record<string, ParityRunner>> = {
  flow_speaker: speaker,
  flow_encoder_offline: (parityCase, context) => encoderTaps(parityCase, context, undefined),
  flow_encoder_streaming: (parityCase, context) => encoderTaps(parityCase, context, context.checkpoint.config.flow.encoder.chunkTokens),
  flow_encoder_chunks: encoderChunks,
  flow_time: timeEmbedding,
  flow_estimator_offline: (parityCase, context) => estimatorCall(parityCase, context, undefined),
  flow_estimator_streaming: (parityCase, context) => estimatorCall(parityCase, context, context.checkpoint.config.flow.estimator.chunkFrames),
  flow_solve: solve,
  flow_lookahead: lookahead,
  flow_no_prompt: withoutPrompt,
  rand_noise: fixedNoise,
  noise_bank: async () => ({ outputs: {} }),
};

/** Opens the flow stage with every block kept, as the official streaming code computes. */
export async function openExactFlow(context: ParityContext): Promise<Flow> {
  return openFlow({ directory: await context.graphs('flow'), config: context.checkpoint.config.flow, open: context.open, leftBlocks: -1, promptBlocks: -1, encoderBlocks: -1 });
}

export function float32(tensors: ReadonlyMap<string, CaseTensor>, name: string): Float32Array {
  const data = tensors.get(name)?.data;
  assert(data instanceof Float32Array, `${name} must be float32`);
  return data;
}

export function int32(tensors: ReadonlyMap<string, CaseTensor>, name: string): Int32Array {
  const data = tensors.get(name)?.data;
  assert(data instanceof Int32Array, `${name} must be int32`);
  return data;
}

/** (rows, columns) → (columns, rows). The official modules keep channels first, ours last. */
export function transposed(values: Float32Array, columns: number): Float32Array {
  const rows = values.length / columns;
  return values.map((_, index) => values[(index % rows) * columns + Math.floor(index / rows)] ?? 0);
}

async function speaker({ inputs }: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  return { outputs: { spks: await projectSpeaker(context, float32(inputs, 'embedding')), spks_zero: await projectSpeaker(context, float32(inputs, 'zero')) } };
}

async function projectSpeaker(context: ParityContext, embedding: Float32Array): Promise<Float32Array> {
  return withGraph(context, speakerGraph, async (session) => floats((await session.run({ embedding: { type: 'float32', dims: [1, embedding.length], data: embedding } }))['speaker']));
}

async function encoderTaps({ inputs, outputs }: ParityCase, context: ParityContext, chunk: number | undefined): Promise<ParityAnswer> {
  return withGraph(context, tappedEncoder, async (session) => {
    const tokens = int32(inputs, 'tokens');
    const { hiddenSize } = context.checkpoint.config.flow.encoder;
    const found = await encodeInChunks(session, context.checkpoint.config.flow, tokens, chunk ?? tokens.length);
    const values = [...outputs.keys()].map((name) => {
      const rows = floats(found[name === 'mu' ? 'mu' : `tap_${name}`]);
      return [name, name === 'up' ? transposed(rows, hiddenSize) : rows];
    });
    return { outputs: Object.fromEntries(values) };
  });
}

async function encoderChunks({ inputs, params }: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  return withGraph(context, tappedEncoder, async (session) => {
    const { flow } = context.checkpoint.config;
    const tokens = int32(inputs, 'tokens');
    const chunk = Number(params['chunk']);
    const streaming = floats((await encodeInChunks(session, flow, tokens, chunk))['mu']);
    const frames = (count: number): Float32Array => streaming.slice(0, count * flow.tokenMelRatio * flow.melBins);
    const whole = floats((await encodeInChunks(session, flow, tokens, tokens.length))['mu']);
    return { outputs: { mu_0: frames(chunk), mu_1: frames(2 * chunk), mu_2: frames(3 * chunk), mu_final: streaming, mu_final_official: whole } };
  });
}

async function timeEmbedding({ outputs }: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const { span, time, dt } = cosineSchedule(outputs.get('t')?.data.length ?? 0);
  const empty = new Float32Array(context.checkpoint.config.flow.melBins);
  return withGraph(context, estimatorGraph, async (session) => {
    const found = await session.run(estimatorFeeds({ x: empty, mu: empty, condition: empty, speaker: empty, time, frames: 1 }), ['tap_sin_embedding', 'tap_time_mlp']);
    return { outputs: { span, t: time, dt, sin_embedding: floats(found['tap_sin_embedding']), time_mlp: floats(found['tap_time_mlp']) } };
  });
}

/** Taps of convolutions are recorded channels first. */
const CHANNELS_FIRST = new Set(['resnet_down', 'downsample', 'upsample', 'final_block']);

async function estimatorCall(parityCase: ParityCase, context: ParityContext, blockFrames: number | undefined): Promise<ParityAnswer> {
  const { inputs } = parityCase.inputsFrom === undefined ? parityCase : await context.readCase(parityCase.inputsFrom);
  const { melBins, estimator } = context.checkpoint.config.flow;
  const frames = float32(inputs, 'x').length / melBins;
  const last = (name: string): Float32Array => transposed(float32(inputs, name), frames);
  return withGraph(context, estimatorGraph, async (session) => {
    const feeds = estimatorFeeds({ x: last('x'), mu: last('mu'), condition: last('cond'), speaker: float32(inputs, 'spks'), time: float32(inputs, 't'), frames, blockFrames });
    const found = await session.run(feeds);
    const values = [...parityCase.outputs.keys()].map((name) => {
      if (name === 'out') {
        const both = floats(found['velocity']);
        return [name, Float32Array.from([...transposed(both.subarray(0, frames * melBins), melBins), ...transposed(both.subarray(frames * melBins), melBins)])];
      }
      const rows = floats(found[`tap_${name}`]).subarray(0, frames * estimator.channels);
      return [name, CHANNELS_FIRST.has(name) ? transposed(rows, estimator.channels) : rows];
    });
    return { outputs: Object.fromEntries(values) };
  });
}

async function solve({ inputs }: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const { flow: config } = context.checkpoint.config;
  const { melBins } = config;
  const prompt = { speechTokens: int32(inputs, 'prompt_tokens'), mel: float32(inputs, 'prompt_feat') };
  const embedding = float32(inputs, 'embedding');
  const speechTokens = int32(inputs, 'tokens');
  const all = Int32Array.from([...prompt.speechTokens, ...speechTokens]);
  const frames = all.length * config.tokenMelRatio;
  const { mu, muStreaming } = await withGraph(context, tappedEncoder, async (session) => ({
    mu: floats((await encodeInChunks(session, config, all, all.length))['mu']),
    muStreaming: floats((await encodeInChunks(session, config, all, config.encoder.chunkTokens))['mu']),
  }));
  const condition = new Float32Array(frames * melBins);
  condition.set(prompt.mel);
  const noise = new FixedNoise(melBins).frames(0, frames);
  const given = transposed(float32(inputs, 'noise'), frames);
  const noiseDifference = given.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (noise[i] ?? 0))), 0);
  const projected = await projectSpeaker(context, embedding);
  const plain = await withGraph(context, estimatorGraph, (session) => eulerLoop(session, { mu, condition, noise: given, speaker: projected, frames, schedule: scheduleOf(config, config.steps), guidance: config.inferenceCfgRate }));
  const flow = await openExactFlow(context);
  const channelsFirst = (values: Float32Array): Float32Array => transposed(values, melBins);
  try {
    const mel = await flow.offline({ prompt, embedding, speechTokens });
    const melStreaming = await flow.stream(await flow.voiceState({ prompt, embedding })).push(speechTokens, { last: true });
    const [x1, x5, x9] = [1, 5, 9].map((step) => channelsFirst(plain.steps[step]?.x ?? new Float32Array(0)));
    const velocity = plain.steps[0]?.velocity ?? new Float32Array(0);
    const shown = 41;
    assert(x1 && x5 && x9);
    return {
      outputs: {
        mu: channelsFirst(mu),
        cond: channelsFirst(condition.slice(0, shown * melBins)),
        x_1: x1,
        x_5: x5,
        x_9: x9,
        v_0_cond: channelsFirst(velocity.slice(0, frames * melBins)),
        v_0_uncond: channelsFirst(velocity.slice(frames * melBins)),
        mel: channelsFirst(mel),
        mu_streaming: channelsFirst(muStreaming),
        mel_streaming: channelsFirst(melStreaming),
      },
      checks: [{ name: 'noise', ok: noiseDifference <= 1e-6, detail: `own noise differs by ${noiseDifference}` }],
    };
  } finally {
    await flow.close();
  }
}

async function lookahead({ params, inputsFrom }: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const { inputs } = await context.readCase(inputsFrom ?? '');
  const flow = await openExactFlow(context);
  try {
    const voice = await flow.voiceState({ prompt: { speechTokens: int32(inputs, 'prompt_tokens'), mel: float32(inputs, 'prompt_feat') }, embedding: float32(inputs, 'embedding') });
    const mel = await flow.stream(voice).push(int32(inputs, 'tokens').slice(0, Number(params['tokens'])), { last: false });
    return { outputs: { mel: transposed(mel, flow.config.melBins) } };
  } finally {
    await flow.close();
  }
}

async function withoutPrompt({ params, inputsFrom }: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const { inputs } = await context.readCase(inputsFrom ?? '');
  const flow = await openExactFlow(context);
  try {
    const mel = await flow.offline({ embedding: float32(inputs, 'embedding'), speechTokens: int32(inputs, 'tokens').slice(0, Number(params['tokens'])) });
    return { outputs: { mel: transposed(mel, flow.config.melBins) } };
  } finally {
    await flow.close();
  }
}

async function fixedNoise({ inputs }: ParityCase): Promise<ParityAnswer> {
  const channels = 80;
  const values = normals(0, channels * MAX_NOISE_FRAMES);
  const index = Array.from(inputs.get('index')?.data ?? [], Number);
  const columns = new FixedNoise(channels).frames(0, 4);
  return {
    outputs: {
      first16: values.slice(0, 16),
      last16: values.slice(-16),
      values: Float32Array.from(index, (at) => values[at] ?? 0),
      channel_starts: transposed(columns, channels),
      seed7_n37: normals(7, 37),
      seed7_n5: normals(7, 5),
    },
  };
}

type GraphMaker = (options: { readonly store: ParityContext['checkpoint']['flow']; readonly config: FlowConfig; readonly format: 'float32' }) => Graph;

const tappedEncoder: GraphMaker = (options) => encoderGraph(options, { taps: true });

/** Graphs with inner values as outputs are made for the case and thrown away: serving has no use for them. */
async function withGraph<T>(context: ParityContext, make: GraphMaker, use: (session: GraphSession) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cosyvoice-parity-'));
  try {
    const path = join(folder, 'graph.onnx');
    writeModel(make({ store: context.checkpoint.flow, config: context.checkpoint.config.flow, format: 'float32' }), path);
    const session = await context.open(path);
    try {
      return await use(session);
    } finally {
      await session.release();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Encoder outputs of all tokens, in runs of `chunk` tokens, laid one after another; the end has no look-ahead. */
async function encodeInChunks(session: GraphSession, config: FlowConfig, tokens: Int32Array, chunk: number): Promise<Record<string, Tensor>> {
  let state: Record<string, Tensor> = { ...emptyState(config, 1).encoder };
  const parts: Record<string, Tensor>[] = [];
  for (let at = 0; at < tokens.length; at += chunk) {
    const length = Math.min(chunk, tokens.length - at) + config.preLookaheadTokens;
    const given = tokens.slice(at, at + length);
    const ids = new Int32Array(length);
    ids.set(given);
    const part = await session.run({
      tokens: { type: 'int32', dims: [1, length], data: ids },
      valid: { type: 'float32', dims: [1, length], data: Float32Array.from({ length }, (_, i) => (i < given.length ? 1 : 0)) },
      limit: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(tokens.length)) },
      ...state,
    });
    parts.push(part);
    state = Object.fromEntries(ENCODER_STATES.map((name) => [name, part[`new_${name}`] as Tensor]));
  }
  const joined = (name: string): Tensor => {
    const data = Float32Array.from(parts.flatMap((part) => [...floats(part[name])]));
    return { type: 'float32', dims: [data.length], data };
  };
  return Object.fromEntries(Object.keys(parts[0] ?? {}).filter((name) => !name.startsWith('new_')).map((name) => [name, joined(name)]));
}
