/** Limits at the doors, each with its reason. Units are in the names. */

/** Longest text of one request: 20 000 characters is about 25 minutes of speech; longer text belongs in several requests. */
export const MAX_TEXT_CHARACTERS = 20_000;

/** Body of a speech request: the text in UTF-8 with JSON escapes, and a reference clip of 30 s as base64 WAV at 48 kHz stereo. */
export const MAX_SPEECH_BODY_BYTES = 12 * 1024 * 1024;

/** A body that sends nothing for this long is cut: a phone that changes cells is back within it. */
export const MAX_BODY_STALL_MS = 10_000;

/** A whole body: the largest one at 1 Mbit/s, so that slow uplinks work and a drip does not hold a request open for ever. */
export const MAX_BODY_MS = 120_000;

/** The official front end refuses longer prompts (cosyvoice/cli/frontend.py:80 asserts 30 s). */
export const MAX_PROMPT_SECONDS = 30;

/** Of an uploaded recording, as OpenAI's own limit; 30 s of 96 kHz stereo at 24 bits are 17 MB and belong into FLAC. */
export const MAX_CLIP_BYTES = 10 * 1024 * 1024;

/** 30 s of the fastest reading are under 1000 characters. */
export const MAX_TRANSCRIPT_CHARACTERS = 2000;

/** Playback rates for which the voice stays natural; OpenAI's own range is 0.25–4. */
export const MIN_SPEED = 0.5;
/** The other end of `MIN_SPEED`. */
export const MAX_SPEED = 2;

/** How far the clocks of an edge and a node may be apart before a signature is refused: five minutes, and one on the way. */
export const SIGNATURE_WINDOW_MS = 6 * 60_000;

/** Rates an answer may have; the model makes 24 000 Hz. */
export const SAMPLE_RATES_HZ = [8000, 16000, 22050, 24000, 44100, 48000] as const;

/** Formats an answer may have. */
export const AUDIO_FORMATS = ['wav', 'pcm', 'mp3', 'opus', 'webm', 'aac', 'flac', 'mulaw', 'alaw'] as const;
/** One of `AUDIO_FORMATS`. */
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** Text of one background job: about ten hours of speech; more belongs in several jobs. */
export const MAX_JOB_CHARACTERS = 500_000;

/** Items of one background job; their rows are written in one batch. */
export const MAX_JOB_ITEMS = 100;

/** A kept sound is asked for again soon or not at all; the bucket's own lifecycle rule removes what is older. */
export const MAX_RESULT_AGE_MS = 30 * 24 * 3_600_000;

/** Eleven minutes of 24 kHz pcm, half an hour of mp3: what is longer is made again. */
export const MAX_RESULT_BYTES = 32 * 1024 * 1024;
