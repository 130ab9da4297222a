/** `cosyvoice speak`: text, lines or a recording → audio files. A file appears whole or not at all. */
import { constants, createReadStream } from 'node:fs';
import { once } from 'node:events';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import type { JobVoice, Mode } from '../../shared/contract/job.ts';
import { toLanguage } from '../../shared/contract/language.ts';
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import { AUDIO_FORMATS, MAX_SPEED, MAX_TEXT_CHARACTERS, MIN_SPEED } from '../../shared/limits/index.ts';
import type { AudioFormat } from '../../shared/limits/index.ts';
import { LANGUAGES } from '../../shared/normalize/contract.ts';
import { normalize } from '../../shared/normalize/index.ts';
import { openEngine } from '../engine.ts';
import type { Engine, Speech } from '../engine.ts';
import { renderBytes, renderFile } from '../render.ts';
import type { RenderedPiece } from '../render.ts';
import { SOURCE_LIMITS, limited, sentencesOf } from '../schedule/source.ts';
import type { TextPiece } from '../schedule/source.ts';
import type { Sound } from '../synthesize.ts';
import { engineOptions, number, text } from './options.ts';
import { Progress, outputLost, say } from './terminal.ts';

type Target = { readonly path: string; readonly format: AudioFormat };
type Item = { readonly text: string | AsyncIterable<TextPiece>; readonly target: Target };

export async function speakCommand(options: Record<string, unknown>, [words = []]: readonly (readonly string[])[]): Promise<number> {
  const startMs = performance.now();
  checkOptions(options, words);
  const voice = await voiceOption(options);
  const source = text(options['sourceAudio']);
  await checkTarget(options);
  const items = source === undefined ? itemsToSpeak(options, words) : undefined;
  const first = items === undefined ? undefined : await items.next();
  if (first?.done) throw new CosyError('input_empty', 'There is nothing to say: give a text, --file, --lines, or pipe one in.');

  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const stop = AbortSignal.any([interrupt.signal, outputLost]);
  const progress = new Progress();
  progress.show('starting');
  const engine = await openEngine({ ...engineOptions(options), onProgress: (what) => progress.show(what) });
  const loadedMs = performance.now();
  try {
    const speakOne = async (item: Item) => {
      progress.show('speaking');
      await finish(engine.speak({ ...speechOptions(options), text: item.text, voice, limits: { ...SOURCE_LIMITS, idleMs: STDIN_IDLE_MS } }, stop), item.target);
    };
    const finish = async (speech: Speech, target: Target) => {
      const begunMs = performance.now();
      const seconds = await writeAudio(speech.sounds, target, engine, options);
      const tookS = (performance.now() - begunMs) / 1000;
      progress.done();
      if (target.path !== '-') say(`${target.path}: ${seconds.toFixed(1)} s of speech in ${tookS.toFixed(1)} s (real-time factor ${(tookS / seconds).toFixed(2)}, seed ${speech.seed})`);
    };
    if (source !== undefined) {
      const speech = engine.convert({ source: await readInput(source), voice, speed: number(options['speed']) ?? 1, steps: number(options['steps']), seed: number(options['seed']) }, stop);
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
  if (lines === undefined && isFlowing(options, words)) {
    yield { text: flowing(options), target: outputTarget(options) };
    return;
  }
  if (lines === undefined) {
    const written = await givenText(options, words);
    yield { text: spoken(written, options), target: outputTarget(options) };
    return;
  }
  const directory = text(options['outDir']) ?? 'speech';
  const format = (text(options['format']) ?? 'wav') as AudioFormat;
  let count = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(lines), crlfDelay: Infinity })) {
      count += 1;
      if (line.trim() === '') continue;
      yield { text: spoken(line, options, ` (line ${count} of ${lines})`), target: { path: join(directory, `${String(count).padStart(4, '0')}.${format}`), format } };
    }
  } catch (error) {
    throw isCosyError(error) ? error : unreadable(lines, error);
  }
}

/** A pipe may pause as long as the program that fills it thinks. */
const STDIN_IDLE_MS = 3_600_000;

/** Standard input that is made in blocks is spoken while it still arrives. */
function isFlowing(options: Record<string, unknown>, words: readonly string[]): boolean {
  return options['stream'] === true && text(options['file']) === undefined && readsInput(words);
}

/** Sentences as they become complete. */
async function* flowing(options: Record<string, unknown>): AsyncGenerator<TextPiece> {
  const language = toLanguage(text(options['language']), text(options['instruct']));
  for await (const sentence of sentencesOf(limited(inputPieces(), { ...SOURCE_LIMITS, idleMs: STDIN_IDLE_MS }))) {
    yield { text: options['raw'] === true ? sentence : normalize(sentence, { language }).text, flush: true };
  }
}

