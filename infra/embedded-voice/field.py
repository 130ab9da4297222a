"""The flow's estimator as a field that pulls the sound towards one mel: v = PULL (m(mu, voice, prompt) - x), for every time t.

Ten Euler steps of the official schedule leave PULL = 5 with 0.0003 of the starting noise, six with 0.0002 (five: 0.005), so the flow gives m whatever the noise; training is then a
plain regression of m, stable at an ordinary rate. x goes through the network unchanged in its first 80 channels: input layer, skip, last stage.
No branch reads these channels (weights of zero, held there while training), so m does not depend on x; the middle stages see channels without x.
In the last stage a LayerNorm is held still by two large constants, and x passes the last Mish where that is straight.
The transformers of the outer stages, the first resnet's branch and everything that reads the time are zero, and compress away in the file.
"""
import torch
import torch.nn as nn
from torch.nn.utils import parametrize

N = 80                  # mel channels
PULL = 5.0
REST = 6.0              # x is centred about -6, the middle of a mel
SMALL, LARGE = 2.0 ** -6, 256.0     # gain of x before the last LayerNorm, and the constants that hold it
LIFT = 30.0             # the last Mish sees 5 (x + 6) + 30


class Only(nn.Module):
    """weight = fixed + scale * parameter; a scale of 0 keeps an entry as it is"""

    def __init__(self, like, scale=0.0, fixed=0.0):
        super().__init__()
        self.register_buffer("scale", torch.full_like(like, scale), persistent=False)
        self.register_buffer("fixed", torch.full_like(like, fixed), persistent=False)

    def forward(self, w):
        return self.fixed + self.scale * w


class Grid(nn.Module):
    """Rows on whole multiples of a power of two, at most `levels` to each side, with the gradient passed straight through; off while levels is 0.
    The rule of export.coarse, so that what was trained is what is written."""

    def __init__(self):
        super().__init__()
        self.levels = 0

    def forward(self, w):
        if not self.levels:
            return w
        with torch.no_grad():
            rows = w.float().flatten(1)
            step = torch.exp2(torch.ceil(torch.log2(rows.abs().amax(1, keepdim=True).clamp(min=1e-7) / self.levels)))
            q = (torch.round(rows / step) * step).view_as(w)
        return w + (q - w).detach()


