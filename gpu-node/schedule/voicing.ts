/**
 * Speech tokens of sentences → their samples without silent ends: mel from the acoustic thread, sound from the wave thread, as
 * they come or all at once. Mel moves through here from one thread to the other and is never copied.
 */
import { SECOND_TRY } from '../../shared/contract/tokens.ts';
import { isCosyError } from '../../shared/errors/index.ts';
import type { Trace } from '../metrics/trace.ts';
import { Transfer } from '../runtime/thread.ts';
import type { Thread } from '../runtime/thread.ts';
import { Trimmer } from '../wave/index.ts';
import type { AcousticMethods, Speaking, WholeMel } from './acoustic-thread.ts';
import { oneAhead } from './ahead.ts';
import { melBuffers } from './flow-streams.ts';
import type { Solved } from './flow-streams.ts';
import { blocksToGather, released } from './playback.ts';
import type { Playback } from './playback.ts';
import type { Read, Reading, Seeds } from './reading.ts';
import type { Rounds } from './rounds.ts';
import { wholeSound } from './wave-parts.ts';
import type { WaveThreads } from './wave-parts.ts';
import type { Piece } from './wave-streams.ts';

/** The threads that make sound. */
export type SoundThreads = WaveThreads & { readonly acoustic: Thread<AcousticMethods> };

export type VoicingContext = SoundThreads & {
  readonly rounds: Rounds;
  readonly sampleRateHz: number;
  /** Tokens of one block of the flow. */
  readonly blockTokens: number;
  readonly seeds: Seeds;
  readonly trace: Trace;
  readonly playback: Playback;
  readonly signal: AbortSignal;
};

/** How all sentences of a request are spoken. `streaming`: in blocks, while tokens are made; otherwise whole, with full attention. */
export type Manner = Speaking & { readonly speed: number; readonly streaming: boolean };

/** A sentence with its reading under way, and with its sound. */
export type ReadSentence = { readonly source: Reading; readonly items: AsyncGenerator<Read> };
export type VoicedSentence = { readonly source: Reading; readonly items: AsyncGenerator<Voiced> };

/** Samples and the tokens they come from; a resumed run's own tokens are not given again. `removed`: samples trimmed in all, with the last piece. */
export type Voiced = { readonly samples: Float32Array; readonly speechTokens: readonly number[]; readonly removed?: Trimmer['removed'] };

/** One sentence after the other. Whole ones are solved one ahead of the vocoder. */
export async function* voiced(sentences: AsyncGenerator<ReadSentence>, manner: Manner, context: VoicingContext): AsyncGenerator<VoicedSentence> {
  if (manner.streaming) {
    for await (const { source, items } of sentences) yield { source, items: released(inBlocks(items, { ...manner, ...placeOf(source) }, context), context) };
    return;
  }
  for await (const { source, items } of oneAhead(sentences, ({ source: reading, items: reads }) => wholeMel(reads, { ...manner, ...placeOf(reading) }, context))) {
    yield { source: source.source, items: wholeWave(items, { ...manner, ...placeOf(source.source) }, context) };
  }
}

/** Tokens that are there → samples, without a listener: voice conversion. Throws what the threads throw. */
export async function convert(threads: SoundThreads, { speechTokens, seed, speed, ...speaking }: Speaking & { readonly speechTokens: readonly number[]; readonly seed: number; readonly speed: number }, signal: AbortSignal): Promise<Float32Array> {
  const deadlineMs = Date.now();
  const { mel } = await threads.acoustic.call('whole', { ...speaking, speechTokens, deadlineMs }, signal);
  return (await wholeSound(threads, { mel, seed, speed, deadlineMs }, signal)).samples;
}

/** `index` is the sentence's; `resumed`: tokens that an earlier run made and sent. */
type Sentence = Omit<Manner, 'streaming'> & { readonly index: number; readonly resumed: readonly number[] };

function placeOf({ index, request }: Reading): Pick<Sentence, 'index' | 'resumed'> {
  return { index, resumed: request.previousTokens ?? [] };
}

type Whole = WholeMel & { readonly speechTokens: readonly number[] };

/** Gives one: the sentence. What went wrong is read again, and the second try counts. */
async function* wholeMel(reads: AsyncIterable<Read>, { index, resumed, key, prompt, steps }: Sentence, { acoustic, seeds, playback, signal }: VoicingContext): AsyncGenerator<Whole> {
  let tokens: number[] = [];
  for await (const event of reads) {
    if ('tokens' in event) tokens.push(...event.tokens);
    else {
      tokens = [];
      event.again(true);
    }
  }
  const solved = await acoustic.call('whole', { key, prompt, steps, speechTokens: [...resumed, ...tokens], deadlineMs: playback.deadlineMs }, signal);
  yield { ...solved, speechTokens: seeds.isSecond(index) && resumed.length === 0 ? [SECOND_TRY, ...tokens] : tokens };
}

