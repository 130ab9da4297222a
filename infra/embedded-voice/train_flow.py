"""Speech tokens -> mel: the official CausalMaskedDiffWithXvec modules, trained in two stages.

Stage "encoder": token table, encoder, its projection and the speaker offset learn the mel directly (L1). It is cheap and brings most of
the intelligibility. Stage "flow": the estimator joins with the flow-matching loss (random streaming or full masks, random prompt).
The estimator starts as an almost linear map from noise and encoder mel to their difference (see warmstart), so it need not learn that first.
"""
import argparse
import math
import os
import random

import torch
import torch.nn.functional as F

import codes
import data
import loop
import nano


def offset(net, emb):
    """the 80 values per voice that the estimator gets: here also the voice's offset from the encoder's mel"""
    return net.spk_embed_affine_layer(F.normalize(emb, dim=1))


def encode(net, tok, n_tok, streaming):
    keep = (torch.arange(tok.shape[1], device=tok.device)[None] < n_tok[:, None]).float()
    h, _ = net.encoder(net.input_embedding(tok) * keep.unsqueeze(-1), n_tok, streaming=streaming)
    return net.encoder_proj(h)


def masked(x, keep):
    return (x * keep).sum() / (keep.sum() * x.shape[1])


def warmstart(net, batches):
    """Estimator = identity: its first 80 channels carry the noisy mel, the next 80 the encoder mel plus the voice's offset; all residual
    branches start at zero. The final block gets both signs of the difference (two Mish halves are nearly linear together) and a few large
    constants that keep its LayerNorm from rescaling; the output layer is then solved by least squares for the flow target."""
    est = net.decoder.estimator
    c = est.final_block.block[0].weight.shape[0]
    mean = torch.cat([b["mel"].reshape(-1, 80)[b["keep"].reshape(-1)] for b in batches]).mean().item()
    blocks = list(est.down_blocks) + list(est.mid_blocks) + list(est.up_blocks)
    eye = torch.eye(c)
    with torch.no_grad():
        for i, b in enumerate(blocks):
            res, trans = b[0], b[1]
            w = res.res_conv.weight
            w.mul_(0.3 if i == 0 else 0.0)
            res.res_conv.bias.zero_()
            if i == 0:
                w[:80].zero_(); w[80:160].zero_()
                w[:80, :80, 0] = torch.eye(80)
                w[80:160, 80:160, 0] = torch.eye(80) / 2
                w[80:160, 160:240, 0] = torch.eye(80) / 2
                res.res_conv.bias[80:160] = -mean / 2
            else:
                w[:, :c, 0] = eye
            res.block2.block[2].weight.zero_()
            res.block2.block[2].bias.zero_()
            for t in trans:
                t.attn1.to_out[0].weight.zero_(); t.attn1.to_out[0].bias.zero_()
                t.ff.net[2].weight.zero_(); t.ff.net[2].bias.zero_()
            if len(b) == 3:
                b[2].weight.zero_(); b[2].bias.zero_()
                b[2].weight[:, :, -1] = eye
        conv, norm = est.final_block.block[0], est.final_block.block[2]
        conv.weight.mul_(0.1); conv.bias.zero_()
        for s, at in ((1.0, 0), (-1.0, 80)):
            w = conv.weight[at:at + 80, :, -1]
            w.zero_()
            w[:, :80] = -s * torch.eye(80)
            w[:, 80:160] = 2 * s * torch.eye(80)
        for k, s in zip(range(c - 4, c), (40, 40, -40, -40)):
            conv.weight[k] = 0; conv.bias[k] = s
        norm.weight.fill_(2.0)
        store, xs, ys = {}, [], []
        hook = est.final_proj.register_forward_hook(lambda m, i, o: store.__setitem__("h", i[0]))
        for b in batches:
            flow_loss(net, b, mean_field(net, b), 1.0)
            keep = b["keep"]
            xs.append(store["h"].transpose(1, 2)[keep]); ys.append(b["target"].transpose(1, 2)[keep])
        hook.remove()
        x, y = torch.cat(xs).double(), torch.cat(ys).double()
        x = torch.cat([x, torch.ones(len(x), 1).double()], 1)
        g = x.T @ x
        w = torch.linalg.solve(g + 1e-3 * len(x) * torch.diag(torch.tensor([1.0] * c + [0.0])).double(), x.T @ y)
        est.final_proj.weight.copy_(w[:c].T[..., None].float()); est.final_proj.bias.copy_(w[c].float())
        print(f"warm start: linear fit leaves {((x @ w - y) ** 2).mean():.3f} of {(y ** 2).mean():.3f}", flush=True)


def mean_field(net, b):
    return encode(net, b["tok"], b["n_tok"], b["streaming"])


