/** Stored number formats: their size, and widening to float32 or int32. Files are little-endian, as every supported machine. */
import type { TensorDtype } from './types.ts';

export const BYTES_PER_ELEMENT: Readonly<Record<TensorDtype, number>> = {
  float64: 8, float32: 4, float16: 2, bfloat16: 2, int64: 8, int32: 4, int16: 2, int8: 1, uint8: 1, bool: 1,
};

/** Little-endian bytes → float32, newly allocated (float32 input that starts its own buffer is used as it is). */
export function widen(dtype: TensorDtype, bytes: Uint8Array): Float32Array {
  switch (dtype) {
    case 'float32':
      return new Float32Array(aligned(bytes, 4), 0, bytes.length / 4);
    case 'float16':
      return new Float32Array(new Float16Array(aligned(bytes, 2), 0, bytes.length / 2));
    case 'bfloat16':
      return fromBfloat16(new Uint16Array(aligned(bytes, 2), 0, bytes.length / 2));
    case 'float64':
      return new Float32Array(new Float64Array(aligned(bytes, 8), 0, bytes.length / 8));
    default:
      return Float32Array.from(integers(dtype, bytes), Number);
  }
}

/** Little-endian bytes of an integer format → int32; undefined for the float formats. */
export function toInt32(dtype: TensorDtype, bytes: Uint8Array): Int32Array | undefined {
  if (dtype.includes('float')) return undefined;
  return Int32Array.from(integers(dtype, bytes), Number);
}

function fromBfloat16(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = (values[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

function integers(dtype: TensorDtype, bytes: Uint8Array): Iterable<number | bigint> {
  if (dtype === 'int64') return new BigInt64Array(aligned(bytes, 8), 0, bytes.length / 8);
  if (dtype === 'int32') return new Int32Array(aligned(bytes, 4), 0, bytes.length / 4);
  if (dtype === 'int16') return new Int16Array(aligned(bytes, 2), 0, bytes.length / 2);
  if (dtype === 'int8') return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes;
}

/** The bytes as a buffer that starts with them; copied only where the view is not already one. */
function aligned(bytes: Uint8Array, size: number): ArrayBufferLike {
  const fits = bytes.byteOffset === 0 && bytes.byteLength % size === 0;
  return fits ? bytes.buffer : bytes.slice().buffer;
}
