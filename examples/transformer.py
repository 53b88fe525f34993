"""The layers that both examples' networks are made of: those of a diffusion transformer (arXiv:2212.09748)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WAVES = 32


class Block(nn.Module):
    """Attention over the tokens, then a perceptron; both scaled, shifted and gated from outside (adaLN-Zero)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (B, N, width), modulation (B, 6 width) -> (B, N, width)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation[:, None].chunk(6, dim=2)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1)
        out: Tensor = x + gate2 * self.down(F.silu(self.up(self.norm2(x) * (1 + scale2) + shift2)))
        return out

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention: (B, N, width) -> (B, N, width)."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(q @ k.transpose(2, 3) * self.scale, dim=-1)
        out: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return out


def waves(t: Tensor) -> Tensor:
    """Sines and cosines of t in [0, 1]: (B,) -> (B, WAVES)."""
    half = WAVES // 2
    angle = t.float()[:, None] * torch.exp(torch.arange(half) * (math.log(100.0) / (half - 1)))
    return torch.cat([angle.cos(), angle.sin()], dim=1)
