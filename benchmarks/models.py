"""The networks that are measured, each with its example conditions: seeded, every weight nonzero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplegraph.models import Condition, ModelSpec, Sampler
from samplegraph.models.digits import digits
from samplegraph.schedulers import create

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A network and what one sample of it needs.

    Args:
        network: makes the network.
        shape: of one sample, (C, H, W).
        conditions: example values, one row each; ``negative_<name>`` where guidance needs it.
    """

    network: Callable[[], nn.Module]
    shape: tuple[int, ...]
    conditions: dict[str, Any]

    def sampler(self, steps: int, interval: str | None = None) -> Sampler:
        """DDIM under classifier-free guidance with the scale as an input, everywhere or in an interval.

        x0 is not clipped: that makes a network of random weights ill-conditioned, and no two programs agree.
        """
        return Sampler(self.network(), create("ddim", steps, clip_sample=False), guidance_interval=interval)

    def examples(self) -> dict[str, Any]:
        """The model's own conditions."""
        return {name: value for name, value in self.conditions.items() if not name.startswith("negative_")}


class Block(nn.Module):
    """A transformer block with adaLN modulation (Peebles & Xie 2023, arXiv:2212.09748, figure 3)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (B, tokens, width), c (B, width) -> (B, tokens, width)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(c)[:, None].chunk(6, dim=-1)
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        out: Tensor = x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)
        return out

    def attention(self, x: Tensor) -> Tensor:
        """Self-attention over the tokens."""
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(attended.transpose(1, 2).reshape(rows, tokens, width))
        return out


class DiT(nn.Module):
    """A class-conditional diffusion transformer over the 2x2 patches of a latent; null class 10."""

    def __init__(self, width: int = 256, blocks: int = 8, heads: int = 4, side: int = 32) -> None:
        super().__init__()
        self.spec = ModelSpec(
            name="dit",
            sample_shape=(4, side, side),
            prediction_type="epsilon",
            conditions=(Condition("class_labels", dtype="int64", null=CLASSES, minimum=0, maximum=CLASSES),),
            guidance_scale=2.0,
        )
        self.width, self.grid = width, side // 2
        self.patch = nn.Conv2d(4, width, 2, stride=2)
        self.position = nn.Parameter(torch.empty(1, self.grid**2, width))
        self.time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(CLASSES + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.head = nn.Linear(width, 16)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        """sample (B, 4, H, W), timestep (B,), class_labels (B,) -> predicted eps (B, 4, H, W)."""
        x = self.patch(sample).flatten(2).transpose(1, 2) + self.position
        exponents = torch.arange(128, dtype=torch.float32, device=timestep.device)
        frequencies = torch.exp(exponents * (-math.log(10000.0) / 128))
        angle = timestep[:, None] * frequencies
        c = self.time(torch.cat([angle.cos(), angle.sin()], dim=-1)) + self.label(class_labels)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.modulation(c)[:, None].chunk(2, dim=-1)
        x = self.head(self.norm(x) * (1 + scale) + shift)
        x = x.reshape(-1, self.grid, self.grid, 2, 2, 4).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(sample.shape)


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """``network`` with random weights of moderate size, for inference."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        fan = max(parameter.numel() // parameter.shape[0], 1)
        parameter.data = torch.randn(parameter.shape, generator=generator) * (0.5 / math.sqrt(fan))
    return network.eval().requires_grad_(False)


def conditional_unet() -> nn.Module:
    """The conditional UNet of diffusers: random weights, seed 0."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    network = UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
    )
    return cast(nn.Module, network).eval().requires_grad_(False)


def latent_unet(side: int, widths: tuple[int, ...]) -> nn.Module:
    """The conditional UNet of diffusers as Stable Diffusion 1.5 has it: random weights, seed 0."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    network = UNet2DConditionModel(sample_size=side, block_out_channels=widths, cross_attention_dim=768)
    return cast(nn.Module, network).eval().requires_grad_(False)


def _tokens(seed: int, count: int = 8, width: int = 32) -> Any:
    return np.random.default_rng(seed).standard_normal((1, count, width)).astype(np.float32)


_PROMPT = {"encoder_hidden_states": _tokens(1, 77, 768), "negative_encoder_hidden_states": _tokens(2, 77, 768)}
_LABEL = {"class_labels": np.array([3], dtype=np.int64)}

CASES = {
    "unet": Case(
        conditional_unet,
        (4, 32, 32),
        {"encoder_hidden_states": _tokens(1), "negative_encoder_hidden_states": _tokens(2)},
    ),
    "dit": Case(lambda: seeded(DiT()), (4, 32, 32), _LABEL),
    "digits": Case(digits, (1, 16, 16), _LABEL),
    "unet142m": Case(lambda: latent_unet(32, (128, 256, 512, 512)), (4, 32, 32), _PROMPT),
    "sd15": Case(lambda: latent_unet(64, (320, 640, 1280, 1280)), (4, 64, 64), _PROMPT),
    "tiny": Case(lambda: seeded(DiT(width=16, blocks=1, heads=2, side=8)), (4, 8, 8), _LABEL),
}
