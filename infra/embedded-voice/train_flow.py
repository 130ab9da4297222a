"""Speech tokens -> mel: the official CausalMaskedDiffWithXvec modules, trained in two stages.

Stage "encoder": token table, encoder, its projection and the speaker offset learn the mel directly (L1). It is cheap and brings most of
the intelligibility. Stage "flow": the estimator joins with the flow-matching loss (random streaming or full masks, random prompt).
The estimator starts as the map that is right if the encoder's mel is (see warmstart): speech from the first step on, training only refines it.
"""
import argparse
import math
import os
import random
import zlib

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
    """Sets the estimator up as what it should be if the encoder's mel m were right: v = (m - k x) / (1 - k t), k = 1 - sigma_min.
    The residual stream carries x, m and one channel r(t) = 4 (1 - k t); all residual branches start at zero. The final block gets both
    signs of m - k x (two Mish halves are nearly linear together) beside large multiples of r, so that its LayerNorm does the division;
    the output layer is then solved by least squares."""
    est, k = net.decoder.estimator, 1 - net.decoder.sigma_min
    c = est.final_block.block[0].weight.shape[0]
    top = c - 1
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
                w[:160].zero_(); w[top].zero_()
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
        clock(est, blocks[0][0], top, k)
        conv, norm = est.final_block.block[0], est.final_block.block[2]
        conv.weight.mul_(0.1); conv.bias.zero_()
        for s, at in ((1.0, 0), (-1.0, 80)):
            conv.weight[at:at + 80] = 0
            conv.weight[at:at + 80, :80, -1] = -s * k * torch.eye(80)
            conv.weight[at:at + 80, 80:160, -1] = 2 * s * torch.eye(80)
            conv.bias[at:at + 80] = s * mean
        for row, s in zip(range(c - 4, c), (1, 1, -1, -1)):
            conv.weight[row] = 0
            conv.weight[row, top, -1] = 100.0 * s
        norm.weight.fill_(400 * (4 / c) ** 0.5 / 5)
        norm.weight[c - 4:] = 0        # they only hold the LayerNorm; as features they would be 80 times larger than the others
        store, xs, ys = {}, [], []
        hook = est.final_proj.register_forward_hook(lambda m, i, o: store.__setitem__("h", i[0]))
        for b in batches:
            mu = mean_field(net, b)
            flow_loss(net, b, mu, 0.0, start=(mu + offset(net, b["emb"]).unsqueeze(1)).transpose(1, 2))
            xs.append(store["h"].transpose(1, 2)[b["keep"]]); ys.append(b["target"].transpose(1, 2)[b["keep"]])
        hook.remove()
        x, y = torch.cat(xs).double(), torch.cat(ys).double()
        x = torch.cat([x, torch.ones(len(x), 1).double()], 1)
        w = torch.linalg.solve(x.T @ x + 1e-4 * len(x) * torch.diag(torch.tensor([1.0] * c + [0.0])).double(), x.T @ y)
        est.final_proj.weight.copy_(w[:c].T[..., None].float()); est.final_proj.bias.copy_(w[c].float())
        print(f"warm start: linear fit leaves {((x @ w - y) ** 2).mean():.3f} of {(y ** 2).mean():.3f}", flush=True)


