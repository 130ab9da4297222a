"""Speech tokens -> mel: the official CausalMaskedDiffWithXvec modules, trained in two stages.

Stage "encoder": token table, encoder, its projection and the speaker offset learn the mel directly (L1). It is cheap and brings most of
the intelligibility. Stage "flow": the estimator joins with the flow-matching loss (random streaming or full masks, random prompt).
The estimator starts as an almost linear map from noise and encoder mel to their difference (see warmstart), so it need not learn that first.
"""
import argparse
import math
import os
import random
import signal
import time

import torch
import torch.nn.functional as F

import codes
import data
import nano

GRID = [1 - math.cos(math.pi * k / 20) for k in range(10)]     # the times at which the official inference asks the estimator


def offset(net, emb):
    """the 80 values per voice that the estimator gets: here also the voice's offset from the encoder's mel"""
    return net.spk_embed_affine_layer(F.normalize(emb, dim=1))


def encode(net, tok, n_tok, streaming):
    keep = (torch.arange(tok.shape[1])[None] < n_tok[:, None]).to(tok.device)
    h, _ = net.encoder(net.input_embedding(tok) * keep.unsqueeze(-1), n_tok.to(tok.device), streaming=streaming)
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
            b = dict(b, out=None)
            flow_loss(net, b, mean_field(net, b), False)
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


def flow_loss(net, b, mu, grid):
    """flow matching on b["mel"]; t follows the density of the inference schedule"""
    x1 = b["mel"].transpose(1, 2)
    keep = b["keep"].unsqueeze(1).to(x1)
    n = x1.shape[0]
    t = 1 - torch.cos(math.pi / 2 * 0.92 * torch.rand(n, 1, 1))
    z = torch.randn_like(x1)
    y, u = (1 - (1 - 1e-6) * t) * z + t * x1, x1 - (1 - 1e-6) * z
    spk, cond = offset(net, b["emb"]), b["cond"].transpose(1, 2)
    mu = mu.transpose(1, 2)
    if net.decoder.training_cfg_rate > 0 and net.training:
        on = (torch.rand(n) > net.decoder.training_cfg_rate).to(mu)
        mu, spk, cond = mu * on.view(-1, 1, 1), spk * on.view(-1, 1), cond * on.view(-1, 1, 1)
    p = net.decoder.estimator(y, keep, mu, t.view(-1), spk, cond, streaming=b["streaming"])
    b["target"] = u
    return masked((p.float() - u) ** 2, keep)


class Batches:
    def __init__(self, utts, emb, batch_tokens, crop, seed):
        self.utts, self.emb, self.size, self.crop, self.rng = utts, emb, batch_tokens, crop, random.Random(seed)

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
        return dict(tok=tok, n_tok=L, mel=mel, cond=cond, keep=keep, emb=emb + 0.02 * torch.randn_like(emb), streaming=self.rng.random() < 0.5)

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


