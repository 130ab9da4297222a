/**
 * AAC → `Collector` by a program of the user's own. No freely licensed decoder comes with the packages, so an ffmpeg that is
 * installed on the machine can be named (COSYVOICE_FFMPEG); nothing is run that was not named.
 */
import { spawnSync } from 'node:child_process';
import { CosyError } from '../../shared/errors/index.ts';
import type { Collector } from './collect.ts';
import type { DecodeTask } from './decode.ts';
import { readWav } from './wav.ts';

/** Hostile input meets a foreign program: it gets no files, no network, no environment, and is killed at the limit. Below the deadline of the thread, which cannot be stopped while it waits for a program. */
const LIMIT_MS = 8000;

/** `bytes`: ADTS frames. Throws `unsupported_format` when no program was named, `audio_invalid`, `audio_too_long`. */
export function decodeAac(collector: Collector, { bytes, maxSeconds, ffmpeg }: DecodeTask): void {
  if (ffmpeg === undefined) {
    throw new CosyError('unsupported_format', 'The file holds AAC (as phones record it), which cannot be decoded without ffmpeg. Convert it (ffmpeg -i clip.m4a clip.wav), or set COSYVOICE_FFMPEG to the path of ffmpeg on the server.');
  }
  const seconds = maxSeconds + 1;
  const { status, stdout, error } = spawnSync(
    ffmpeg,
    ['-v', 'quiet', '-nostdin', '-protocol_whitelist', 'pipe', '-f', 'aac', '-i', 'pipe:0', '-t', String(seconds), '-ac', '1', '-c:a', 'pcm_f32le', '-f', 'wav', 'pipe:1'],
    { input: bytes, timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 4 * 96_000 * seconds, stdio: ['pipe', 'pipe', 'ignore'], env: {} },
  );
  if (status !== 0) throw new CosyError('audio_invalid', 'The AAC file is damaged: it cannot be decoded.', { cause: error });
  const { samples, sampleRateHz } = readWav(stdout);
  collector.add([samples], sampleRateHz);
}
