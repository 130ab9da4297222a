/**
 * Script for text that arrives in pieces: start, [5 text, 15 speech, then a fill that is drawn but never fed]*, rest of the
 * text, task, rest of the speech (numbers from `mixRatio`). The prompt's text and speech fill the first blocks.
 * Official: cosyvoice/llm/llm.py Qwen2LM.inference_bistream, and prepare_lm_input_target for the order of training.
 */
import { embeddingRows } from '../graphs/language-model.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { stopIds, tokenLimits } from './script.ts';
import type { EndReason, Foresight, Outcome, Script, ScriptOptions } from './script.ts';

/** Which of the official defects (MODEL.md §10, 3–5) are kept. None by default. */
export type PiecesRules = {
  /** The last phase feeds the latest input again although the cache has it. */
  readonly repeatLatest: boolean;
  /** After prompt speech of exactly n blocks a further block is spoken before new text is taken. */
  readonly speakAfterFullPrompt: boolean;
  /** Prompt speech that the text did not suffice for is dropped instead of fed after the task row. */
  readonly dropPromptRest: boolean;
  /** No length limits; every stop id may be drawn and 6562 is an error. */
  readonly unlimited: boolean;
};

export const REPAIRED: PiecesRules = { repeatLatest: false, speakAfterFullPrompt: false, dropPromptRest: false, unlimited: false };
export const OFFICIAL: PiecesRules = { repeatLatest: true, speakAfterFullPrompt: true, dropPromptRest: true, unlimited: true };

export class PiecesScript implements Script {
  #ended: EndReason | undefined;
  readonly #options: ScriptOptions;
  readonly #rules: PiecesRules;
  readonly #rows: ReturnType<typeof embeddingRows>;
  readonly #text: number[];
  readonly #promptSpeech: number[];
  /** Drawn so far, fills included. */
  readonly #history: number[] = [];
  /** Drawn by an earlier run and not yet replayed. */
  readonly #replay: number[];
  /** Rows that wait for the moment when decoding can go on. */
  #input: number[];
  /** Rows of the run before, as the official last phase feeds them again. */
  #latest: readonly number[] = [];
  #phase: 'blocks' | 'rest' = 'blocks';
  #needsText: boolean;
  #textEnded = false;
  #targetTextTokens = 0;
  #spoken = 0;
  #nextFill: number;
  #ready = false;

  constructor(options: ScriptOptions, rules: PiecesRules = REPAIRED) {
    const { config, promptSpeech, promptText } = options;
    this.#options = options;
    this.#rules = rules;
    this.#rows = embeddingRows(config);
    this.#text = [...promptText];
    this.#promptSpeech = promptSpeech.map((id) => this.#rows.speech + id);
    this.#replay = [...options.previous];
    this.#input = [this.#rows.start];
    const inLastBlock = promptSpeech.length % config.mixRatio[1];
    this.#needsText = rules.speakAfterFullPrompt ? promptSpeech.length === 0 : inLastBlock === 0;
    this.#nextFill = config.mixRatio[1] - inLastBlock;
  }

  /** Set when a resumed run turns out to have been complete. */
  get ended(): EndReason | undefined {
    return this.#ended;
  }

  /** Text ids that wait for their block; a source of text should pause when they pile up. */
  get bufferedText(): number {
    return this.#text.length;
  }

