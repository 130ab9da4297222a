/**
 * Recordings and stored prompts → voices on the shelf, inside the acoustic thread. A recording is judged before any model runs;
 * a stored prompt is read as a file from outside: another revision, another shape or a token that does not exist is refused.
 */
import type { ModelConfig } from '../checkpoint/types.ts';
import { assessPrompt, decodePrompt, makeVoicePrompt, requireUsable } from '../voice/index.ts';
import type { DecodedClip, QualityReport, VoiceSessions } from '../voice/index.ts';
import { Transfer } from '../runtime/thread.ts';
import { readVoicePrompt, voiceKey, writeVoicePrompt } from '../../shared/voice-prompt/index.ts';
import type { VoicePrompt } from '../../shared/voice-prompt/index.ts';
import { CosyError } from '../../shared/errors/index.ts';
import type { Turns } from './turns.ts';
import type { PreparedVoice, VoiceShelf } from './voice-shelf.ts';

export type Recording = { readonly audio: Uint8Array; readonly transcript: string | undefined; readonly tenant: string };

/** `prompt`: the file of shared/voice-prompt. `report` has no refusal, or there would be no voice. */
export type MadeVoice = { readonly key: string; readonly prompt: Uint8Array<ArrayBuffer>; readonly report: Omit<QualityReport, 'refusal'> };

export type EnrolmentParts = {
  readonly config: ModelConfig;
  readonly modelRevision: string;
  readonly shelf: VoiceShelf;
  readonly turns: Pick<Turns, 'run'>;
  /** Loaded by the first recording. */
  readonly sessions: () => Promise<VoiceSessions>;
};

export class Enrolment {
  readonly #parts: EnrolmentParts;

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
  }

  /** For one request: what cannot work is left to the models to find out. Throws what decoding and `makeVoicePrompt` throw. */
  async imitate(recording: Recording, signal: AbortSignal): Promise<PreparedVoice> {
    const clip = await decodePrompt(recording.audio, { signal });
    const key = await this.#key(recording, clip);
    return this.#parts.shelf.prepared(key) ?? this.#shelve(key, await this.#make(clip, recording.transcript, signal));
  }

  /** For a store. Throws also `audio_unsuitable`, with what to do. */
  async make(recording: Recording, signal: AbortSignal): Promise<Transfer<MadeVoice>> {
    const clip = await decodePrompt(recording.audio, { signal });
    const assessed = assessPrompt(clip, recording.transcript ?? '');
    requireUsable(assessed);
    const { refusal: _, ...report } = assessed;
    const key = await this.#key(recording, clip);
    const made = await this.#make(clip, recording.transcript, signal);
    this.#shelve(key, made);
    const prompt = await writeVoicePrompt(made);
    return new Transfer({ key, prompt, report }, [prompt.buffer]);
  }

  /** Throws `voice_prompt_needed` without bytes, `voice_prompt_invalid` for bytes that are no prompt of this model. */
  async hold({ key, bytes }: { readonly key: string; readonly bytes: Uint8Array | undefined }): Promise<PreparedVoice> {
    const known = this.#parts.shelf.prepared(key);
    if (known) return known;
    if (!bytes) throw new CosyError('voice_prompt_needed', 'This node does not hold the voice: send its prompt with the job.');
    const prompt = await readVoicePrompt(bytes);
    this.#check(prompt);
    return this.#shelve(key, prompt);
  }

  #check({ modelRevision, embedding, mel, melBins, sampleRateHz, flowSpeechTokens, llmSpeechTokens }: VoicePrompt): void {
    const { config } = this.#parts;
    if (modelRevision !== this.#parts.modelRevision) throw new CosyError('voice_prompt_invalid', 'The stored voice was made with another model: make it again from its recording.');
    const shaped = embedding.length === config.speakerDim && melBins === config.mel.melBins && sampleRateHz === config.mel.sampleRateHz && flowSpeechTokens.length > 0 && llmSpeechTokens.length >= flowSpeechTokens.length && mel.length === config.flow.tokenMelRatio * flowSpeechTokens.length * melBins;
    const exist = (tokens: Int32Array): boolean => tokens.every((token) => token >= 0 && token < config.llm.speechTokenSize);
    if (!shaped || !exist(flowSpeechTokens) || !exist(llmSpeechTokens)) throw new CosyError('voice_prompt_invalid', 'The stored voice does not have the shape of this model: make it again from its recording.');
  }

  async #make(clip: DecodedClip, transcript: string | undefined, signal: AbortSignal): Promise<VoicePrompt> {
    const sessions = await this.#parts.sessions();
    return this.#parts.turns.run(Date.now(), () => makeVoicePrompt({ ...clip, transcript: transcript ?? '', sessions }), signal);
  }

  #key({ transcript, tenant }: Recording, clip: DecodedClip): Promise<string> {
    return voiceKey({ tenant, transcript: transcript ?? '', modelRevision: this.#parts.modelRevision }, clip);
  }

  #shelve(key: string, { transcript, embedding, flowSpeechTokens, llmSpeechTokens, mel }: VoicePrompt): PreparedVoice {
    const prepared = { key, hasPrompt: true, transcript: transcript === '' ? undefined : { text: transcript }, speechTokens: [...llmSpeechTokens] };
    return this.#parts.shelf.put({ embedding, prompt: { speechTokens: flowSpeechTokens, mel }, prepared });
  }
}
