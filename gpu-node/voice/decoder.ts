/** Worker: one file → one mono clip, or the error to report. Its parent (decode.ts) ends it when it takes too long. */
import { parentPort, workerData } from 'node:worker_threads';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { Collector } from './collect.ts';
import type { DecodeAnswer, DecodeTask } from './decode.ts';
import { decodeFlac, flacFromOgg } from './flac.ts';
import { sniff, tagBytes } from './sniff.ts';
import type { Container } from './sniff.ts';
import { readWav } from './wav.ts';

const answer = await decode(workerData as DecodeTask);
parentPort?.postMessage(answer, 'clip' in answer ? [answer.clip.samples.buffer] : []);
// a codec's wasm may hold handles; nothing is left to do
process.exit();

async function decode(task: DecodeTask): Promise<DecodeAnswer> {
  const { maxSeconds } = task;
  try {
    const bytes = task.bytes.subarray(tagBytes(task.bytes));
    const format = sniff(bytes);
    if (format === undefined) throw new CosyError('audio_invalid', 'This is not audio in a known format. Send WAV, FLAC, MP3, Ogg (Opus, Vorbis) or WebM (Opus).');
    if (format === 'wav') {
      const { samples, ...clip } = readWav(bytes, maxSeconds);
      return { clip: { ...clip, samples: samples as Float32Array<ArrayBuffer>, format } };
    }
    const collector = new Collector(maxSeconds);
    await decodeInto(collector, format, { ...task, bytes });
    if (collector.length === 0) throw new CosyError('audio_invalid', `The ${format} file holds no sound that can be decoded: it is damaged or cut off.`);
    return { clip: { ...collector.clip(), format } };
  } catch (error) {
    if (isCosyError(error)) return { error: { code: error.code, message: error.message } };
    return { error: { code: 'audio_invalid', message: 'The audio file is damaged: it cannot be decoded.' } };
  }
}

/** What a format needs is loaded here: the containers and codecs take longer to load than most clips to decode. */
async function decodeInto(collector: Collector, format: Exclude<Container, 'wav'>, task: DecodeTask): Promise<void> {
  const { bytes, maxSeconds } = task;
  if (format === 'flac') return decodeFlac(collector, bytes, maxSeconds);
  if (format === 'ogg-flac') return decodeFlac(collector, flacFromOgg(bytes), maxSeconds);
  if (format !== 'mp3' && format !== 'ogg-vorbis') return (await import('./demux.ts')).demux(collector, task);
  const { decodeMp3, decodeVorbis, inPieces } = await import('./codecs.ts');
  return format === 'mp3' ? decodeMp3(collector, inPieces(bytes)) : decodeVorbis(collector, inPieces(bytes));
}
