/** Sizes of a random checkpoint and the description that goes with them. */
import type { ModelConfig } from './types.ts';

export type RandomSize = {
  readonly llm: { readonly hidden: number; readonly inner: number; readonly layers: number; readonly heads: number; readonly kvHeads: number; readonly vocab: number };
  readonly flow: { readonly hidden: number; readonly heads: number; readonly inner: number; readonly blocks: number; readonly channels: number; readonly blocksPerStage: number; readonly midStages: number; readonly estimatorHeads: number; readonly headDim: number };
  readonly hift: { readonly base: number; readonly f0: number };
};

export const RANDOM_SIZES: Readonly<Record<'full' | 'tiny', RandomSize>> = {
  // FunAudioLLM/CosyVoice2-0.5B
  full: {
    llm: { hidden: 896, inner: 4864, layers: 24, heads: 14, kvHeads: 2, vocab: 151_936 },
    flow: { hidden: 512, heads: 8, inner: 2048, blocks: 6, channels: 256, blocksPerStage: 4, midStages: 12, estimatorHeads: 8, headDim: 64 },
    hift: { base: 512, f0: 512 },
  },
  tiny: {
    llm: { hidden: 64, inner: 128, layers: 2, heads: 4, kvHeads: 2, vocab: 320 },
    flow: { hidden: 64, heads: 4, inner: 128, blocks: 2, channels: 32, blocksPerStage: 1, midStages: 2, estimatorHeads: 2, headDim: 16 },
    hift: { base: 32, f0: 32 },
  },
};

const SPEECH_TOKENS = 6561;
const MEL = { bins: 80, nFft: 1920, hop: 480, rateHz: 24_000, fMaxHz: 8000 } as const;
const DILATIONS = [[1, 3, 5], [1, 3, 5], [1, 3, 5]] as const;
const SPEAKER_DIM = 192;

/** What `yamlText` describes. A test reads one back as the other. */
export function randomConfig({ llm, flow, hift }: RandomSize): ModelConfig {
  return {
    sampleRateHz: MEL.rateHz,
    tokenRateHz: 25,
    speakerDim: SPEAKER_DIM,
    llm: {
      hiddenSize: llm.hidden, intermediateSize: llm.inner, layers: llm.layers, heads: llm.heads, kvHeads: llm.kvHeads, headDim: llm.hidden / llm.heads,
      ropeTheta: 1e6, rmsNormEps: 1e-6, textVocabSize: llm.vocab, speechTokenSize: SPEECH_TOKENS, speechVocabSize: SPEECH_TOKENS + 3,
      mixRatio: [5, 15], minTokenTextRatio: 2, maxTokenTextRatio: 20, sampling: { topP: 0.8, topK: 25, winSize: 10, tauR: 0.1 },
    },
    flow: {
      inputSize: flow.hidden, melBins: MEL.bins, speakerDim: SPEAKER_DIM, vocabSize: SPEECH_TOKENS, tokenMelRatio: 2, preLookaheadTokens: 3,
      encoder: { hiddenSize: flow.hidden, heads: flow.heads, linearUnits: flow.inner, blocks: flow.blocks, upBlocks: 4, chunkTokens: 25 },
      estimator: { inChannels: 4 * MEL.bins, channels: flow.channels, heads: flow.estimatorHeads, headDim: flow.headDim, blocksPerStage: flow.blocksPerStage, midStages: flow.midStages, chunkFrames: 50 },
      inferenceCfgRate: 0.7, sigmaMin: 1e-6, steps: 10, pull: undefined,
    },
    hift: {
      melBins: MEL.bins, baseChannels: hift.base, sampleRateHz: MEL.rateHz, harmonics: 8, nsfAlpha: 0.1, nsfSigma: 0.003, voicedThresholdHz: 10,
      upsampleRates: [8, 5, 3], upsampleKernelSizes: [16, 11, 7], istft: { nFft: 16, hopLength: 4 },
      resblockKernelSizes: [3, 7, 11], resblockDilations: DILATIONS, sourceResblockKernelSizes: [7, 7, 11], sourceResblockDilations: DILATIONS,
      leakyReluSlope: 0.1, audioLimit: 0.99, f0: { channels: hift.f0, layers: 5 },
    },
    mel: { nFft: MEL.nFft, hopLength: MEL.hop, winLength: MEL.nFft, melBins: MEL.bins, sampleRateHz: MEL.rateHz, fMinHz: 0, fMaxHz: MEL.fMaxHz },
    textFrontEnd: 'qwen',
  };
}

