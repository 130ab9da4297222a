/** Sound as server-sent events in OpenAI's form: `speech.audio.delta` with base64, then `speech.audio.done`; an error is an event and ends the stream. */
import { isCosyError } from '../../shared/errors/index.ts';

/** One event for each piece of sound. */
export function toEvents(audio: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = audio.getReader();
  const encoder = new TextEncoder();
  const event = (value: unknown) => encoder.encode(`data: ${JSON.stringify(value)}\n\n`);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await reader.read();
        if (done) {
          controller.enqueue(event({ type: 'speech.audio.done' }));
          controller.close();
        } else {
          controller.enqueue(event({ type: 'speech.audio.delta', audio: toBase64(value) }));
        }
      } catch (error) {
        const code = isCosyError(error) ? error.code : 'internal_error';
        controller.enqueue(event({ type: 'error', error: { code, message: isCosyError(error) ? error.message : 'The speech broke off: try again.' } }));
        controller.close();
      }
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
}

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
