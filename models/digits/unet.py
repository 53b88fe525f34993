"""DigitsUNet: a small class-conditional UNet for 16x16 grey images.

The shape is that of DDPM's network (Ho et al. 2020, arXiv:2006.11239, appendix B) with the adaptive group
normalisation of Dhariwal & Nichol 2021 (arXiv:2105.05233, section 3): three resolutions 16 -> 8 -> 4, two
residual blocks each, self-attention at 8x8 and 4x4. Every shape is static, nothing depends on the data, and
attention is written as MatMul - Softmax - MatMul, which every inference engine accepts.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplegraph.models.spec import Condition, ModelSpec
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule

CHANNELS = (32, 64, 112)
EMBEDDING = 128
NULL_CLASS = 10
NOISE_SCHEDULE = NoiseSchedule()


def sinusoidal_embedding(timestep: Tensor, width: int) -> Tensor:
    """Transformer position embedding (Vaswani et al. 2017, arXiv:1706.03762, section 3.5): (B,) -> (B, width)."""
    half = width // 2
    exponent = torch.arange(half, dtype=torch.float32, device=timestep.device) / half
    angle = timestep[:, None] * torch.exp(-math.log(10000.0) * exponent)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def signal_and_noise(timestep: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of the linear schedule at real t, each (B, 1, 1, 1); a cubic fits log(abar) to 4e-5."""
    u = (timestep / 1000.0).view(-1, 1, 1, 1)
    log_abar = -(1e-4 + u * (0.110005 + u * (9.96063 + u * 0.067169)))
    return torch.exp(0.5 * log_abar), torch.sqrt(-torch.expm1(log_abar))


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation in groups of 8 channels (Wu & He 2018, arXiv:1803.08494)."""
    return nn.GroupNorm(channels // 8, channels)


class ResidualBlock(nn.Module):
    """GroupNorm - SiLU - Conv, twice, the second scaled and shifted by the embedding, plus the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(EMBEDDING, 2 * outputs)
        self.norm2 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut: nn.Module = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (B, inputs, H, W), embedding (B, EMBEDDING) -> (B, outputs, H, W)."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        out: Tensor = self.shortcut(x) + h
        return out


class SelfAttention(nn.Module):
    """Single-head self-attention over the H*W positions, as explicit matrix products, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = channels**-0.5
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W)."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, dim=1)
        weights = torch.softmax(torch.matmul(q.transpose(1, 2), k) * self.scale, dim=-1)
        attended = torch.matmul(v, weights.transpose(1, 2)).reshape(x.shape)
        out: Tensor = x + self.out(attended)
        return out


class DigitsUNet(nn.Module):
    """Predicts the noise in a 16x16 image of a handwritten digit. `spec` is the declaration the compiler reads."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="digits",
        sample_shape=(1, 16, 16),
        prediction_type="epsilon",
        noise_schedule=NOISE_SCHEDULE,
        timestep_dtype="float32",
        conditions=(
            Condition(
                name="class_labels",
                shape=(),
                dtype="int64",
                null=NULL_CLASS,
                minimum=0,
                maximum=NULL_CLASS,
                description="digit 0-9; 10 is the null class",
            ),
        ),
        guidance_scale=2.0,
    )

    def __init__(self) -> None:
        super().__init__()
        c0, c1, c2 = CHANNELS
        self.time = nn.Sequential(nn.Linear(64, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING))
        self.label = nn.Embedding(NULL_CLASS + 1, EMBEDDING)
        self.stem = nn.Conv2d(1, c0, 3, padding=1)
        self.down16 = ResidualBlock(c0, c0)
        self.to8 = nn.Conv2d(c0, c0, 3, stride=2, padding=1)
        self.down8 = ResidualBlock(c0, c1)
        self.down8_attention = SelfAttention(c1)
        self.to4 = nn.Conv2d(c1, c1, 3, stride=2, padding=1)
        self.down4 = ResidualBlock(c1, c2)
        self.middle_attention = SelfAttention(c2)
        self.up4 = ResidualBlock(c2, c2)
        self.from4 = nn.Conv2d(c2, c1, 3, padding=1)
        self.up8 = ResidualBlock(2 * c1, c1)
        self.up8_attention = SelfAttention(c1)
        self.from8 = nn.Conv2d(c1, c0, 3, padding=1)
        self.up16 = ResidualBlock(2 * c0, c0)
        self.norm = norm(c0)
        self.head = nn.Conv2d(c0, 1, 3, padding=1)
        nn.init.zeros_(self.head.weight)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        """Predict epsilon.

        Args:
            sample: (B, 1, 16, 16), x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps with x_0 in [-1, 1].
            timestep: (B,) float, 0 to 999, may be fractional.
            class_labels: (B,) int64, 0 to 9, or 10 for no class.

        Returns:
            (B, 1, 16, 16), the predicted eps.
        """
        t = timestep.float()
        waves = sinusoidal_embedding(t, 64).to(sample.dtype)
        embedding = F.silu(self.time(waves) + self.label(class_labels))
        x16 = self.down16(self.stem(sample), embedding)
        x8 = self.down8_attention(self.down8(self.to8(x16), embedding))
        x4 = self.down4(self.to4(x8), embedding)
        x4 = self.up4(self.middle_attention(x4), embedding)
        up8 = self.from4(F.interpolate(x4, scale_factor=2.0, mode="nearest"))
        up8 = self.up8_attention(self.up8(torch.cat([up8, x8], dim=1), embedding))
        up16 = self.from8(F.interpolate(up8, scale_factor=2.0, mode="nearest"))
        up16 = self.up16(torch.cat([up16, x16], dim=1), embedding)
        velocity = self.head(F.silu(self.norm(up16)))
        alpha, sigma = signal_and_noise(t)
        out: Tensor = sigma.to(sample.dtype) * sample + alpha.to(sample.dtype) * velocity
        return out
