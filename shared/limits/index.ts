/** Limits at the doors, each with its reason. Units are in the names. */

/** Longest text of one request: 20 000 characters is about 25 minutes of speech; longer text belongs in several requests. */
export const MAX_TEXT_CHARACTERS = 20_000;

/** Body of a speech request: the text in UTF-8 with JSON escapes, and a reference clip of 30 s as base64 WAV at 48 kHz stereo. */
export const MAX_SPEECH_BODY_BYTES = 12 * 1024 * 1024;

/** The official front end refuses longer prompts (cosyvoice/cli/frontend.py:80 asserts 30 s). */
export const MAX_PROMPT_SECONDS = 30;

/** Playback rates for which the voice stays natural; OpenAI's own range is 0.25–4. */
export const MIN_SPEED = 0.5;
/** The other end of `MIN_SPEED`. */
export const MAX_SPEED = 2;

/** How far the clocks of an edge and a node may be apart before a signature is refused. */
export const SIGNATURE_WINDOW_MS = 5 * 60_000;

/** Rates an answer may have; the model makes 24 000 Hz. */
export const SAMPLE_RATES_HZ = [8000, 16000, 22050, 24000, 44100, 48000] as const;

/** Formats an answer may have. */
export const AUDIO_FORMATS = ['wav', 'pcm', 'mp3', 'opus', 'webm', 'aac', 'flac', 'mulaw', 'alaw'] as const;
/** One of `AUDIO_FORMATS`. */
export type AudioFormat = (typeof AUDIO_FORMATS)[number];
