/**
 * Speech tokens (25 a second) → mel frames (50 a second): the flow stage. Comes in: tokens, the prompt's tokens and mel, the
 * speaker's embedding. Goes out: log-mel frames without the prompt's. Two ways: `offline`, everything at once with full
 * attention; `stream`, block by block, where each block is computed once and sees earlier blocks through what they left
 * behind. With all blocks kept the stream equals the official streaming result; how tokens are cut into pushes never matters.
 * Does not make tokens or sound. One run at a time per thread: `run` occupies it.
 */
import { strict as assert } from 'node:assert';
import { CosyError } from '../../shared/errors/index.ts';
import { defaultLeftBlocks } from '../graphs/flow.ts';
import { MAX_NOISE_FRAMES } from './noise.ts';
import { Solver } from './solver.ts';
import { appendPage, joinPages, stateBytes } from './state.ts';
import type { FlowConfig } from '../checkpoint/types.ts';
import type { OpenGraph } from '../runtime/session.ts';
import type { FlowState, Page } from './state.ts';

export { MAX_NOISE_FRAMES, normals } from './noise.ts';
export { cosineSchedule } from './schedule.ts';

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
  /** Blocks (25 tokens) before the current one that the estimator sees besides the kept prompt; −1: all. Default: what fits 480 MB. */
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

/** Frames while tokens are still being made. */
export interface FlowStream {
  /** How many more tokens make the next frames come out. */
  readonly needed: number;
  /** Memory of its own, without the voice's. */
  readonly bytes: number;
  /**
   * Takes new tokens, gives the frames (F, melBins) that became final, possibly none. `last` ends the utterance: the rest
   * comes out. Throws `input_too_long` past 300 s, prompt included.
   */
  push(tokens: Int32Array, options: { readonly last: boolean }): Promise<Float32Array>;
  /**
   * Frames (F, melBins) of the block that is still open, as far as its tokens have their look-ahead: what `push` will give
   * for them, but made without the rest of the block, so only near it. For a first sound before a block is full; changes nothing.
   */
  preview(): Promise<Float32Array>;
  /** Ends the stream early; its memory serves others. Not during a `push`. */
  close(): void;
}

