/**
 * Normal noise as a function of seed and sample index, so that it does not matter where a stream was cut or taken up
 * again. A hash of the index instead of a running generator (Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3"); two rounds of the `triple32` mixer (Ellis, hash-prospector), then Box and Muller.
 */

/** Fills `out` with N(0, 1) values of the samples `first`, `first` + 1, … of the stream `seed`. */
export function fillNoise(out: Float64Array, seed: number, first: number): void {
  const low = seed >>> 0;
  const high = Math.floor(seed / 2 ** 32) >>> 0;
  for (let i = 0; i < out.length; i++) {
    const index = first + i;
    const key = mix((index >>> 0) ^ mix(low ^ mix(high ^ Math.floor(index / 2 ** 32))));
    const u = (key + 1) / 2 ** 32;
    const v = mix(key ^ 0x9e3779b9) / 2 ** 32;
    out[i] = Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
  }
}

/** triple32: a bijection of 32 bits whose bias is at the limit of what can be measured. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 17), 0xed5ad4bb);
  x = Math.imul(x ^ (x >>> 11), 0xac4c1b51);
  x = Math.imul(x ^ (x >>> 15), 0x31848bab);
  return (x ^ (x >>> 14)) >>> 0;
}
