/** Voice prompts between processes: the value, its stored form, its keys. */
export type { VoicePrompt } from './prompt.ts';
export { MAX_VOICE_PROMPT_BYTES, readVoicePrompt, readVoicePromptHeader, writeVoicePrompt } from './layout.ts';
export type { VoicePromptHeader, WriteOptions } from './layout.ts';
export { uploadKey, voiceKey } from './key.ts';
export type { DecodedAudio, VoiceIdentity } from './key.ts';
