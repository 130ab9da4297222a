/**
 * `cosyvoice2.yaml`, `CosyVoice-BlankEN/config.json` and tensor shapes → ModelConfig. What the description says comes from
 * it; what only the official code fixes is taken from the shapes, or is a named constant below with its source.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { isDictionary } from './hyperpyyaml.ts';
import type { YamlValue } from './hyperpyyaml.ts';
import type { FlowConfig, LanguageModelConfig, MelConfig, ModelConfig, TensorStore, VocoderConfig } from './types.ts';

/** Euler steps: literal in cosyvoice/flow/flow.py `CausalMaskedDiffWithXvec.inference`. */
const FLOW_STEPS = 10;
/** Defaults of `Qwen2LM.__init__` and `Qwen2LM.inference`, cosyvoice/llm/llm.py. */
const MIX_RATIO = [5, 15] as const;
const TOKEN_TEXT_RATIO = { qwen: { min: 2, max: 20 }, phones: { min: 1, max: 5 } } as const;
/** End of speech, third stop id, fill: rows of `speech_embedding` beyond the speech tokens, cosyvoice/llm/llm.py. */
const SPECIAL_SPEECH_TOKENS = 3;

export type ConfigSources = {
  readonly yaml: Readonly<Record<string, YamlValue>>;
  readonly qwen: Readonly<Record<string, YamlValue>>;
  readonly llm: TensorStore;
  readonly flow: TensorStore;
  readonly hift: TensorStore;
  /** Whether the tokenizer has bracketed phones among its tokens. */
  readonly hasPhoneTokens: boolean;
};

/** Throws `checkpoint_invalid` naming a key that is missing or of the wrong kind, or a tensor that is. */
export function readConfig(sources: ConfigSources): ModelConfig {
  const yaml = new Section('cosyvoice2.yaml', sources.yaml);
  const textFrontEnd = readFrontEnd(yaml, sources.hasPhoneTokens);
  return {
    sampleRateHz: yaml.count('sample_rate'),
    tokenRateHz: yaml.count('token_frame_rate'),
    speakerDim: yaml.count('spk_embed_dim'),
    llm: readLanguageModel(yaml, new Section('CosyVoice-BlankEN/config.json', sources.qwen), sources.llm, textFrontEnd),
    flow: readFlow(yaml.section('flow'), sources.flow),
    hift: readVocoder(yaml.section('hift'), sources.hift),
    mel: readMel(yaml.section('feat_extractor')),
    textFrontEnd,
  };
}

/** `text_frontend` is our key, for a directory whose text is phones. Without it the tokenizer tells. */
function readFrontEnd(yaml: Section, hasPhoneTokens: boolean): 'qwen' | 'phones' {
  const named = yaml.optional('text_frontend');
  if (named === undefined) return hasPhoneTokens ? 'phones' : 'qwen';
  if (named === 'qwen' || named === 'phones') return named;
  throw new CosyError('checkpoint_invalid', 'cosyvoice2.yaml: text_frontend must be qwen or phones.');
}

/** A phone is a shorter piece of speech than a word piece, so the limits per text token of a phone model are others (its model card). */
function readLanguageModel(yaml: Section, qwen: Section, store: TensorStore, frontEnd: 'qwen' | 'phones'): LanguageModelConfig {
  const llm = yaml.section('llm');
  const sampling = llm.section('sampling');
  const hiddenSize = llm.count('llm_input_size');
  const heads = qwen.count('num_attention_heads');
  const speechTokenSize = llm.count('speech_token_size');
  const ratio = TOKEN_TEXT_RATIO[frontEnd];
  return {
    hiddenSize,
    intermediateSize: qwen.count('intermediate_size'),
    layers: qwen.count('num_hidden_layers'),
    heads,
    kvHeads: qwen.count('num_key_value_heads'),
    headDim: axis(store, 'llm.pt', 'llm.model.model.layers.0.self_attn.q_proj.weight', 0) / heads,
    ropeTheta: qwen.number('rope_theta'),
    rmsNormEps: qwen.number('rms_norm_eps'),
    textVocabSize: axis(store, 'llm.pt', 'llm.model.model.embed_tokens.weight', 0),
    speechTokenSize,
    speechVocabSize: speechTokenSize + SPECIAL_SPEECH_TOKENS,
    mixRatio: llm.optional('mix_ratio') === undefined ? MIX_RATIO : pair(llm.numbers('mix_ratio')),
    minTokenTextRatio: yaml.number('min_token_text_ratio', ratio.min),
    maxTokenTextRatio: yaml.number('max_token_text_ratio', ratio.max),
    sampling: { topP: sampling.number('top_p'), topK: sampling.count('top_k'), winSize: sampling.count('win_size'), tauR: sampling.number('tau_r') },
  };
}

