"""Small modules to stand in front of and behind a sampler, and a policy that takes what they give."""

from __future__ import annotations

from functools import cache

import torch
from networks import seeded, waves
from torch import Tensor, nn

from samplegraph.models import BackSpec, Condition, FrontSpec, ModelSpec


class Head(nn.Module):
    """Actions (B, 4, 2) from ``global_cond`` (B, 6) and ``goal`` (B, 2)."""

    spec = ModelSpec(
        name="head",
        sample_shape=(4, 2),
        prediction_type="epsilon",
        conditions=(Condition("global_cond", (6,)), Condition("goal", (2,), guided=False)),
        guidance_scale=2.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self.time, self.seen, self.goal = nn.Linear(16, 8), nn.Linear(6, 8), nn.Linear(2, 8)

    def forward(self, sample: Tensor, timestep: Tensor, global_cond: Tensor, goal: Tensor) -> Tensor:
        shift = torch.tanh(self.time(waves(timestep)) + self.seen(global_cond) + self.goal(goal))
        out: Tensor = 0.8 * sample + 0.5 * shift.reshape(-1, 4, 2)
        return out


class Normaliser(nn.Module):
    """Of observations: the input keeps its name; nothing is declared."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, -1.0, 2.0]))
        self.register_buffer("std", torch.tensor([2.0, 0.5, 3.0]))

    def forward(self, obs: Tensor) -> Tensor:
        out: Tensor = (obs - self.mean) / self.std
        return out


class ObservationEncoder(nn.Module):
    """``obs`` (B, 5, 3) -> ``global_cond`` (B, 6)."""

    spec = FrontSpec((Condition("obs", (5, 3), description="the last five observations"),), ("global_cond",))

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(15, 32)
        self.outer = nn.Linear(32, 6)

    def forward(self, obs: Tensor) -> Tensor:
        out: Tensor = self.outer(torch.relu(self.inner(obs.flatten(1))))
        return out


class TextEncoder(nn.Module):
    """``input_ids`` (B, 7) -> two conditions, as of a prompt."""

    spec = FrontSpec(
        (Condition("input_ids", (7,), "int64", minimum=0, maximum=63),), ("encoder_hidden_states", "text_embeds")
    )

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix, self.pool = nn.Embedding(64, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.mix(self.table(input_ids)))
        return h, self.pool(h.mean(1))


class TextDenoiser(nn.Module):
    """Latents (B, 4, 4, 4) under the conditions of ``TextEncoder``."""

    spec = ModelSpec(
        name="text",
        sample_shape=(4, 4, 4),
        prediction_type="epsilon",
        conditions=(
            Condition("encoder_hidden_states", (7, 6), any_length=True),
            Condition("text_embeds", (4,)),
        ),
        guidance_scale=3.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self.time, self.pooled = nn.Linear(16, 4), nn.Linear(4, 4)
        self.query, self.key, self.value = nn.Linear(4, 8), nn.Linear(6, 8), nn.Linear(6, 4)

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, text_embeds: Tensor) -> Tensor:
        x = sample.flatten(2).transpose(1, 2) + (self.time(waves(timestep)) + self.pooled(text_embeds))[:, None]
        scores = self.query(x) @ self.key(encoder_hidden_states).transpose(1, 2)
        h = torch.softmax(scores, dim=-1) @ self.value(encoder_hidden_states)
        return 0.9 * sample + 0.3 * torch.tanh(h.transpose(1, 2).reshape(sample.shape))


class Decoder(nn.Module):
    """Latents (B, 4, 4, 4) -> ``image`` (B, 3, 8, 8) in [0, 1]."""

    spec = BackSpec("image", 0.0, 1.0, "the picture")

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.up = nn.Conv2d(4, 12, 3, padding=1), nn.ConvTranspose2d(12, 3, 2, stride=2)

    def forward(self, sample: Tensor) -> Tensor:
        return torch.sigmoid(self.up(torch.tanh(self.mix(sample / 0.18))))


class UnNormaliser(nn.Module):
    """Of actions, undeclared: (B, 4, 2) -> (B, 4, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([3.0, 0.25]))
        self.register_buffer("shift", torch.tensor([-7.0, 1.5]))

    def forward(self, sample: Tensor) -> Tensor:
        out: Tensor = sample * self.scale + self.shift
        return out


@cache
def head() -> nn.Module:
    return seeded(Head(), 1)


@cache
def normaliser() -> nn.Module:
    return Normaliser().eval()


@cache
def observation_encoder() -> nn.Module:
    return seeded(ObservationEncoder(), 2)


@cache
def text_encoder() -> nn.Module:
    return seeded(TextEncoder(), 3)


@cache
def text_denoiser() -> nn.Module:
    return seeded(TextDenoiser(), 4)


@cache
def decoder() -> nn.Module:
    return seeded(Decoder(), 5)


@cache
def un_normaliser() -> nn.Module:
    return UnNormaliser().eval()
