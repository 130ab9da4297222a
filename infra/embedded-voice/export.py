"""Puts the trained parts into the official layout: half precision for the three checkpoints, 8-bit weights for the two ONNX models."""
import argparse
import json
import os
import shutil
import tempfile

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import codes
import field
import nano
import text_tokenizer
from models import Speaker, SpeakerOnnx, Tokenizer, TokenizerOnnx

YAML = """# the embedded voice: the architecture of CosyVoice2 at a small size
sample_rate: 24000
text_frontend: 'phones'
llm_input_size: {h}
llm_output_size: {h}
spk_embed_dim: 192
qwen_pretrain_path: ''
token_frame_rate: 25
token_mel_ratio: 2

chunk_size: {chunk}
num_decoding_left_chunks: -1

llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    speech_token_size: 6561
    length_normalized_loss: True
    lsm_weight: 0
    mix_ratio: [{mix[0]}, {mix[1]}]
    llm: !new:cosyvoice.llm.llm.Qwen2Encoder
        pretrain_path: !ref <qwen_pretrain_path>
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: {top_p}
        top_k: 25
        win_size: 25
        tau_r: {tau_r}

flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: {f[hidden]}
    output_size: 80
    spk_embed_dim: !ref <spk_embed_dim>
    output_type: 'mel'
    vocab_size: 6561
    input_frame_rate: !ref <token_frame_rate>
    only_mask_loss: True
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: 3
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        output_size: {f[hidden]}
        attention_heads: {f[heads]}
        linear_units: {f[ffn]}
        num_blocks: {f[blocks]}
        dropout_rate: 0.1
        positional_dropout_rate: 0.1
        attention_dropout_rate: 0.1
        normalize_before: True
        input_layer: 'linear'
        pos_enc_layer_type: 'rel_pos_espnet'
        selfattention_layer_type: 'rel_selfattn'
        input_size: {f[hidden]}
        use_cnn_module: False
        macaron_style: False
        static_chunk_size: !ref <chunk_size>
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: 240
        n_spks: 1
        spk_emb_dim: 80
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: {f[sigma]}
                solver: 'euler'
                t_scheduler: 'cosine'
                training_cfg_rate: {f[cfg_train]}
                inference_cfg_rate: {f[cfg]}
                reg_loss_type: 'l1'
                pull: {pull}
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: 320
            out_channels: 80
            channels: [{f[channels]}]
            dropout: 0.0
            attention_head_dim: {f[dhead]}
            n_blocks: {f[n_blocks]}
            num_mid_blocks: {f[mid]}
            num_heads: {f[dheads]}
            act_fn: 'gelu'
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
            num_decoding_left_chunks: !ref <num_decoding_left_chunks>

hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: 80
    base_channels: {v[base]}
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: 0.1
    nsf_sigma: 0.003
    nsf_voiced_threshold: 10
    upsample_rates: [8, 5, 3]
    upsample_kernel_sizes: [16, 11, 7]
    istft_params:
        n_fft: 16
        hop_len: 4
    resblock_kernel_sizes: [3, 7, 11]
    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    source_resblock_kernel_sizes: [7, 7, 11]
    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    lrelu_slope: 0.1
    audio_limit: 0.99
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: 80
        cond_channels: {v[cond]}

get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
    token_path: !ref <qwen_pretrain_path>
    skip_special_tokens: True
allowed_special: 'all'
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
    n_fft: 1920
    num_mels: 80
    sampling_rate: !ref <sample_rate>
    hop_size: 480
    win_size: 1920
    fmin: 0
    fmax: 8000
    center: False
"""


def shrink(model):
    """Weights of matrix products and convolutions become 8-bit integers with one scale per output channel; the arithmetic stays float32."""
    users = {}
    for n in model.graph.node:
        for i, x in enumerate(n.input):
            users.setdefault(x, []).append((n, i))
    added = []
    for t in list(model.graph.initializer):
        w = numpy_helper.to_array(t)
        if w.dtype != np.float32 or w.size < 4096 or len(users.get(t.name, [])) != 1:
            continue
        node, at = users[t.name][0]
        if node.op_type not in ("MatMul", "Gemm", "Conv"):
            continue
        trans = node.op_type == "Gemm" and any(x.name == "transB" and x.i for x in node.attribute)
        axis = 0 if node.op_type == "Conv" or trans else 1
        other = tuple(i for i in range(w.ndim) if i != axis)
        scale = np.maximum(np.abs(w).max(axis=other), 1e-8) / 127
        q = np.round(w / np.expand_dims(scale, other)).astype(np.int8)
        for suffix, value in (("_q", q), ("_scale", scale.astype(np.float32)), ("_zero", np.zeros(len(scale), np.int8))):
            model.graph.initializer.append(numpy_helper.from_array(value, t.name + suffix))
        out = t.name + "_float"
        added.append(helper.make_node("DequantizeLinear", [t.name + "_q", t.name + "_scale", t.name + "_zero"], [out], axis=axis))
        node.input[at] = out
        model.graph.initializer.remove(t)
    for n in reversed(added):
        model.graph.node.insert(0, n)
    onnx.checker.check_model(model)
    return model


