/**
 * Text ids + voice prompt → speech tokens, 25 a second. Spine: `LanguageModel` (rows, cache, steps) runs scripts
 * (whole text, text in pieces), each drawing with the repetition-aware sampler and watched by guards.
 */
export { MIN_FOCUS, align } from './alignment.ts';
export type { Alignment } from './alignment.ts';
export { LanguageModel, LANGUAGE_MODEL_LIMITS, operatorThreads } from './language-model.ts';
export type { LanguageModelLimits, TokenEvent, TokenRequest } from './language-model.ts';
export { generate } from './generate.ts';
export type { TextPieces } from './generate.ts';
export { GUARD_LIMITS, TokenGuard } from './guards.ts';
export type { GuardLimits, GuardReason } from './guards.ts';
export { STEPS_PER_RUN } from './loop.ts';
export { OFFICIAL, PiecesScript, REPAIRED } from './pieces.ts';
export type { PiecesRules } from './pieces.ts';
export { isRepeated, maskedSoftmax, nucleus, plainNucleus, repetitionAwareSampler } from './sampler.ts';
export type { Draw, Nucleus, Sampler, SamplingConfig } from './sampler.ts';
export { stopIds, tokenLimits, wholeTextScript } from './script.ts';
export type { EndReason, Outcome, Prompt, Replay, Script, ScriptOptions } from './script.ts';
export { uniformPair } from './random.ts';
