/**
 * MP3 and Vorbis by their wasm decoders → `Collector`, in small pieces, so that what comes back at once stays small and the
 * limit is met early. Each decoder is loaded when it is needed.
 */
import type { Collector } from './collect.ts';

/** Silent Vorbis takes about a byte for 1000 samples. */
const PIECE_BYTES = 1024;

/** Throws `audio_too_long`, `audio_invalid`. */
export async function decodeMp3(collector: Collector, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  const { decoder } = await import('@audio/decode-mp3');
  await feed(collector, await decoder(), pieces);
}

/** Ogg pages. Throws `audio_too_long`, `audio_invalid`. */
export async function decodeVorbis(collector: Collector, pieces: Iterable<Uint8Array>): Promise<void> {
  const { decoder } = await import('@audio/decode-vorbis');
  await feed(collector, await decoder(), pieces);
}

export function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

type Decoded = { readonly channelData: readonly Float32Array[]; readonly sampleRate: number };
type StreamDecoder = { decode(data: Uint8Array): Decoded; flush?: () => Decoded; free(): void };

async function feed(collector: Collector, decoder: StreamDecoder, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const piece of pieces) {
      const { channelData, sampleRate } = decoder.decode(piece);
      collector.add(channelData, sampleRate);
    }
    const rest = decoder.flush?.();
    if (rest) collector.add(rest.channelData, rest.sampleRate);
  } finally {
    decoder.free();
  }
}
