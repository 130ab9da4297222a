/**
 * Which tensors a checkpoint must have, derived from its description: names of the official modules' state dictionaries,
 * with weight norm folded. A checkpoint that passes can be handed to any graph writer.
 */
import { CosyError } from '../../shared/errors/index.ts';
import type { FlowConfig, LanguageModelConfig, ModelConfig, TensorStore, VocoderConfig } from './types.ts';

type Shapes = Map<string, readonly number[]>;

/** Expected shapes by name. `optional`: names that may be absent. */
export type Layout = { readonly shapes: ReadonlyMap<string, readonly number[]>; readonly optional: ReadonlySet<string> };

/** Copies that are never read: the text head is tied to the embedding and unused for speech (cosyvoice/llm/llm.py). */
const TIED_HEAD = 'llm.model.lm_head.weight';

export function expectedLayout(config: ModelConfig): { readonly llm: Layout; readonly flow: Layout; readonly hift: Layout } {
  return {
    llm: { shapes: languageModel(config.llm), optional: new Set([TIED_HEAD]) },
    flow: { shapes: flow(config.flow), optional: new Set() },
    hift: { shapes: vocoder(config.hift), optional: new Set() },
  };
}

/** Throws `checkpoint_invalid` naming the first tensor that is missing, misshapen or not expected. */
export function checkLayout(store: TensorStore, layout: Layout, file: string): void {
  for (const [name, shape] of layout.shapes) {
    const found = store.tensors.get(name);
    if (found === undefined) {
      if (layout.optional.has(name)) continue;
      throw new CosyError('checkpoint_invalid', `${file} lacks the tensor ${name}. Use the complete published file.`);
    }
    if (found.shape.length !== shape.length || found.shape.some((size, axis) => size !== shape[axis])) {
      throw new CosyError('checkpoint_invalid', `${file}: tensor ${name} has shape [${found.shape.join(', ')}], by cosyvoice2.yaml it should be [${shape.join(', ')}].`);
    }
  }
  for (const name of store.tensors.keys()) {
    if (!layout.shapes.has(name)) throw new CosyError('checkpoint_invalid', `${file} has the tensor ${name}, which is no part of CosyVoice2. Use the published file.`);
  }
}

function languageModel(config: LanguageModelConfig): Shapes {
  const shapes: Shapes = new Map();
  const { hiddenSize: hidden, textVocabSize, speechVocabSize, intermediateSize: inner } = config;
  const queries = config.heads * config.headDim;
  const keys = config.kvHeads * config.headDim;
  shapes.set('llm_embedding.weight', [2, hidden]);
  shapes.set('llm.model.model.embed_tokens.weight', [textVocabSize, hidden]);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `llm.model.model.layers.${layer}`;
    linear(shapes, `${name}.self_attn.q_proj`, [queries, hidden]);
    linear(shapes, `${name}.self_attn.k_proj`, [keys, hidden]);
    linear(shapes, `${name}.self_attn.v_proj`, [keys, hidden]);
    shapes.set(`${name}.self_attn.o_proj.weight`, [hidden, queries]);
    shapes.set(`${name}.mlp.gate_proj.weight`, [inner, hidden]);
    shapes.set(`${name}.mlp.up_proj.weight`, [inner, hidden]);
    shapes.set(`${name}.mlp.down_proj.weight`, [hidden, inner]);
    shapes.set(`${name}.input_layernorm.weight`, [hidden]);
    shapes.set(`${name}.post_attention_layernorm.weight`, [hidden]);
  }
  shapes.set('llm.model.model.norm.weight', [hidden]);
  shapes.set(TIED_HEAD, [textVocabSize, hidden]);
  linear(shapes, 'llm_decoder', [speechVocabSize, hidden]);
  shapes.set('speech_embedding.weight', [speechVocabSize, hidden]);
  return shapes;
}

