"""Structured speech codes: what the 8 ternary digits of a code mean for the nano voice.

digits 0-4: sound unit (UNITS, up to 243), digits 5-6: pitch relative to the voice's mean (9 levels), digit 7: 0 = first token of the unit,
1 = later token. A token without pitch repeats the level before it, a pause has the middle one. Training targets
come from the teacher's durations and F0; the speech tokenizer learns to find the same codes in audio.
"""
import numpy as np
import torch

ASPIRATED = ["pʰ", "tʰ", "kʰ", "ʨʰ", "ʦʰ", "ꭧʰ"]
UNITS = ["_"] + list("AIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæɔɕçðʤəɚɛɜɡɥɨɪŋɲɹɻʁʂʃʧʊʌɣɤʒᵻθʣʥʦʨꭧβøœɸɾɯɴʋʎɟʝɰɽʈɖɳχʔᵝ") + ASPIRATED
ID = {u: i for i, u in enumerate(UNITS)}
TONES, STRESS, SKIP = "↓↗↘→", "ˈˌ", "ː\u0303ʲ"
N_UNIT, N_PITCH, N_POS = 243, 9, 3
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


def spread(lengths, n, least):
    """whole numbers of tokens per unit: boundaries as near as possible to the real ones, every unit at least `least`"""
    ends = np.cumsum(lengths) / 1.6
    m = len(lengths)
    need = np.concatenate([np.cumsum(least[::-1])[::-1][1:], [0]])     # tokens the later units need
    out, at = [], 0
    for i in range(m):
        e = int(round(ends[i])) if i < m - 1 else n
        e = max(e, at + least[i])
        e = min(e, n - need[i])
        if e < at + least[i]:
            return None
        out.append(e - at)
        at = e
    return out


def voiced(f):
    """[T] F0 in Hz -> bool [T]. The teacher's F0 climbs from 0 at every onset and falls back to it; what lies far under the sentence's median belongs to that"""
    f = np.asarray(f, np.float32)
    high = f[f > 50]
    return f > (max(45.0, 0.55 * float(np.median(high))) if len(high) else 45.0)


def borders(u, counts):
    """units and their tokens -> ends of the units in the audio and in the codes, both in mel frames (20 ms) from 0. A pause without tokens belongs to the unit before it"""
    heard, coded = [0.0], [0.0]
    for (_, d, _), m in zip(u, counts):
        if m == 0:
            heard[-1] += d * 1.25
        else:
            heard.append(heard[-1] + d * 1.25)
            coded.append(coded[-1] + 2.0 * m)
    return np.array(heard), np.array(coded)


def track(x, n):
    """manifest entry -> per token: unit, first/later, symbol index, mean log F0 (NaN where nothing is voiced); then per mel frame of the codes the frame of
    the audio that belongs there: codes begin every 40 ms, sounds anywhere. None if too dense"""
    u = units(x["syms"], x["dur"])
    least = [0 if c == "_" and 0 < i < len(u) - 1 and d < 3 else 1 for i, (c, d, _) in enumerate(u)]
    cnt = spread([d for _, d, _ in u], n, least)
    if cnt is None:
        return None
    unit, pos, sym = [], [], []
    for (c, _, k), m in zip(u, cnt):
        unit += [ID[c]] * m
        pos += ([0] + [1] * (m - 1)) if m else []
        sym += [k] * m
    heard, coded = borders(u, cnt)
    f = np.array(x["f0"], np.float32)
    f[~voiced(f)] = 0
    lf = np.full(n, np.nan, np.float32)
    edge = np.interp(2.0 * np.arange(n + 1), coded, heard) * 1.6
    for t in range(n):
        a = f[int(edge[t]): max(int(np.ceil(edge[t + 1])), int(edge[t]) + 1)]
        a = a[a > 0]
        if len(a):
            lf[t] = np.log(a).mean()
    warp = np.clip(np.interp(np.arange(2 * n) + 0.5, coded, heard) - 0.5, 0, 2 * n - 1)
    return (torch.tensor(unit, dtype=torch.int16), torch.tensor(pos, dtype=torch.int16), torch.tensor(sym, dtype=torch.int16),
            torch.tensor(lf, dtype=torch.float32), torch.tensor(warp, dtype=torch.float32))


def at(mel, where):
    """mel [80, F] read at frame positions `where` [G] -> [80, G], between neighbours in proportion"""
    low = where.floor().long().clamp(0, mel.shape[1] - 1)
    high = (low + 1).clamp(max=mel.shape[1] - 1)
    part = (where - low).to(mel)
    return mel[:, low] * (1 - part) + mel[:, high] * part


def to_codes(mel, warp):
    """mel of the audio -> the same sounds where the codes have them"""
    return at(mel.float(), warp)


def to_audio(mel, warp):
    """mel of the codes -> the same sounds where the audio has them"""
    back = np.interp(np.arange(len(warp)), warp.numpy(), np.arange(len(warp)))
    return at(mel.float(), torch.tensor(back, dtype=torch.float32))


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


_unit, _, _pos = split(torch.arange(6561))
POSSIBLE = (_unit < len(UNITS)) & (_pos < 2)     # [6561] bool; the other codes are never used


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
