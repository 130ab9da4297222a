"""Speech tokens -> mel: the official CausalMaskedDiffWithXvec modules, encoder and estimator trained together as one regression.

The estimator is a field that pulls towards one mel (field.py), so what is learned is that mel of tokens, voice and prompt: L1, a little of it on the
differences between neighbouring frames and bands, against blur. Codes begin every 40 ms, sounds anywhere: the mel to learn is moved in time to where the
codes have each sound (codes.track), or every border would be learned as smeared. The encoder's 80 values need not be a mel. Random streaming or full masks, random prompts;
half of the streaming masks end the first block early, as the engine does for the first sound (gpu-node/schedule/flow-streams.ts).
Towards the end the weights are put on the grid on which they are written (`--grid`), so that the loss sees the rounding.
"""
import argparse
import os
import random
import zlib

import torch
import torch.nn.functional as F

import codes
import data
import field
import loop
import nano


EARLY = 12      # tokens of such a first block


class EarlyEnd:
    """while `on`, streaming masks have an additional end: nothing before token EARLY sees what is behind it"""

    def __init__(self):
        from cosyvoice.transformer import upsample_encoder
        from cosyvoice.utils import mask
        self.on, self.plain = False, mask.add_optional_chunk_mask
        upsample_encoder.add_optional_chunk_mask = mask.add_optional_chunk_mask = self.mask

    def mask(self, *args):
        out, size = self.plain(*args), args[5]
        if self.on and size > 0:
            e = EARLY * size // nano.CFG["chunk"]
            out = out.expand(-1, out.shape[2], -1).clone()
            out[:, :e, e:] = False
        return out


def predict(net, tok, n_tok, emb, streaming, cond=None):
    """tok [B, S], emb [B, 192] -> mel [B, 2S, 80], what the flow gives without its last trace of noise"""
    keep = torch.arange(tok.shape[1], device=tok.device)[None] < n_tok[:, None]
    h, _ = net.encoder(net.input_embedding(tok) * keep.unsqueeze(-1), n_tok, streaming=streaming)
    mu = net.encoder_proj(h)
    spk = net.spk_embed_affine_layer(F.normalize(emb, dim=1))
    return field.answer(net.decoder.estimator, mu, spk, torch.zeros_like(mu) if cond is None else cond, keep.repeat_interleave(2, 1), streaming)


def distance(made, mel, keep, edges):
    """mean absolute difference of the mels and, times `edges`, of their differences over time and over frequency -> total, the first alone"""
    k = keep.unsqueeze(2).to(mel)
    d = (made - mel) * k
    size = k.sum() * mel.shape[2]
    plain = d.abs().sum() / size
    steps = ((d[:, 1:] - d[:, :-1]) * k[:, 1:] * k[:, :-1]).abs().sum() + (d[:, :, 1:] - d[:, :, :-1]).abs().sum()
    return plain + edges * steps / size, plain


def load(path, cfg=nano.CFG):
    """a written flow.pt as a network for predict()"""
    net = nano.make_flow(cfg).float().eval()
    state = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return net


class Batches:
    def __init__(self, utts, emb, a, seed, crop=None, prompts=0.25):
        self.prompts = prompts
        self.utts, self.emb, self.size, self.crop, self.rng, self.device = utts, emb, a.batch, crop or a.crop, random.Random(seed), a.device

    def piece(self, u):
        n = len(u["speech"])
        m = min(n, self.crop)
        s = self.rng.randint(0, n - m)
        return u["speech"][s:s + m], u["mel"][:, s * 2:(s + m) * 2].T, u["voice"]

    def collate(self, items):
        L = torch.tensor([len(t) for t, _, _ in items])
        n = int(L.max())
        tok, mel = torch.zeros(len(items), n, dtype=torch.long), torch.zeros(len(items), 2 * n, 80)
        cond, p = torch.zeros_like(mel), torch.zeros(len(items), dtype=torch.long)
        for i, (t, m, _) in enumerate(items):
            k = 2 * len(t)
            tok[i, : len(t)] = t
            mel[i, :k] = m.float()
            if self.rng.random() < self.prompts:
                p[i] = self.rng.randint(0, int(0.3 * k))
                cond[i, :p[i]] = mel[i, :p[i]]
        keep = torch.arange(2 * n)[None] < 2 * L[:, None]
        emb = torch.stack([self.emb[v] for _, _, v in items])
        judged = keep & (torch.arange(2 * n)[None] >= p[:, None])
        b = dict(tok=tok, n_tok=L, mel=mel, cond=cond, keep=keep, judge=judged, emb=emb + 0.02 * torch.randn_like(emb))
        streaming = self.rng.random() < 0.5
        return dict({k: v.to(self.device) for k, v in b.items()}, streaming=streaming, early=streaming and self.rng.random() < 0.5)

    def __iter__(self):
        while True:
            items = [self.piece(u) for u in self.rng.sample(self.utts, len(self.utts))]
            items.sort(key=lambda x: len(x[0]) + self.rng.random() * 12)
            out, cur = [], []
            for x in items:
                if cur and len(x[0]) * (len(cur) + 1) > self.size:
                    out.append(cur); cur = []
                cur.append(x)
            out.append(cur)
            self.rng.shuffle(out)
            for o in out:
                yield self.collate(o)


