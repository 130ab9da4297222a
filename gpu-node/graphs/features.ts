/**
 * The three feature front ends of a voice prompt as graphs: samples in, features out. A windowed Fourier basis is the kernel
 * of a strided convolution, which ONNX Runtime runs many times faster than its STFT operator. Bases are computed in double
 * and stored as float32; bins that no filter uses are left out.
 *
 * mel24k.onnx      samples (1, N) at the model's rate → mel (1, F, bins), F = ⌊N / hop⌋
 * whisper-mel.onnx samples (1, N) at 16 kHz → mel (1, 128, ⌊N / 160⌋)
 * fbank.onnx       samples (1, N) at 16 kHz → fbank (1, T, 80) less its mean over time, log (1, T, 80) before that;
 *                  T = 1 + ⌊(N − 400) / 160⌋
 *
 * Constants: cosyvoice/cli/frontend.py _extract_speech_{token,feat}, _extract_spk_embedding; matcha/utils/audio.py
 * mel_spectrogram; openai-whisper audio.py log_mel_spectrogram; torchaudio/compliance/kaldi.py fbank.
 */
import { join } from 'node:path';
import type { MelConfig } from '../checkpoint/types.ts';
import { Graph } from './onnx/graph.ts';
import type { Value } from './onnx/graph.ts';
import { writeModel } from './onnx/write.ts';
import type { Network } from './network.ts';

/** Files of the stage, by the feature they compute. */
export const FEATURE_FILES = { mel: 'mel24k.onnx', whisperMel: 'whisper-mel.onnx', fbank: 'fbank.onnx' } as const;

/** What the speech tokenizer was trained on: Whisper's front end with 128 bands. */
export const WHISPER_MEL = { sampleRateHz: 16000, nFft: 400, hopLength: 160, bins: 128, fMinHz: 0, fMaxHz: 8000 } as const;

/** What the speaker encoder was trained on: Kaldi's filter bank with its defaults, no dither. */
export const FBANK = { sampleRateHz: 16000, frameLength: 400, hopLength: 160, nFft: 512, bins: 80, fMinHz: 20, preEmphasis: 0.97 } as const;

/** fp32 in every precision: these run once per voice. */
export const features: Network = {
  stage: 'features',
  precisions: ['fp32'],
  write: (checkpoint, directory) => {
    writeModel(melGraph(checkpoint.config.mel), join(directory, FEATURE_FILES.mel));
    writeModel(whisperGraph(), join(directory, FEATURE_FILES.whisperMel));
    writeModel(fbankGraph(), join(directory, FEATURE_FILES.fbank));
  },
};

function melGraph(config: MelConfig): Graph {
  const { nFft, hopLength, winLength, melBins, sampleRateHz, fMinHz, fMaxHz } = config;
  const graph = new Graph('mel24k');
  const samples = graph.input('samples', 'float32', [1, 'N']);
  const filters = slaneyFilters({ sampleRateHz, nFft, bands: melBins, fMinHz, fMaxHz });
  const bins = usedBins(filters, melBins, nFft / 2 + 1);
  const padded = reflectPad(graph, samples, (nFft - hopLength) / 2);
  const power = powerSpectrum(graph, padded, { name: 'mel', basis: fourierBasis(centred(periodicHann(winLength), nFft), nFft, bins), bins, taps: nFft, hop: hopLength });
  const magnitude = graph.op('Sqrt', [graph.op('Add', [power, graph.float(1e-9)])]);
  const banded = graph.op('MatMul', [graph.floats('mel/filters', [melBins, bins], () => cutColumns(filters, melBins, bins)), magnitude]);
  const log = graph.op('Log', [graph.op('Max', [banded, graph.float(1e-5)])]);
  graph.output('mel', graph.op('Transpose', [log], { perm: [0, 2, 1] }), 'float32', [1, 'F', melBins]);
  return graph;
}

