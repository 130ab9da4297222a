/** `cosyvoice speak`: text, lines or a recording → audio files. A file appears whole or not at all. */
import { createReadStream } from 'node:fs';
import { once } from 'node:events';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import type { JobVoice, Mode } from '../../shared/contract/job.ts';
import { toLanguage } from '../../shared/contract/language.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { AUDIO_FORMATS, MAX_SPEED, MAX_TEXT_CHARACTERS, MIN_SPEED } from '../../shared/limits/index.ts';
import type { AudioFormat } from '../../shared/limits/index.ts';
import { normalize } from '../../shared/normalize/index.ts';
import { openEngine } from '../engine.ts';
import type { Engine, Speech } from '../engine.ts';
import { renderBytes, renderFile } from '../render.ts';
import type { RenderedPiece } from '../render.ts';
import type { Sound } from '../synthesize.ts';
import { engineOptions, number, text } from './options.ts';
import { Progress, say } from './terminal.ts';

type Target = { readonly path: string; readonly format: AudioFormat };
type Item = { readonly text: string; readonly target: Target };

export async function speakCommand(options: Record<string, unknown>, [words = []]: readonly (readonly string[])[]): Promise<number> {
  const startMs = performance.now();
  const voice = await voiceOption(options);
  const source = text(options['sourceAudio']);
  const items = source === undefined ? itemsToSpeak(options, words) : undefined;
  checkRange(options);
  const first = items === undefined ? undefined : await items.next();
  if (first?.done) throw new CosyError('input_empty', 'There is nothing to say: give a text, --file, --lines, or pipe one in.');

  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const progress = new Progress();
  progress.show('starting');
  const engine = await openEngine({ ...engineOptions(options), onProgress: (what) => progress.show(what) });
  const loadedMs = performance.now();
  try {
    const speakOne = async (item: Item) => {
      progress.show('speaking');
      await finish(engine.speak({ ...speechOptions(options), text: item.text, voice }, stop.signal), item.target);
    };
    const finish = async (speech: Speech, target: Target) => {
      const begunMs = performance.now();
      const seconds = await writeAudio(speech.sounds, target, engine, options);
      const tookS = (performance.now() - begunMs) / 1000;
      progress.done();
      if (target.path !== '-') say(`${target.path}: ${seconds.toFixed(1)} s of speech in ${tookS.toFixed(1)} s (real-time factor ${(tookS / seconds).toFixed(2)}, seed ${speech.seed})`);
    };
    if (source !== undefined) {
      const speech = engine.convert({ source: await readInput(source), voice, speed: number(options['speed']) ?? 1, steps: number(options['steps']), seed: number(options['seed']) }, stop.signal);
      await finish(speech, outputTarget(options));
    } else if (items !== undefined && first !== undefined) {
      await speakOne(first.value);
      for await (const item of items) await speakOne(item);
    }
    progress.done();
    say(`done in ${((performance.now() - startMs) / 1000).toFixed(1)} s, of which ${((loadedMs - startMs) / 1000).toFixed(1)} s to load`);
    return 0;
  } finally {
    progress.done();
    await engine.close();
  }
}

function speechOptions(options: Record<string, unknown>) {
  return {
    mode: text(options['mode']) as Mode | undefined,
    instruction: text(options['instruct']),
    language: text(options['language']),
    seed: number(options['seed']),
    speed: number(options['speed']) ?? 1,
    steps: number(options['steps']),
    streaming: options['stream'] === true,
  };
}

async function* itemsToSpeak(options: Record<string, unknown>, words: readonly string[]): AsyncGenerator<Item> {
  const lines = text(options['lines']);
  if (lines === undefined) {
    const written = await givenText(options, words);
    yield { text: spoken(written, options), target: outputTarget(options) };
    return;
  }
  const directory = text(options['outDir']) ?? 'speech';
  const format = (text(options['format']) ?? 'wav') as AudioFormat;
  await mkdir(directory, { recursive: true });
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(lines), crlfDelay: Infinity })) {
    count += 1;
    if (line.trim() === '') continue;
    yield { text: spoken(line, options), target: { path: join(directory, `${String(count).padStart(4, '0')}.${format}`), format } };
  }
}