/** `cosyvoice2.yaml` with the classes of the official one. */
export function yamlText(size: RandomSize): string {
  const { llm, flow, hift, mel } = randomConfig(size);
  const list = (values: unknown): string => JSON.stringify(values);
  return `sample_rate: ${hift.sampleRateHz}
llm_input_size: ${llm.hiddenSize}
llm_output_size: ${llm.hiddenSize}
spk_embed_dim: ${SPEAKER_DIM}
qwen_pretrain_path: ''
token_frame_rate: 25
token_mel_ratio: ${flow.tokenMelRatio}
chunk_size: ${flow.encoder.chunkTokens}
num_decoding_left_chunks: -1
llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    speech_token_size: ${llm.speechTokenSize}
    length_normalized_loss: True
    lsm_weight: 0
    mix_ratio: ${list(llm.mixRatio)}
    llm: !new:cosyvoice.llm.llm.Qwen2Encoder
        pretrain_path: !ref <qwen_pretrain_path>
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: ${llm.sampling.topP}
        top_k: ${llm.sampling.topK}
        win_size: ${llm.sampling.winSize}
        tau_r: ${llm.sampling.tauR}
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: ${flow.inputSize}
    output_size: ${flow.melBins}
    spk_embed_dim: !ref <spk_embed_dim>
    output_type: 'mel'
    vocab_size: ${flow.vocabSize}
    input_frame_rate: !ref <token_frame_rate>
    only_mask_loss: True
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: ${flow.preLookaheadTokens}
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        output_size: ${flow.encoder.hiddenSize}
        attention_heads: ${flow.encoder.heads}
        linear_units: ${flow.encoder.linearUnits}
        num_blocks: ${flow.encoder.blocks}
        dropout_rate: 0.1
        positional_dropout_rate: 0.1
        attention_dropout_rate: 0.1
        normalize_before: True
        input_layer: 'linear'
        pos_enc_layer_type: 'rel_pos_espnet'
        selfattention_layer_type: 'rel_selfattn'
        input_size: ${flow.inputSize}
        use_cnn_module: False
        macaron_style: False
        static_chunk_size: !ref <chunk_size>
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: ${3 * flow.melBins}
        n_spks: 1
        spk_emb_dim: ${flow.melBins}
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: 1e-06
                solver: 'euler'
                t_scheduler: 'cosine'
                training_cfg_rate: 0.2
                inference_cfg_rate: ${flow.inferenceCfgRate}
                reg_loss_type: 'l1'
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: ${flow.estimator.inChannels}
            out_channels: ${flow.melBins}
            channels: [${flow.estimator.channels}]
            dropout: 0.0
            attention_head_dim: ${flow.estimator.headDim}
            n_blocks: ${flow.estimator.blocksPerStage}
            num_mid_blocks: ${flow.estimator.midStages}
            num_heads: ${flow.estimator.heads}
            act_fn: 'gelu'
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
            num_decoding_left_chunks: !ref <num_decoding_left_chunks>
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: ${hift.melBins}
    base_channels: ${hift.baseChannels}
    nb_harmonics: ${hift.harmonics}
    sampling_rate: !ref <sample_rate>
    nsf_alpha: ${hift.nsfAlpha}
    nsf_sigma: ${hift.nsfSigma}
    nsf_voiced_threshold: ${hift.voicedThresholdHz}
    upsample_rates: ${list(hift.upsampleRates)}
    upsample_kernel_sizes: ${list(hift.upsampleKernelSizes)}
    istft_params:
        n_fft: ${hift.istft.nFft}
        hop_len: ${hift.istft.hopLength}
    resblock_kernel_sizes: ${list(hift.resblockKernelSizes)}
    resblock_dilation_sizes: ${list(hift.resblockDilations)}
    source_resblock_kernel_sizes: ${list(hift.sourceResblockKernelSizes)}
    source_resblock_dilation_sizes: ${list(hift.sourceResblockDilations)}
    lrelu_slope: ${hift.leakyReluSlope}
    audio_limit: ${hift.audioLimit}
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: ${hift.melBins}
        cond_channels: ${hift.f0.channels}
get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
    token_path: !ref <qwen_pretrain_path>
    skip_special_tokens: True
allowed_special: 'all'
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
    n_fft: ${mel.nFft}
    num_mels: ${mel.melBins}
    sampling_rate: !ref <sample_rate>
    hop_size: ${mel.hopLength}
    win_size: ${mel.winLength}
    fmin: ${mel.fMinHz}
    fmax: ${mel.fMaxHz}
    center: False
`;
}
