/**
 * Sound as server-sent events in OpenAI's form: `speech.audio.delta` with base64 that decodes by itself, then
 * `speech.audio.done` with usage. Ours besides: `speech.audio.timestamps`. A failure is an event named by its code, and ends
 * the stream.
 */
import type { StreamEnd, StreamMark } from '../../shared/contract/frames.ts';
import { isCosyError } from '../../shared/errors/index.ts';
import type { SpeechPart } from './audio.ts';

export type EventOptions = {
  /** Word times after the sound of each sentence. */
  readonly timestamps: boolean;
  /** Of the text as it is spoken; OpenAI counts tokens here, we have characters. */
  readonly characters: number;
  /** Told when the listener leaves. */
  readonly leave?: () => void;
};

/** One event for each piece of sound, and one for the words of a sentence. */
export function toEvents(parts: AsyncGenerator<SpeechPart>, { timestamps, characters, leave }: EventOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const event = (value: unknown) => encoder.encode(`data: ${JSON.stringify(value)}\n\n`);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        for (;;) {
          const { value: part, done } = await parts.next();
          if (done) return controller.close();
          if (part.type === 'audio') return controller.enqueue(event({ type: 'speech.audio.delta', audio: toBase64(part.value) }));
          if (part.type === 'mark' && timestamps && part.value.words) return controller.enqueue(event({ type: 'speech.audio.timestamps', ...timesOf(part.value) }));
          if (part.type === 'end') controller.enqueue(event({ type: 'speech.audio.done', usage: usageOf(part.value, characters) }));
        }
      } catch (error) {
        const known = isCosyError(error) ? error : undefined;
        controller.enqueue(event({ type: 'error', error: { type: 'server_error', code: known?.code ?? 'internal_error', message: known?.message ?? 'The speech broke off: try again.', param: null } }));
        controller.close();
      }
    },
    async cancel() {
      leave?.(); // first: `return` waits for the part under way
      await parts.return(undefined);
    },
  });
}

/** Word times as our APIs say them. `source`: `attention` of the model to its text, or `estimate` by length. */
export function timesOf({ words = [], wordSource }: StreamMark): { readonly words: readonly { readonly text: string; readonly start_ms: number; readonly end_ms: number }[]; readonly source: string } {
  return { words: words.map(({ text, startMs, endMs }) => ({ text, start_ms: startMs, end_ms: endMs })), source: wordSource ?? 'estimate' };
}

/** OpenAI's members with characters as input and speech tokens (25 a second) as output, and what they stand for. */
export function usageOf({ audioMs, speechTokens }: StreamEnd, characters: number): Readonly<Record<string, number>> {
  return { input_tokens: characters, output_tokens: speechTokens, total_tokens: characters + speechTokens, input_characters: characters, audio_seconds: audioMs / 1000 };
}

/** Of any number of bytes, padded: it decodes by itself. */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
