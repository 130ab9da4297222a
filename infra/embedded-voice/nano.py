"""Sizes of the nano voice and construction of the official modules at these sizes."""
import os
import tempfile
import zipfile

import torch

CFG = dict(
    lm=dict(hidden_size=192, intermediate_size=640, num_hidden_layers=8, num_attention_heads=3, num_key_value_heads=1),
    mix_ratio=[5, 5],
    flow=dict(hidden=128, heads=4, ffn=256, blocks=2, channels=192, n_blocks=1, mid=1, dheads=4, dhead=16, cfg_train=0.0, cfg=0.0, sigma=0.0),
    hift=dict(base=128, cond=128),
    chunk=25,
)
HIFT = dict(nb_harmonics=8, sampling_rate=24000, nsf_alpha=0.1, nsf_sigma=0.003, nsf_voiced_threshold=10,
            upsample_rates=[8, 5, 3], upsample_kernel_sizes=[16, 11, 7], istft_params=dict(n_fft=16, hop_len=4),
            resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3,
            source_resblock_kernel_sizes=[7, 7, 11], source_resblock_dilation_sizes=[[1, 3, 5]] * 3, lrelu_slope=0.1, audio_limit=0.99)


def make_hift(cfg=CFG):
    from cosyvoice.hifigan.f0_predictor import ConvRNNF0Predictor
    from cosyvoice.hifigan.generator import HiFTGenerator
    h = cfg["hift"]
    return HiFTGenerator(in_channels=80, base_channels=h["base"], f0_predictor=ConvRNNF0Predictor(1, 80, h["cond"]), **HIFT)


def make_flow(cfg=CFG):
    from omegaconf import DictConfig
    from cosyvoice.flow.decoder import CausalConditionalDecoder
    from cosyvoice.flow.flow import CausalMaskedDiffWithXvec
    from cosyvoice.flow.flow_matching import CausalConditionalCFM
    from cosyvoice.transformer.upsample_encoder import UpsampleConformerEncoder
    f, chunk = cfg["flow"], cfg["chunk"]
    enc = UpsampleConformerEncoder(output_size=f["hidden"], attention_heads=f["heads"], linear_units=f["ffn"], num_blocks=f["blocks"],
                                   dropout_rate=0.1, positional_dropout_rate=0.1, attention_dropout_rate=0.1, normalize_before=True,
                                   input_layer="linear", pos_enc_layer_type="rel_pos_espnet", selfattention_layer_type="rel_selfattn",
                                   input_size=f["hidden"], use_cnn_module=False, macaron_style=False, static_chunk_size=chunk)
    if f["hidden"] != 512:  # the official encoder hard-codes 512 channels in these two layers; same classes, same names, our width
        from cosyvoice.transformer.upsample_encoder import PreLookaheadLayer, Upsample1D
        enc.pre_lookahead_layer = PreLookaheadLayer(in_channels=f["hidden"], channels=f["hidden"], pre_lookahead_len=3)
        enc.up_layer = Upsample1D(channels=f["hidden"], out_channels=f["hidden"], stride=2)
    est = CausalConditionalDecoder(in_channels=320, out_channels=80, channels=[f["channels"]], dropout=0.0, attention_head_dim=f["dhead"],
                                   n_blocks=f["n_blocks"], num_mid_blocks=f["mid"], num_heads=f["dheads"], act_fn="gelu",
                                   static_chunk_size=chunk * 2, num_decoding_left_chunks=-1)
    cfm = CausalConditionalCFM(in_channels=240, n_spks=1, spk_emb_dim=80, estimator=est, cfm_params=DictConfig(dict(
        sigma_min=f["sigma"], solver="euler", t_scheduler="cosine", training_cfg_rate=f["cfg_train"], inference_cfg_rate=f["cfg"], reg_loss_type="l1")))
    return CausalMaskedDiffWithXvec(input_size=f["hidden"], output_size=80, spk_embed_dim=192, output_type="mel", vocab_size=6561,
                                    input_frame_rate=25, only_mask_loss=True, token_mel_ratio=2, pre_lookahead_len=3, encoder=enc, decoder=cfm)


def lm_config(vocab, cfg=CFG):
    return dict(vocab_size=vocab, max_position_embeddings=4096, rope_theta=1000000.0, rms_norm_eps=1e-6, tie_word_embeddings=True,
                use_sliding_window=False, **cfg["lm"])


def make_lm(folder, vocab, cfg=CFG):
    """folder receives (or has) the Qwen2 config of the text model, as CosyVoice-BlankEN does"""
    from functools import partial
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from cosyvoice.llm.llm import Qwen2Encoder, Qwen2LM
    from cosyvoice.utils.common import ras_sampling
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "config.json")):
        Qwen2Config(architectures=["Qwen2ForCausalLM"], **lm_config(vocab, cfg)).save_pretrained(folder)
    # the official encoder wants weights beside the config; llm.pt replaces them all, so random ones in a scratch folder do
    scratch = tempfile.mkdtemp()
    Qwen2ForCausalLM(Qwen2Config.from_pretrained(folder)).save_pretrained(scratch)
    h = cfg["lm"]["hidden_size"]
    return Qwen2LM(llm_input_size=h, llm_output_size=h, speech_token_size=6561, length_normalized_loss=True, lsm_weight=0,
                   mix_ratio=cfg["mix_ratio"], llm=Qwen2Encoder(scratch), sampling=partial(ras_sampling, top_p=0.8, top_k=25, win_size=10, tau_r=0.1))


def count(m):
    return sum(p.numel() for p in m.parameters())


def write(obj, path, deflate=False):
    """torch.save that never leaves a half-written file. deflate: compressed zip entries, which torch.load reads just the same"""
    tmp = path + ".tmp"
    torch.save(obj, tmp)
    if deflate:
        with zipfile.ZipFile(tmp) as a, zipfile.ZipFile(tmp + "z", "w") as b:
            for i in a.infolist():
                b.writestr(zipfile.ZipInfo(i.filename, (1980, 1, 1, 0, 0, 0)), a.read(i), zipfile.ZIP_DEFLATED, 9)
        os.replace(tmp + "z", tmp)
    os.replace(tmp, path)
