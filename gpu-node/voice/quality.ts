/**
 * How good a recording is as a voice prompt: measured from the samples and the transcript alone, so it can be told before any
 * model runs. Estimates, not verdicts: only what cannot work is refused, the rest is advice.
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { Clip } from './prompt.ts';
import { meanSpectrum } from './spectrum.ts';

export type Advice = {
  readonly code: 'short' | 'long' | 'pauses' | 'clipped' | 'quiet' | 'noisy' | 'narrow' | 'transcript_missing' | 'transcript_too_long' | 'transcript_too_short';
  /** One line for the person who recorded it. */
  readonly message: string;
};

export type QualityReport = {
  /** `poor`: it will be heard; `fair`: it could be better; `unusable`: see `refusal`. */
  readonly verdict: 'good' | 'fair' | 'poor' | 'unusable';
  readonly durationSeconds: number;
  readonly speechSeconds: number;
  /** Part of the clip that is speech, 0…1, short gaps between words included. */
  readonly speechShare: number;
  /** Largest sample, 0…1 and more. */
  readonly peak: number;
  /** Level of the speech, dB of full scale. */
  readonly levelDb: number;
  /** Level of the quietest tenth, dB of full scale. */
  readonly noiseDb: number;
  /** levelDb − noiseDb */
  readonly snrDb: number;
  /** Part of the samples that lie on a flat top, 0…1. */
  readonly clippedShare: number;
  /** Highest frequency at which the voice still has something. */
  readonly bandwidthHz: number;
  /** Letters, syllables or ideographs of the transcript per second of speech; 0 without a transcript. */
  readonly charactersPerSecond: number;
  /** Usual time of the transcript ÷ time of the speech: 1 is an ordinary pace, 2 twice as fast; 0 without a transcript. */
  readonly pace: number;
  readonly advice: readonly Advice[];
  /** Why it cannot be used at all. */
  readonly refusal: string | undefined;
};

const FRAME_SECONDS = 0.02;
/** Gaps up to 120 ms belong to the words around them: closures of plosives last that long. */
const HANGOVER_FRAMES = 3;
const QUIETEST_DB = -100;

/** `transcript` empty: not known. */
export function assessPrompt(clip: Clip, transcript: string): QualityReport {
  const levels = frameLevels(clip);
  const { threshold, noiseDb } = speechThreshold(levels);
  const isSpeech = levels.map((level) => level > threshold);
  const extended = isSpeech.map((_, i) => isSpeech.slice(Math.max(0, i - HANGOVER_FRAMES), i + HANGOVER_FRAMES + 1).includes(true));
  const speechFrames = extended.filter(Boolean).length;
  const durationSeconds = clip.samples.length / clip.sampleRateHz;
  const speechSeconds = Math.min(durationSeconds, speechFrames * FRAME_SECONDS);
  const levelDb = meanLevel(levels.filter((_, i) => isSpeech[i]));
  const peak = clip.samples.reduce((top, sample) => Math.max(top, Math.abs(sample)), 0);
  const { characters, usualSeconds } = readingTime(transcript);
  const measured = {
    durationSeconds,
    speechSeconds,
    speechShare: durationSeconds === 0 ? 0 : speechSeconds / durationSeconds,
    peak,
    levelDb,
    noiseDb,
    snrDb: levelDb - noiseDb,
    clippedShare: clippedShare(clip.samples, peak),
    bandwidthHz: bandwidth(clip, isSpeech),
    charactersPerSecond: speechSeconds === 0 ? 0 : characters / speechSeconds,
    pace: speechSeconds === 0 ? 0 : usualSeconds / speechSeconds,
  };
  const advice = advise(measured);
  const refusal = refuse(measured);
  return { verdict: refusal === undefined ? verdict(advice) : 'unusable', ...measured, advice, refusal };
}

/** Throws `audio_unsuitable` with the report's refusal. */
export function requireUsable({ refusal }: QualityReport): void {
  if (refusal !== undefined) throw new CosyError('audio_unsuitable', refusal);
}

type Measured = Omit<QualityReport, 'verdict' | 'advice' | 'refusal'>;

/** What no later step repairs: it is imitated with the voice, or the words do not belong to the sound. */
const HEARD: ReadonlySet<Advice['code']> = new Set(['clipped', 'noisy', 'narrow', 'transcript_too_long', 'transcript_too_short']);

function verdict(advice: readonly Advice[]): QualityReport['verdict'] {
  if (advice.length === 0) return 'good';
  return advice.some(({ code }) => HEARD.has(code)) ? 'poor' : 'fair';
}

/** Speech below this cannot hold a voice. */
const MIN_SPEECH_SECONDS = 0.5;
/** Nothing stands out of the background: noise, or music. */
const MIN_SNR_DB = 4;
/** Nobody speaks four times as fast or as slow as usual: the transcript belongs to something else. */
const MAX_PACE = 4;

function refuse({ speechSeconds, snrDb, pace }: Measured): string | undefined {
  if (speechSeconds < MIN_SPEECH_SECONDS) return `Only ${speechSeconds.toFixed(1)} s of the clip are speech; at least ${MIN_SPEECH_SECONDS} s are needed, and 5 to 10 s are best. Record it again.`;
  if (snrDb < MIN_SNR_DB) return `The voice does not stand out of the background (${snrDb.toFixed(0)} dB). Record it again in a quiet place, close to the microphone.`;
  if (pace > MAX_PACE) return `The transcript is too long for ${speechSeconds.toFixed(1)} s of speech. Give exactly the words that are spoken in the clip.`;
  if (pace > 0 && pace < 1 / MAX_PACE) return `The transcript is too short for ${speechSeconds.toFixed(1)} s of speech. Give all the words that are spoken in the clip.`;
  return undefined;
}

