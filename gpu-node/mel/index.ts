/**
 * Speech tokens (25 a second) → mel frames (50 a second): the flow stage. Comes in: tokens, the prompt's tokens and mel, the
 * speaker's embedding. Goes out: log-mel frames without the prompt's. Two ways: `offline`, everything at once with full
 * attention; `stream`, block by block, where each block is computed once and sees earlier blocks through what they left
 * behind. With all blocks kept the stream equals the official streaming result; how tokens are cut into pushes never matters.
 * Does not make tokens or sound. One run at a time per thread: `run` occupies it.
 */
import { concatenate } from '../runtime/floats.ts';
import { strict as assert } from 'node:assert';
import { CosyError } from '../../shared/errors/index.ts';
import { tokensInWholeBlocks } from '../checkpoint/config.ts';
import { defaultLeftBlocks } from '../graphs/flow.ts';
import { MAX_NOISE_FRAMES } from './noise.ts';
import { Solver } from './solver.ts';
import { appendPage, joinPages, stateBytes } from './state.ts';
import type { FlowConfig } from '../checkpoint/types.ts';
import type { OpenGraph } from '../runtime/session.ts';
import type { FlowState, Page } from './state.ts';

export { MAX_NOISE_FRAMES, normals } from './noise.ts';
export { cosineSchedule, scheduleOf } from './schedule.ts';

/** What the flow is shown of a clip: tokens and the mel frames they stand for. */
export type FlowPrompt = {
  /** Tokens of the clip, 25 a second. */
  readonly speechTokens: Int32Array;
  /** (F, melBins) float32. Frames missing to tokens · ratio are 0; those beyond are left out. */
  readonly mel: Float32Array;
};

/** Whose voice, and how finely the flow is solved. */
export type FlowVoice = {
  readonly prompt?: FlowPrompt | undefined;
  /** (speakerDim) float32, any length: it is normalised here. */
  readonly embedding: Float32Array;
  /** Euler steps; the checkpoint's when absent. */
  readonly steps?: number | undefined;
};

/** What a flow is opened with. */
export type FlowOptions = {
  /** Folder with `flow-encoder.onnx` and `flow-solve.onnx`. */
  readonly directory: string;
  readonly config: FlowConfig;
  readonly open: OpenGraph;
  /** Blocks (25 tokens) before the current one that the estimator sees besides the kept prompt; −1: all. Default: what fits 480 MB, 240 MB in half precision. */
  readonly leftBlocks?: number;
  /** Newest prompt blocks that stay in sight for the whole stream; −1: all. Default: as `leftBlocks`. */
  readonly promptBlocks?: number;
  /** Blocks before the current one that the encoder sees; −1: all. Default: `DEFAULT_ENCODER_BLOCKS`. */
  readonly encoderBlocks?: number;
};

/** The flow's state after the whole blocks of a prompt; shared, read-only, by all streams of the voice. */
export type FlowVoiceState = {
  readonly state: FlowState;
  readonly embedding: Float32Array;
  readonly prompt: FlowPrompt | undefined;
  /** Memory it holds. */
  readonly bytes: number;
};

/** A block that can be computed now. */
export type NextBlock = {
  /** Blocks with the same shape can be computed together. */
  readonly shape: string;
  /** It ends before the model's block does, for a first sound sooner. */
  readonly isEarly: boolean;
  /** Nothing follows it. */
  readonly isLast: boolean;
};

/** How a voice is made ready for streams. */
export type VoiceStateOptions = {
  /**
   * Cuts the prompt at its start to whole blocks and the look-ahead of the last one, as enrolment does: then no block of it is
   * left for the first chunk of a stream. Off: the official streaming result for the whole prompt.
   */
  readonly wholeBlocks?: boolean | undefined;
};

/** Frames while tokens are still being made. */
export interface FlowStream {
  /** How many more tokens make the next frames come out. */
  readonly needed: number;
  /** Memory of its own, without the voice's. */
  readonly bytes: number;
  /** The block that `Flow.advance` would compute; undefined while its tokens are not complete, and at the end. */
  readonly next: NextBlock | undefined;
  /** Takes new tokens. `last` ends the utterance. */
  add(tokens: Int32Array, options: { readonly last: boolean }): void;
  /**
   * Takes new tokens, gives the frames (F, melBins) that became final, possibly none. `last` ends the utterance: the rest
   * comes out. Throws `input_too_long` past 300 s, prompt included.
   */
  push(tokens: Int32Array, options: { readonly last: boolean }): Promise<Float32Array>;
  /** Ends the stream early; its memory serves others. Not while it is advanced. */
  close(): void;
}