async function* inputPieces(): AsyncGenerator<TextPiece> {
  for await (const piece of process.stdin.setEncoding('utf8')) yield { text: String(piece) };
}

function readsInput(words: readonly string[]): boolean {
  return words.join(' ') === '-' || (words.length === 0 && !process.stdin.isTTY);
}

async function givenText(options: Record<string, unknown>, words: readonly string[]): Promise<string> {
  const file = text(options['file']);
  if (file !== undefined) return (await readInput(file)).toString('utf8');
  return readsInput(words) ? readAll(process.stdin) : words.join(' ');
}

/** `where`: added to errors. */
function spoken(written: string, options: Record<string, unknown>, where = ''): string {
  if (written.length > MAX_TEXT_CHARACTERS) throw new CosyError('input_too_long', `The text${where} has ${written.length} characters; the limit is ${MAX_TEXT_CHARACTERS}: split it, for example with --lines.`);
  const result = options['raw'] === true ? written : normalize(written, { language: toLanguage(text(options['language']), text(options['instruct'])) }).text;
  if (!/[\p{L}\p{N}]/u.test(result)) throw new CosyError('input_empty', `The text${where} has nothing that can be spoken: give at least one word.`);
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
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain', { signal: outputLost });
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
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return new CosyError('disk_full', `The disk is full while writing ${path}: free some space and try again.`, { cause: error });
  return new CosyError('invalid_value', `${path} cannot be written (${String(code ?? 'unknown reason')}): choose a folder that exists and is yours.`, { cause: error });
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
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): CosyError {
  return new CosyError('invalid_value', `${path} cannot be read: check the name.`, { cause: error });
}

/** Finds out before the work, and not after it, that its result cannot be kept. */
async function checkTarget(options: Record<string, unknown>): Promise<void> {
  const lines = text(options['lines']);
  if (lines !== undefined) await access(lines, constants.R_OK).catch((error: unknown) => Promise.reject(unreadable(lines, error)));
  const directory = lines === undefined ? undefined : (text(options['outDir']) ?? 'speech');
  if (directory !== undefined) await mkdir(directory, { recursive: true }).catch((error: unknown) => Promise.reject(diskError(error, directory)));
  const { path } = directory === undefined ? outputTarget(options) : { path: join(directory, '-') };
  const folder = dirname(resolve(path));
  if (path !== '-') await access(folder, constants.W_OK).catch((error: unknown) => Promise.reject(diskError(error, path)));
}

/** An option that would change nothing is refused, so that nobody waits for what it promises. */
function checkOptions(options: Record<string, unknown>, words: readonly string[]): void {
  const has = (name: string) => options[name] !== undefined && options[name] !== false;
  const refuse = (message: string) => {
    throw new CosyError('invalid_value', message);
  };
  if (has('promptText') && !has('promptAudio')) refuse('--prompt-text says what is spoken in a clip: give the clip with --prompt-audio.');
  if (has('output') && has('lines')) refuse('--lines writes into --out-dir: leave --output out.');
  if ([words.length > 0, has('file'), has('lines'), has('sourceAudio')].filter(Boolean).length > 1) refuse('Give one thing to say: a text, --file, --lines or --source-audio.');
  if (options['mode'] === 'convert' && !has('sourceAudio')) refuse('Mode convert needs a recording (--source-audio).');
  if (has('sourceAudio')) {
    if (has('mode') && options['mode'] !== 'convert') refuse('--source-audio is voice conversion: leave --mode out.');
    for (const [name, flag] of [['instruct', '--instruct'], ['promptText', '--prompt-text'], ['language', '--language'], ['stream', '--stream'], ['raw', '--raw']] as const) {
      if (has(name)) refuse(`Voice conversion reads no text: leave ${flag} out.`);
    }
  }
  checkRange(options);
}

function checkRange(options: Record<string, unknown>): void {
  const language = text(options['language']);
  if (language !== undefined && language !== 'auto' && toLanguage(language) === 'auto') throw new CosyError('invalid_value', `There is no language ${JSON.stringify(language.slice(0, 40))} here: --language takes ${LANGUAGES.join(', ')} or auto.`, { param: 'language' });
  const seed = number(options['seed']) ?? 0;
  if (seed > 0xffff_ffff) throw new CosyError('invalid_value', '--seed must be between 0 and 4294967295.');
  const speed = number(options['speed']) ?? 1;
  if (speed < MIN_SPEED || speed > MAX_SPEED) throw new CosyError('invalid_value', `--speed must be between ${MIN_SPEED} and ${MAX_SPEED}.`);
  const volume = number(options['volume']) ?? 1;
  if (volume < 0 || volume > 2) throw new CosyError('invalid_value', '--volume must be between 0 and 2.');
  const steps = number(options['steps']);
  if (steps !== undefined && (steps < 1 || steps > 100)) throw new CosyError('invalid_value', '--steps must be between 1 and 100.');
}
