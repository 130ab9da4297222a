/** Speech tokens of one sentence → its samples without silent ends, from the acoustic thread: as they come, or all at once. */
import { SECOND_TRY } from '../../shared/contract/tokens.ts';
import type { Trace } from '../metrics/trace.ts';
import type { Thread } from '../runtime/thread.ts';
import { Trimmer } from '../wave/index.ts';
import type { AcousticMethods, Pushed, Voicing } from './acoustic-thread.ts';
import { blocksToGather, released } from './playback.ts';
import type { Playback } from './playback.ts';
import type { Read, Seeds } from './reading.ts';

export type VoicingContext = {
  readonly acoustic: Thread<AcousticMethods>;
  readonly sampleRateHz: number;
  /** Tokens of one block of the flow. */
  readonly blockTokens: number;
  readonly seeds: Seeds;
  readonly trace: Trace;
  readonly playback: Playback;
  readonly signal: AbortSignal;
};

/** `index` is the sentence's; `resumed`: tokens that an earlier run made and sent. */
export type Sentence = Omit<Voicing, 'seed'> & { readonly index: number; readonly resumed: readonly number[] };

/** Samples and the tokens they come from; a resumed run's own tokens are not given again. `removed`: samples trimmed in all, with the last piece. */
export type Voiced = { readonly samples: Float32Array; readonly speechTokens: readonly number[]; readonly removed?: Trimmer['removed'] };

/** Whole, with full attention. What went wrong is read again, and the second try counts. */
export async function* voiceWhole(reads: AsyncIterable<Read>, { index, resumed, ...voicing }: Sentence, context: VoicingContext): AsyncGenerator<Voiced> {
  const { acoustic, seeds, trace, playback, signal } = context;
  let tokens: number[] = [];
  for await (const event of reads) {
    if ('tokens' in event) tokens.push(...event.tokens);
    else {
      tokens = [];
      event.again(true);
    }
  }
  const made = await acoustic.call('whole', { ...voicing, seed: seeds.of(index), speechTokens: [...resumed, ...tokens], deadlineMs: playback.deadlineMs }, signal);
  count(made, trace);
  const trimmer = new Trimmer({ sampleRateHz: context.sampleRateHz });
  const samples = trimmer.push(made.samples, { last: true });
  yield { samples, removed: trimmer.removed, speechTokens: seeds.isSecond(index) && resumed.length === 0 ? [SECOND_TRY, ...tokens] : tokens };
}

let nextStream = 1;

/** In blocks, while tokens are made; the first one of a request is shorter, and leaves when the next will be in time. */
export function voiceInBlocks(reads: AsyncIterable<Read>, sentence: Sentence, context: VoicingContext): AsyncGenerator<Voiced> {
  return released(blocksOf(reads, sentence, context), context);
}

/**
 * Tokens are given with the first sample that is not trimmed, so until then the sentence can be begun again. The further ahead
 * of the listener, the more blocks go into one run.
 */
async function* blocksOf(reads: AsyncIterable<Read>, { index, resumed, ...voicing }: Sentence, context: VoicingContext): AsyncGenerator<Voiced> {
  const { acoustic, sampleRateHz, blockTokens, seeds, trace, playback, signal } = context;
  const startMs = performance.now();
  let id = nextStream++;
  let wanted = 0;
  let trimmer = new Trimmer({ sampleRateHz });
  let waiting = [...resumed];
  let unsent: number[] = seeds.isSecond(index) && resumed.length === 0 ? [SECOND_TRY] : [];
  let sent = false;
  let voiced = 0;
  const open = async () => {
    wanted = (await acoustic.call('open', { ...voicing, id, early: index === 0, seed: seeds.of(index), deadlineMs: playback.deadlineMs }, signal)).needed;
  };
  const push = async (last: boolean): Promise<Voiced | undefined> => {
    const speechTokens = waiting;
    waiting = [];
    const made = await acoustic.call('push', { id, speechTokens, last, deadlineMs: playback.deadlineMs }, signal);
    count(made, trace);
    voiced += speechTokens.length;
    const samples = trimmer.push(made.samples, { last });
    const msPerBlock = ((performance.now() - startMs) * blockTokens) / Math.max(1, voiced);
    wanted = made.needed + blockTokens * (blocksToGather({ aheadMs: playback.aheadMs, msPerBlock }) - 1);
    if (!last) playback.made(samples.length, made.roundMs);
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
      await acoustic.call('close', { id });
      id = nextStream++;
      trimmer = new Trimmer({ sampleRateHz });
      waiting = [];
      unsent = seeds.isSecond(index) ? [SECOND_TRY] : [];
      await open();
    }
    const made = await push(true);
    if (made) yield made;
  } finally {
    await acoustic.call('close', { id }).catch(() => {}); // a thread that died holds nothing
  }
}

function count({ turnMs, melMs, waveMs }: Pushed, trace: Trace): void {
  trace.firstHopMs ??= turnMs + melMs + waveMs;
  trace.add('turn', turnMs, melMs + waveMs);
  trace.add('mel', melMs, waveMs);
  trace.add('wave', waveMs);
}
