"""Mels as the flow makes them from the teacher's codes, for every utterance: the vocoder is then trained on what it will be given (train_hift.py --made)."""
import argparse

import torch

import codes
import data
import nano
import train_flow


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", nargs="+", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--flow", required=True)
    ap.add_argument("--speaker", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--every", type=int, default=1, help="only each n-th utterance")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--batch", type=int, default=8)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    utts = data.load_all(a)
    utts = codes.assign(utts, data.f0_stats(utts))[::a.every]
    utts.sort(key=lambda u: len(u["speech"]))
    emb = torch.load(a.speaker, map_location="cpu", weights_only=False)["embedding"]
    net, out, off = train_flow.load(a.flow), {}, 0.0
    with torch.inference_mode():
        for i in range(0, len(utts), a.batch):
            us = utts[i:i + a.batch]
            n = torch.tensor([len(u["speech"]) for u in us])
            tok = torch.zeros(len(us), int(n.max()), dtype=torch.long)
            for row, u in zip(tok, us):
                row[:len(u["speech"])] = u["speech"]
            mel = train_flow.predict(net, tok, n, torch.stack([emb[u["voice"]] for u in us]), streaming=i // a.batch % 2 == 1).transpose(1, 2)
            for u, m in zip(us, mel):
                out[u["id"]] = codes.to_audio(m[:, :u["mel"].shape[1]], u["warp"]).half()
                off += float((out[u["id"]].float() - u["mel"].float()).abs().mean())
            if i // a.batch % 50 == 0:
                print(i, len(utts), f"mean distance to the teacher's mel {off / (i + len(us)):.3f}", flush=True)
    nano.write(out, a.out)


if __name__ == "__main__":
    main()
