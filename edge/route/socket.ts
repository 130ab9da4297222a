/**
 * A job whose text arrives while it is spoken, on a node: one WebSocket (shared/contract/pieces.ts). Until its first frame
 * another node is tried, which gets all the text so far; afterwards a node that breaks off ends the speech. Frames come as
 * fast as they are taken: only what was taken is credited to the node.
 */
import { FrameReader } from '../../shared/contract/frames.ts';
import type { Frame } from '../../shared/contract/frames.ts';
import { PIECES_PATH } from '../../shared/contract/pieces.ts';
import type { PieceMessage } from '../../shared/contract/pieces.ts';
import type { Job } from '../../shared/contract/job.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { SIGNATURE_HEADER } from '../../shared/signing/index.ts';
import type { Env } from '../env.ts';
import { AttemptFailure, wireError } from './attempt.ts';
import { candidates, judge } from './job.ts';
import type { RouteRequest } from './job.ts';
import { unanswered, signed } from './request.ts';
import { standings } from './standing.ts';

/** Text on its way: all of it so far goes to `send` at once, and the rest as it comes, until the next `attach`. */
export type TextSource = { readonly attach: (send: (message: PieceMessage) => void) => void };

/** Nodes that are asked for one job. */
const MAX_ATTEMPTS = 3;
const CONNECT_MS = 5000;

/** Throws the node's own error, `no_node_available` when none is there, `internal_error` when it breaks off. */
export async function* routePieces(request: RouteRequest, text: TextSource): AsyncGenerator<Frame> {
  let refusal: CosyError | undefined;
  let attempts = 0;
  let job = request.job;
  for await (const { node, promisedMs } of candidates(request)) {
    for (let again = true; again; ) {
      again = false;
      if (attempts++ >= MAX_ATTEMPTS) throw unanswered(refusal);
      const course = standings.begin(node.url, promisedMs);
      let begun = false;
      try {
        for await (const frame of framesOf(node.url, { job, text, env: request.env, signal: request.signal })) {
          if (frame.type === 'error') throw new AttemptFailure('refused', wireError(frame.value));
          if (!begun) course.left(); // its first sound waited for the text, which says nothing about the node
          begun = true;
          yield frame;
        }
        return;
      } catch (error) {
        const failure = error instanceof AttemptFailure ? error : undefined;
        if (begun || !failure) throw failure ? (failure.refusal ?? brokenOff()) : error;
        refusal = failure.refusal ?? refusal;
        if (refusal?.code === 'voice_prompt_needed' && job === request.job) {
          job = { ...job, voice: await request.withPrompt() };
          again = true;
          course.left();
          continue;
        }
        const outcome = judge(failure);
        if (outcome === 'rests') course.rests(failure.refusal?.retryAfterMs ?? 1000);
        else if (outcome === 'fails') course.failed('broken');
        else course.left();
        if (outcome === 'answer') throw failure.refusal ?? error;
      } finally {
        if (!begun) course.left();
      }
    }
  }
  throw unanswered(refusal);
}

type SocketRequest = { readonly job: Job; readonly text: TextSource; readonly env: Env; readonly signal: AbortSignal };

/** Ends after `end` or `error`. Throws `AttemptFailure` when the node cannot be reached or breaks off. */
async function* framesOf(url: string, { job, text, env, signal }: SocketRequest): AsyncGenerator<Frame> {
  const socket = await connect(url, env, signal);
  const waiting: { readonly frame: Frame; readonly bytes: number }[] = [];
  let wake = () => {};
  let over = false;
  const end = () => ((over = true), wake());
  socket.addEventListener('message', ({ data }) => {
    if (!(data instanceof ArrayBuffer)) return;
    for (const frame of new FrameReader().push(new Uint8Array(data))) waiting.push({ frame, bytes: data.byteLength });
    wake();
  });
  socket.addEventListener('close', end);
  socket.addEventListener('error', end);
  signal.addEventListener('abort', end, { once: true });
  const send = (message: PieceMessage) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
  try {
    const { text: _, resume: __, ...withoutText } = job;
    send({ type: 'job', job: withoutText });
    text.attach(send);
    for (;;) {
      const next = waiting.shift();
      if (next) {
        yield next.frame;
        if (next.frame.type === 'end' || next.frame.type === 'error') return;
        send({ type: 'credit', bytes: next.bytes });
      } else if (signal.aborted) throw new CosyError('cancelled', 'The listener left.');
      else if (over) throw new AttemptFailure('broken');
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener('abort', end);
    text.attach(() => {});
    socket.close(1000);
  }
}

async function connect(url: string, env: Env, signal: AbortSignal): Promise<WebSocket> {
  const signature = await signed({ method: 'GET', path: PIECES_PATH, body: new Uint8Array(0) }, env);
  try {
    const headers = { upgrade: 'websocket', [SIGNATURE_HEADER]: signature };
    const response = await fetch(new URL(PIECES_PATH, url), { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]), redirect: 'manual' });
    const socket = response.webSocket;
    if (!socket) throw new AttemptFailure('broken');
    socket.binaryType = 'arraybuffer';
    socket.accept();
    return socket;
  } catch (error) {
    if (signal.aborted || error instanceof CosyError) throw error;
    throw new AttemptFailure('broken');
  }
}

function brokenOff(): CosyError {
  return new CosyError('internal_error', 'The node stopped in the middle of the speech: try again.');
}