async function* wholeWave(sentences: AsyncIterable<Whole>, { index, speed }: Sentence, context: VoicingContext): AsyncGenerator<Voiced> {
  for await (const { mel, speechTokens, ...spent } of sentences) {
    const { seeds, playback, signal } = context;
    const made = await sounded(context, wholeSound(context, { mel, seed: seeds.of(index), speed, deadlineMs: playback.deadlineMs }, signal));
    count({ ...spent, wave: made }, context.trace);
    const trimmer = new Trimmer({ sampleRateHz: context.sampleRateHz });
    const samples = trimmer.push(made.samples, { last: true });
    yield { samples, removed: trimmer.removed, speechTokens };
  }
}

let nextStream = 1;

/**
 * In blocks; the first one of a request is shorter. Tokens are given with the first sample that is not trimmed, so until then
 * the sentence can be begun again. The further ahead of the listener, the more blocks go into one run.
 */
async function* inBlocks(reads: AsyncIterable<Read>, { index, resumed, key, prompt, steps, speed }: Sentence, context: VoicingContext): AsyncGenerator<Voiced> {
  const { acoustic, wave, rounds, sampleRateHz, blockTokens, seeds, trace, playback, signal } = context;
  const startMs = performance.now();
  /** The same on both threads; on that of the vocoder from the first frames on. */
  let id = nextStream++;
  let sounds = false;
  let wanted = 0;
  let trimmer = new Trimmer({ sampleRateHz });
  let waiting = [...resumed];
  let unsent: number[] = seeds.isSecond(index) && resumed.length === 0 ? [SECOND_TRY] : [];
  let sent = false;
  let tokensVoiced = 0;
  const open = async () => {
    wanted = (await acoustic.call('open', { key, prompt, steps, id, early: index === 0, deadlineMs: playback.deadlineMs }, signal)).needed;
    rounds.open(id);
  };
  const close = async () => {
    rounds.close(id);
    await Promise.all([acoustic.call('close', { id }), sounds ? wave.call('close', { id }) : undefined]);
  };
  const soundOf = async ({ pieces }: Solved, last: boolean): Promise<Piece> => {
    if (pieces.length === 0) return { samples: new Float32Array(0), turnMs: 0, waveMs: 0 };
    const begin = sounds ? undefined : { seed: seeds.of(index), speed };
    sounds = true;
    return sounded(context, wave.call('push', new Transfer({ id, begin, pieces, last, deadlineMs: playback.deadlineMs }, melBuffers(pieces)), signal));
  };
  const push = async (last: boolean): Promise<Voiced | undefined> => {
    const speechTokens = waiting;
    waiting = [];
    const { deadlineMs } = playback;
    const solved = await acoustic.call('push', { id, speechTokens, last, deadlineMs }, signal);
    const made = await soundOf(solved, last);
    count({ ...solved, wave: made }, trace);
    tokensVoiced += speechTokens.length;
    const samples = trimmer.push(made.samples, { last });
    const msPerBlock = ((performance.now() - startMs) * blockTokens) / Math.max(1, tokensVoiced);
    wanted = solved.needed + blockTokens * (blocksToGather({ aheadMs: playback.aheadMs, msPerBlock }) - 1);
    const roundMs = rounds.made({ id, blocks: solved.blocks, melMs: solved.melMs, waveMs: made.waveMs, soundMs: (1000 * made.samples.length) / sampleRateHz, deadlineMs, last });
    if (!last) playback.made(samples.length, roundMs);
    if (samples.length === 0 && !last) return undefined;
    sent ||= samples.length > 0;
    const given = unsent;
    unsent = [];
    return { samples, speechTokens: given, ...(last && { removed: trimmer.removed }) };
  };
  try {
    await open();
    for await (const event of reads) {
      if ('tokens' in event) {
        waiting.push(...event.tokens);
        unsent.push(...event.tokens);
        const made = waiting.length >= wanted ? await push(false) : undefined;
        if (made) yield made;
        continue;
      }
      // a later try takes the same way from its first token on, whatever the speed of the machine
      event.again(!sent);
      if (sent) continue;
      await close();
      id = nextStream++;
      sounds = false;
      trimmer = new Trimmer({ sampleRateHz });
      waiting = [];
      unsent = seeds.isSecond(index) ? [SECOND_TRY] : [];
      await open();
    }
    const made = await push(true);
    if (made) yield made;
  } finally {
    await close().catch(() => {}); // a thread that died holds nothing
  }
}

/** Where the vocoder finds no memory, idle voices are given up for those who come after. */
async function sounded({ acoustic }: SoundThreads, made: Promise<Piece>): Promise<Piece> {
  try {
    return await made;
  } catch (error) {
    if (isCosyError(error) && error.code === 'overloaded') await acoustic.call('spare', null).catch(() => {});
    throw error;
  }
}

/** What one piece of sound cost, now that it is there. */
function count({ turnMs, melMs, wave }: Pick<WholeMel, 'turnMs' | 'melMs'> & { readonly wave: Omit<Piece, 'samples'> }, trace: Trace): void {
  const waveMs = wave.turnMs + wave.waveMs;
  trace.firstHopMs ??= turnMs + melMs + waveMs;
  trace.add('turn', turnMs, melMs + waveMs);
  trace.add('mel', melMs, waveMs);
  trace.add('turn', wave.turnMs, wave.waveMs);
  trace.add('wave', wave.waveMs);
}
