/** Voices by key, with the flow's state after each prompt. The states are large, so the least recently used ones go first. */
import { CosyError } from '../../shared/errors/index.ts';
import type { Flow, FlowPrompt, FlowVoice, FlowVoiceState } from '../mel/index.ts';

/** States of voices kept for reuse; one of a 5 s prompt takes about 100 MB at full size. */
const STATE_BYTES = 1 << 30;
/** Prompts without their state are small (a 30 s clip: 0.6 MB). */
const MAX_VOICES = 1000;

type Stored = { readonly embedding: Float32Array; readonly prompt: FlowPrompt | undefined };
type Use = { readonly prompt: boolean; readonly steps: number | undefined };

export class VoiceShelf {
  readonly #flow: Pick<Flow, 'voiceState'>;
  readonly #budgetBytes: number;
  // a Map iterates in order of insertion: re-inserting on use makes its first entry the least recently used
  readonly #voices = new Map<string, Stored>();
  readonly #states = new Map<string, { readonly state: Promise<FlowVoiceState>; bytes: number }>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  constructor(flow: Pick<Flow, 'voiceState'>, budgetBytes = STATE_BYTES) {
    this.#flow = flow;
    this.#budgetBytes = budgetBytes;
  }

  /** Bytes of the states on the shelf; streams may hold more that have left it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** States found on the shelf, and states that had to be computed. */
  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /** Throws `voice_prompt_invalid` for values that are not numbers: networks with 8-bit weights would turn them into noise unseen. */
  put(key: string, voice: Stored): void {
    if (!this.#voices.has(key) && ![voice.embedding, voice.prompt?.mel ?? []].every((values) => values.every(Number.isFinite))) {
      throw new CosyError('voice_prompt_invalid', 'The voice holds values that are not numbers: enrol it again from its recording.');
    }
    this.#voices.delete(key);
    this.#voices.set(key, voice);
    for (const oldest of this.#voices.keys()) {
      if (this.#voices.size <= MAX_VOICES) break;
      this.#voices.delete(oldest);
    }
  }

  /** Throws `voice_not_found` for a key that has left the shelf. */
  voice(key: string, { prompt, steps }: Use): FlowVoice {
    const voice = this.#voices.get(key);
    if (!voice) throw new CosyError('voice_not_found', 'The voice has left this node’s memory: send the request again.');
    this.put(key, voice);
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
    const entry = { state: this.#flow.voiceState(this.voice(key, use)), bytes: 0 };
    this.#states.set(name, entry);
    try {
      const state = await entry.state;
      entry.bytes = state.bytes;
      this.#bytes += state.bytes;
      this.#evict(name);
      return state;
    } catch (error) {
      this.#states.delete(name);
      throw error;
    }
  }

  #evict(kept: string): void {
    for (const [name, { bytes }] of this.#states) {
      if (this.#bytes <= this.#budgetBytes) return;
      if (name === kept) continue;
      this.#states.delete(name);
      this.#bytes -= bytes;
    }
  }
}