def graph(net, args, path, **names):
    with tempfile.TemporaryDirectory() as d:
        f = os.path.join(d, "m.onnx")
        torch.onnx.export(net, args, f, opset_version=17, dynamo=False, **names)
        onnx.save(shrink(onnx.load(f)), path)


def session(path):
    import onnxruntime as ort
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def blank(state):
    """codes and text tokens that cannot occur get empty rows: the files pack smaller"""
    never = ~codes.POSSIBLE
    silent = torch.ones(text_tokenizer.SIZE, dtype=torch.bool)
    silent[text_tokenizer.Fast().encode("".join(text_tokenizer.SAID))] = False
    for k, v in state.items():
        if k in ("input_embedding.weight", "speech_embedding.weight", "llm_decoder.weight"):
            v[:6561][never] = 0
        if k == "llm_decoder.bias":
            v[:6561][never] = -60
        if k == "llm.model.model.embed_tokens.weight":
            v[silent] = 0
    return state


def coarse(state, levels, small=16000):
    """Matrices on a grid of whole multiples of a power of two per row, at most `levels` of them to each side: half precision holds these exactly,
    in few distinct bit patterns, so that the file packs to two thirds. An engine that computes with 8-bit rows loses nothing worth naming. Small ones keep 63 levels: they weigh little."""
    for k, v in state.items():
        if v.is_floating_point() and v.ndim > 1 and v.shape[1] * v.shape[0] >= 4096:
            rows = v.float().flatten(1)
            most = max(levels, 63) if v.numel() < small else levels
            step = torch.exp2(torch.ceil(torch.log2(rows.abs().amax(1, keepdim=True).clamp(min=1e-7) / most)))
            state[k] = (torch.round(rows / step) * step).view_as(v)
    return state


def whole(state, size=13):
    """The vocoder's normalised directions (v of g v / |v|) as bytes: their length does not matter, so a row is brought to `size` of mean square and rounded.
    torch.load and load_state_dict take whole numbers where they expect others. Not the last layer: its rounding is heard as a tone of 6 kHz."""
    for k, v in state.items():
        if k.endswith("weight.original1") and "conv_post" not in k:
            rows = v.float().flatten(1)
            scale = torch.minimum(size / rows.pow(2).mean(1, keepdim=True).sqrt(), 127 / rows.abs().amax(1, keepdim=True))
            state[k] = torch.round(rows * scale).to(torch.int8).view_as(v)
    return state


def louder(state, decibel):
    """the vocoder's output scaled exactly: its last layer gives the logarithm of the magnitudes, so the gain is added to that bias"""
    n = nano.HIFT["istft_params"]["n_fft"] // 2 + 1
    state["generator.conv_post.bias"][:n] += decibel / 20 * float(np.log(10))
    return state


def checkpoint(a, name):
    """the trained file of language model, flow or vocoder -> llm.pt, flow.pt or hift.pt"""
    state = blank({k: v.clone() for k, v in torch.load(getattr(a, name), map_location="cpu", weights_only=True).items()})
    if name == "hift":
        state = whole(louder(state, a.gain))
    levels = dict(lm=a.levels, flow=a.flow_levels, hift=0)[name]
    if levels:
        state = coarse(state, levels)
    state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if name == "lm":        # the unused output layer of the text model: the same tensor, stored once
        state["llm.model.lm_head.weight"] = state["llm.model.model.embed_tokens.weight"]
    assert all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point())
    nano.write(state, os.path.join(a.out, "llm.pt" if name == "lm" else name + ".pt"), not a.stored)
    print(name, sum(v.numel() for v in state.values()), "parameters")


