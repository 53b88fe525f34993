"""Small denoisers for tests: seeded, with every weight nonzero, and quick to capture."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from samplegraph.models import Condition, ModelSpec


def seeded(model: nn.Module, seed: int = 0) -> nn.Module:
    """``model`` with random weights of moderate size."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = 0.5 / math.sqrt(max(parameter.numel() / parameter.shape[0], 1))
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale
    return model.eval().requires_grad_(False)


def waves(timestep: Tensor, width: int = 16) -> Tensor:
    """(B,) -> (B, width) sinusoidal embedding."""
    angle = timestep.float()[:, None] * torch.exp(-torch.arange(width // 2) * 0.7)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class TinyUNet(nn.Module):
    """Convolutions with group normalisation, modulated by timestep + class; null class 4."""

    spec = ModelSpec(
        name="tiny",
        sample_shape=(2, 8, 8),
        prediction_type="epsilon",
        conditions=(Condition("class_labels", dtype="int64", null=4, minimum=0, maximum=4),),
        guidance_scale=2.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 16))
        self.label = nn.Embedding(5, 16)
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.modulation = nn.Linear(16, 16)
        self.last = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        embedding = torch.nn.functional.silu(self.time(waves(timestep)) + self.label(class_labels))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.norm(self.first(sample)) * (1 + scale) + shift
        out: Tensor = sample * 0.9 + torch.tanh(self.last(torch.nn.functional.silu(h))) * 0.3
        return out


class TinyPolicy(TinyUNet):
    """Ten predictions in the last axis, each of its own: a policy."""

    spec = replace(TinyUNet.spec, name="tinypolicy", prediction_type="flow_prediction")

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        output = super().forward(sample, timestep, class_labels)
        return torch.cat([output * (1 + 0.1 * k) + 0.05 * k for k in range(10)], dim=-1)


class CrossAttention(nn.Module):
    """Tokens attend to ``encoder_hidden_states``; a plain time embedding; no declaration."""

    def __init__(self, channels: int = 4, width: int = 6) -> None:
        super().__init__()
        self.time = nn.Linear(16, channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(width, channels)
        self.value = nn.Linear(width, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        h = sample.flatten(2).transpose(1, 2) + self.time(waves(timestep))[:, None]
        scores = self.query(h) @ self.key(encoder_hidden_states).transpose(1, 2)
        h = self.out(torch.softmax(scores, dim=-1) @ self.value(encoder_hidden_states))
        return 0.9 * sample + 0.2 * torch.tanh(h.transpose(1, 2).reshape(sample.shape))


class Unconditional(nn.Module):
    """A gated convolution without conditions, on a 1-D signal; int64 timesteps."""

    spec = ModelSpec(name="signal", sample_shape=(3, 16), prediction_type="v_prediction", timestep_dtype="int64")

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 3)
        self.conv = nn.Conv1d(3, 3, 5, padding=2)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return torch.tanh(self.conv(sample)) * (1 + self.table(timestep)[:, :, None]) * 0.5


class AdaLNBlock(nn.Module):
    """One transformer block with adaLN-zero modulation (Peebles & Xie 2023, arXiv:2212.09748)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(c)[:, None].chunk(6, dim=-1)
        h = nn.functional.layer_norm(x, (self.width,)) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).chunk(3, dim=-1)
        h = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(self.width), dim=-1) @ v
        x = x + gate1 * self.out(h)
        h = nn.functional.layer_norm(x, (self.width,)) * (1 + scale2) + shift2
        out: Tensor = x + gate2 * self.mlp(h)
        return out


class TinyDiT(nn.Module):
    """Two adaLN blocks over the 16 patches of an 8x8 image; class-conditional, null class 4."""

    spec = ModelSpec(
        name="tinydit",
        sample_shape=(1, 8, 8),
        prediction_type="v_prediction",
        conditions=(Condition("class_labels", dtype="int64", null=4, minimum=0, maximum=4),),
        guidance_scale=1.5,
    )

    def __init__(self, width: int = 16, blocks: int = 2) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 2, stride=2)
        self.time = nn.Linear(16, width)
        self.label = nn.Embedding(5, width)
        self.blocks = nn.ModuleList(AdaLNBlock(width) for _ in range(blocks))
        self.head = nn.ConvTranspose2d(width, 1, 2, stride=2)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        patches = self.patch(sample)
        x = patches.flatten(2).transpose(1, 2)
        c = nn.functional.silu(self.time(waves(timestep)) + self.label(class_labels))
        for block in self.blocks:
            x = block(x, c)
        return torch.tanh(self.head(x.transpose(1, 2).reshape(patches.shape)))


class Rms(nn.Module):
    """A linear layer, a root-mean-square norm of values of the given size, and a linear layer."""

    spec = ModelSpec(name="rms", sample_shape=(4, 8), prediction_type="epsilon")

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = size
        self.first = nn.Linear(8, 16)
        self.norm = nn.RMSNorm(16)
        self.last = nn.Linear(16, 8)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        out: Tensor = self.last(self.norm(self.first(sample) * self.size))
        return out