function readFlow(flow: Section, store: TensorStore): FlowConfig {
  const encoder = flow.section('encoder');
  const decoder = flow.section('decoder');
  const estimator = decoder.section('estimator');
  const cfm = decoder.section('cfm_params').section('content');
  // our key, which the official code does not read
  const pull = cfm.optional('pull') === undefined ? undefined : cfm.positive('pull');
  const channels = estimator.numbers('channels');
  if (channels.length !== 1) throw new CosyError('checkpoint_invalid', 'cosyvoice2.yaml: flow.decoder.estimator.channels must have one entry; estimators of several resolutions are not supported.');
  return {
    inputSize: flow.count('input_size'),
    melBins: flow.count('output_size'),
    speakerDim: flow.count('spk_embed_dim'),
    vocabSize: flow.count('vocab_size'),
    tokenMelRatio: flow.count('token_mel_ratio'),
    preLookaheadTokens: flow.count('pre_lookahead_len'),
    encoder: {
      hiddenSize: encoder.count('output_size'),
      heads: encoder.count('attention_heads'),
      linearUnits: encoder.count('linear_units'),
      blocks: encoder.count('num_blocks'),
      // literal 4 in cosyvoice/transformer/upsample_encoder.py: the tensors tell
      upBlocks: countBlocks(store, 'encoder.up_encoders'),
      chunkTokens: encoder.count('static_chunk_size'),
    },
    estimator: {
      inChannels: estimator.count('in_channels'),
      channels: channels[0] ?? 0,
      heads: estimator.count('num_heads'),
      headDim: estimator.count('attention_head_dim'),
      blocksPerStage: estimator.count('n_blocks'),
      midStages: estimator.count('num_mid_blocks'),
      chunkFrames: estimator.count('static_chunk_size'),
    },
    inferenceCfgRate: cfm.number('inference_cfg_rate'),
    sigmaMin: cfm.number('sigma_min'),
    steps: pull === undefined ? FLOW_STEPS : 1,
    pull,
  };
}

function readVocoder(hift: Section, store: TensorStore): VocoderConfig {
  const istft = hift.section('istft_params');
  const f0 = hift.section('f0_predictor');
  return {
    melBins: hift.count('in_channels'),
    baseChannels: hift.count('base_channels'),
    sampleRateHz: hift.count('sampling_rate'),
    harmonics: hift.count('nb_harmonics'),
    nsfAlpha: hift.number('nsf_alpha'),
    nsfSigma: hift.number('nsf_sigma'),
    voicedThresholdHz: hift.number('nsf_voiced_threshold'),
    upsampleRates: hift.numbers('upsample_rates'),
    upsampleKernelSizes: hift.numbers('upsample_kernel_sizes'),
    istft: { nFft: istft.count('n_fft'), hopLength: istft.count('hop_len') },
    resblockKernelSizes: hift.numbers('resblock_kernel_sizes'),
    resblockDilations: hift.lists('resblock_dilation_sizes'),
    sourceResblockKernelSizes: hift.numbers('source_resblock_kernel_sizes'),
    sourceResblockDilations: hift.lists('source_resblock_dilation_sizes'),
    leakyReluSlope: hift.number('lrelu_slope'),
    audioLimit: hift.number('audio_limit'),
    // the number of convolutions is literal in cosyvoice/hifigan/f0_predictor.py: the tensors tell
    f0: { channels: f0.count('cond_channels'), layers: countBlocks(store, 'f0_predictor.condnet') },
  };
}