/** Speech tokens → mel frames, whole or in blocks. */
export interface Flow {
  readonly config: FlowConfig;
  /** All frames (F, melBins) of an utterance at once. No tokens: no frames. Throws `input_too_long` past 300 s. */
  offline(request: FlowVoice & { readonly speechTokens: Int32Array }): Promise<Float32Array>;
  /** Computes the prompt's blocks that do not depend on what follows: ⌊(P − look-ahead) / 25⌋ of them. */
  voiceState(voice: FlowVoice): Promise<FlowVoiceState>;
  stream(voice: FlowVoiceState): FlowStream;
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

/** `tokens` holds the utterance from its first prompt token on. */
type Block = { readonly tokens: Int32Array; readonly count: number };

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
    const { mel } = await this.#solver.run({ tokens, ahead: new Int32Array(0), condition, embedding }, state, { encoderTokens: 0 });
    return mel.subarray((prompt?.speechTokens.length ?? 0) * tokenMelRatio * melBins);
  }

  async voiceState({ prompt, embedding, steps }: FlowVoice): Promise<FlowVoiceState> {
    const { preLookaheadTokens, encoder } = this.config;
    const blocks = Math.max(0, Math.floor(((prompt?.speechTokens.length ?? 0) - preLookaheadTokens) / encoder.chunkTokens));
    let state = this.#solver.empty(steps ?? this.config.steps);
    for (let block = 0; block < blocks; block++) state = (await this.advance({ prompt, embedding }, state, { tokens: prompt?.speechTokens ?? new Int32Array(0), count: encoder.chunkTokens, leftBlocks: this.#bounds.promptBlocks })).state;
    const pages = state.pages.length > 0 ? [joinPages(state.pages)] : [];
    this.recycle(state, []);
    const pinned = { ...state, pages, pinned: pages.length };
    return { state: pinned, embedding, prompt, bytes: stateBytes(pinned) };
  }

  stream(voice: FlowVoiceState): FlowStream {
    return new OpenStream(this, voice, this.#bounds.leftBlocks);
  }

  /** Computes the next `count` tokens and what the block after them will see; `last`: there is none. */
  async advance(voice: Voice, state: FlowState, block: Block & { readonly leftBlocks: number; readonly last?: boolean }): Promise<{ readonly mel: Float32Array; readonly state: FlowState }> {
    const { tokenMelRatio, encoder } = this.config;
    const { count, leftBlocks, last = false } = block;
    const page = last ? undefined : this.#solver.pool.take(count * tokenMelRatio, state.tails.dims[0] ?? 0);
    const { mel, next } = await this.compute(voice, state, block, page);
    const maxFrames = leftBlocks < 0 ? -1 : leftBlocks * encoder.chunkTokens * tokenMelRatio;
    const pages = page ? appendPage(state, page, { maxFrames, pageCount: this.#solver.pageCount }) : state.pages.slice(0, state.pinned);
    this.recycle(state, pages);
    return { mel, state: { ...next, pinned: state.pinned, pages } };
  }

  /** The frames of `count` tokens after `state`; their keys and values go to `page`. */
  async compute(voice: Voice, state: FlowState, { tokens, count }: Block, page?: Page): ReturnType<Solver['run']> {
    const { preLookaheadTokens, tokenMelRatio, encoder } = this.config;
    const end = state.tokens + count;
    assertLength(end * tokenMelRatio);
    const run = {
      tokens: tokens.slice(state.tokens, end),
      ahead: tokens.slice(end, end + preLookaheadTokens),
      condition: conditionFrames(voice.prompt, this.config, state.tokens * tokenMelRatio, count * tokenMelRatio),
      embedding: voice.embedding,
    };
    const { encoderBlocks } = this.#bounds;
    return this.#solver.run(run, state, { encoderTokens: encoderBlocks < 0 ? MAX_NOISE_FRAMES : encoderBlocks * encoder.chunkTokens, page });
  }

  /** Takes back the memory of the pages of `state` that are neither pinned nor among `kept`. */
  recycle(state: FlowState, kept: readonly Page[]): void {
    this.#solver.pool.give(state.pages.slice(state.pinned).filter((page) => !kept.includes(page)));
  }

  async close(): Promise<void> {
    await this.#solver.release();
  }
}

class OpenStream implements FlowStream {
  readonly #flow: OpenedFlow;
  readonly #voice: FlowVoiceState;
  readonly #leftBlocks: number;
  readonly #promptTokens: number;
  #state: FlowState;
  #tokens: Int32Array;
  #ended = false;

  constructor(flow: OpenedFlow, voice: FlowVoiceState, leftBlocks: number) {
    this.#flow = flow;
    this.#voice = voice;
    this.#leftBlocks = leftBlocks;
    this.#state = voice.state;
    this.#tokens = voice.prompt?.speechTokens ?? new Int32Array(0);
    this.#promptTokens = this.#tokens.length;
  }

  get needed(): number {
    const { encoder, preLookaheadTokens } = this.#flow.config;
    return Math.max(1, this.#state.tokens + encoder.chunkTokens + preLookaheadTokens - this.#tokens.length);
  }

  get bytes(): number {
    return stateBytes({ ...this.#state, pages: this.#state.pages.slice(this.#state.pinned) });
  }

  async push(tokens: Int32Array, { last }: { readonly last: boolean }): Promise<Float32Array> {
    assert(!this.#ended, 'the stream has ended');
    const { encoder, preLookaheadTokens, tokenMelRatio, melBins } = this.#flow.config;
    this.#tokens = joinTokens(this.#tokens, tokens);
    this.#ended = last;
    const made: Float32Array[] = [];
    // A prompt without any speech after it makes nothing.
    if (this.#tokens.length === this.#promptTokens) return new Float32Array(0);
    for (;;) {
      const waiting = this.#tokens.length - this.#state.tokens;
      const isFinal = last && waiting <= encoder.chunkTokens;
      if (waiting === 0 || (!last && waiting < encoder.chunkTokens + preLookaheadTokens)) break;
      const count = Math.min(waiting, encoder.chunkTokens);
      const before = this.#state.tokens;
      const { mel, state } = await this.#flow.advance(this.#voice, this.#state, { tokens: this.#tokens, count, leftBlocks: this.#leftBlocks, last: isFinal });
      this.#state = state;
      made.push(mel.subarray(Math.max(0, this.#promptTokens - before) * tokenMelRatio * melBins));
    }
    return joinFrames(made);
  }

  async preview(): Promise<Float32Array> {
    const { preLookaheadTokens, tokenMelRatio, melBins } = this.#flow.config;
    const { tokens: before } = this.#state;
    const count = this.#tokens.length - before - preLookaheadTokens;
    if (this.#ended || before + count <= this.#promptTokens) return new Float32Array(0);
    const { mel } = await this.#flow.compute(this.#voice, this.#state, { tokens: this.#tokens, count });
    return mel.subarray(Math.max(0, this.#promptTokens - before) * tokenMelRatio * melBins);
  }

  close(): void {
    this.#ended = true;
    this.#flow.recycle(this.#state, []);
    this.#state = { ...this.#state, pages: this.#state.pages.slice(0, this.#state.pinned) };
  }
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

function joinFrames(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** (count, melBins): frames first … of the prompt's mel, zero behind its end and behind its last token. */
function conditionFrames(prompt: FlowPrompt | undefined, { melBins, tokenMelRatio }: FlowConfig, first: number, count: number): Float32Array {
  const condition = new Float32Array(count * melBins);
  const frames = Math.min(first + count, (prompt?.speechTokens.length ?? 0) * tokenMelRatio);
  if (prompt && frames > first) condition.set(prompt.mel.subarray(first * melBins, frames * melBins));
  return condition;
}
