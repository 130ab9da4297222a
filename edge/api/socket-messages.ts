/** What a client says on `/v1/audio/speech/ws`: one JSON object to a text message. */
import { z } from 'zod';
import { CosyError } from '../../shared/errors/index.ts';
import { speechSchema } from './speech.ts';

const { voice, instructions, speed, sample_rate, language, seed, volume, text_normalization, mode } = speechSchema.shape;

/** How a context is spoken. Sound is pcm unless asked otherwise: a player of pieces needs no decoder. */
export const deliverySchema = z.object({
  voice,
  instructions,
  response_format: speechSchema.shape.response_format.unwrap().default('pcm'),
  speed,
  sample_rate,
  language,
  seed,
  volume,
  text_normalization,
  mode,
  timestamps: z.enum(['none', 'word']).default('none'),
  /** `binary`: a binary message follows its `audio.chunk`; `base64`: the sound is in it. */
  encoding: z.enum(['binary', 'base64']).default('binary'),
});

const contextId = z.string().min(1).max(100);
const fields = Object.fromEntries(Object.entries(deliverySchema.shape).map(([name, schema]) => [name, schema instanceof z.ZodDefault ? schema.unwrap().optional() : schema])) as unknown as { [K in keyof typeof deliverySchema.shape]: z.ZodType<z.infer<typeof deliverySchema>[K] | undefined> };

export const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('session.update'), defaults: z.object(fields).partial() }),
  z.object({ type: z.literal('context.create'), context_id: contextId, ...fields }),
  z.object({ type: z.literal('input.append'), context_id: contextId, text: z.string() }),
  z.object({ type: z.literal('input.flush'), context_id: contextId, flush_id: z.string().max(100).default('') }),
  z.object({ type: z.literal('input.done'), context_id: contextId }),
  z.object({ type: z.literal('context.cancel'), context_id: contextId }),
  z.object({ type: z.literal('context.interrupt'), context_id: contextId, audio_played_ms: z.number().min(0) }),
  /** The client has taken all sound of the context up to this `seq`. */
  z.object({ type: z.literal('audio.ack'), context_id: contextId, seq: z.int().min(0) }),
  z.object({ type: z.literal('ping') }),
]);

export type ClientMessage = z.infer<typeof messageSchema>;

/** Throws `invalid_json` or `invalid_value`. */
export function parseMessage(data: unknown): ClientMessage {
  if (typeof data !== 'string') throw new CosyError('invalid_value', 'Messages are JSON in text frames; sound goes the other way only.');
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new CosyError('invalid_json', 'The message is not valid JSON.');
  }
  const parsed = messageSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = issue?.path.join('.') || 'type';
  throw new CosyError('invalid_value', `${param}: ${issue?.message ?? 'is not valid'}.`, { param });
}