/** How a stream is cut into blocks. */
export type FlowStreamOptions = {
  /**
   * Ends of additional blocks, in tokens of speech (without the prompt): the frames before them come out as soon as they have
   * their look-ahead, and never change. The model was trained with several block sizes, one frame among them (CosyVoice 2,
   * arXiv 2412.10117, §2.4), so a shorter block is a mask it knows; the later ones lie where they would be without. Which
   * blocks there are depends on the number of tokens alone, never on how they were cut into pushes. None when absent:
   * exactly the official streaming result.
   */
  readonly early?: readonly number[] | undefined;
};

/** Speech tokens → mel frames, whole or in blocks. */
export interface Flow {
  readonly config: FlowConfig;
  /** All frames (F, melBins) of an utterance at once. No tokens: no frames. Throws `input_too_long` past 300 s. */
  offline(request: FlowVoice & { readonly speechTokens: Int32Array }): Promise<Float32Array>;
  /** Computes the prompt's blocks that do not depend on what follows: ⌊(P − look-ahead) / 25⌋ of them. */
  voiceState(voice: FlowVoice, options?: VoiceStateOptions): Promise<FlowVoiceState>;
  stream(voice: FlowVoiceState, options?: FlowStreamOptions): FlowStream;
  /**
   * Computes the next block of each stream, all of one shape, in one run: frames (F, melBins) each, without the prompt's. As many
   * streams as one of `batches`. What fails, fails its stream alone.
   */
  advance(streams: readonly FlowStream[]): Promise<PromiseSettledResult<Float32Array>[]>;
  /** Numbers of streams that one run can serve, ascending. */
  readonly batches: readonly number[];
  /**
   * Opens the graphs for several streams if they are faster on this machine (measured on blocks of silence) and their frames
   * stay those of each stream alone. With 8-bit weights they would not, and one by one is as fast there: 27 ms a block of the
   * bundled voice, against 34 ms in float32 and 26 ms in float32 by fours (two cores).
   */
  prepareBatches(): Promise<void>;
  /** Bytes that a stream holds at most, without its voice, with the checkpoint's steps. */
  readonly maxStreamBytes: number;
  /** Bytes that a run needs besides, for the blocks that it makes; one run is under way at a time. */
  readonly runBytes: number;
  close(): Promise<void>;
}

/** 12 s: less than 0.1 % from all of it on the bundled voice, and small. */
export const DEFAULT_ENCODER_BLOCKS = 12;

/** Throws `checkpoint_invalid` when a graph cannot be loaded. */
export async function openFlow(options: FlowOptions): Promise<Flow> {
  const solver = await Solver.open(options.directory, options.config, options.open);
  const fitting = defaultLeftBlocks(options.config, solver.pool.type);
  return new OpenedFlow(solver, {
    leftBlocks: options.leftBlocks ?? fitting,
    promptBlocks: options.promptBlocks ?? fitting,
    encoderBlocks: options.encoderBlocks ?? DEFAULT_ENCODER_BLOCKS,
  });
}

type Voice = Pick<FlowVoiceState, 'prompt' | 'embedding'>;

/** The next `count` tokens of an utterance behind `state`; `tokens` holds it from its first prompt token on. `last`: nothing follows. */
type Block = { readonly voice: Voice; readonly state: FlowState; readonly tokens: Int32Array; readonly count: number; readonly leftBlocks: number; readonly last: boolean };
type Advanced = { readonly mel: Float32Array; readonly state: FlowState };

/** An additional block end keeps this distance from other ends: shorter blocks cost nearly as much and bring nothing. */
const SHORTEST_BLOCK = 6;

/** A batch pays when two blocks in one run take less than this many times one block. */
const WORTHWHILE = 1.8;

type Bounds = { readonly leftBlocks: number; readonly promptBlocks: number; readonly encoderBlocks: number };

class OpenedFlow implements Flow {
  readonly #solver: Solver;
  readonly #bounds: Bounds;

  constructor(solver: Solver, bounds: Bounds) {
    this.#solver = solver;
    this.#bounds = bounds;
  }

