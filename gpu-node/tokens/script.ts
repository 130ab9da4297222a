/**
 * What one request feeds to the language model and how logits become its tokens. A script holds no cache and runs no
 * graph: `take` gives the ids to feed, `accept` reads the logits after them. This file: the whole text is known.
 * Official: cosyvoice/llm/llm.py Qwen2LM.inference, inference_wrapper, sampling_ids.
 */
import { strict as assert } from 'node:assert';
import type { LanguageModelConfig } from '../checkpoint/types.ts';
import { embeddingRows } from '../graphs/language-model.ts';
import type { Sampler } from './sampler.ts';

/** `stop`: the model ended it. `length`: the token limit was reached. `positions`: the cache's limit was reached. `loop`, `silence`: a guard fired. */
export type EndReason = 'stop' | 'length' | 'positions' | 'loop' | 'silence';

/** What one accepted step gave: a speech token, a fill token (bookkeeping of text in pieces), the end, token and end, or nothing while an earlier run is replayed. */
export type Outcome = { readonly token?: number; readonly fill?: number; readonly end?: EndReason };

/** What the next `accept`s will do with ids that are drawn in the graph, several in one run. */
export type Foresight = {
  /** Steps before which only the id of the step before is fed; at least 1. */
  readonly steps: number;
  /** How many of them mask each stop id, in the order of `stopIds`. */
  readonly masked: readonly number[];
  /** Ids of an earlier run that the first of them replay. */
  readonly forced: readonly number[];
  /** Ids drawn so far, oldest first, fill tokens included. */
  readonly history: readonly number[];
};

export interface Script {
  /** Ids of the combined table to feed now, all of them before `accept`; undefined while it waits for text or has ended. */
  take(): readonly number[] | undefined;
  /** logits (V) of the last fed position. */
  accept(logits: Float32Array): Outcome;
  /** Absent or undefined: every step needs its logits here. */
  foresee?(): Foresight | undefined;
  /** Set when there is nothing to generate from the start, as when a resumed run was complete. */
  readonly ended: EndReason | undefined;
}

export type Prompt = {
  /** Text ids of the prompt's transcript, or of the instruction; may be empty. */
  readonly promptText: readonly number[];
  /** Speech tokens of the prompt; may be empty. */
  readonly promptSpeech: readonly number[];
};

export type Replay = 'exact' | 'fast';

export type ScriptOptions = Prompt & {
  readonly config: LanguageModelConfig;
  readonly sampler: Sampler;
  /** Ids already drawn by an earlier run of the same request (speech tokens, and fill tokens of text in pieces). */
  readonly previous: readonly number[];
  /**
   * `exact` (default): previous ids are fed one by one as the earlier run fed them, so the cache is the same to the last
   * bit and the continuation too. `fast`: they are fed with the prompt; the cache differs by rounding, and a later draw may.
   */
  readonly replay?: Replay | undefined;
  /** Instead of the ratios of the config. */
  readonly minTokens?: number | undefined;
  readonly maxTokens?: number | undefined;
};

export type WholeTextOptions = ScriptOptions & {
  readonly text: readonly number[];
  /** The official rule under the minimum length masks only the first stop id, so the other two can end it early (MODEL.md §10.6). */
  readonly officialStopMask?: boolean;
};

/** start, prompt text, text, task, prompt speech, then each drawn token. */
export function wholeTextScript(options: WholeTextOptions): Script {
  const { config, sampler, text, previous } = options;
  const { minTokens, maxTokens } = tokenLimits(options, text.length);
  const rows = embeddingRows(config);
  const exact = options.replay !== 'fast';
  const complete = previous.length >= maxTokens;
  const history = exact ? [] : [...previous];
  const replay = exact ? [...previous] : [];
  const speechRow = (id: number): number => rows.speech + id;
  const masked = stopIds(config).slice(0, options.officialStopMask ? 1 : 3);
  let input: readonly number[] | undefined = complete ? undefined : [rows.start, ...options.promptText, ...text, rows.task, ...options.promptSpeech.map(speechRow), ...history.map(speechRow)];
  return {
    ended: complete ? 'length' : undefined,
    take() {
      const taken = input;
      input = undefined;
      return taken;
    },
    foresee() {
      const under = Math.max(0, minTokens - history.length);
      return { steps: maxTokens - history.length, masked: stopIds(config).map((id) => (masked.includes(id) ? under : 0)), forced: replay, history };
    },
    accept(logits) {
      const replayed = replay.shift();
      const id = replayed ?? sampler({ logits, masked: history.length < minTokens ? masked : [], history });
      if (id >= config.speechTokenSize) return { end: 'stop' };
      history.push(id);
      input = [speechRow(id)];
      if (replayed !== undefined) return {};
      return history.length >= maxTokens ? { token: id, end: 'length' } : { token: id };
    },
  };
}

/** Truncated as the official code does; `textTokens` counts the target text, not the prompt's. */
export function tokenLimits({ config, minTokens, maxTokens }: Pick<ScriptOptions, 'config' | 'minTokens' | 'maxTokens'>, textTokens: number): { readonly minTokens: number; readonly maxTokens: number } {
  const limits = { minTokens: minTokens ?? Math.trunc(config.minTokenTextRatio * textTokens), maxTokens: maxTokens ?? Math.trunc(config.maxTokenTextRatio * textTokens) };
  assert(limits.maxTokens >= 0 && limits.minTokens >= 0);
  return limits;
}

/** End of speech, the unused third stop id, fill. */
export function stopIds({ speechTokenSize }: LanguageModelConfig): readonly [number, number, number] {
  return [speechTokenSize, speechTokenSize + 1, speechTokenSize + 2];
}
