/**
 * Node frames → what a listener gets: sound, marks, the end. Pull-driven, so a slow listener slows the node down and holds no
 * more than one piece here. The listener's stream ends normally only after the node's `end` frame; an error frame or a broken
 * stream aborts it.
 */
import type { Frame, StreamStart } from '../../shared/contract/frames.ts';
import { CosyError } from '../../shared/errors/index.ts';

/** What follows the start: pieces of sound (never empty), marks with word times, and `end` last. */
export type SpeechPart = Extract<Frame, { readonly type: 'audio' | 'mark' | 'end' }>;

/** Sound on its way. `parts` throws when the speech breaks off; without a throw `end` was its last. */
export type Speech = { readonly start: StreamStart; readonly parts: AsyncGenerator<SpeechPart> };

/** Waits for the node's first sound; throws the node's error when it fails before that. */
export async function openSpeech(frames: AsyncGenerator<Frame>): Promise<Speech> {
  const first = await frames.next();
  if (first.done) throw brokenOff();
  if (first.value.type === 'error') throw fromNode(first.value.value);
  if (first.value.type !== 'start') throw new CosyError('internal_error', 'The node broke the order of frames.');
  const parts = partsOf(frames);
  // the first sound is awaited here, so that a failure before it still becomes a status and not an aborted body
  const sound = await parts.next();
  return { start: first.value.value, parts: sound.done ? parts : resumed(sound.value, parts) };
}

/** The sound alone, as the body of an answer. */
export function toBytes(parts: AsyncGenerator<SpeechPart>, leave: () => void = () => {}): ReadableStream<Uint8Array> {
  return pulled(soundOf(parts), leave);
}

/** Pieces as a body that is read at its reader's pace; who leaves ends the source. */
export function pulled(pieces: AsyncGenerator<Uint8Array>, leave: () => void = () => {}): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      leave(); // first: `return` waits for the part under way
      await pieces.return(undefined);
    },
  });
}

async function* soundOf(parts: AsyncGenerator<SpeechPart>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) if (part.type === 'audio') yield part.value;
}

async function* partsOf(frames: AsyncGenerator<Frame>): AsyncGenerator<SpeechPart> {
  for await (const frame of frames) {
    if (frame.type === 'error') throw fromNode(frame.value);
    if (frame.type === 'mark' || (frame.type === 'audio' && frame.value.length > 0)) yield frame;
    if (frame.type !== 'end') continue;
    yield frame;
    return;
  }
  throw brokenOff();
}

async function* resumed(first: SpeechPart, rest: AsyncGenerator<SpeechPart>): AsyncGenerator<SpeechPart> {
  try {
    yield first;
    yield* rest;
  } finally {
    // left before the first part was taken, `rest` was never entered
    await rest.return(undefined);
  }
}

function fromNode({ code, message, retryAfterMs }: Extract<Frame, { readonly type: 'error' }>['value']): CosyError {
  return new CosyError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

function brokenOff(): CosyError {
  return new CosyError('internal_error', 'The node stopped in the middle of the speech: try again.');
}
