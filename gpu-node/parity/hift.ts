/** Answers of our vocoder to the cases `hift_*` (MODEL.md §5). The random draws come from the case `noise_bank`. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeGraph, sourceWeights } from '../graphs/vocoder.ts';
import { writeModel } from '../graphs/onnx/write.ts';
import type { Tensor } from '../runtime/session.ts';
import { HarmonicSource, VocoderEngine, framesFirst, openVocoder } from '../wave/index.ts';
import type { SourceNoise } from '../wave/index.ts';
import type { ParityCase, ParityContext, ParityRunner } from './case.ts';

export const runners: Readonly<Record<string, ParityRunner>> = {
  hift_f0: runF0,
  hift_source: runSource,
  hift_stft: runLayers,
  hift_decode: runDecode,
  hift_decode_layers: runLayers,
  hift_decode_loud: runDecode,
  hift_decode_one: runDecode,
  hift_inference: runInference,
};

/** The recorded draws of the official run: int8 in 1/32, one row of harmonics per sample. */
export async function bankNoise(context: ParityContext): Promise<SourceNoise> {
  const bank = float32(await context.readCase('noise_bank'), 'noise');
  return { values: bank.map((value) => value / 32) };
}

async function runF0(parityCase: ParityCase, context: ParityContext) {
  const engine = await openEngine(context);
  const mel = melOf(parityCase, context);
  const f0 = await engine.pitch(mel, 0, mel.length / context.checkpoint.config.hift.melBins);
  await engine.release();
  return { outputs: { f0 } };
}

async function runSource(parityCase: ParityCase, context: ParityContext) {
  const config = context.checkpoint.config.hift;
  const f0 = float32(parityCase, 'f0');
  const shape = parityCase.outputs.get('sine')?.shape ?? [];
  const sine = new Float32Array(shape.reduce((a, b) => a * b, 1));
  const generator = new HarmonicSource({
    config,
    weights: sourceWeights(context.checkpoint.hift),
    noise: await bankNoise(context),
    onSine: (sample, harmonic, value) => (sine[sample * (config.harmonics + 1) + harmonic] = value),
  });
  const head = generator.push(f0);
  const source = Float32Array.of(...head, ...generator.tail());
  return { outputs: { uv: f0.map((hertz) => (hertz > config.voicedThresholdHz ? 1 : 0)), sine, source } };
}

async function runDecode(parityCase: ParityCase, context: ParityContext) {
  const engine = await openEngine(context);
  const mel = melOf(parityCase, context);
  const frames = mel.length / context.checkpoint.config.hift.melBins;
  const wav = await engine.decode({ mel, source: float32(parityCase, 'source'), from: 0, to: frames, first: true, last: true });
  await engine.release();
  return { outputs: { wav } };
}

/** The outputs of inner layers, from the same graph written with taps; `wav` from the graph in use. */
async function runLayers(parityCase: ParityCase, context: ParityContext) {
  const { config, hift } = context.checkpoint;
  const directory = mkdtempSync(join(tmpdir(), 'cosyvoice-taps-'));
  try {
    writeModel(decodeGraph(hift, config.hift, { taps: true }), join(directory, 'taps.onnx'));
    const session = await context.open(join(directory, 'taps.onnx'));
    const source = float32(parityCase, 'source');
    const frames = parityCase.inputs.has('mel') ? float32(parityCase, 'mel').length / config.hift.melBins : source.length / config.hift.upsampleRates.reduce((a, b) => a * b, config.hift.istft.hopLength);
    const mel = parityCase.inputs.has('mel') ? float32(parityCase, 'mel') : new Float32Array(frames * config.hift.melBins);
    const none: Tensor = { type: 'int64', dims: [1], data: BigInt64Array.of(0n) };
    const values = await session.run({ mel: { type: 'float32', dims: [1, config.hift.melBins, frames], data: mel }, source: { type: 'float32', dims: [1, source.length], data: source }, left: none, right: none });
    await session.release();
    const layers = Object.fromEntries(Object.entries(values).map(([name, tensor]) => [name, tensor.type === 'float32' ? tensor.data : new Float32Array(0)]));
    const spectrum = layers['stft'] ?? new Float32Array(0);
    const { wav } = parityCase.outputs.has('wav') ? (await runDecode(parityCase, context)).outputs : { wav: new Float32Array(0) };
    return { outputs: pick({ ...layers, re: spectrum.subarray(0, spectrum.length / 2), im: spectrum.subarray(spectrum.length / 2), wav }, parityCase) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runInference(parityCase: ParityCase, context: ParityContext) {
  const vocoder = await openVocoder({ directory: await context.graphs('hift'), config: context.checkpoint.config.hift, open: context.open });
  const noise = await bankNoise(context);
  const mel = melOf(parityCase, context);
  // The first run is the way users hear it; it has to give what the official call gives.
  const wav = await vocoder.offline(mel, { noise });
  const { source } = await vocoder.inference(mel, { noise });
  const cached = await vocoder.inference(mel, { noise, cacheSource: float32(parityCase, 'cache_source') });
  await vocoder.release();
  return { outputs: { wav, wav_f64: wav, source, wav_cached: cached.samples } };
}

async function openEngine(context: ParityContext): Promise<VocoderEngine> {
  return VocoderEngine.open(await context.graphs('hift'), context.checkpoint.config.hift, context.open);
}

function melOf(parityCase: ParityCase, context: ParityContext): Float32Array {
  return framesFirst(float32(parityCase, 'mel'), context.checkpoint.config.hift.melBins);
}

function float32(parityCase: ParityCase, name: string): Float32Array {
  const tensor = parityCase.inputs.get(name);
  assert(tensor, `case ${parityCase.id} has the input ${name}`);
  return tensor.data instanceof BigInt64Array ? Float32Array.from(tensor.data, Number) : Float32Array.from(tensor.data);
}

function pick(values: Readonly<Record<string, Float32Array>>, parityCase: ParityCase): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => parityCase.outputs.has(name)));
}
