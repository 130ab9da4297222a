/**
 * What a checkpoint is to the rest of the node: named tensors and the numbers that describe the networks.
 * Every dimension comes from the yaml or from a tensor's shape; nothing here is a constant of the 0.5B model.
 */

export type TensorDtype = 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

export type TensorInfo = { readonly name: string; readonly dtype: TensorDtype; readonly shape: readonly number[] };

/** Named tensors of one network, read from disk on demand. */
export interface TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Values widened to float32, row-major, newly allocated. Throws `checkpoint_invalid` naming an absent tensor. */
  float32(name: string): Float32Array;
  /** The stored bytes, little-endian, newly allocated. Throws like `float32`. */
  bytes(name: string): Uint8Array;
  close(): void;
}

/** Qwen2 decoder and the speech embeddings and head around it. */
export type LanguageModelConfig = {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
  readonly textVocabSize: number;
  /** 6561 at full size; ids speechTokenSize … +2 are end of speech, an unused stop id, and fill. */
  readonly speechTokenSize: number;
  /** Rows of `speech_embedding` and `llm_decoder` (speechTokenSize + 3). */
  readonly speechVocabSize: number;
  /** [text, speech] tokens per block when text arrives in pieces. */
  readonly mixRatio: readonly [number, number];
  /** min and max speech tokens per text token (2 and 20 in the official code). */
  readonly minTokenTextRatio: number;
  readonly maxTokenTextRatio: number;
  readonly sampling: { readonly topP: number; readonly topK: number; readonly winSize: number; readonly tauR: number };
};

export type FlowConfig = {
  readonly inputSize: number;
  readonly melBins: number;
  readonly speakerDim: number;
  readonly vocabSize: number;
  readonly tokenMelRatio: number;
  readonly preLookaheadTokens: number;
  readonly encoder: { readonly hiddenSize: number; readonly heads: number; readonly linearUnits: number; readonly blocks: number; readonly upBlocks: number; readonly chunkTokens: number };
  readonly estimator: {
    readonly inChannels: number;
    readonly channels: number;
    readonly heads: number;
    readonly headDim: number;
    /** Transformer blocks after each resnet. */
    readonly blocksPerStage: number;
    readonly midStages: number;
    readonly chunkFrames: number;
  };
  readonly inferenceCfgRate: number;
  readonly sigmaMin: number;
  /** Euler steps, unless a request says how many. The official code makes 10. */
  readonly steps: number;
  /** Of a field that pulls to one mel m at all times, v = pull · (m − x): one step of 1/pull arrives there. */
  readonly pull: number | undefined;
};

export type VocoderConfig = {
  readonly melBins: number;
  readonly baseChannels: number;
  readonly sampleRateHz: number;
  readonly harmonics: number;
  readonly nsfAlpha: number;
  readonly nsfSigma: number;
  readonly voicedThresholdHz: number;
  readonly upsampleRates: readonly number[];
  readonly upsampleKernelSizes: readonly number[];
  readonly istft: { readonly nFft: number; readonly hopLength: number };
  readonly resblockKernelSizes: readonly number[];
  readonly resblockDilations: readonly (readonly number[])[];
  readonly sourceResblockKernelSizes: readonly number[];
  readonly sourceResblockDilations: readonly (readonly number[])[];
  readonly leakyReluSlope: number;
  readonly audioLimit: number;
  readonly f0: { readonly channels: number; readonly layers: number };
};

/** Prompt mel at the model's own rate (`feat_extractor` of the yaml). */
export type MelConfig = {
  readonly nFft: number;
  readonly hopLength: number;
  readonly winLength: number;
  readonly melBins: number;
  readonly sampleRateHz: number;
  readonly fMinHz: number;
  readonly fMaxHz: number;
};

export type ModelConfig = {
  readonly sampleRateHz: number;
  readonly tokenRateHz: number;
  readonly speakerDim: number;
  readonly llm: LanguageModelConfig;
  readonly flow: FlowConfig;
  readonly hift: VocoderConfig;
  readonly mel: MelConfig;
  /** `qwen`: text is tokenized as it is. `phones`: the bundled small voice, text becomes bracketed phones first. */
  readonly textFrontEnd: 'qwen' | 'phones';
};

/** One entry of `spk2info.pt`, whatever of the three published formats it was in. */
export type StoredSpeaker = {
  readonly name: string;
  /** (192,) float32 */
  readonly embedding: Float32Array;
  /** Transcript of the prompt; of a voice without one: what the language model reads before every text of this voice. */
  readonly text: string | undefined;
  /** The same as text token ids, when the file stores ids instead of text. */
  readonly textIds: Int32Array | undefined;
  readonly prompt?: {
    /** Speech tokens given to the LM, and to the flow. */
    readonly llmSpeechTokens: Int32Array;
    readonly flowSpeechTokens: Int32Array;
    /** (F, 80) float32 */
    readonly mel: Float32Array;
  };
};

/** An opened checkpoint directory. `llm`, `flow`, `hift` have official names, `hift` without `generator.` and with weight norm folded. */
export interface Checkpoint {
  readonly directory: string;
  /** Changes when any file that the graphs depend on changes. Hex. */
  readonly hash: string;
  readonly config: ModelConfig;
  readonly llm: TensorStore;
  readonly flow: TensorStore;
  readonly hift: TensorStore;
  readonly speakers: ReadonlyMap<string, StoredSpeaker>;
  /** Directory with vocab.json, merges.txt, tokenizer_config.json. */
  readonly tokenizerDirectory: string;
  readonly campplusPath: string;
  readonly speechTokenizerPath: string;
  close(): void;
}