class Mish(torch.autograd.Function):
    """Mish with a backward pass of whole-array operations; the built-in one takes a sixth of a training step on a processor"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.nn.functional.mish(x)

    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        e = torch.exp(x.float().clamp(max=20))
        n = e * (e + 2)
        t = n / (n + 2)
        return (grad * (t + x * (1 - t * t) * (e / (1 + e)))).to(x.dtype)


class QuickMish(nn.Module):
    def forward(self, x):
        return Mish.apply(x)


def masked(module, name, scale=0.0, fixed=0.0):
    only = Only(getattr(module, name), scale, fixed)
    parametrize.register_parametrization(module, name, only, unsafe=True)
    return only


@torch.no_grad()
def loaded(est):
    """written-out weights were put in place of the parameters: what gives these weights"""
    for m in est.modules():
        for part in getattr(m, "parametrizations", {}).values():
            if isinstance(part[0], Only):
                scale, w = part[0].scale, part.original
                w.copy_(torch.where(scale != 0, (w - part[0].fixed) / torch.where(scale != 0, scale, torch.ones_like(scale)), w))


def grids(net, a, small=16000):
    """adds a Grid to every matrix that export.py packs -> after(step) of loop.train, which switches a.levels on for the last a.grid steps (small ones
    keep 63: they weigh little)"""
    out = []
    for m in list(net.modules()):
        w = getattr(m, "weight", None)
        if isinstance(m, (nn.Linear, nn.Conv1d, nn.Embedding)) and w.ndim > 1 and w.shape[0] * w.shape[1] >= 4096:
            g = Grid()
            out.append((g, w.numel() < small))
            parametrize.register_parametrization(m, "weight", g, unsafe=True)

    def after(step):
        levels = a.levels if step >= a.steps - a.grid else 0
        for g, few in out:
            g.levels = max(levels, 63) if few and levels else levels
    return after


def quick(est):
    """training only: the same values, sooner"""
    for m in list(est.modules()):
        for name, child in m.named_children():
            if isinstance(child, nn.Mish):
                setattr(m, name, QuickMish())


def still(module):
    for p in module.parameters():
        p.data.zero_()
        p.requires_grad_(False)


def build(est):
    """sets the parts up that stay, and masks the weights that must not move; the others keep their random start"""
    (res0, outer0, down), (up, outer1, tail) = est.down_blocks[0], est.up_blocks[0]
    c = down.weight.shape[0]
    x, free = slice(0, N), slice(N, c)
    eye = torch.eye(N)
    for part in (est.time_mlp, outer0, outer1, res0.block1, res0.block2, *(b[0].mlp for b in (*est.down_blocks, *est.mid_blocks, *est.up_blocks))):
        still(part)
    w = masked(res0.res_conv, "weight")
    w.scale[free, N:] = 1
    w.fixed[x, :N, 0] = eye
    masked(res0.res_conv, "bias").scale[free] = 1
    masked(down, "weight").scale[:, free] = 1
    for res, transformers in est.mid_blocks:
        for t in transformers:
            t.ff.net[2].weight.data *= 0.3
            t.attn1.to_out[0].weight.data *= 0.3
    blind = torch.cat([torch.ones(c), torch.zeros(N), torch.ones(c - N)]).view(1, -1, 1)     # [stage before, skip]
    masked(up.block1.block[0], "weight").scale[:] = blind
    for layer in (up.block2.block[0], up.block2.block[2]):
        for name in ("weight", "bias"):
            masked(layer, name).scale[free] = 1
    w = masked(up.res_conv, "weight")
    w.scale[free] = blind[0]
    w.fixed[x, c:c + N, 0] = eye
    masked(up.res_conv, "bias").scale[free] = 1
    w = masked(tail, "weight")
    w.scale[free, free] = 1
    w.fixed[x, x, -1] = eye
    masked(tail, "bias").scale[free] = 1
    last(est, c, eye)


def last(est, c, eye):
    """final block: 80 rows of x, the rows that learn, and three that hold the LayerNorm: minus the sum of x, which keeps its mean, and two constants"""
    x, learn, total = slice(0, N), slice(N, c - 3), c - 3
    conv, norm = est.final_block.block[0], est.final_block.block[2]
    w = masked(conv, "weight")
    w.scale[learn, N:] = 1
    w.fixed[x, x, -1] = SMALL * eye
    w.fixed[total, x, -1] = -SMALL
    b = masked(conv, "bias")
    b.scale[learn] = 1
    b.fixed[x], b.fixed[total], b.fixed[c - 2], b.fixed[c - 1] = SMALL * REST, -N * SMALL * REST, LARGE, -LARGE
    deviation = LARGE * (2 / c) ** 0.5
    w = masked(norm, "weight")
    w.scale[learn], w.fixed[x] = deviation, PULL * deviation / SMALL
    norm.parametrizations.weight.original.data.fill_(1)
    b = masked(norm, "bias")
    b.scale[learn], b.fixed[x] = 1, LIFT
    w = masked(est.final_proj, "weight")
    w.scale[:, learn], w.fixed[:, x, 0] = PULL, -eye
    masked(est.final_proj, "bias", PULL, LIFT + PULL * REST)
    est.final_proj.parametrizations.weight.original.data *= 0.5


def answer(est, mu, spk, cond, keep, streaming):
    """mu, cond [B, F, 80], spk [B, 80], keep [B, F] -> m [B, F, 80]: the official estimator at x = -6 without its parts that are zero, divided by PULL"""
    from cosyvoice.utils.common import mask_to_bias
    from cosyvoice.utils.mask import add_optional_chunk_mask
    (res0, _, down), (up, _, tail) = est.down_blocks[0], est.up_blocks[0]
    mask = keep.unsqueeze(1).to(mu)
    rest = torch.full_like(mu, -REST)
    h = torch.cat([rest, mu, spk.to(mu).unsqueeze(1).expand_as(mu), cond.to(mu)], 2).transpose(1, 2)
    skip = res0.res_conv(h * mask)
    h = down(skip * mask)
    size = est.static_chunk_size if streaming else 0
    bias = add_optional_chunk_mask(h.transpose(1, 2), keep.unsqueeze(1), False, False, 0, size, -1)
    bias = mask_to_bias(bias if streaming else bias.repeat(1, h.shape[2], 1), mu.dtype)
    for res, transformers in est.mid_blocks:
        h = resnet(res, h, mask).transpose(1, 2)
        for t in transformers:
            h = t(hidden_states=h, attention_mask=bias)
        h = h.transpose(1, 2)
    h = tail(resnet(up, torch.cat([h, skip], 1), mask) * mask)
    h = est.final_block(h, mask)
    with torch.autocast(mu.device.type, enabled=False):
        return (est.final_proj(h.float()) / PULL - REST).transpose(1, 2)


def resnet(r, x, mask):
    return r.block2(r.block1(x, mask), mask) + r.res_conv(x * mask)
