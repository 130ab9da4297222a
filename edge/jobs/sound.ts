/**
 * The finished sound of an item: its segments one after another, read from the bucket as the listener takes them. Nothing is
 * joined beforehand; lengths are known, so any range can be served (RFC 9110 §14).
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { AudioFormat } from '../../shared/limits/index.ts';
import type { Env } from '../env.ts';
import { askedRange, namesIt } from '../range.ts';
import { getSound } from './store.ts';
import type { ItemRow, JobRow, SegmentRow } from './store.ts';

const TYPES: Readonly<Record<AudioFormat, string>> = { wav: 'audio/wav', pcm: 'audio/pcm', mp3: 'audio/mpeg', opus: 'audio/ogg', webm: 'audio/webm', aac: 'audio/aac', flac: 'audio/flac', mulaw: 'audio/basic', alaw: 'audio/x-alaw-basic' };
const WAV_HEADER_BYTES = 44;

export type Finished = { readonly job: JobRow; readonly item: ItemRow; readonly segments: readonly SegmentRow[] };

/** Throws `not_found` when the sound has expired meanwhile. */
export function finishedSound({ job, item, segments }: Finished, request: Request, env: Env): Response {
  const header = item.format === 'wav' ? wavHeader(segments.reduce((sum, { bytes }) => sum + bytes, 0), item.sample_rate_hz) : undefined;
  const parts = [...(header ? [{ bytes: header.length, read: async (from: number, to: number) => new Blob([header.slice(from, to)]).stream() }] : []), ...segments.map(({ number, bytes }) => ({ bytes, read: (from: number, to: number) => read(env, job, { number, from, to }) }))];
  const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const headers = { 'content-type': TYPES[item.format], 'accept-ranges': 'bytes', 'cache-control': 'private, max-age=3600', etag: `"${job.id}.${item.item}"`, 'content-disposition': `attachment; filename="${job.id}-${item.item}.${item.format === 'opus' ? 'ogg' : item.format}"` };
  if (namesIt(request.headers.get('if-none-match') ?? undefined, headers.etag)) return new Response(null, { status: 304, headers });
  const range = askedRange(request.headers, { etag: headers.etag, bytes: size });
  if (range === 'unsatisfiable') return new Response(null, { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` } });
  const { from, to } = range ?? { from: 0, to: size };
  const body = request.method === 'HEAD' ? null : concatenated(parts, from, to);
  return new Response(body, { status: range ? 206 : 200, headers: { ...headers, 'content-length': String(to - from), ...(range && { 'content-range': `bytes ${from}-${to - 1}/${size}` }) } });
}

type Part = { readonly bytes: number; readonly read: (from: number, to: number) => Promise<ReadableStream<Uint8Array>> };

/** Bytes `from` … `to` of the parts in their order. */
function concatenated(parts: readonly Part[], from: number, to: number): ReadableStream<Uint8Array> {
  // a stream of known length keeps `content-length`
  const { readable, writable } = new FixedLengthStream(to - from);
  void (async () => {
    let at = 0;
    for (const { bytes, read: open } of parts) {
      const [start, end] = [Math.max(from, at), Math.min(to, at + bytes)];
      if (start < end) await (await open(start - at, end - at)).pipeTo(writable, { preventClose: true });
      at += bytes;
    }
    await writable.close();
  })().catch((error: unknown) => writable.abort(error).catch(() => {}));
  return readable;
}

async function read(env: Env, job: JobRow, { number, from, to }: { readonly number: number; readonly from: number; readonly to: number }): Promise<ReadableStream<Uint8Array>> {
  const object = await getSound(env, job, number, { offset: from, length: to - from });
  if (object === null) throw new CosyError('not_found', 'The sound of this job has expired.');
  return object.body;
}

/** Of 16-bit mono. */
function wavHeader(dataBytes: number, sampleRateHz: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(WAV_HEADER_BYTES);
  const view = new DataView(header.buffer);
  const text = (at: number, value: string) => header.set(new TextEncoder().encode(value), at);
  text(0, 'RIFF');
  view.setUint32(4, WAV_HEADER_BYTES - 8 + dataBytes, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, 2 * sampleRateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, 'data');
  view.setUint32(40, dataBytes, true);
  return header;
}