function readMel(mel: Section): MelConfig {
  const sampleRateHz = mel.count('sampling_rate');
  const fMaxHz = mel.optional('fmax');
  return {
    nFft: mel.count('n_fft'),
    hopLength: mel.count('hop_size'),
    winLength: mel.count('win_size'),
    melBins: mel.count('num_mels'),
    sampleRateHz,
    fMinHz: mel.number('fmin'),
    fMaxHz: fMaxHz === null ? sampleRateHz / 2 : mel.number('fmax'),
  };
}

/** One dictionary of a description and its name for messages. */
class Section {
  readonly #path: string;
  readonly #values: Readonly<Record<string, YamlValue>>;

  constructor(path: string, values: Readonly<Record<string, YamlValue>>) {
    this.#path = path;
    this.#values = values;
  }

  optional(key: string): YamlValue | undefined {
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
  }

  section(key: string): Section {
    const value = this.#need(key);
    if (!isDictionary(value)) throw this.#wrong(key, 'a dictionary');
    return new Section(this.#name(key), value);
  }

  /** `absent`: what a key that is not there stands for; without it the key must be. */
  number(key: string, absent?: number): number {
    const value = this.#need(key, absent);
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(key, 'a number');
    return value;
  }

  /** A positive whole number. */
  count(key: string): number {
    const value = this.number(key);
    if (!Number.isSafeInteger(value) || value <= 0) throw this.#wrong(key, 'a positive whole number');
    return value;
  }

  /** A positive number. */
  positive(key: string): number {
    const value = this.number(key);
    if (value <= 0) throw this.#wrong(key, 'a positive number');
    return value;
  }

  numbers(key: string): readonly number[] {
    const value = this.#need(key);
    if (!isNumbers(value)) throw this.#wrong(key, 'a list of numbers');
    return value;
  }

  lists(key: string): readonly (readonly number[])[] {
    const value = this.#need(key);
    if (!Array.isArray(value) || !value.every((item) => isNumbers(item))) throw this.#wrong(key, 'a list of lists of numbers');
    return value;
  }

  #need(key: string, absent?: YamlValue): YamlValue {
    const value = Object.hasOwn(this.#values, key) ? this.#values[key] : absent;
    if (value === undefined) throw new CosyError('checkpoint_invalid', `${this.#name(key)} is missing. Restore the published file.`);
    return value;
  }

  #wrong(key: string, kind: string): CosyError {
    return new CosyError('checkpoint_invalid', `${this.#name(key)} must be ${kind}.`);
  }

  #name(key: string): string {
    return this.#path.includes(': ') ? `${this.#path}.${key}` : `${this.#path}: ${key}`;
  }
}

function isNumbers(value: YamlValue): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number' && Number.isFinite(item));
}

function pair(values: readonly number[]): readonly [number, number] {
  const [text = 0, speech = 0] = values;
  if (values.length !== 2 || text <= 0 || speech <= 0) throw new CosyError('checkpoint_invalid', 'cosyvoice2.yaml: llm.mix_ratio must be two positive numbers.');
  return [text, speech];
}

function axis(store: TensorStore, file: string, name: string, index: number): number {
  const size = store.tensors.get(name)?.shape[index];
  if (size === undefined) throw new CosyError('checkpoint_invalid', `${file} lacks the tensor ${name}.`);
  return size;
}

/** How many different numbers follow `prefix.` in the names that have a weight. */
function countBlocks(store: TensorStore, prefix: string): number {
  const numbers = new Set<string>();
  for (const name of store.tensors.keys()) {
    if (name.startsWith(`${prefix}.`)) numbers.add(name.slice(prefix.length + 1).split('.')[0] ?? '');
  }
  return numbers.size;
}

/**
 * Of a prompt's speech tokens, as many as are whole blocks of the flow and the look-ahead of the last one: the rest would be left
 * for the first chunk of a stream. All of them where there are fewer than that.
 */
export function tokensInWholeBlocks(tokens: number, { blockTokens, lookaheadTokens }: { readonly blockTokens: number; readonly lookaheadTokens: number }): number {
  return tokens < blockTokens + lookaheadTokens ? tokens : tokens - ((tokens - lookaheadTokens) % blockTokens);
}
