"""Times the official PyTorch modules at full size with random weights: one JSON line per measurement on standard output.

Needs a checkout of FunAudioLLM/CosyVoice with its Matcha-TTS submodule (first argument) and its Python packages. Only the
benchmark uses it; nothing of the product does.
"""
import argparse
import json
import os
import sys
import tempfile
import time


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("checkout")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--samples", type=int, default=3)
    ap.add_argument("--seconds", type=float, nargs="+", default=[2, 10])
    ap.add_argument("--what", nargs="+", default=["llm", "flow", "vocoder", "stream"])
    ap.add_argument("--words", type=int, default=2, help="text tokens of the streamed request; random weights make up to 20 speech tokens for each, and the first sound needs 28")
    a = ap.parse_args()
    sys.path[:0] = [a.checkout, os.path.join(a.checkout, "third_party", "Matcha-TTS")]
    import torch
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        for what in a.what:
            {"llm": llm, "flow": flow, "vocoder": vocoder, "stream": stream}[what](a)


def report(name, unit, values):
    print(json.dumps({"name": name, "unit": unit, "samples": values}), flush=True)


def timed(call, samples):
    call()
    values = []
    for _ in range(samples):
        t = time.perf_counter()
        call()
        values.append(time.perf_counter() - t)
    return values


def llm(a):
    import torch
    encoder = qwen()
    head = torch.nn.Linear(896, 6564)
    _, cache = encoder.forward_one_step(torch.randn(1, 100, 896), masks=torch.tril(torch.ones(1, 100, 100)).to(torch.bool))
    state = {"cache": cache}

    def step():
        y, state["cache"] = encoder.forward_one_step(torch.randn(1, 1, 896), masks=torch.ones(1, 1, 1).to(torch.bool), cache=state["cache"])
        head(y[:, -1]).log_softmax(dim=-1)
    report("llm step, batch 1", "ms", [1000 * t for t in timed(step, 4 * a.samples)])


def qwen():
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from cosyvoice.llm.llm import Qwen2Encoder
    folder = tempfile.mkdtemp()
    conf = Qwen2Config(vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                       num_key_value_heads=2, max_position_embeddings=32768, rope_theta=1000000.0, rms_norm_eps=1e-6, tie_word_embeddings=True)
    loader, Qwen2ForCausalLM.from_pretrained = Qwen2ForCausalLM.from_pretrained, classmethod(lambda cls, path, **k: cls(conf))
    encoder = Qwen2Encoder(folder).eval()
    Qwen2ForCausalLM.from_pretrained = loader
    return encoder


def flow(a):
    import torch
    net = flow_network()
    prompt = 75
    for seconds in a.seconds:
        n = round(25 * seconds)

        def solve():
            net.inference(token=torch.randint(0, 6561, (1, n)), token_len=torch.tensor([n]), prompt_token=torch.randint(0, 6561, (1, prompt)),
                          prompt_token_len=torch.tensor([prompt]), prompt_feat=torch.randn(1, 2 * prompt, 80), prompt_feat_len=torch.tensor([2 * prompt]),
                          embedding=torch.randn(1, 192), streaming=False, finalize=True)
        report(f"flow, {seconds:g} s + 3 s prompt", "real-time factor", [t / seconds for t in timed(solve, a.samples)])


def flow_network():
    from omegaconf import DictConfig
    from cosyvoice.flow.decoder import CausalConditionalDecoder
    from cosyvoice.flow.flow import CausalMaskedDiffWithXvec
    from cosyvoice.flow.flow_matching import CausalConditionalCFM
    from cosyvoice.transformer.upsample_encoder import UpsampleConformerEncoder
    encoder = UpsampleConformerEncoder(output_size=512, attention_heads=8, linear_units=2048, num_blocks=6, dropout_rate=0.1, positional_dropout_rate=0.1,
                                       attention_dropout_rate=0.1, normalize_before=True, input_layer="linear", pos_enc_layer_type="rel_pos_espnet",
                                       selfattention_layer_type="rel_selfattn", input_size=512, use_cnn_module=False, macaron_style=False, static_chunk_size=25)
    estimator = CausalConditionalDecoder(in_channels=320, out_channels=80, channels=[256], dropout=0.0, attention_head_dim=64, n_blocks=4, num_mid_blocks=12,
                                         num_heads=8, act_fn="gelu", static_chunk_size=50, num_decoding_left_chunks=-1)
    cfm = CausalConditionalCFM(in_channels=240, n_spks=1, spk_emb_dim=80, estimator=estimator, cfm_params=DictConfig(dict(
        sigma_min=1e-6, solver="euler", t_scheduler="cosine", training_cfg_rate=0.2, inference_cfg_rate=0.7, reg_loss_type="l1")))
    return CausalMaskedDiffWithXvec(input_size=512, output_size=80, spk_embed_dim=192, output_type="mel", vocab_size=6561, input_frame_rate=25,
                                   only_mask_loss=True, token_mel_ratio=2, pre_lookahead_len=3, encoder=encoder, decoder=cfm).eval()


def vocoder(a):
    import torch
    net = vocoder_network()
    for seconds in a.seconds:
        mel = torch.randn(1, 80, round(50 * seconds))
        report(f"vocoder, {seconds:g} s", "real-time factor", [t / seconds for t in timed(lambda: net.inference(speech_feat=mel), a.samples)])


def vocoder_network():
    from cosyvoice.hifigan.f0_predictor import ConvRNNF0Predictor
    from cosyvoice.hifigan.generator import HiFTGenerator
    return HiFTGenerator(in_channels=80, base_channels=512, nb_harmonics=8, sampling_rate=24000, nsf_alpha=0.1, nsf_sigma=0.003, nsf_voiced_threshold=10,
                        upsample_rates=[8, 5, 3], upsample_kernel_sizes=[16, 11, 7], istft_params=dict(n_fft=16, hop_len=4), resblock_kernel_sizes=[3, 7, 11],
                        resblock_dilation_sizes=[[1, 3, 5]] * 3, source_resblock_kernel_sizes=[7, 7, 11], source_resblock_dilation_sizes=[[1, 3, 5]] * 3,
                        lrelu_slope=0.1, audio_limit=0.99, f0_predictor=ConvRNNF0Predictor(num_class=1, in_channels=80, cond_channels=512)).eval()


def stream(a):
    """The official streaming loop with a stored prompt of 3 s. Random weights speak until their limit of 20 tokens for each of the text."""
    from functools import partial
    import torch
    from cosyvoice.cli.model import CosyVoice2Model
    from cosyvoice.llm.llm import Qwen2LM
    from cosyvoice.utils.common import ras_sampling
    network = Qwen2LM(896, 896, 6561, qwen(), partial(ras_sampling, top_p=0.8, top_k=25, win_size=10, tau_r=0.1)).eval()
    prompt = dict(flow_prompt_speech_token=torch.randint(0, 6561, (1, 75)), prompt_speech_feat=torch.randn(1, 150, 80), flow_embedding=torch.randn(1, 192))
    model = CosyVoice2Model(network, flow_network(), vocoder_network())
    # once, and said as it comes: on processors one request takes minutes
    begin = time.perf_counter()
    samples = 0
    for piece in model.tts(text=torch.randint(0, 150000, (1, a.words)), stream=True, **prompt):
        if samples == 0:
            report("first audio, 1 listener", "ms", [1000 * (time.perf_counter() - begin)])
        samples += piece["tts_speech"].shape[1]
    report("whole real-time factor, streaming", "real-time factor", [(time.perf_counter() - begin) / (samples / 24000)])


if __name__ == "__main__":
    main()