function whisperGraph(): Graph {
  const { sampleRateHz, nFft, hopLength, bins: bands, fMinHz, fMaxHz } = WHISPER_MEL;
  const graph = new Graph('whisper-mel');
  const samples = graph.input('samples', 'float32', [1, 'N']);
  const filters = slaneyFilters({ sampleRateHz, nFft, bands, fMinHz, fMaxHz });
  const bins = usedBins(filters, bands, nFft / 2 + 1);
  const padded = reflectPad(graph, samples, nFft / 2);
  const power = powerSpectrum(graph, padded, { name: 'whisper', basis: fourierBasis(periodicHann(nFft), nFft, bins), bins, taps: nFft, hop: hopLength });
  // whisper drops the frame centred on the last sample
  const whole = graph.op('Slice', [power, graph.ints([0]), graph.ints([-1]), graph.ints([2])]);
  const banded = graph.op('MatMul', [graph.floats('whisper/filters', [bands, bins], () => cutColumns(filters, bands, bins)), whole]);
  const log10 = graph.op('Mul', [graph.op('Log', [graph.op('Max', [banded, graph.float(1e-10)])]), graph.float(1 / Math.LN10)]);
  const floor = graph.op('Sub', [graph.op('ReduceMax', [log10], { keepdims: 1 }), graph.float(8)]);
  const scaled = graph.op('Mul', [graph.op('Add', [graph.op('Max', [log10, floor]), graph.float(4)]), graph.float(0.25)]);
  graph.output('mel', scaled, 'float32', [1, bands, 'F']);
  return graph;
}

function fbankGraph(): Graph {
  const { frameLength, hopLength, nFft, bins: bands } = FBANK;
  const graph = new Graph('fbank');
  const samples = graph.input('samples', 'float32', [1, 'N']);
  const bins = nFft / 2;
  const channels = graph.op('Unsqueeze', [samples, graph.ints([1])]);
  const power = powerSpectrum(graph, channels, { name: 'fbank', basis: kaldiBasis(bins), bins, taps: frameLength, hop: hopLength });
  const banded = graph.op('MatMul', [graph.floats('fbank/filters', [bands, bins], () => Float32Array.from(kaldiFilters())), power]);
  // torchaudio floors at the float32 epsilon
  const log = graph.op('Transpose', [graph.op('Log', [graph.op('Max', [banded, graph.float(2 ** -23)])])], { perm: [0, 2, 1] });
  const mean = graph.op('ReduceMean', [log, graph.ints([1])], { keepdims: 1 });
  graph.output('fbank', graph.op('Sub', [log, mean]), 'float32', [1, 'T', bands]);
  graph.output('log', log, 'float32', [1, 'T', bands]);
  return graph;
}

/** (1, N) → (1, 1, N + 2·amount) */
function reflectPad(graph: Graph, samples: Value, amount: number): Value {
  const padded = graph.op('Pad', [samples, graph.ints([0, amount, 0, amount])], { mode: 'reflect' });
  return graph.op('Unsqueeze', [padded, graph.ints([1])]);
}

type Spectrum = { readonly name: string; readonly basis: Float32Array; readonly bins: number; readonly taps: number; readonly hop: number };

/** (1, 1, N) → re² + im² (1, bins, frames); frames start every `hop` samples and are whole. */
function powerSpectrum(graph: Graph, signal: Value, { name, basis, bins, taps, hop }: Spectrum): Value {
  const kernel = graph.floats(`${name}/basis`, [2 * bins, 1, taps], () => basis);
  const spectrum = graph.op('Conv', [signal, kernel], { kernel_shape: [taps], strides: [hop] });
  const squared = graph.op('Mul', [spectrum, spectrum]);
  const [real, imaginary] = graph.ops('Split', [squared], 2, { axis: 1, num_outputs: 2 });
  return graph.op('Add', [real ?? '', imaginary ?? '']);
}

/** Rows 0 … bins−1: window · cos, then window · −sin; (2·bins, window length) float32. */
function fourierBasis(window: Float64Array, nFft: number, bins: number): Float32Array {
  const taps = window.length;
  const basis = new Float32Array(2 * bins * taps);
  for (let bin = 0; bin < bins; bin++) {
    for (let n = 0; n < taps; n++) {
      // the angle is reduced first: cos of a large argument loses digits
      const angle = (2 * Math.PI * ((bin * n) % nFft)) / nFft;
      const weight = window[n] ?? 0;
      basis[bin * taps + n] = weight * Math.cos(angle);
      basis[(bins + bin) * taps + n] = -weight * Math.sin(angle);
    }
  }
  return basis;
}

/**
 * Kaldi's whole linear front (subtract the frame's mean, pre-emphasis, window, Fourier) as one matrix: each step is linear in
 * the frame, so the steps are applied, transposed and last first, to the Fourier rows.
 */
