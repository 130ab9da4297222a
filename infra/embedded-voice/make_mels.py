"""Mels as the flow makes them from the teacher's codes, for every utterance: the vocoder is then trained on what it will be given (train_hift.py --made)."""
import argparse

import torch

import codes
import data
import nano


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", nargs="+", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--flow", required=True)
    ap.add_argument("--speaker", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--every", type=int, default=1, help="only each n-th utterance")
    ap.add_argument("--encoder", action="store_true", help="the flow encoder's own mel (what the flow makes of it when `spread` is 0), without its noise")
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    utts = data.load_all(a)
    utts = codes.assign(utts, data.f0_stats(utts))[::a.every]
    emb = torch.load(a.speaker, map_location="cpu", weights_only=False)["embedding"]
    net = nano.make_flow().float().eval()
    net.load_state_dict({k: v.float() for k, v in torch.load(a.flow, weights_only=True).items()})
    out = {}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for i, u in enumerate(utts):
            out[u["id"]] = answer(net, u["speech"][None].long(), emb[u["voice"]][None], i % 2 == 1, a.encoder)[0].half()
            if i % 200 == 0:
                print(i, len(utts), flush=True)
    nano.write(out, a.out)


def answer(net, tokens, emb, streaming, encoder_only=False):
    """The flow's result in one step instead of ten: its answer at t = 0 plus the noise that sigma_min leaves."""
    n = torch.tensor([tokens.shape[1]])
    h, _ = net.encoder(net.input_embedding(tokens), n, streaming=streaming)
    mu = net.encoder_proj(h).transpose(1, 2).float()
    z = torch.randn_like(mu)
    spk = net.spk_embed_affine_layer(torch.nn.functional.normalize(emb, dim=1)).float()
    if encoder_only:
        return mu + spk.unsqueeze(-1)
    v = net.decoder.estimator(z, torch.ones_like(mu[:, :1]), mu, torch.zeros(1), spk, torch.zeros_like(mu), streaming=streaming)
    return z + v.float()


if __name__ == "__main__":
    main()