def flow_loss(net, b, mu, spread):
    """Flow matching towards m + spread * (mel - m), where m is the estimator's own answer at t = 0: there the noise says nothing about the mel, so
    the best answer is the mean mel of this text and voice. spread 1 is the usual flow; a smaller one gives calmer mels, which a small network
    needs: it cannot learn the fine structure and would speak it as noise. Every other utterance trains t = 0, the others a time of the inference schedule."""
    x1 = b["mel"].transpose(1, 2)
    keep = b["keep"].unsqueeze(1).to(x1)
    n = x1.shape[0]
    z = torch.randn_like(x1)
    spk, cond, mu = offset(net, b["emb"]), b["cond"].transpose(1, 2), mu.transpose(1, 2)
    if net.decoder.training_cfg_rate > 0 and net.training:
        on = (torch.rand(n, device=x1.device) > net.decoder.training_cfg_rate).to(mu)
        mu, spk, cond = mu * on.view(-1, 1, 1), spk * on.view(-1, 1), cond * on.view(-1, 1, 1)

    def ask(y, t, part=slice(None)):
        return net.decoder.estimator(y, keep[part], mu[part], t, spk[part], cond[part], streaming=b["streaming"]).float()
    t = 1 - torch.cos(math.pi / 2 * 0.92 * torch.rand(n, device=x1.device))
    goal = x1
    if spread < 1:
        t[::2] = 0
        later = slice(1, None, 2)
        if n > 1:
            with torch.no_grad():
                mean = z[later] + ask(z[later], torch.zeros_like(t[later]), later)
            way = x1.clone()
            way[later] = mean + spread * (x1[later] - mean)
            goal = way if spread > 0 else x1
            y = (1 - t.view(-1, 1, 1)) * z + t.view(-1, 1, 1) * way
        else:
            y = z
    else:
        y = (1 - t.view(-1, 1, 1)) * z + t.view(-1, 1, 1) * x1
    b["target"] = goal - z
    return masked((ask(y, t) - b["target"]) ** 2, keep)


class Batches:
    def __init__(self, utts, emb, a, seed, crop=None):
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
        cond = torch.zeros_like(mel)
        for i, (t, m, _) in enumerate(items):
            k = 2 * len(t)
            tok[i, : len(t)] = t
            mel[i, :k] = m.float()
            if self.rng.random() < 0.4:
                p = self.rng.randint(0, int(0.3 * k))
                cond[i, :p] = mel[i, :p]
        keep = torch.arange(2 * n)[None] < 2 * L[:, None]
        emb = torch.stack([self.emb[v] for _, _, v in items])
        b = dict(tok=tok, n_tok=L, mel=mel, cond=cond, keep=keep, emb=emb + 0.02 * torch.randn_like(emb))
        return dict({k: v.to(self.device) for k, v in b.items()}, streaming=self.rng.random() < 0.5)

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
    ap = loop.arguments(argparse.ArgumentParser(), 9000, 1.2e-3, 500)
    ap.add_argument("--stage", choices=["encoder", "flow"], required=True)
    ap.add_argument("--speaker", help="speaker.pt; default is the work folder's")
    ap.add_argument("--init", help="flow.pt to start from; default is flow.pt of the work folder, if it is there")
    ap.add_argument("--crop", type=int, default=125, help="longest piece, in speech tokens")
    ap.add_argument("--aux", type=float, default=1.0, help="weight of the direct mel loss in the flow stage")
    ap.add_argument("--spread", type=float, default=0.0, help="how much of the mel's variation around its mean the flow learns, 0 to 1")
    ap.add_argument("--warmstart", action="store_true", help="flow stage: set the estimator up anew as a linear map")
    a = ap.parse_args()
    loop.begin(a)
    utts = data.load_all(a)
    utts = codes.assign(utts, data.f0_stats(utts))
    emb = torch.load(a.speaker or os.path.join(a.work, "speaker.pt"), map_location="cpu", weights_only=False)["embedding"]
    random.Random(a.seed).shuffle(utts)
    dev, train = utts[:24], utts[24:]
    net = nano.make_flow().float().train()
    codes.share(net.input_embedding, 0.7, 0.1)
    net.decoder.training_cfg_rate = nano.CFG["flow"]["cfg_train"]
    old = loop.load_state(a, "flow-" + a.stage)
    init = a.init or os.path.join(a.work, "flow.pt")
    if old is None and os.path.exists(init):
        codes.load_plain(net, torch.load(init, map_location="cpu", weights_only=True))
    elif old is None and a.stage == "encoder":
        with torch.no_grad():
            net.encoder_proj.bias.copy_(torch.cat([u["mel"].float() for u in train[:200]], 1).mean(1))
            net.encoder_proj.weight.mul_(0.3)
            net.spk_embed_affine_layer.weight.mul_(0.1); net.spk_embed_affine_layer.bias.zero_()
    net.to(a.device)
    batches = lambda seed: iter(Batches(train, emb, a, seed))
    if old is None and a.warmstart:
        net.eval()
        it = batches(a.seed)
        warmstart(net, [next(it) for _ in range(30)])
        net.train()
    est = {id(p) for p in net.decoder.parameters()}
    params = [p for p in net.parameters() if a.stage == "flow" or id(p) not in est]

    def losses(b):
        with torch.autocast(a.device.split(":")[0], torch.bfloat16):
            mu = mean_field(net, b)
            shift = offset(net, b["emb"])
            fit = flow_loss(net, b, mu, a.spread) if a.stage == "flow" else None
        aux = masked((mu.float() + shift.float().unsqueeze(1) - b["mel"]).abs().transpose(1, 2), b["keep"].unsqueeze(1).float())
        return (aux, dict(mel=aux)) if fit is None else (fit + a.aux * aux, dict(flow=fit, mel=aux))

    def measure():
        d = Batches(dev, emb, a, 0, crop=250)
        rows = [losses(d.collate([d.piece(u) for u in dev[i:i + 8]]))[1] for i in range(0, len(dev), 8)]
        return {k: sum(float(r[k]) for r in rows) / len(rows) for k in rows[0]}
    loop.train(a, "flow-" + a.stage, net, params, batches, losses, lambda: nano.write(codes.plain_state(net), os.path.join(a.work, "flow.pt")), measure, old)


if __name__ == "__main__":
    main()
