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
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    utts = data.load_all(a)
    utts = codes.assign(utts, data.f0_stats(utts))[::a.every]
    emb = torch.load(a.speaker, map_location="cpu", weights_only=False)["embedding"]
    net = nano.make_flow().float().eval()
    net.load_state_dict({k: v.float() for k, v in torch.load(a.flow, weights_only=True).items()})
    out = {}
    for i, u in enumerate(utts):
        # other noise each time: the table of the official class is fixed, and the vocoder must not learn it
        net.decoder.rand_noise = torch.randn(1, 80, 2 * len(u["speech"]))
        with torch.autocast("cpu", torch.bfloat16):
            out[u["id"]] = mel_of(net, u["speech"], emb[u["voice"]][None])[0].half()
        if i % 200 == 0:
            print(i, len(utts), flush=True)
    nano.write(out, a.out)


@torch.inference_mode()
def mel_of(net, tokens, emb, streaming=False):
    z = torch.zeros(1, 0, dtype=torch.long)
    m, _ = net.inference(token=tokens[None].long(), token_len=torch.tensor([len(tokens)]), prompt_token=z, prompt_token_len=torch.tensor([0]),
                         prompt_feat=torch.zeros(1, 0, 80), prompt_feat_len=torch.tensor([0]), embedding=emb, streaming=streaming, finalize=True)
    return m


if __name__ == "__main__":
    main()