function kaldiBasis(bins: number): Float32Array {
  const { frameLength: taps, nFft, preEmphasis } = FBANK;
  const window = Float64Array.from({ length: taps }, (_, n) => (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (taps - 1))) ** 0.85);
  const basis = new Float32Array(2 * bins * taps);
  for (let row = 0; row < 2 * bins; row++) {
    const bin = row % bins;
    const fourier = Float64Array.from(window, (weight, n) => {
      const angle = (2 * Math.PI * ((bin * n) % nFft)) / nFft;
      return row < bins ? weight * Math.cos(angle) : -weight * Math.sin(angle);
    });
    // y[0] = x[0] − c·x[0], y[n] = x[n] − c·x[n−1]
    const emphasized = Float64Array.from(fourier, (value, n) => value - preEmphasis * (fourier[n + 1] ?? 0));
    emphasized[0] = (emphasized[0] ?? 0) - preEmphasis * (fourier[0] ?? 0);
    const mean = emphasized.reduce((sum, value) => sum + value, 0) / taps;
    basis.set(emphasized.map((value) => value - mean), row * taps);
  }
  return basis;
}

function periodicHann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / length));
}

/** torch.stft centres a window that is shorter than the transform. */
function centred(window: Float64Array, nFft: number): Float64Array {
  const out = new Float64Array(nFft);
  out.set(window, Math.floor((nFft - window.length) / 2));
  return out;
}

export type FilterShape = { readonly sampleRateHz: number; readonly nFft: number; readonly bands: number; readonly fMinHz: number; readonly fMaxHz: number };

/** Slaney's area-normalised mel triangles, as librosa.filters.mel: (bands, nFft / 2 + 1). */
export function slaneyFilters({ sampleRateHz, nFft, bands, fMinHz, fMaxHz }: FilterShape): Float32Array {
  const columns = nFft / 2 + 1;
  const low = hzToSlaney(fMinHz);
  const step = (hzToSlaney(fMaxHz) - low) / (bands + 1);
  const edges = Array.from({ length: bands + 2 }, (_, i) => slaneyToHz(low + i * step));
  const filters = new Float32Array(bands * columns);
  for (let band = 0; band < bands; band++) {
    const [left = 0, centre = 0, right = 0] = edges.slice(band, band + 3);
    for (let bin = 0; bin < columns; bin++) {
      const hz = (bin * sampleRateHz) / nFft;
      const height = Math.max(0, Math.min((hz - left) / (centre - left), (right - hz) / (right - centre)));
      // librosa stores the triangle as float32 before it is normalised
      filters[band * columns + bin] = Math.fround(height) * (2 / (right - left));
    }
  }
  return filters;
}

const SLANEY_LINEAR_HZ = 200 / 3;
const SLANEY_BREAK_HZ = 1000;
const SLANEY_BREAK = SLANEY_BREAK_HZ / SLANEY_LINEAR_HZ;
const SLANEY_LOG_STEP = Math.log(6.4) / 27;

function hzToSlaney(hz: number): number {
  return hz < SLANEY_BREAK_HZ ? hz / SLANEY_LINEAR_HZ : SLANEY_BREAK + Math.log(hz / SLANEY_BREAK_HZ) / SLANEY_LOG_STEP;
}

function slaneyToHz(mel: number): number {
  return mel < SLANEY_BREAK ? mel * SLANEY_LINEAR_HZ : SLANEY_BREAK_HZ * Math.exp(SLANEY_LOG_STEP * (mel - SLANEY_BREAK));
}

/** Kaldi's triangles, straight on the mel scale; the Nyquist bin has no weight: (80, 256). */
export function kaldiFilters(): Float64Array {
  const { sampleRateHz, nFft, bins: bands, fMinHz } = FBANK;
  const columns = nFft / 2;
  const low = hzToKaldi(fMinHz);
  const step = (hzToKaldi(sampleRateHz / 2) - low) / (bands + 1);
  const filters = new Float64Array(bands * columns);
  for (let band = 0; band < bands; band++) {
    const left = low + band * step;
    for (let bin = 0; bin < columns; bin++) {
      const position = (hzToKaldi((bin * sampleRateHz) / nFft) - left) / step;
      filters[band * columns + bin] = Math.max(0, Math.min(position, 2 - position));
    }
  }
  return filters;
}

function hzToKaldi(hz: number): number {
  return 1127 * Math.log(1 + hz / 700);
}

/** One more than the last column with a weight in any band. */
function usedBins(filters: Float32Array, bands: number, columns: number): number {
  for (let bin = columns - 1; bin > 0; bin--) {
    for (let band = 0; band < bands; band++) if (filters[band * columns + bin] !== 0) return bin + 1;
  }
  return 1;
}

function cutColumns(filters: Float32Array, rows: number, columns: number): Float32Array {
  const stride = filters.length / rows;
  const out = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) out.set(filters.subarray(row * stride, row * stride + columns), row * columns);
  return out;
}