type Rule = readonly [condition: boolean, code: Advice['code'], message: string];

function advise({ speechSeconds, speechShare, clippedShare, levelDb, snrDb, bandwidthHz, pace }: Measured): Advice[] {
  const rules: readonly Rule[] = [
    [speechSeconds < 3, 'short', 'Less than 3 s of speech: 5 to 10 s give a voice that is more alike.'],
    [speechSeconds > 15, 'long', 'More than 15 s of speech: 5 to 10 s are enough, and speaking starts sooner.'],
    [speechShare < 0.6, 'pauses', 'Much of the clip is silence: cut pauses and both ends.'],
    [clippedShare > 0.0005, 'clipped', 'The recording is overdriven: lower the microphone level.'],
    [levelDb < -38, 'quiet', 'The recording is very quiet: go closer to the microphone.'],
    [snrDb < 20, 'noisy', 'There is noise behind the voice, which will be imitated: record in a quiet place.'],
    [bandwidthHz < 6500, 'narrow', `Nothing above ${(bandwidthHz / 1000).toFixed(1)} kHz, as on the telephone: the voice will sound dull. Use the original recording.`],
    [pace === 0, 'transcript_missing', 'No transcript: give the spoken words for a voice that is more alike.'],
    [pace > 1.8, 'transcript_too_long', 'The transcript is long for this clip: give exactly the words that are spoken.'],
    [pace > 0 && pace < 0.5, 'transcript_too_short', 'The transcript is short for this clip: give all the words that are spoken.'],
  ];
  return rules.flatMap(([condition, code, message]) => (condition ? [{ code, message }] : []));
}

/** dB of full scale for each whole frame. */
function frameLevels({ samples, sampleRateHz }: Clip): number[] {
  const size = Math.round(FRAME_SECONDS * sampleRateHz);
  return Array.from({ length: Math.floor(samples.length / size) }, (_, frame) => {
    let power = 0;
    for (let i = frame * size; i < (frame + 1) * size; i++) power += (samples[i] ?? 0) ** 2;
    return Math.max(QUIETEST_DB, 10 * Math.log10(power / size));
  });
}

/** Between the quiet and the loud frames of this clip; speech falls about 30 dB from vowels to soft consonants. */
function speechThreshold(levels: readonly number[]): { threshold: number; noiseDb: number } {
  const sorted = levels.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? QUIETEST_DB;
  const loud = at(0.95);
  const quiet = at(0.1);
  const noiseDb = meanLevel(sorted.slice(0, Math.max(1, Math.floor(sorted.length / 10))));
  return { threshold: Math.max(-60, loud - 30, Math.min(quiet + 8, loud - 8)), noiseDb };
}

function meanLevel(levels: readonly number[]): number {
  if (levels.length === 0) return QUIETEST_DB;
  return 10 * Math.log10(levels.reduce((sum, level) => sum + 10 ** (level / 10), 0) / levels.length);
}

/** Three samples in a row at full scale, or four equal ones at the clip's own top (overdriven, then turned down). */
function clippedShare(samples: Float32Array, peak: number): number {
  let clipped = 0;
  let run = 1;
  const end = (last: number): void => {
    const size = Math.abs(samples[last] ?? 0);
    if ((run >= 3 && size >= 0.99) || (run >= 4 && peak > 0.25 && size >= 0.95 * peak)) clipped += run;
    run = 1;
  };
  for (let i = 1; i < samples.length; i++) {
    if (samples[i] === samples[i - 1]) run++;
    else end(i - 1);
  }
  end(samples.length - 1);
  return samples.length === 0 ? 0 : clipped / samples.length;
}

/** Below the strongest band by this much there is nothing to hear, and 16-bit rounding is lower still. */
const BANDWIDTH_DB = 62;
const BAND_HZ = 250;

function bandwidth({ samples, sampleRateHz }: Clip, isSpeech: readonly boolean[]): number {
  const frameSamples = Math.round(FRAME_SECONDS * sampleRateHz);
  const spectrum = meanSpectrum(samples, (first) => isSpeech[Math.floor(first / frameSamples)] ?? false);
  const binHz = sampleRateHz / (2 * (spectrum.length - 1));
  const perBand = Math.max(1, Math.round(BAND_HZ / binHz));
  const bands = Array.from({ length: Math.floor(spectrum.length / perBand) }, (_, band) => spectrum.slice(band * perBand, (band + 1) * perBand).reduce((sum, power) => sum + power, 0));
  const floor = Math.max(...bands, 0) * 10 ** (-BANDWIDTH_DB / 10);
  const highest = bands.findLastIndex((power) => power > floor && power > 0);
  return Math.min(sampleRateHz / 2, (highest + 1) * perBand * binHz);
}

/** Seconds that one character takes in ordinary reading; script by script, so that mixed sentences add up. */
const SECONDS_PER_CHARACTER = [
  [/\p{Script=Han}/gu, 0.22],
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/gu, 0.14],
  [/\p{Script=Hangul}/gu, 0.18],
  [/\p{N}/gu, 0.3],
  // every other alphabet
  [/(?!\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul})\p{L}/gu, 0.07],
] as const;

function readingTime(transcript: string): { characters: number; usualSeconds: number } {
  // words in brackets or pointed brackets are marks, not speech
  const spoken = transcript.normalize('NFC').replaceAll(/<[^<>]*>|\[[a-z_-]+\]/gi, '');
  let characters = 0;
  let usualSeconds = 0;
  for (const [pattern, seconds] of SECONDS_PER_CHARACTER) {
    const count = spoken.match(pattern)?.length ?? 0;
    characters += count;
    usualSeconds += count * seconds;
  }
  return { characters, usualSeconds };
}
