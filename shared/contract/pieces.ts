/**
 * A job whose text arrives while it is spoken: one WebSocket from edge to node. The edge sends these messages as JSON, the job
 * first; the node sends frames (frames.ts), one to a message, and closes behind `end` or `error`. The node sends no more bytes
 * of frames than it was given credit for, so a slow listener slows the node and nothing piles up between.
 */
import { z } from 'zod';
import { jobSchema } from './job.ts';

/** Signed like every request to a node, with an empty body. */
export const PIECES_PATH = '/v1/synthesize/stream';

/** Credit that every job begins with: a few seconds of sound. */
export const PIECES_WINDOW_BYTES = 256 * 1024;

/** Characters of one message; longer text comes in several. */
export const MAX_PIECE_CHARACTERS = 20_000;

export const pieceMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), job: jobSchema.omit({ text: true, resume: true }) }),
  /** Speakable text of any size. */
  z.object({ type: z.literal('text'), text: z.string().max(MAX_PIECE_CHARACTERS) }),
  /** What came so far is spoken without waiting for more. */
  z.object({ type: z.literal('flush') }),
  /** There is no more text. */
  z.object({ type: z.literal('end') }),
  /** So many more bytes of frames may be sent. */
  z.object({ type: z.literal('credit'), bytes: z.int().min(0) }),
]);

export type PieceMessage = z.infer<typeof pieceMessageSchema>;
/** The job without its text. */
export type PieceJob = Extract<PieceMessage, { type: 'job' }>['job'];
