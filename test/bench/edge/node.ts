/** A node that needs no model: 24 kHz tone as 16-bit PCM, at once or at the pace at which it is heard. Prints its address. */
import type { Frame } from '../../../shared/contract/frames.ts';
import type { Job } from '../../../shared/contract/job.ts';
import { SignatureVerifier } from '../../../shared/signing/index.ts';
import { nodeApp } from '../../../gpu-node/server/app.ts';
import { listen } from '../../../gpu-node/server/listen.ts';

const RATE_HZ = 24_000;
const PIECE_MS = 100;
/** What a node has ready with its first sound: one block of the flow. */
const LEAD_MS = 400;

const [id = '', secret = ''] = (process.env['NODE_KEYS'] ?? '').split(':');
const piece = tone();

/** `seed` is the length in seconds: the request's only number that comes through unchanged. */
async function* speech({ seed = 1, sampleRateHz }: Job, signal: AbortSignal): AsyncGenerator<Frame> {
  yield { type: 'start', value: { sampleRateHz, contentType: 'audio/pcm', seed } };
  const pieces = (seed * 1000) / PIECE_MS;
  const startMs = performance.now();
  for (let i = 0; i < pieces && !signal.aborted; i++) {
    const aheadMs = i * PIECE_MS - LEAD_MS - (performance.now() - startMs);
    if (seed > 1 && aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs));
    yield { type: 'audio', value: piece };
    yield { type: 'tokens', value: Uint16Array.of(1, 2) };
  }
  yield { type: 'end', value: { audioMs: seed * 1000, speechTokens: 2 * pieces, timings: {} } };
}

function tone(): Uint8Array {
  const samples = Int16Array.from({ length: (RATE_HZ * PIECE_MS) / 1000 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * i) / RATE_HZ));
  return new Uint8Array(samples.buffer);
}

const health = () => ({ status: 'ok' as const, model: 'tone', running: 0, waiting: 0, estimatedWaitMs: 0 });
const app = nodeApp({ run: speech, voices: () => [{ name: 'tone', language: undefined }], health, metrics: async () => '' }, new SignatureVerifier([{ id, secret }]));
const listener = await listen(app, '127.0.0.1', 0);
console.log(listener.url.href);