def rate(a, step):
    """warm-up, constant, then down to 3 % over the last `cool` share of the steps"""
    cool = max(1, int(a.steps * a.cool))
    return a.lr * min(1, (step + 1) / 200) * min(1.0, max(0.03, (a.steps - step) / cool))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", nargs="+", required=True)
    ap.add_argument("--cache")
    ap.add_argument("--speaker", required=True)
    ap.add_argument("--work", required=True, help="folder for state.pt (resumed when there) and flow.pt (averaged weights)")
    ap.add_argument("--stage", choices=["encoder", "flow"], required=True)
    ap.add_argument("--init", help="flow.pt to start from when there is no state yet")
    ap.add_argument("--steps", type=int, required=True)
    ap.add_argument("--batch-tokens", type=int, default=500)
    ap.add_argument("--crop", type=int, default=125, help="longest piece, in speech tokens")
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--cool", type=float, default=0.3)
    ap.add_argument("--aux", type=float, default=1.0, help="weight of the direct mel loss in the flow stage")
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--seed", type=int, default=6)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--save-every", type=float, default=120, help="seconds")
    ap.add_argument("--max-steps", type=int, default=10 ** 9, help="stop after so many steps of this run (rehearsals)")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    os.makedirs(a.work, exist_ok=True)
    random.seed(a.seed); torch.manual_seed(a.seed)
    utts = []
    for k, d in enumerate(a.data):
        utts += data.load(d, a.cache and f"{a.cache}.{k}")
    utts = codes.assign(utts, data.f0_stats(utts))
    emb = torch.load(a.speaker, map_location="cpu", weights_only=False)["embedding"]
    main_voices = utts[0]["voice"]
    random.Random(a.seed).shuffle(utts)
    dev, train = utts[:24], utts[24:]
    net = nano.make_flow().float().train()
    codes.share(net.input_embedding, 0.7, 0.1)
    state, step = os.path.join(a.work, "state.pt"), 0
    old = torch.load(state, weights_only=False) if os.path.exists(state) else None
    fresh = old is None or old["stage"] != a.stage
    if old is not None:
        net.load_state_dict(old["net"])
    elif a.init:
        base = torch.load(a.init, weights_only=True)
        codes.load_plain(net, base)
    est = {id(p) for p in net.decoder.parameters()}
    params = [p for p in net.parameters() if a.stage == "flow" or id(p) not in est]
    if a.stage == "encoder" and fresh:
        with torch.no_grad():
            m = torch.cat([u["mel"].float() for u in train[:200]], 1).mean(1)
            net.encoder_proj.bias.copy_(m); net.encoder_proj.weight.mul_(0.3)
            net.spk_embed_affine_layer.weight.mul_(0.1); net.spk_embed_affine_layer.bias.zero_()
    batches = iter(Batches(train, emb, a.batch_tokens, a.crop, a.seed + (0 if fresh else old["step"])))
    if a.stage == "flow" and fresh:
        net.eval()
        warmstart(net, [next(batches) for _ in range(30)])
        net.train()
    net.decoder.training_cfg_rate = nano.CFG["flow"]["cfg_train"]
    opt = torch.optim.AdamW(params, a.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    ema = [p.detach().clone() for p in params]
    if not fresh:
        opt.load_state_dict(old["opt"]); step = old["step"]
        ema = old["ema"]
    print(f"{a.stage}: {nano.count(net)} parameters, {len(train)} utterances, from step {step}", flush=True)

    def swap():
        for e, p in zip(ema, params):
            e.data, p.data = p.data, e.data

    def save():
        swap()
        nano.write(codes.plain_state(net), os.path.join(a.work, "flow.pt"))
        swap()
        nano.write(dict(stage=a.stage, net=net.state_dict(), opt=opt.state_dict(), ema=ema, step=step), state)

    def losses(b):
        with torch.autocast("cpu", torch.bfloat16):
            mu = mean_field(net, b)
            shift = offset(net, b["emb"])
        keep = b["keep"].unsqueeze(1).float()
        aux = masked((mu.float() + shift.float().unsqueeze(1) - b["mel"]).abs().transpose(1, 2), keep)
        if a.stage == "encoder":
            return aux, aux
        with torch.autocast("cpu", torch.bfloat16):
            fl = flow_loss(net, b, mu, True)
        return fl + a.aux * aux, aux

    def measure():
        net.eval(); swap()
        with torch.no_grad():
            d = Batches(dev, emb, a.batch_tokens, 250, 0)
            state = torch.get_rng_state()
            torch.manual_seed(0)
            r = [[float(x) for x in losses(d.collate([d.piece(u) for u in dev[i:i + 8]]))] for i in range(0, len(dev), 8)]
            torch.set_rng_state(state)
        swap(); net.train()
        return sum(x for x, _ in r) / len(r), sum(x for _, x in r) / len(r)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    t0, last, first, run = time.time(), time.time(), step, None
    while step < a.steps and step - first < a.max_steps and not stop:
        for g in opt.param_groups:
            g["lr"] = rate(a, step)
        loss, aux = losses(next(batches))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step(); step += 1
        with torch.no_grad():
            d = min(a.ema, (1 + step) / (20 + step))
            torch._foreach_lerp_(ema, params, 1 - d)
        now = torch.stack([loss.detach() - (a.aux * aux.detach() if a.stage == "flow" else 0), aux.detach()])
        run = now if run is None else run * 0.98 + now * 0.02
        if step % 50 == 0:
            print(f"step {step} {time.time()-t0:.0f}s loss {run[0]:.4f} encoder mel L1 {run[1]:.3f} lr {rate(a, step):.5f}", flush=True)
        if time.time() - last > a.save_every:
            save(); last = time.time()
            l, x = measure()
            print(f"dev loss {l - (a.aux * x if a.stage == 'flow' else 0):.4f} encoder mel L1 {x:.3f}", flush=True)
    save()
    l, x = measure()
    print(f"dev loss {l - (a.aux * x if a.stage == 'flow' else 0):.4f} encoder mel L1 {x:.3f} steps {step}", flush=True)


if __name__ == "__main__":
    main()
