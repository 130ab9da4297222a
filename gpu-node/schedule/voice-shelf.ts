/**
 * Voices by key, with the flow's state after each prompt. Both are kept within a number of bytes; the least recently used go
 * first. What is used by a running stream stays alive with the stream.
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { Flow, FlowPrompt, FlowVoice, FlowVoiceState } from '../mel/index.ts';

/** States of voices kept for reuse; one of a 5 s prompt takes about 100 MB at full size. */
const STATE_BYTES = 1 << 30;
/** Prompts without their state: 10 s take 165 KB, so this is about 1500 voices. */
const PROMPT_BYTES = 256 * 2 ** 20;

/** What the spine needs to know of a voice; the rest stays in the acoustic thread under `key`. */
export type PreparedVoice = {
  readonly key: string;
  readonly hasPrompt: boolean;
  /** Of the prompt; of a voice without one: what the language model reads before every text. */
  readonly transcript: { readonly text?: string | undefined; readonly ids?: readonly number[] | undefined } | undefined;
  /** Prompt tokens for the language model. */
  readonly speechTokens: readonly number[];
};

export type ShelfVoice = { readonly embedding: Float32Array; readonly prompt: FlowPrompt | undefined; readonly prepared: PreparedVoice };
export type ShelfBudget = { readonly stateBytes?: number; readonly promptBytes?: number };
type Use = { readonly prompt: boolean; readonly steps: number | undefined };

export class VoiceShelf {
  readonly #flow: Pick<Flow, 'voiceState'>;
  readonly #budget: Required<ShelfBudget>;
  // a Map iterates in order of insertion: re-inserting on use makes its first entry the least recently used
  readonly #voices = new Map<string, ShelfVoice>();
  readonly #states = new Map<string, { readonly state: Promise<FlowVoiceState>; bytes: number }>();
  #promptBytes = 0;
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  constructor(flow: Pick<Flow, 'voiceState'>, { stateBytes = STATE_BYTES, promptBytes = PROMPT_BYTES }: ShelfBudget = {}) {
    this.#flow = flow;
    this.#budget = { stateBytes, promptBytes };
  }

  /** Bytes of the states on the shelf; streams may hold more that have left it. */
  get bytes(): number {
    return this.#bytes;
  }

  get promptBytes(): number {
    return this.#promptBytes;
  }

  /** States found on the shelf, and states that had to be computed. */
  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /** Keys, the latest used first. */
  keys(): string[] {
    return [...this.#voices.keys()].toReversed();
  }

  /** Throws `voice_prompt_invalid` for values that are not numbers: networks with 8-bit weights would turn them into noise unseen. */
  put(voice: ShelfVoice): PreparedVoice {
    const { key } = voice.prepared;
    if (!this.#voices.has(key) && ![voice.embedding, voice.prompt?.mel ?? []].every((values) => values.every(Number.isFinite))) {
      throw new CosyError('voice_prompt_invalid', 'The voice holds values that are not numbers: enrol it again from its recording.');
    }
    this.#remove(key);
    this.#voices.set(key, voice);
    this.#promptBytes += sizeOf(voice);
    for (const oldest of this.#voices.keys()) {
      if (this.#promptBytes <= this.#budget.promptBytes || oldest === key) break;
      this.#remove(oldest);
    }
    return voice.prepared;
  }

  /** Undefined for a key that was never here or has left. */
  prepared(key: string): PreparedVoice | undefined {
    const voice = this.#voices.get(key);
    return voice && this.put(voice);
  }

  /** Throws `voice_prompt_needed` for a key that has left the shelf. */
  voice(key: string, { prompt, steps }: Use): FlowVoice {
    const voice = this.#voices.get(key);
    if (!voice) throw new CosyError('voice_prompt_needed', 'The voice has left this node’s memory: send the request again.');
    this.put(voice);
    return { embedding: voice.embedding, prompt: prompt ? voice.prompt : undefined, steps };
  }

  /** Computed by the first request that asks; others that come meanwhile share the work. */
  async state(key: string, use: Use): Promise<FlowVoiceState> {
    const name = `${key}|${use.prompt}|${use.steps ?? ''}`;
    const known = this.#states.get(name);
    if (known) {
      this.#hits += 1;
      this.#states.delete(name);
      this.#states.set(name, known);
      return known.state;
    }
    this.#misses += 1;
    const entry = { state: this.#flow.voiceState(this.voice(key, use), { wholeBlocks: true }), bytes: 0 };
    this.#states.set(name, entry);
    try {
      const state = await entry.state;
      // forgotten meanwhile: the stream that asked still gets it
      if (this.#states.get(name) !== entry) return state;
      entry.bytes = state.bytes;
      this.#bytes += state.bytes;
      this.#evict(name);
      return state;
    } catch (error) {
      if (this.#states.get(name) === entry) this.#states.delete(name);
      throw error;
    }
  }

  /** The voice and its states, at once. Nothing happens when it is not here. */
  forget(key: string): void {
    this.#remove(key);
    for (const [name, { bytes }] of this.#states) {
      if (!name.startsWith(`${key}|`)) continue;
      this.#states.delete(name);
      this.#bytes -= bytes;
    }
  }

  #remove(key: string): void {
    const voice = this.#voices.get(key);
    if (!voice) return;
    this.#voices.delete(key);
    this.#promptBytes -= sizeOf(voice);
  }

  /** Gives up states, the least recently used first, until they hold at most so many bytes. Streams keep what they use. */
  shrink(bytes: number): void {
    this.#evict(undefined, bytes);
  }

  #evict(kept: string | undefined, budgetBytes = this.#budget.stateBytes): void {
    for (const [name, { bytes }] of this.#states) {
      if (this.#bytes <= budgetBytes) return;
      if (name === kept) continue;
      this.#states.delete(name);
      this.#bytes -= bytes;
    }
  }
}

/** Numbers of 4 bytes; tokens of the language model are kept as plain numbers of 8. */
function sizeOf({ embedding, prompt, prepared }: ShelfVoice): number {
  return 4 * (embedding.length + (prompt?.mel.length ?? 0) + (prompt?.speechTokens.length ?? 0)) + 8 * prepared.speechTokens.length;
}
