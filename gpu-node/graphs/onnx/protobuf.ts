/**
 * The part of Protocol Buffers that ONNX models need: varints and length-delimited fields, written front to back.
 * Source: protobuf.dev/programming-guides/encoding.
 */

const WIRE_VARINT = 0;
const WIRE_LENGTH_DELIMITED = 2;
const WIRE_FIXED32 = 5;

/** Collects the bytes of one message. Absent values are simply not written. */
export class Message {
  #parts: Uint8Array[] = [];
  #size = 0;

  /** int64, int32, bool and enum fields; negative values take ten bytes (two's complement). */
  int(field: number, value: number | bigint): this {
    this.#push(varint((field << 3) | WIRE_VARINT));
    this.#push(varint(value));
    return this;
  }

  float(field: number, value: number): this {
    this.#push(varint((field << 3) | WIRE_FIXED32));
    this.#push(new Uint8Array(new Float32Array([value]).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#push(varint((field << 3) | WIRE_LENGTH_DELIMITED));
    this.#push(varint(value.length));
    this.#push(value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    this.#push(varint((field << 3) | WIRE_LENGTH_DELIMITED));
    this.#push(varint(value.#size));
    for (const part of value.#parts) this.#push(part);
    return this;
  }

  /** `repeated int64`, packed. */
  packedInts(field: number, values: readonly (number | bigint)[]): this {
    const packed = new Message();
    for (const value of values) packed.#push(varint(value));
    return this.message(field, packed);
  }

  encode(): Uint8Array {
    const out = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  #push(part: Uint8Array): void {
    this.#parts.push(part);
    this.#size += part.length;
  }
}

function varint(value: number | bigint): Uint8Array {
  if (typeof value === 'number' && value >= 0 && value < 0x80) return Uint8Array.of(value);
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
