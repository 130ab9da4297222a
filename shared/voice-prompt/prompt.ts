/** A voice as the stages use it: what a clip and its transcript become, once, on a node. */

/**
 * S speech tokens at 25 a second, F mel frames at 50 a second. The two token lists differ when the flow's part was trimmed to
 * whole blocks: the language model has to see every token its transcript speaks of, the flow may start later.
 */
export type VoicePrompt = {
  /** What is said in the clip; empty when not known (then only cross-lingual and instruct use is possible). */
  readonly transcript: string;
  /** (S,) prompt of the language model. */
  readonly llmSpeechTokens: Int32Array;
  /** (S',) prompt of the flow, S' ≤ S, the last ones of `llmSpeechTokens`. */
  readonly flowSpeechTokens: Int32Array;
  /** (F, melBins) row-major, F = tokenMelRatio · S'; natural log of the mel magnitudes. */
  readonly mel: Float32Array;
  readonly melBins: number;
  /** (192,) speaker vector, as it leaves the encoder (not normalised). */
  readonly embedding: Float32Array;
  /** Rate of the audio that the mel describes, in Hz. */
  readonly sampleRateHz: number;
  /** Checkpoint the prompt was made with: tokens of another one mean nothing to this. */
  readonly modelRevision: string;
};
