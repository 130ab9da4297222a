"""Structured speech codes: what the 8 ternary digits of a code mean for the nano voice.

digits 0-4: sound unit (UNITS, up to 243), digits 5-6: pitch relative to the voice's mean (9 levels), digit 7: 0 = first token of the unit,
1 = later token, 2 = first token of a unit that begins in the token's middle, so that borders lie on whole frames of the mel. A token without
pitch repeats the level before it, a pause has the middle one. Training targets come from the teacher's durations and F0; the speech tokenizer
learns to find the same codes in audio.
"""
import numpy as np
import torch

ASPIRATED = ["pʰ", "tʰ", "kʰ", "ʨʰ", "ʦʰ", "ꭧʰ"]
UNITS = ["_"] + list("AIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæɔɕçðʤəɚɛɜɡɥɨɪŋɲɹɻʁʂʃʧʊʌɣɤʒᵻθʣʥʦʨꭧβøœɸɾɯɴʋʎɟʝɰɽʈɖɳχʔᵝ") + ASPIRATED
ID = {u: i for i, u in enumerate(UNITS)}
TONES, STRESS, SKIP = "↓↗↘→", "ˈˌ", "ː\u0303ʲ"
N_UNIT, N_PITCH, N_POS = 243, 9, 3
FIRST, LATER, LATE = 0, 1, 2
REST = N_PITCH // 2     # pitch level of a pause
STEP = 0.12     # width of a pitch level in log F0: nine reach two standard deviations of the teacher's liveliest voice to each side
assert len(UNITS) <= N_UNIT


def units(syms, dur):
    """symbols and their durations (25 ms frames, pads included) -> [(unit, frames, index of its first symbol)]"""
    out = [["_", dur[0], 0]]
    pend = 0
    for k, c in enumerate(syms):
        d = dur[k + 1]
        if c in STRESS:
            pend += d
            continue
        if c in TONES or c in SKIP:
            out[-1][1] += d
        elif c == "ʰ" and out[-1][0] + "ʰ" in ID:
            out[-1][0] += "ʰ"
            out[-1][1] += d
        elif c in " ,.?!;:":
            if c == " " and out[-1][0] != "_" and d <= 2:
                out[-1][1] += d        # a mere word boundary
            elif out[-1][0] == "_":
                out[-1][1] += d
            else:
                out.append(["_", d, k])
        else:
            out.append([c, d + pend, k])
            pend = 0
    if out[-1][0] == "_":
        out[-1][1] += dur[-1] + pend
    else:
        out.append(["_", dur[-1] + pend, len(syms) - 1])
    return out


def begins(real, least, n):
    """Frame of the codes (20 ms, two a token) in which each unit begins, None for a short pause that gets no token; None if there are more units than tokens.
    real: the frames of the audio where they begin, and where the last one ends; least: tokens a unit needs (0 or 1). Each is as near to its place in the
    audio as a token of its own allows."""
    need = np.cumsum(least[::-1])[::-1]         # tokens that this unit and those after it need
    out, last = [], -1
    for i, must in enumerate(least):
        at = int(round(real[i]))
        if not must and int(round(real[i + 1])) // 2 <= max(at // 2, last + 1):
            out.append(None)
            continue
        at = min(max(at, 2 * (last + 1)), 2 * int(n - need[i]) + 1)
        if at // 2 <= last:
            return None
        out.append(at)
        last = at // 2
    return out


def voiced(f):
    """[T] F0 in Hz -> bool [T]. The teacher's F0 climbs from 0 at every onset and falls back to it; what lies far under the sentence's median belongs to that"""
    f = np.asarray(f, np.float32)
    high = f[f > 50]
    return f > (max(45.0, 0.55 * float(np.median(high))) if len(high) else 45.0)