function flow(config: FlowConfig): Shapes {
  const shapes: Shapes = new Map();
  const { inputSize, melBins, encoder } = config;
  const hidden = encoder.hiddenSize;
  shapes.set('input_embedding.weight', [config.vocabSize, inputSize]);
  linear(shapes, 'spk_embed_affine_layer', [melBins, config.speakerDim]);
  linear(shapes, 'encoder.embed.out.0', [hidden, inputSize]);
  norm(shapes, 'encoder.embed.out.1', hidden);
  norm(shapes, 'encoder.after_norm', hidden);
  linear(shapes, 'encoder.pre_lookahead_layer.conv1', [hidden, hidden, config.preLookaheadTokens + 1]);
  linear(shapes, 'encoder.pre_lookahead_layer.conv2', [hidden, hidden, 3]);
  for (let block = 0; block < encoder.blocks; block++) encoderBlock(shapes, `encoder.encoders.${block}`, encoder);
  // cosyvoice/transformer/upsample_encoder.py Upsample1D: kernel 2 · stride + 1
  linear(shapes, 'encoder.up_layer.conv', [hidden, hidden, 2 * config.tokenMelRatio + 1]);
  linear(shapes, 'encoder.up_embed.out.0', [hidden, hidden]);
  norm(shapes, 'encoder.up_embed.out.1', hidden);
  for (let block = 0; block < encoder.upBlocks; block++) encoderBlock(shapes, `encoder.up_encoders.${block}`, encoder);
  linear(shapes, 'encoder_proj', [melBins, hidden]);
  estimator(shapes, config);
  return shapes;
}

function encoderBlock(shapes: Shapes, name: string, { hiddenSize: hidden, heads, linearUnits }: FlowConfig['encoder']): void {
  shapes.set(`${name}.self_attn.pos_bias_u`, [heads, hidden / heads]);
  shapes.set(`${name}.self_attn.pos_bias_v`, [heads, hidden / heads]);
  for (const part of ['q', 'k', 'v', 'out']) linear(shapes, `${name}.self_attn.linear_${part}`, [hidden, hidden]);
  shapes.set(`${name}.self_attn.linear_pos.weight`, [hidden, hidden]);
  linear(shapes, `${name}.feed_forward.w_1`, [linearUnits, hidden]);
  linear(shapes, `${name}.feed_forward.w_2`, [hidden, linearUnits]);
  norm(shapes, `${name}.norm_ff`, hidden);
  norm(shapes, `${name}.norm_mha`, hidden);
}

/** Matcha-TTS decoder with causal convolutions; the widths 4 · channels are those of its time MLP and feed-forward. */
function estimator(shapes: Shapes, { estimator: config, melBins }: FlowConfig): void {
  const { channels, inChannels, midStages } = config;
  const root = 'decoder.estimator';
  linear(shapes, `${root}.time_mlp.linear_1`, [4 * channels, inChannels]);
  linear(shapes, `${root}.time_mlp.linear_2`, [4 * channels, 4 * channels]);
  estimatorStage(shapes, `${root}.down_blocks.0`, inChannels, config);
  linear(shapes, `${root}.down_blocks.0.2`, [channels, channels, 3]);
  for (let stage = 0; stage < midStages; stage++) estimatorStage(shapes, `${root}.mid_blocks.${stage}`, channels, config);
  estimatorStage(shapes, `${root}.up_blocks.0`, 2 * channels, config);
  linear(shapes, `${root}.up_blocks.0.2`, [channels, channels, 3]);
  causalBlock(shapes, `${root}.final_block`, channels, channels);
  linear(shapes, `${root}.final_proj`, [melBins, channels, 1]);
}

