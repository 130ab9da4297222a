/**
 * The node's HTTP side: signed jobs in, frames out. Nothing here knows a model; `Synthesis` is what main.ts hands in.
 */
import { upgradeWebSocket } from '@hono/node-server';
import { Hono } from 'hono';
import { jobSchema } from '../../shared/contract/job.ts';
import type { Job } from '../../shared/contract/job.ts';
import { encodeFrame } from '../../shared/contract/frames.ts';
import type { Frame } from '../../shared/contract/frames.ts';
import { PIECES_PATH } from '../../shared/contract/pieces.ts';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { MAX_SPEECH_BODY_BYTES } from '../../shared/limits/index.ts';
import type { TextPiece } from '../schedule/source.ts';
import { pieceSocket } from './socket.ts';
import { voiceRoutes } from './voices.ts';
import type { VoiceMaker } from './voices.ts';
import { SIGNATURE_HEADER } from '../../shared/signing/index.ts';
import type { SignatureVerifier } from '../../shared/signing/index.ts';

/** What the server needs of the node. */
export type Synthesis = {
  /** Frames of one job, `start` first and `end` last; throws before `start` when the job cannot be done. `traceparent`: header of the caller's trace. `pieces`: text that arrives while it is spoken, instead of the job's. */
  readonly run: (job: Job, signal: AbortSignal, traceparent?: string, pieces?: AsyncIterable<TextPiece>) => AsyncGenerator<Frame>;
  readonly voices: () => readonly { readonly name: string; readonly language: string | undefined }[];
  readonly health: () => { readonly status: 'ok' | 'draining'; readonly model: string; readonly modelRevision?: string; readonly running: number; readonly waiting: number; readonly estimatedWaitMs: number; readonly firstAudioMs?: number };
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
};

type Context = { Variables: { body: Uint8Array<ArrayBuffer> } };

/** `maker`: absent on a node that only speaks. */
export function nodeApp(synthesis: Synthesis, verifier: SignatureVerifier, maker?: VoiceMaker): Hono<Context> {
  const app = new Hono<Context>();

  app.get('/healthz', (c) => c.json(synthesis.health()));
  app.get('/metrics', async (c) => c.text(await synthesis.metrics(), 200, { 'content-type': 'text/plain; version=0.0.4' }));

  app.use('/v1/*', async (c, next) => {
    const body = await readBody(c.req.raw);
    await verifier.verify({ method: c.req.method, path: c.req.path, body }, c.req.header(SIGNATURE_HEADER), Date.now());
    c.set('body', body);
    await next();
  });

  if (maker) app.route('/v1/voices', voiceRoutes(maker));
  app.get('/v1/voices', (c) => c.json({ object: 'list', data: synthesis.voices() }));

  app.post('/v1/synthesize', async (c) => {
    const job = parseJob(c.get('body'));
    const cancel = new AbortController();
    const frames = synthesis.run(job, AbortSignal.any([cancel.signal, c.req.raw.signal]), c.req.header('traceparent'));
    // the first frame is awaited so that a refusal is a status and not a broken stream
    const first = await frames.next();
    return new Response(frameStream(first, frames, cancel), { headers: { 'content-type': 'application/octet-stream' } });
  });

  app.get(PIECES_PATH, upgradeWebSocket((c) => pieceSocket((job, signal, pieces) => synthesis.run(job, signal, c.req.header('traceparent'), pieces))));

  app.notFound((c) => errorResponse(new CosyError('not_found', `There is no ${c.req.method} ${c.req.path} on a node.`)));
  app.onError((error) => errorResponse(error));
  return app;
}

/** A listener that takes nothing for this long is gone. Until then one frame waits here, and the work waits for it. */
export const MAX_STALL_MS = 60_000;

/** `frames` as bytes; `cancel` is called when the reader leaves, or has read nothing for `stallMs`. */
export function frameStream(first: IteratorResult<Frame>, frames: AsyncGenerator<Frame>, cancel: AbortController, stallMs = MAX_STALL_MS): ReadableStream<Uint8Array> {
  let waiting: IteratorResult<Frame> | undefined = first;
  let stall: NodeJS.Timeout | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        try {
          const { value, done } = waiting ?? (await frames.next());
          waiting = undefined;
          if (done) return controller.close();
          controller.enqueue(encodeFrame(value));
          stall = setTimeout(() => {
            cancel.abort();
            void frames.return(undefined).catch(() => {});
            controller.error(new CosyError('cancelled', 'The listener stopped reading.'));
          }, stallMs);
        } catch (error) {
          controller.enqueue(encodeFrame({ type: 'error', value: wire(error) }));
          controller.close();
        }
      },
      cancel() {
        clearTimeout(stall);
        cancel.abort();
        // the generator may be waiting to be read: it ends here, and gives its place back
        void frames.return(undefined).catch(() => {});
      },
    },
    { highWaterMark: 1 },
  );
}

async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    size += piece.length;
    if (size > MAX_SPEECH_BODY_BYTES) throw new CosyError('body_too_large', `A job is at most ${MAX_SPEECH_BODY_BYTES} bytes.`);
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function parseJob(body: Uint8Array): Job {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new CosyError('invalid_json', 'The job is not valid JSON.');
  }
  const parsed = jobSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CosyError('invalid_value', `The job's ${issue?.path.join('.') || 'body'} is wrong: ${issue?.message ?? 'not valid'}.`);
}

function wire(error: unknown): { code: CosyError['code']; message: string; retryAfterMs?: number } {
  if (!isCosyError(error)) return { code: 'internal_error', message: 'The node failed: try again.' };
  return { code: error.code, message: error.message, ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }) };
}

function errorResponse(error: unknown): Response {
  const status = isCosyError(error) ? error.status : 500;
  return Response.json({ error: wire(error) }, { status: status === 499 ? 400 : status });
}
