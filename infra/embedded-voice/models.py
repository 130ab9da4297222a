"""The networks that the official repository does not train itself: speech tokenizer and speaker encoder."""
import torch
import torch.nn as nn
import torch.nn.functional as F

import codes


class Block(nn.Module):
    """depthwise convolution + two pointwise layers, residual"""

    def __init__(self, c, k=7, mult=3):
        super().__init__()
        self.dw = nn.Conv1d(c, c, k, padding=k // 2, groups=c)
        self.norm = nn.LayerNorm(c)
        self.a = nn.Linear(c, c * mult)
        self.b = nn.Linear(c * mult, c)

    def forward(self, x):
        y = self.dw(x).transpose(1, 2)
        y = self.b(F.gelu(self.a(self.norm(y)))).transpose(1, 2)
        return x + y


class Tokenizer(nn.Module):
    """whisper log-mel [B, 128, T] -> sound unit, pitch level and position at 25 Hz, together one of 6561 codes (see codes.py)."""

    def __init__(self, c=192, n_enc=6, dropout=0.1):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.conv1 = nn.Conv1d(128, c, 3, stride=2, padding=1)
        self.conv2 = nn.Conv1d(c, c, 3, stride=2, padding=1)
        self.enc = nn.ModuleList([Block(c) for _ in range(n_enc)])
        self.norm = nn.LayerNorm(c)
        self.unit = nn.Linear(c, len(codes.UNITS))
        self.pitch = nn.Linear(c, codes.N_PITCH)
        self.pos = nn.Linear(c, codes.N_POS)

    def forward(self, feats):
        x = F.gelu(self.conv1(feats))
        x = self.drop(F.gelu(self.conv2(x)))
        for b in self.enc:
            x = b(x)
        x = self.drop(self.norm(x.transpose(1, 2)))
        return self.unit(x), self.pitch(x), self.pos(x)

    def codes(self, feats):
        u, p, s = self(feats)
        return codes.join(u.argmax(-1), p.argmax(-1), s.argmax(-1))


class TokenizerOnnx(nn.Module):
    """official signature: feats [1, 128, T] float32, feats_length [1] int32 -> codes [1, ceil(T/4)] int32"""

    def __init__(self, t):
        super().__init__()
        self.t = t

    def forward(self, feats, feats_length):
        mask = (torch.arange(feats.shape[2], device=feats.device)[None, None] < feats_length.view(-1, 1, 1)).to(feats.dtype)
        return self.t.codes(feats * mask).to(torch.int32)


class Speaker(nn.Module):
    """kaldi fbank [B, T, 80] minus its mean over time -> 192-dimensional voice vector"""

    def __init__(self, c=192, n_voices=64):
        super().__init__()
        self.inp = nn.Conv1d(80, c, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList([Block(c, 7, 2) for _ in range(3)])
        self.att = nn.Conv1d(c, 1, 1)
        self.out = nn.Linear(2 * c, 192)
        self.cls = nn.Linear(192, n_voices, bias=False)

    def forward(self, fbank):
        x = F.gelu(self.inp(fbank.transpose(1, 2)))
        for b in self.blocks:
            x = b(x)
        w = torch.softmax(self.att(x), dim=-1)
        mean = (x * w).sum(-1)
        std = ((x * x * w).sum(-1) - mean * mean).clamp(min=1e-5).sqrt()
        return self.out(torch.cat([mean, std], 1))


class SpeakerOnnx(nn.Module):
    """official signature: fbank [1, T, 80] -> voice vector [1, 192]"""

    def __init__(self, s):
        super().__init__()
        self.s = s

    def forward(self, fbank):
        return self.s(fbank)