function estimatorStage(shapes: Shapes, name: string, inputs: number, { channels, heads, headDim, blocksPerStage }: FlowConfig['estimator']): void {
  causalBlock(shapes, `${name}.0.block1`, inputs, channels);
  causalBlock(shapes, `${name}.0.block2`, channels, channels);
  linear(shapes, `${name}.0.mlp.1`, [channels, 4 * channels]);
  linear(shapes, `${name}.0.res_conv`, [channels, inputs, 1]);
  for (let block = 0; block < blocksPerStage; block++) {
    const transformer = `${name}.1.${block}`;
    norm(shapes, `${transformer}.norm1`, channels);
    for (const part of ['q', 'k', 'v']) shapes.set(`${transformer}.attn1.to_${part}.weight`, [heads * headDim, channels]);
    linear(shapes, `${transformer}.attn1.to_out.0`, [channels, heads * headDim]);
    norm(shapes, `${transformer}.norm3`, channels);
    linear(shapes, `${transformer}.ff.net.0.proj`, [4 * channels, channels]);
    linear(shapes, `${transformer}.ff.net.2`, [channels, 4 * channels]);
  }
}

function causalBlock(shapes: Shapes, name: string, inputs: number, outputs: number): void {
  linear(shapes, `${name}.block.0`, [outputs, inputs, 3]);
  norm(shapes, `${name}.block.2`, outputs);
}

function vocoder(config: VocoderConfig): Shapes {
  const shapes: Shapes = new Map();
  const { baseChannels, upsampleRates, istft, melBins, f0 } = config;
  const bins = istft.nFft + 2;
  linear(shapes, 'm_source.l_linear', [1, config.harmonics + 1]);
  linear(shapes, 'conv_pre', [baseChannels, melBins, 7]);
  const rates = sourceRates(upsampleRates);
  for (const [level, kernel] of config.upsampleKernelSizes.entries()) {
    const inputs = baseChannels / 2 ** level;
    const outputs = inputs / 2;
    shapes.set(`ups.${level}.weight`, [inputs, outputs, kernel]);
    shapes.set(`ups.${level}.bias`, [outputs]);
    const rate = rates[level] ?? 1;
    linear(shapes, `source_downs.${level}`, [outputs, bins, rate === 1 ? 1 : 2 * rate]);
    const sourceKernel = config.sourceResblockKernelSizes[level] ?? 0;
    resblock(shapes, `source_resblocks.${level}`, outputs, sourceKernel, config.sourceResblockDilations[level] ?? []);
    for (const [index, size] of config.resblockKernelSizes.entries()) {
      resblock(shapes, `resblocks.${level * config.resblockKernelSizes.length + index}`, outputs, size, config.resblockDilations[index] ?? []);
    }
  }
  linear(shapes, 'conv_post', [bins, baseChannels / 2 ** upsampleRates.length, 7]);
  // convolutions and activations alternate in the official list, so weights have even numbers
  for (let layer = 0; layer < f0.layers; layer++) linear(shapes, `f0_predictor.condnet.${2 * layer}`, [f0.channels, layer === 0 ? melBins : f0.channels, 3]);
  linear(shapes, 'f0_predictor.classifier', [1, f0.channels]);
  return shapes;
}

/** By how much the source spectrum is slowed down at each level: the product of the rates still to come. */
function sourceRates(rates: readonly number[]): number[] {
  return rates.map((_, level) => rates.slice(level + 1).reduce((product, rate) => product * rate, 1));
}

function resblock(shapes: Shapes, name: string, channels: number, kernel: number, dilations: readonly number[]): void {
  for (const index of dilations.keys()) {
    for (const half of [1, 2]) {
      linear(shapes, `${name}.convs${half}.${index}`, [channels, channels, kernel]);
      shapes.set(`${name}.activations${half}.${index}.alpha`, [channels]);
    }
  }
}

function linear(shapes: Shapes, name: string, shape: readonly number[]): void {
  shapes.set(`${name}.weight`, shape);
  shapes.set(`${name}.bias`, shape.slice(0, 1));
}

function norm(shapes: Shapes, name: string, size: number): void {
  shapes.set(`${name}.weight`, [size]);
  shapes.set(`${name}.bias`, [size]);
}