def clock(est, res, top, k, level=30.0):
    """first resnet: its channel `top` puts out 4 (1 - k t). Between its two blocks the time embedding is added; the wanted value there is
    found by going backwards through Mish and LayerNorm (held still by two large constants), and solved for in the embedding's layer."""
    grid = torch.linspace(0, 1, 4001)
    table = torch.linspace(-2, 8, 20001)
    want = 4 * (1 - k * grid)
    u = table[torch.searchsorted(F.mish(table[2000:]), want).clamp(max=18000) + 2000]      # Mish is increasing from -1.19 on
    c = res.block2.block[0].weight.shape[0]
    conv, norm = res.block2.block[0], res.block2.block[2]
    scale = level * (2 / c) ** 0.5
    conv.weight.mul_(0.05)
    for row in (top, top - 1, top - 2, top - 3):
        conv.weight[row] = 0; conv.bias[row] = 0
    conv.weight[top, top, -1] = 1.0; conv.weight[top - 1, top, -1] = -1.0
    conv.bias[top - 2] = level; conv.bias[top - 3] = -level
    norm.weight[top], norm.bias[top] = 1.0, 2.5
    goal = u - 2.5
    f = goal * scale / (1 - goal ** 2 * 2 / c).clamp(min=0.5).sqrt()      # LayerNorm divides by sqrt(2 (level^2 + f^2) / c)
    res.block1.block[2].weight[top] = 0; res.block1.block[2].bias[top] = 0
    z = F.mish(est.time_mlp(est.time_embeddings(grid))).double()
    z = torch.cat([z, torch.ones(len(z), 1).double()], 1)
    w = torch.linalg.solve(z.T @ z + 1e-4 * len(z) * torch.eye(z.shape[1]).double(), z.T @ f.double())
    res.mlp[1].weight[top] = w[:-1].float(); res.mlp[1].bias[top] = w[-1].float()
    print(f"clock: largest error of the time channel's input {(z @ w - f.double()).abs().max():.3f} of {f.abs().max():.2f}", flush=True)


def pinned(net):
    """The time channel and its way into the final LayerNorm: were training to move them, the division by r(t) could meet a zero and
    blow up. -> function that puts their values back"""
    est = net.decoder.estimator
    c = est.final_block.block[0].weight.shape[0]
    top = c - 1
    keep = [(p, slice(c - 4, c)) for p in (*est.final_block.block[0].parameters(), *est.final_block.block[2].parameters())]
    blocks = list(est.down_blocks) + list(est.mid_blocks) + list(est.up_blocks)
    first = blocks[0][0]
    keep += [(p, slice(c - 4, c)) for p in (first.block2.block[0].weight, first.block2.block[0].bias)]
    keep += [(p, top) for p in (first.block1.block[2].weight, first.block1.block[2].bias, first.mlp[1].weight, first.mlp[1].bias)]
    keep += [(p, slice(None)) for p in est.time_mlp.parameters()]
    for b in blocks:
        keep += [(p, top) for p in (b[0].res_conv.weight, b[0].res_conv.bias, b[0].block2.block[2].weight, b[0].block2.block[2].bias)]
        for t in b[1]:
            keep += [(p, top) for p in (t.attn1.to_out[0].weight, t.attn1.to_out[0].bias, t.ff.net[2].weight, t.ff.net[2].bias)]
        if len(b) == 3:
            keep += [(p, top) for p in (b[2].weight, b[2].bias)]
    keep = [(p, i, p.detach()[i].clone()) for p, i in keep]

    def restore():
        for p, i, v in keep:
            p[i] = v
    return restore


def streams(net):
    """layers that the residual stream goes through unnormalised. They carry the linear map of the warm start and stay as it made them: the
    80 values of a mel move together, so a step of Adam moves their outputs far and would blow the training up"""
    est = net.decoder.estimator
    blocks = list(est.down_blocks) + list(est.mid_blocks) + list(est.up_blocks)
    layers = [b[0].res_conv for b in blocks] + [b[2] for b in blocks if len(b) == 3] + [est.final_block.block[0], est.final_block.block[2], est.final_proj]
    return [p for l in layers for p in l.parameters()]


def mean_field(net, b):
    return encode(net, b["tok"], b["n_tok"], b["streaming"])


