/** A recording → a voice: decode, judge, compute. */
export { decodePrompt } from './decode.ts';
export type { DecodedClip, DecodeOptions } from './decode.ts';
export { embedSpeaker, keptTokens, makeVoicePrompt, melFrames, openVoiceSessions, prepareClip, speechTokens, whisperFrames } from './prompt.ts';
export type { Clip, VoicePromptRequest, VoiceSessions } from './prompt.ts';
export { kernelWidth, phaseTaps, reduceRates, resample } from './resample.ts';
export type { Ratio } from './resample.ts';
export { readWav } from './wav.ts';
export { assessPrompt, requireUsable } from './quality.ts';
export type { Advice, QualityReport } from './quality.ts';
