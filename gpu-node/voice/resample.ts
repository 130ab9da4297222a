/**
 * The official loader's resampler: windowed sinc with a squared-cosine window, 6 zero crossings, roll-off 0.99.
 * In: mono samples at any rate. Out: mono samples at the asked rate. Streaming and quality resampling are not its business:
 * it exists so that prompts give the features the model was trained on.
 * Source: torchaudio functional.py _get_sinc_resample_kernel, _apply_sinc_resample_kernel (defaults of transforms.Resample).
 */

const ZERO_CROSSINGS = 6;
const ROLL_OFF = 0.99;

/** Rates reduced by their common divisor. */
export type Ratio = { readonly from: number; readonly to: number };

export function reduceRates(fromHz: number, toHz: number): Ratio {
  let [a, b] = [fromHz, toHz];
  while (b > 0) [a, b] = [b, a % b];
  return { from: fromHz / a, to: toHz / a };
}

/** `samples` (N) at `fromHz` → (⌈toHz·N / fromHz⌉) at `toHz`; the same array when the rates are equal. Rates are whole numbers. */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  if (fromHz === toHz) return samples;
  const ratio = reduceRates(fromHz, toHz);
  const out = new Float32Array(Math.ceil((ratio.to * samples.length) / ratio.from));
  for (let phase = 0; phase < ratio.to && phase < out.length; phase++) {
    const { first, taps } = phaseTaps(ratio, phase);
    for (let at = phase, block = 0; at < out.length; at += ratio.to, block++) {
      const start = block * ratio.from + first;
      let sum = 0;
      const end = Math.min(taps.length, samples.length - start);
      for (let i = Math.max(0, -start); i < end; i++) sum += (taps[i] ?? 0) * (samples[start + i] ?? 0);
      out[at] = sum;
    }
  }
  return out;
}

/** Half the length of the official kernel beyond one block, in samples of the source. */
export function kernelWidth({ from, to }: Ratio): number {
  return Math.ceil((ZERO_CROSSINGS * from) / baseRate({ from, to }));
}

/** Taps of one output phase, (width + width + from) in the official kernel; zeros at both ends are left out. `first`: offset of taps[0]. */
export function phaseTaps(ratio: Ratio, phase: number): { readonly first: number; readonly taps: Float32Array } {
  const base = baseRate(ratio);
  const width = kernelWidth(ratio);
  const centre = (phase * ratio.from) / ratio.to;
  const first = Math.max(-width, Math.floor(centre) - width);
  const last = Math.min(width + ratio.from - 1, Math.ceil(centre) + width);
  const taps = new Float32Array(last - first + 1);
  for (let i = first; i <= last; i++) taps[i - first] = tap(base * (i / ratio.from - phase / ratio.to), base / ratio.from);
  return { first, taps };
}

function tap(time: number, scale: number): number {
  const t = Math.max(-ZERO_CROSSINGS, Math.min(ZERO_CROSSINGS, time));
  const window = Math.cos((Math.PI * t) / ZERO_CROSSINGS / 2) ** 2;
  return (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t)) * window * scale;
}

function baseRate({ from, to }: Ratio): number {
  return ROLL_OFF * Math.min(from, to);
}
