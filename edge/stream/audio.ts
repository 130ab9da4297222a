/**
 * Node frames → bytes of sound. Pull-driven, so a slow listener slows the node down and holds no more than one chunk here.
 * The listener's stream ends normally only after the node's `end` frame; an error frame or a broken stream aborts it.
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { Frame, StreamEnd, StreamStart } from '../../shared/contract/frames.ts';

/** Facts of the sound, and its bytes. `ended` has the node's closing figures once the sound is complete; it rejects when the sound broke off or was left. */
export type AudioStream = { readonly start: StreamStart; readonly body: ReadableStream<Uint8Array>; readonly ended: Promise<StreamEnd> };

/** Waits for the node's first frames; throws the node's error when it fails before the first sound. */
export async function openAudio(source: AsyncGenerator<Frame>): Promise<AudioStream> {
  const first = await source.next();
  if (first.done) throw brokenOff();
  if (first.value.type === 'error') throw new CosyError(first.value.value.code, first.value.value.message);
  if (first.value.type !== 'start') throw new CosyError('internal_error', 'The node broke the order of frames.');
  // the first sound is awaited here, so that a failure before it still becomes a status and not an aborted body
  const ended = Promise.withResolvers<StreamEnd>();
  ended.promise.catch(() => {}); // who reads the body sees the failure there
  let waiting: Uint8Array | undefined = await nextAudio(source, ended.resolve);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const piece = waiting ?? (await nextAudio(source, ended.resolve));
        waiting = undefined;
        if (piece) controller.enqueue(piece);
        else controller.close();
      } catch (error) {
        ended.reject(error);
        throw error;
      }
    },
    async cancel() {
      ended.reject(new CosyError('cancelled', 'The listener left.'));
      await source.return(undefined);
    },
  });
  return { start: first.value.value, body, ended: ended.promise };
}

/** Undefined after `end`, whose figures go to `onEnd`. */
async function nextAudio(source: AsyncGenerator<Frame>, onEnd: (end: StreamEnd) => void): Promise<Uint8Array | undefined> {
  for (;;) {
    const { value, done } = await source.next();
    if (done) throw brokenOff();
    if (value.type === 'audio' && value.value.length > 0) return value.value;
    if (value.type === 'end') {
      onEnd(value.value);
      return undefined;
    }
    if (value.type === 'error') throw new CosyError(value.value.code, value.value.message);
  }
}

function brokenOff(): CosyError {
  return new CosyError('internal_error', 'The node stopped in the middle of the speech: try again.');
}