def flow_loss(net, b, mu, spread, start=None, late=0.5):
    """Flow matching towards m + spread * (mel - m), where m is the estimator's own answer at t = 0: there the noise says nothing about the mel, so
    the best answer is the mean mel of this text and voice. spread 1 is the usual flow; a smaller one gives calmer mels, which a small network
    needs: it cannot learn the fine structure and would speak it as noise. A share `late` of the utterances trains a time of the inference
    schedule, the others t = 0. sigma_min of the noise stays at the end, which keeps the gain that the estimator needs late small. start: m, if not the estimator's."""
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
    way, goal, k = x1, x1, 1 - net.decoder.sigma_min
    later = slice(n - min(n - 1, int(n * late + torch.rand(()).item())), None)
    if spread < 1:
        t[:later.start] = 0
    if spread < 1 and later.start < n:
        with torch.no_grad():
            m = start[later] if start is not None else k * z[later] + ask(z[later], torch.zeros_like(t[later]), later)
        way = x1.clone()
        way[later] = m + spread * (x1[later] - m)
        goal = way if spread > 0 or start is not None else x1
    t = t.view(-1, 1, 1)
    b["target"] = goal - k * z
    size = 1 - k * t if spread < 1 else 1       # an error of v late on stands for a smaller one of the mel: without this, single batches have huge gradients
    return masked((size * (ask((1 - k * t) * z + t * way, t.view(-1)) - b["target"])) ** 2, keep)


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
    ap = loop.arguments(argparse.ArgumentParser(), 9000, 1.5e-4, 350)
    ap.add_argument("--stage", choices=["encoder", "flow"], required=True)
    ap.add_argument("--speaker", help="speaker.pt; default is the work folder's")
    ap.add_argument("--init", help="flow.pt to start from; default is flow.pt of the work folder, if it is there")
    ap.add_argument("--crop", type=int, default=125, help="longest piece, in speech tokens")
    ap.add_argument("--aux", type=float, default=1.0, help="weight of the direct mel loss in the flow stage")
    ap.add_argument("--spread", type=float, default=0.0, help="how much of the mel's variation around its mean the flow learns, 0 to 1")
    ap.add_argument("--late", type=float, default=0.25, help="share of the utterances that train later times than t = 0 (for spread below 1)")
    ap.add_argument("--warmstart", action="store_true", help="flow stage: set the estimator up anew as a linear map")
    a = ap.parse_args()
    loop.begin(a)
    utts = data.load_all(a)
    utts = codes.assign(utts, data.f0_stats(utts))
    emb = torch.load(a.speaker or os.path.join(a.work, "speaker.pt"), map_location="cpu", weights_only=False)["embedding"]
    random.Random(a.seed).shuffle(utts)
    is_dev = lambda u: zlib.crc32(u["id"].encode()) % 80 == 0       # the same ones however much data there is
    dev, train = [u for u in utts if is_dev(u)], [u for u in utts if not is_dev(u)]
    net = nano.make_flow().float().train()
    codes.share(net.input_embedding, 0.7, 0.1)
    net.decoder.training_cfg_rate = nano.CFG["flow"]["cfg_train"]
    old = loop.load_state(a, "flow-" + a.stage)
    init = a.init or os.path.join(a.work, "flow.pt")
    if old is None and os.path.exists(init):
        base = torch.load(init, map_location="cpu", weights_only=True)
        if a.warmstart:
            base = {k: v for k, v in base.items() if not k.startswith("decoder.")} | {"decoder." + k: v for k, v in net.decoder.state_dict().items()}
        codes.load_plain(net, base)
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
    if old is not None:
        net.load_state_dict(old["net"])
    est = {id(p) for p in net.decoder.parameters()}
    still = {id(p) for p in streams(net)} | {id(p) for p in net.decoder.estimator.time_mlp.parameters()}
    params = [p for p in net.parameters() if id(p) not in (still if a.stage == "flow" else est)]

    def losses(b):
        with torch.autocast(a.device.split(":")[0], torch.bfloat16):
            mu = mean_field(net, b)
            shift = offset(net, b["emb"])
            fit = flow_loss(net, b, mu.detach(), a.spread, late=a.late) if a.stage == "flow" else None
        aux = masked((mu.float() + shift.float().unsqueeze(1) - b["mel"]).abs().transpose(1, 2), b["keep"].unsqueeze(1).float())
        return (aux, dict(mel=aux)) if fit is None else (fit + a.aux * aux, dict(flow=fit, mel=aux))

    def measure():
        d = Batches(dev, emb, a, 0, crop=250)
        rows = [losses(d.collate([d.piece(u) for u in dev[i:i + 8]]))[1] for i in range(0, min(48, len(dev)), 8)]
        return {k: sum(float(r[k]) for r in rows) / len(rows) for k in rows[0]}
    loop.train(a, "flow-" + a.stage, "flow.pt", net, params, batches, losses, lambda: nano.write(codes.plain_state(net), os.path.join(a.work, "flow.pt")), measure, old,
               after=pinned(net) if a.stage == "flow" else None)


if __name__ == "__main__":
    main()
