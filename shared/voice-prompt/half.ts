/** IEEE 754 binary16 in plain arithmetic: not every browser and Worker runtime has Float16Array yet. */

const MAX_HALF = 65504;
const SMALLEST_NORMAL = 2 ** -14;
const SUBNORMAL_STEP = 2 ** -24;

/** float32 → binary16 bits, round to nearest even; values beyond the range become infinite, NaN stays NaN. */
export function toHalf(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, halfBits);
}

/** binary16 bits → float32, exact. */
export function fromHalf(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, halfValue);
}

function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  // 65520 is half a step above the largest finite value
  if (size >= MAX_HALF + 16) return sign | 0x7c00;
  if (size < SMALLEST_NORMAL) return sign | roundEven(size / SUBNORMAL_STEP);
  const exponent = Math.floor(Math.log2(size));
  // log2 may be off by one next to a power of two; a carry out of the mantissa moves into the exponent by itself
  const exact = size < 2 ** exponent ? exponent - 1 : size >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  return sign + ((exact + 15) << 10) + roundEven((size / 2 ** exact - 1) * 1024);
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * SUBNORMAL_STEP : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