  /** More text ids. After `end` it is an error of the caller. */
  push(ids: readonly number[]): void {
    if (this.#textEnded) throw new CosyError('invalid_value', 'Text was sent after its end: open a new request for it.');
    this.#targetTextTokens += ids.length;
    this.#text.push(...ids);
    this.#advance();
  }

  /** No more text: the rest is fed and decoding goes on to the end of speech. */
  end(): void {
    this.#textEnded = true;
    this.#advance();
  }

  take(): readonly number[] | undefined {
    if (!this.#ready || this.#ended) return undefined;
    this.#ready = false;
    this.#latest = this.#input;
    this.#input = [];
    return this.#latest;
  }

  foresee(): Foresight | undefined {
    if (this.#rules.unlimited) return undefined;
    const shared = { forced: this.#replay, history: this.#history };
    // the fill that ends a block is a step whose draw does not matter
    if (this.#phase === 'blocks') return { ...shared, steps: this.#nextFill - this.#history.length + 1, masked: [Infinity, Infinity, 0] };
    const { minTokens, maxTokens } = tokenLimits(this.#options, this.#targetTextTokens);
    return { ...shared, steps: Math.max(1, maxTokens - this.#spoken), masked: [Math.max(0, minTokens - this.#spoken), Infinity, Infinity] };
  }

  accept(logits: Float32Array): Outcome {
    const replayed = this.#replay.shift();
    const outcome = this.#apply(replayed ?? this.#choose(logits));
    return replayed === undefined ? outcome : { ...(outcome.end && { end: outcome.end }) };
  }

  #choose(logits: Float32Array): number {
    const { config, sampler } = this.#options;
    const [endOfSpeech, unused, fill] = stopIds(config);
    const unlimited = this.#rules.unlimited;
    if (this.#phase === 'blocks') {
      if (this.#history.length === this.#nextFill) return fill;
      return sampler({ logits, masked: unlimited ? [endOfSpeech] : [endOfSpeech, unused], history: this.#history });
    }
    const { minTokens } = tokenLimits(this.#options, this.#targetTextTokens);
    const masked = unlimited ? [] : this.#spoken < minTokens ? [endOfSpeech, unused, fill] : [unused, fill];
    return sampler({ logits, masked, history: this.#history });
  }

  #apply(id: number): Outcome {
    const { config } = this.#options;
    const [endOfSpeech, , fill] = stopIds(config);
    if (id === endOfSpeech && this.#phase === 'rest') return { end: 'stop' };
    if (id === fill && this.#phase === 'blocks') {
      this.#nextFill = this.#history.length + config.mixRatio[1] + 1;
      this.#history.push(id);
      this.#needsText = true;
      this.#advance();
      return { fill: id };
    }
    // Only reached under the official rules, which raise an exception here.
    if (id >= config.speechTokenSize) throw new CosyError('generation_failed', `The language model drew the reserved token ${id}: try again with another seed.`);
    this.#history.push(id);
    this.#spoken += 1;
    this.#input = [this.#rows.speech + id];
    this.#ready = true;
    const full = this.#phase === 'rest' && !this.#rules.unlimited && this.#spoken >= tokenLimits(this.#options, this.#targetTextTokens).maxTokens;
    return full ? { token: id, end: 'length' } : { token: id };
  }

  /** Moves text and prompt speech into the input, as far as the order of training allows; a fast replay happens here, without logits. */
  #advance(): void {
    if (this.#phase === 'blocks' && !this.#decoding()) this.#fillBlocks();
    if (this.#options.replay === 'fast' && this.#replay.length > 0 && this.#ready) this.#replayAll();
  }

  /** True between a token and the fill that ends its block: text only waits then. */
  #decoding(): boolean {
    return this.#ready || (!this.#needsText && this.#promptSpeech.length === 0 && this.#latest.length > 0);
  }

  #fillBlocks(): void {
    const [textRows, speechRows] = this.#options.config.mixRatio;
    while (this.#promptSpeech.length > 0 && this.#text.length >= textRows) {
      this.#input.push(...this.#text.splice(0, textRows), ...this.#promptSpeech.splice(0, speechRows));
    }
    if (this.#promptSpeech.length === 0) {
      if (this.#needsText && this.#text.length >= textRows) {
        this.#input.push(...this.#text.splice(0, textRows));
        this.#needsText = false;
      }
      this.#ready = !this.#needsText;
    }
    if (!this.#ready && this.#textEnded) this.#feedRest();
  }

  #feedRest(): void {
    const repeated = this.#rules.repeatLatest && this.#input.length === 0 ? this.#latest : [];
    const speech = this.#rules.dropPromptRest ? [] : this.#promptSpeech.splice(0);
    this.#input = [...repeated, ...this.#input, ...this.#text.splice(0), this.#rows.task, ...speech];
    this.#phase = 'rest';
    this.#ready = true;
  }

  /** The rows of an earlier run's ids go in front of what comes next, so that one prefill feeds all of them. */
  #replayAll(): void {
    const fed: number[] = [];
    while (this.#ready && this.#replay.length > 0) {
      fed.push(...this.#input);
      this.#latest = this.#input;
      this.#input = [];
      this.#ready = false;
      this.#ended = this.#apply(this.#replay.shift()!).end;
    }
    this.#input = [...fed, ...this.#input];
  }
}