def track(x, n):
    """manifest entry -> per token: unit, position, symbol index, mean log F0 (NaN where nothing is voiced); then per mel frame of the codes the frame of
    the audio that belongs there. None if too dense"""
    u = units(x["syms"], x["dur"])
    real = np.concatenate([[0], np.cumsum([d for _, d, _ in u]) * 1.25])
    at = begins(real, [0 if c == "_" and 0 < i < len(u) - 1 and d < 3 else 1 for i, (c, d, _) in enumerate(u)], n)
    if at is None:
        return None
    said = [(ID[c], k, f, h) for (c, _, k), f, h in zip(u, at, real) if f is not None]
    coded, heard = np.array([f for _, _, f, _ in said] + [2 * n]), np.array([h for *_, h in said] + [real[-1]])
    unit, pos, sym, start = [], [], [], np.arange(n + 1) * 2
    for (c, k, f, _), end in zip(said, coded[1:]):
        m = int(end) // 2 - f // 2
        unit += [c] * m
        pos += [LATE if f % 2 else FIRST] + [LATER] * (m - 1)
        sym += [k] * m
        start[f // 2] = f
    f = np.array(x["f0"], np.float32)
    f[~voiced(f)] = 0
    lf = np.full(n, np.nan, np.float32)
    edge = np.interp(start, coded, heard) * 1.6
    for t in range(n):
        a = f[int(edge[t]): max(int(np.ceil(edge[t + 1])), int(edge[t]) + 1)]
        a = a[a > 0]
        if len(a):
            lf[t] = np.log(a).mean()
    warp = np.clip(np.round(np.interp(np.arange(2 * n) + 0.5, coded, heard) - 0.5), 0, 2 * n - 1)
    return (torch.tensor(unit, dtype=torch.int16), torch.tensor(pos, dtype=torch.int16), torch.tensor(sym, dtype=torch.int16),
            torch.tensor(lf, dtype=torch.float32), torch.tensor(warp, dtype=torch.int16))


def to_codes(mel, warp):
    """mel of the audio [80, F] -> the same sounds where the codes have them. Whole frames: what lies between two neighbours is a blur, and is heard"""
    return mel[:, warp.long()]


def to_audio(mel, warp):
    """mel of the codes -> the same sounds where the audio has them"""
    return mel[:, torch.tensor(np.interp(np.arange(len(warp)), warp.numpy(), np.arange(len(warp))).round(), dtype=torch.long)]


def pitch_levels(unit, lf, mean):
    """[S] levels of a sentence from its units and their log F0 (NaN: none)"""
    out, last = [], REST
    for u, x in zip(unit.tolist(), lf.tolist()):
        if u == ID["_"]:
            last = REST
        elif x == x:
            last = min(max(round((x - mean) / STEP) + REST, 0), N_PITCH - 1)
        out.append(last)
    return torch.tensor(out)


def join(unit, pitch, pos):
    return unit.long() + N_UNIT * pitch.long() + N_UNIT * N_PITCH * pos.long()


def split(code):
    return code % N_UNIT, code // N_UNIT % N_PITCH, code // (N_UNIT * N_PITCH)


POSSIBLE = split(torch.arange(6561))[0] < len(UNITS)     # [6561] bool; the other codes are never used


class Shared(torch.nn.Module):
    """Parametrisation of a table with one row per code: row = own part + unit part + pitch part + position part.
    Rare codes borrow from frequent ones; for export the sum is written out as an ordinary table."""

    def __init__(self, rows, dim, std):
        super().__init__()
        self.u = torch.nn.Parameter(torch.randn(N_UNIT, dim) * std)
        self.p = torch.nn.Parameter(torch.randn(N_PITCH, dim) * std)
        self.s = torch.nn.Parameter(torch.randn(N_POS, dim) * std)
        self.rows = rows

    def forward(self, w):
        t = (self.s[:, None, None] + self.p[None, :, None] + self.u).flatten(0, 2)      # the order of join()
        if self.rows > 6561:
            t = torch.cat([t, torch.zeros(self.rows - 6561, t.shape[1], device=t.device)])
        return w + t


def share(module, std, own=0.1):
    from torch.nn.utils import parametrize
    with torch.no_grad():
        module.weight[:6561] *= own
    parametrize.register_parametrization(module, "weight", Shared(module.weight.shape[0], module.weight.shape[1], std), unsafe=True)


def plain_state(net):
    """state dict with every parametrised weight written out under its official name (weight norm stays as it is)"""
    out = {}
    for k, v in net.state_dict().items():
        base, _, rest = k.partition(".parametrizations.")
        if rest and not rest.endswith(("original0", "original1")):
            name = rest.split(".")[0]
            out[f"{base}.{name}"] = getattr(net.get_submodule(base), name).detach().cpu().clone()
        else:
            out[k] = v.detach().cpu()
    return out


def load_plain(net, state):
    """loads written-out weights: an own part takes all of a shared table, whose shared parts start at zero. What `state` lacks stays as it is"""
    own = {}
    for k, v in state.items():
        base, _, name = k.rpartition(".")
        m = net.get_submodule(base)
        inner = hasattr(m, "parametrizations") and name in m.parametrizations
        own[f"{base}.parametrizations.{name}.original" if inner else k] = v.float() if v.is_floating_point() else v
    missing, extra = net.load_state_dict(own, strict=False)
    assert not extra, extra
    for k in missing:
        base = k.split(".parametrizations.")[0]
        if ".parametrizations.weight.0." in k and base + ".weight" in state:
            net.get_parameter(k).data.zero_()


def assign(utts, stats):
    """gives every utterance its codes under "speech" and the text index per token under "align"; drops the few that are too dense"""
    keep = []
    for u in utts:
        if u["unit"] is None:
            continue
        u["speech"] = join(u["unit"], pitch_levels(u["unit"], u["lf"], stats[u["voice"]]), u["pos"])
        keep.append(u)
    return keep