  get config(): FlowConfig {
    return this.#solver.config;
  }

  async offline({ speechTokens, prompt, embedding, steps }: FlowVoice & { readonly speechTokens: Int32Array }): Promise<Float32Array> {
    if (speechTokens.length === 0) return new Float32Array(0);
    const { melBins, tokenMelRatio } = this.config;
    const tokens = joinTokens(prompt?.speechTokens, speechTokens);
    assertLength(tokens.length * tokenMelRatio);
    const condition = conditionFrames(prompt, this.config, 0, tokens.length * tokenMelRatio);
    const state = this.#solver.empty(steps ?? this.config.steps);
    const { mel } = await this.#solver.run({ run: { tokens, ahead: new Int32Array(0), condition, embedding }, state, encoderTokens: 0 });
    return mel.subarray((prompt?.speechTokens.length ?? 0) * tokenMelRatio * melBins);
  }

  async voiceState(voice: FlowVoice, { wholeBlocks = false }: VoiceStateOptions = {}): Promise<FlowVoiceState> {
    const { preLookaheadTokens, encoder } = this.config;
    const { prompt, embedding, steps } = wholeBlocks ? { ...voice, prompt: wholeBlocksOf(voice.prompt, this.config) } : voice;
    const blocks = Math.max(0, Math.floor(((prompt?.speechTokens.length ?? 0) - preLookaheadTokens) / encoder.chunkTokens));
    let state = this.#solver.empty(steps ?? this.config.steps);
    for (let block = 0; block < blocks; block++) {
      const [advanced] = await this.compute([{ voice: { prompt, embedding }, state, tokens: prompt?.speechTokens ?? new Int32Array(0), count: encoder.chunkTokens, leftBlocks: this.#bounds.promptBlocks, last: false }]);
      state = valueOf(advanced).state;
    }
    const pages = state.pages.length > 0 ? [joinPages(state.pages)] : [];
    this.recycle(state, []);
    const pinned = { ...state, pages, pinned: pages.length };
    return { state: pinned, embedding, prompt, bytes: stateBytes(pinned) };
  }

  stream(voice: FlowVoiceState, { early = [] }: FlowStreamOptions = {}): FlowStream {
    return new OpenStream(this, voice, { leftBlocks: this.#bounds.leftBlocks, early });
  }

  async advance(streams: readonly FlowStream[]): Promise<PromiseSettledResult<Float32Array>[]> {
    const blocks = streams.map((stream) => {
      assert(stream instanceof OpenStream, 'a stream of this flow');
      return stream.block();
    });
    const advanced = await this.compute(blocks);
    return streams.map((stream, index) => {
      const result = advanced[index];
      if (result?.status !== 'fulfilled') return { status: 'rejected', reason: result?.reason };
      return { status: 'fulfilled', value: (stream as OpenStream).take(result.value) };
    });
  }

  get batches(): readonly number[] {
    return this.#solver.batches;
  }

  async prepareBatches(): Promise<void> {
    if (!this.#solver.rowsAreApart) return;
    const { encoder, tokenMelRatio, melBins, speakerDim } = this.config;
    const block = async (blocks: number): Promise<number> => {
      const tokens = new Int32Array(blocks * encoder.chunkTokens);
      const run = { tokens, ahead: new Int32Array(0), condition: new Float32Array(tokens.length * tokenMelRatio * melBins), embedding: new Float32Array(speakerDim) };
      const startMs = performance.now();
      await this.#solver.run({ run, state: this.#solver.empty(1), encoderTokens: 0 });
      return performance.now() - startMs;
    };
    // twice the frames stand for two streams: attention apart the work is the same, and nothing needs to be opened to know
    const times: (readonly [one: number, two: number])[] = [];
    for (let i = 0; i < 3; i++) times.push([await block(1), await block(2)]);
    const [one, two] = [Math.min(...times.map(([time]) => time)), Math.min(...times.map(([, time]) => time))];
    if (two < WORTHWHILE * one) await this.#solver.openBatches();
  }

  get maxStreamBytes(): number {
    const { encoder, tokenMelRatio } = this.config;
    const { leftBlocks, encoderBlocks } = this.#bounds;
    const most = Math.ceil(MAX_NOISE_FRAMES / (encoder.chunkTokens * tokenMelRatio));
    const perToken = 2 * encoder.hiddenSize * (encoder.blocks + encoder.upBlocks * tokenMelRatio) * 4;
    return this.#pageBytes * (leftBlocks < 0 ? most : leftBlocks) + perToken * encoder.chunkTokens * (encoderBlocks < 0 ? most : encoderBlocks);
  }

  get runBytes(): number {
    return this.#pageBytes * (this.batches.at(-1) ?? 1);
  }

  /** Keys and values of one block. */
  get #pageBytes(): number {
    const { steps, encoder, tokenMelRatio } = this.config;
    return this.#solver.pool.bytes(encoder.chunkTokens * tokenMelRatio, steps);
  }

  /** Blocks of one shape, and what the blocks after them will see. */
  async compute(blocks: readonly Block[]): Promise<PromiseSettledResult<Advanced>[]> {
    const { preLookaheadTokens, tokenMelRatio, encoder } = this.config;
    const { encoderBlocks } = this.#bounds;
    const jobs = blocks.map(({ voice, state, tokens, count, last }) => {
      const end = state.tokens + count;
      assertLength(end * tokenMelRatio);
      return {
        run: {
          tokens: tokens.slice(state.tokens, end),
          ahead: tokens.slice(end, end + preLookaheadTokens),
          condition: conditionFrames(voice.prompt, this.config, state.tokens * tokenMelRatio, count * tokenMelRatio),
          embedding: voice.embedding,
        },
        state,
        encoderTokens: encoderBlocks < 0 ? MAX_NOISE_FRAMES : encoderBlocks * encoder.chunkTokens,
        page: last ? undefined : this.#solver.pool.take(count * tokenMelRatio, state.tails.dims[0] ?? 0),
      };
    });
    const results = await this.#solver.runEach(jobs);
    return results.map((result, index) => {
      const { state, leftBlocks } = blocks[index] ?? fail();
      const page = jobs[index]?.page;
      if (result.status === 'rejected') {
        if (page) this.#solver.pool.give([page]);
        return result;
      }
      const { mel, next } = result.value;
      const maxFrames = leftBlocks < 0 ? -1 : leftBlocks * encoder.chunkTokens * tokenMelRatio;
      const pages = page ? appendPage(state, page, { maxFrames, pageCount: this.#solver.pageCount }) : state.pages.slice(0, state.pinned);
      this.recycle(state, pages);
      return { status: 'fulfilled', value: { mel, state: { ...next, pinned: state.pinned, pages } } };
    });
  }

  /** Takes back the memory of the pages of `state` that are neither pinned nor among `kept`. */
  recycle(state: FlowState, kept: readonly Page[]): void {
    this.#solver.pool.give(state.pages.slice(state.pinned).filter((page) => !kept.includes(page)));
  }

  async close(): Promise<void> {
    await this.#solver.release();
  }
}

type StreamBounds = { readonly leftBlocks: number; readonly early: readonly number[] };

class OpenStream implements FlowStream {
  readonly #flow: OpenedFlow;
  readonly #voice: FlowVoiceState;
  readonly #bounds: StreamBounds;
  readonly #promptTokens: number;
  #state: FlowState;
  #tokens: Int32Array;
  #ended = false;
  #closed = false;

  constructor(flow: OpenedFlow, voice: FlowVoiceState, bounds: StreamBounds) {
    this.#flow = flow;
    this.#voice = voice;
    this.#bounds = bounds;
    this.#state = voice.state;
    this.#tokens = voice.prompt?.speechTokens ?? new Int32Array(0);
    this.#promptTokens = this.#tokens.length;
  }

  get needed(): number {
    return Math.max(1, this.#end + this.#flow.config.preLookaheadTokens - this.#tokens.length);
  }

  get bytes(): number {
    return stateBytes({ ...this.#state, pages: this.#state.pages.slice(this.#state.pinned) });
  }

  get next(): NextBlock | undefined {
    const count = this.#count;
    if (count === 0) return undefined;
    const isLast = this.#ended && this.#state.tokens + count === this.#tokens.length;
    return { shape: `${count} ${isLast} ${this.#state.tails.dims[0]}`, isEarly: !isLast && this.#end < this.#grid, isLast };
  }

  add(tokens: Int32Array, { last }: { readonly last: boolean }): void {
    assert(!this.#ended, 'the stream has ended');
    this.#tokens = joinTokens(this.#tokens, tokens);
    this.#ended = last;
  }

  async push(tokens: Int32Array, options: { readonly last: boolean }): Promise<Float32Array> {
    this.add(tokens, options);
    const made: Float32Array[] = [];
    while (this.next) made.push(valueOf((await this.#flow.advance([this]))[0]));
    return concatenate(made);
  }

  block(): Block {
    const { next } = this;
    assert(next, 'the tokens of a block are there');
    return { voice: this.#voice, state: this.#state, tokens: this.#tokens, count: this.#count, leftBlocks: this.#bounds.leftBlocks, last: next.isLast };
  }

  /** Goes on behind a computed block; gives its frames without the prompt's. */
  take({ mel, state }: Advanced): Float32Array {
    const { tokenMelRatio, melBins } = this.#flow.config;
    const prompt = Math.max(0, this.#promptTokens - this.#state.tokens);
    this.#state = state;
    return mel.subarray(prompt * tokenMelRatio * melBins);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#flow.recycle(this.#state, []);
    this.#state = { ...this.#state, pages: this.#state.pages.slice(0, this.#state.pinned) };
    this.#tokens = this.#tokens.slice(0, this.#state.tokens);
  }

  /** Tokens of the next block; 0: not yet, or never. */
  get #count(): number {
    const { preLookaheadTokens } = this.#flow.config;
    // A prompt without any speech after it makes nothing.
    if (this.#closed || this.#tokens.length === this.#promptTokens) return 0;
    if (this.#tokens.length >= this.#end + preLookaheadTokens) return this.#end - this.#state.tokens;
    return this.#ended ? Math.min(this.#tokens.length, this.#grid) - this.#state.tokens : 0;
  }

  /** Where the next block ends, counted from the first prompt token. */
  get #end(): number {
    const from = this.#state.tokens + SHORTEST_BLOCK;
    const early = this.#bounds.early.find((end) => this.#promptTokens + end >= from && this.#promptTokens + end <= this.#grid - SHORTEST_BLOCK);
    return early === undefined ? this.#grid : this.#promptTokens + early;
  }

  /** Where the model's block ends. */
  get #grid(): number {
    const { chunkTokens } = this.#flow.config.encoder;
    return (Math.floor(this.#state.tokens / chunkTokens) + 1) * chunkTokens;
  }
}

/** The end of a prompt: as many whole blocks as it has, and the look-ahead of the last one. Shorter prompts stay as they are. */
function wholeBlocksOf(prompt: FlowPrompt | undefined, { preLookaheadTokens, tokenMelRatio, melBins, encoder }: FlowConfig): FlowPrompt | undefined {
  if (!prompt) return prompt;
  const tokens = prompt.speechTokens.length;
  const cut = tokens - tokensInWholeBlocks(tokens, { blockTokens: encoder.chunkTokens, lookaheadTokens: preLookaheadTokens });
  return { ...prompt, speechTokens: prompt.speechTokens.subarray(cut), mel: prompt.mel.subarray(cut * tokenMelRatio * melBins) };
}

function valueOf<T>(result: PromiseSettledResult<T> | undefined): T {
  if (result?.status !== 'fulfilled') throw result?.reason;
  return result.value;
}

function fail(): never {
  throw new Error('a block without its job');
}

function assertLength(frames: number): void {
  if (frames > MAX_NOISE_FRAMES) {
    throw new CosyError('input_too_long', `Prompt and speech together are longer than ${MAX_NOISE_FRAMES / 50} s, the model's limit for one piece: split the text or shorten the prompt.`);
  }
}

function joinTokens(first: Int32Array | undefined, second: Int32Array): Int32Array {
  const joined = new Int32Array((first?.length ?? 0) + second.length);
  if (first) joined.set(first);
  joined.set(second, first?.length ?? 0);
  return joined;
}

/** (count, melBins): frames first … of the prompt's mel, zero behind its end and behind its last token. */
function conditionFrames(prompt: FlowPrompt | undefined, { melBins, tokenMelRatio }: FlowConfig, first: number, count: number): Float32Array {
  const condition = new Float32Array(count * melBins);
  const frames = Math.min(first + count, (prompt?.speechTokens.length ?? 0) * tokenMelRatio);
  if (prompt && frames > first) condition.set(prompt.mel.subarray(first * melBins, frames * melBins));
  return condition;
}