def main():
    ap = loop.arguments(argparse.ArgumentParser(), 12000, 1e-3, 350)
    ap.add_argument("--speaker", help="speaker.pt; default is the work folder's")
    ap.add_argument("--init", help="flow.pt of a written voice to go on from")
    ap.add_argument("--crop", type=int, default=125, help="longest piece, in speech tokens")
    ap.add_argument("--edges", type=float, default=0.2, help="weight of the differences between neighbours")
    ap.add_argument("--dropout", type=float, default=0.03, help="in place of the official 0.1: nothing is learned by heart at this size")
    ap.add_argument("--grid", type=int, default=2000, help="last steps, with weights on the grid")
    ap.add_argument("--twice", nargs="*", default=[], help="languages whose sentences come twice a round")
    ap.add_argument("--levels", type=int, default=15, help="of the grid, to each side")
    a = ap.parse_args()
    loop.begin(a)
    utts = data.load_all(a)
    utts = codes.assign(utts, data.f0_stats(utts))
    for u in utts:
        u.pop("wav")
        u["mel"] = codes.to_codes(u["mel"], u["warp"]).half()
    emb = torch.load(a.speaker or os.path.join(a.work, "speaker.pt"), map_location="cpu", weights_only=False)["embedding"]
    random.Random(a.seed).shuffle(utts)
    is_dev = lambda u: zlib.crc32(u["id"].encode()) % 80 == 0       # the same ones however much data there is
    dev, train = [u for u in utts if is_dev(u)], [u for u in utts if not is_dev(u)]
    net = nano.make_flow().float().train()
    for m in net.modules():
        if isinstance(m, torch.nn.Dropout):
            m.p = a.dropout
    est = net.decoder.estimator
    field.build(est)
    field.quick(est)
    codes.share(net.input_embedding, 0.7, 0.1)
    old = loop.load_state(a, "flow")
    with torch.no_grad():
        est.final_proj.parametrizations.bias.original.copy_(torch.cat([u["mel"].float() for u in train[:200]], 1).mean(1))
    if old is None and a.init:
        codes.load_plain(net, torch.load(a.init, map_location="cpu", weights_only=True))
        field.loaded(est)
    after = field.grids(net, a)
    if old is not None:
        net.load_state_dict(old["net"])
    net.to(a.device)
    often = train + [u for u in train if u["lang"] in a.twice]
    batches = lambda seed: iter(Batches(often, emb, a, seed))
    params = [p for p in net.parameters() if p.requires_grad]

    end = EarlyEnd()

    def losses(b):
        end.on = b["early"]
        with torch.autocast(a.device.split(":")[0], torch.bfloat16, enabled=a.half):
            made = predict(net, b["tok"], b["n_tok"], b["emb"], b["streaming"], b["cond"])
        total, plain = distance(made, b["mel"], b["judge"], a.edges)
        return total, dict(mel=plain, total=total)

    def measure():
        out = {}
        for lang in ("en", "zh"):
            us = [u for u in dev if u["lang"] == lang][:24]
            d = Batches(us, emb, a, 0, crop=250, prompts=0)
            whole = [d.collate([d.piece(u) for u in us[i:i + 8]]) for i in range(0, len(us), 8)]
            for name, how in (("", dict(streaming=False, early=False)), ("_early", dict(streaming=True, early=True))):
                rows = [losses(b | how)[1]["mel"] for b in whole]
                out[lang + name] = float(sum(rows)) / max(1, len(rows))
        return dict(mel=(out["en"] + out["zh"]) / 2, **out)

    loop.train(a, "flow", "flow.pt", net, params, batches, losses, lambda: nano.write(codes.plain_state(net), os.path.join(a.work, "flow.pt")), measure, old, after=after)


if __name__ == "__main__":
    main()