async function givenText(options: Record<string, unknown>, words: readonly string[]): Promise<string> {
  const file = text(options['file']);
  if (file !== undefined) return (await readInput(file)).toString('utf8');
  const joined = words.join(' ');
  if (joined === '-' || (words.length === 0 && !process.stdin.isTTY)) return readAll(process.stdin);
  return joined;
}

function spoken(written: string, options: Record<string, unknown>): string {
  if (written.length > MAX_TEXT_CHARACTERS) throw new CosyError('input_too_long', `The text has ${written.length} characters; the limit is ${MAX_TEXT_CHARACTERS}: split it, for example with --lines.`);
  const result = options['raw'] === true ? written : normalize(written, { language: toLanguage(text(options['language'])) }).text;
  if (!/[\p{L}\p{N}]/u.test(result)) throw new CosyError('input_empty', 'The text has nothing that can be spoken: give at least one word.');
  return result;
}

function outputTarget(options: Record<string, unknown>): Target {
  const path = text(options['output']);
  const given = text(options['format']) as AudioFormat | undefined;
  if (path === undefined) return { path: `speech.${given ?? 'wav'}`, format: given ?? 'wav' };
  const extension = extname(path).slice(1).toLowerCase();
  const format = given ?? EXTENSIONS[extension] ?? AUDIO_FORMATS.find((name) => name === extension);
  if (format === undefined && path !== '-') throw new CosyError('unsupported_format', `The extension of ${path} says no audio format: use one of ${AUDIO_FORMATS.join(', ')}, or --format.`);
  return { path, format: format ?? 'wav' };
}

const EXTENSIONS: Readonly<Record<string, AudioFormat>> = { ogg: 'opus', raw: 'pcm', m4a: 'aac', ulaw: 'mulaw' };

/** Returns seconds of speech. */
async function writeAudio(sounds: AsyncIterable<Sound>, target: Target, engine: Engine, options: Record<string, unknown>): Promise<number> {
  const render = {
    format: target.format,
    fromHz: engine.sampleRateHz,
    sampleRateHz: number(options['rate']) ?? engine.sampleRateHz,
    volume: number(options['volume']) ?? 1,
  };
  if (target.path === '-') return (await pipeOut(renderBytes(sounds, render))) / 1000;
  const { bytes, durationMs } = await renderFile(sounds, render);
  await writeWhole(resolve(target.path), bytes);
  return durationMs / 1000;
}

async function pipeOut(pieces: AsyncIterable<RenderedPiece>): Promise<number> {
  let milliseconds = 0;
  for await (const { bytes, durationMs } of pieces) {
    milliseconds += durationMs;
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
  }
  return milliseconds;
}

/** Writes beside the target and renames, so that an interruption leaves nothing half-written. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.${process.pid}.part`;
  try {
    await writeFile(partial, bytes);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw diskError(error, path);
  }
}

function diskError(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new CosyError('disk_full', `The disk is full while writing ${path}: free some space and try again.`, { cause: error });
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR' || code === 'EROFS') return new CosyError('invalid_value', `${path} cannot be written (${code}): choose a folder that exists and is yours.`, { cause: error });
  return error;
}

async function voiceOption(options: Record<string, unknown>): Promise<JobVoice | undefined> {
  const clip = text(options['promptAudio']);
  const name = text(options['voice']);
  if (clip !== undefined && name !== undefined) throw new CosyError('invalid_value', 'Give --voice or --prompt-audio, not both.');
  if (clip === undefined) return name === undefined ? undefined : { kind: 'preset', name };
  return { kind: 'clip', audio: (await readInput(clip)).toString('base64'), transcript: text(options['promptText']) };
}

async function readInput(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CosyError('invalid_value', `${path} cannot be read: check the name.`, { cause: error });
  }
}

function checkRange(options: Record<string, unknown>): void {
  const speed = number(options['speed']) ?? 1;
  if (speed < MIN_SPEED || speed > MAX_SPEED) throw new CosyError('invalid_value', `--speed must be between ${MIN_SPEED} and ${MAX_SPEED}.`);
  const volume = number(options['volume']) ?? 1;
  if (volume < 0 || volume > 2) throw new CosyError('invalid_value', '--volume must be between 0 and 2.');
  const steps = number(options['steps']);
  if (steps !== undefined && (steps < 1 || steps > 100)) throw new CosyError('invalid_value', '--steps must be between 1 and 100.');
}