def tokenizer(a):
    """-> speech_tokenizer_v2.onnx, and pitch.json, the mean log F0 of each voice that its pitch levels are measured from"""
    c = torch.load(a.tokenizer, map_location="cpu", weights_only=False)
    t = Tokenizer()
    t.load_state_dict(c["state"]); t.eval()
    path = os.path.join(a.out, "speech_tokenizer_v2.onnx")
    graph(TokenizerOnnx(t).eval(), (torch.randn(1, 128, 400), torch.tensor([400], dtype=torch.int32)), path,
          input_names=["feats", "feats_length"], output_names=["indices"], dynamic_axes={"feats": {2: "T"}, "indices": {1: "N"}})
    x = torch.randn(1, 128, 637)
    with torch.no_grad():
        ref = TokenizerOnnx(t).eval()(x, torch.tensor([637], dtype=torch.int32)).numpy()
    got = session(path).run(None, {"feats": x.numpy(), "feats_length": np.array([637], np.int32)})[0]
    print("tokenizer", nano.count(t), "parameters; onnx", got.shape, got.dtype, "equal", (got == ref).mean())
    with open(os.path.join(a.out, "pitch.json"), "w") as f:
        json.dump({v: m for v, m in c["stats"].items() if v in a.voices}, f)


def speaker(a):
    """-> campplus.onnx and the voices in spk2info.pt"""
    s = torch.load(a.speaker, map_location="cpu", weights_only=False)
    net = Speaker(n_voices=len(s["voices"]))
    net.load_state_dict(s["state"]); net.eval()
    path = os.path.join(a.out, "campplus.onnx")
    graph(SpeakerOnnx(net).eval(), (torch.randn(1, 200, 80),), path, input_names=["input"], output_names=["output"], dynamic_axes={"input": {1: "T"}})
    f = torch.randn(1, 333, 80)
    with torch.no_grad():
        ref = net(f).numpy()
    got = session(path).run(None, {"input": f.numpy()})[0]
    print("speaker", sum(p.numel() for n, p in net.named_parameters() if not n.startswith("cls")), "parameters; onnx cosine",
          float((got * ref).sum() / np.linalg.norm(got) / np.linalg.norm(ref)))
    ids = text_tokenizer.Fast().ids
    torch.save({v: dict(embedding=s["embedding"][v][None].clone(), prompt_text=torch.tensor([[ids[text_tokenizer.VOICE_TOKENS[v]]]], dtype=torch.int32)) for v in a.voices},
               os.path.join(a.out, "spk2info.pt"))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True, help="folder of the voice; parts that are not named below stay there as they are")
    for x in ("tokenizer", "speaker", "lm", "flow", "hift"):
        ap.add_argument("--" + x, help="trained file")
    ap.add_argument("--text-folder", required=True, help="WORK/text, with the language model's sizes")
    ap.add_argument("--voices", nargs="+", default=text_tokenizer.VOICES)
    ap.add_argument("--top-p", type=float, default=0.5)
    ap.add_argument("--tau-r", type=float, default=1.0)
    ap.add_argument("--gain", type=float, default=0.0, help="decibel added to the vocoder's output")
    ap.add_argument("--levels", type=int, default=15, help="grid of the language model, as train_lm.py --levels had it; 0: full half precision")
    ap.add_argument("--flow-levels", type=int, default=15, help="the same for the flow, as train_flow.py --levels had it")
    ap.add_argument("--stored", action="store_true", help="no compression inside the .pt files")
    a = ap.parse_args()
    text = os.path.join(a.out, "CosyVoice-BlankEN")
    text_tokenizer.build(text)
    shutil.copy(os.path.join(a.text_folder, "config.json"), text)
    for name in ("lm", "flow", "hift"):
        if getattr(a, name):
            checkpoint(a, name)
    if a.tokenizer:
        tokenizer(a)
    if a.speaker:
        speaker(a)
    cfg = nano.CFG
    with open(os.path.join(a.out, "cosyvoice2.yaml"), "w") as f:
        f.write(YAML.format(h=cfg["lm"]["hidden_size"], chunk=cfg["chunk"], mix=cfg["mix_ratio"], f=cfg["flow"], pull=field.PULL, v=cfg["hift"], top_p=a.top_p, tau_r=a.tau_r))
    total = sum(os.path.getsize(os.path.join(d, n)) for d, _, names in os.walk(a.out) for n in names)
    print(f"folder {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
