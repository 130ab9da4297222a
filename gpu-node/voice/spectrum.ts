/** Long-term spectrum of a clip, for judging it. The features of the model are graphs (graphs/features.ts), not this. */

const FRAME_SAMPLES = 1024;

/** Mean power per bin over the frames that `wanted` accepts (by their first sample), Hann window: (513,). */
export function meanSpectrum(samples: Float32Array, wanted: (firstSample: number) => boolean): Float64Array {
  const mean = new Float64Array(FRAME_SAMPLES / 2 + 1);
  let frames = 0;
  for (let start = 0; start + FRAME_SAMPLES <= samples.length; start += FRAME_SAMPLES / 2) {
    if (!wanted(start)) continue;
    const real = Float64Array.from({ length: FRAME_SAMPLES }, (_, i) => (samples[start + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FRAME_SAMPLES)));
    const imaginary = new Float64Array(FRAME_SAMPLES);
    transform(real, imaginary);
    for (let bin = 0; bin < mean.length; bin++) mean[bin] = (mean[bin] ?? 0) + (real[bin] ?? 0) ** 2 + (imaginary[bin] ?? 0) ** 2;
    frames++;
  }
  return mean.map((power) => power / Math.max(1, frames));
}

/** In-place radix-2 Fourier transform of a power of two (Cooley and Tukey 1965). */
function transform(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j] ?? 0, real[i] ?? 0];
      [imaginary[i], imaginary[j]] = [imaginary[j] ?? 0, imaginary[i] ?? 0];
    }
  }
  for (let half = 1; half < size; half *= 2) {
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((-Math.PI * k) / half);
      const sin = Math.sin((-Math.PI * k) / half);
      for (let a = k; a < size; a += 2 * half) {
        const b = a + half;
        const re = (real[b] ?? 0) * cos - (imaginary[b] ?? 0) * sin;
        const im = (real[b] ?? 0) * sin + (imaginary[b] ?? 0) * cos;
        real[b] = (real[a] ?? 0) - re;
        imaginary[b] = (imaginary[a] ?? 0) - im;
        real[a] = (real[a] ?? 0) + re;
        imaginary[a] = (imaginary[a] ?? 0) + im;
      }
    }
  }
}
