"""Models for command-line tests, ``--model cli_models:name``: good ones, and one per thing that can be wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from networks import CrossAttention, TinyDiT, TinyUNet, Unconditional, seeded
from torch import Tensor, nn

from samplegraph.models import Condition, ModelSpec


def tiny() -> nn.Module:
    """Declared: (2, 8, 8), class_labels 0..4."""
    return seeded(TinyUNet())


def tinydit() -> nn.Module:
    """Declared: (1, 8, 8), class_labels 0..4."""
    return seeded(TinyDiT())


def signal() -> nn.Module:
    """Declared: (3, 16), no conditions."""
    return seeded(Unconditional())


def attention() -> nn.Module:
    """Declares nothing: (4, H, W) and encoder_hidden_states (tokens, 6)."""
    return seeded(CrossAttention())


def from_file() -> nn.Module:
    """The digits network over the safetensors file that ``SAMPLEGRAPH_TEST_WEIGHTS`` names."""
    from safetensors.torch import load_file

    from samplegraph.models.digits import DigitsUNet

    model = DigitsUNet()
    model.load_state_dict(load_file(Path(os.environ["SAMPLEGRAPH_TEST_WEIGHTS"])))
    return model.eval().requires_grad_(False)


def raises() -> nn.Module:
    raise RuntimeError("no\nweights here")


def leaves() -> nn.Module:
    sys.exit(3)


def number() -> int:
    return 3


def needs_argument(width: int) -> nn.Module:
    return nn.Linear(width, width)


NOT_CALLABLE = 3


class _Fixed(nn.Module):
    """Declared as (2, 8, 8) without conditions; ``forward`` calls ``answer``."""

    spec = ModelSpec(name="fixed", sample_shape=(2, 8, 8), prediction_type="epsilon")

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, sample: Tensor, timestep: Tensor) -> object:
        return self.answer(sample * self.gain)

    def answer(self, x: Tensor) -> object:
        return x


class Wider(_Fixed):
    """Its output has a channel too many."""

    def answer(self, x: Tensor) -> object:
        return torch.cat([x, x[:, :1]], dim=1)


class Speaks(_Fixed):
    """It returns no tensor."""

    def answer(self, x: Tensor) -> object:
        return "noise"


class Fails(_Fixed):
    """Its forward raises."""

    def answer(self, x: Tensor) -> object:
        raise ValueError("bad\nshape")


class LooksUp(_Fixed):
    """It looks up what its table has not; a trace does not see that."""

    def answer(self, x: Tensor) -> object:
        row = torch.argmax(x.flatten(1), dim=1) + 9
        return x + nn.functional.embedding(row, torch.zeros(9, 1))[:, :, None, None]


class Quits(_Fixed):
    """Its forward ends the program."""

    def answer(self, x: Tensor) -> object:
        sys.exit(0)


class Random(_Fixed):
    """It draws random numbers."""

    def answer(self, x: Tensor) -> object:
        return x + torch.randn_like(x)


class Infinite(_Fixed):
    """Its weights are NaN."""

    def answer(self, x: Tensor) -> object:
        return x * torch.nan


class Inconsistent(_Fixed):
    """What it computes at its first call, which is captured, is not what it computes later."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def answer(self, x: Tensor) -> object:
        self.calls += 1
        return x * self.calls


class Clash(nn.Module):
    """A condition has a name that is taken; ``CLASH`` says which."""

    def __init__(self) -> None:
        super().__init__()
        name = os.environ["CLASH"]
        self.spec = ModelSpec(name="clash", sample_shape=(2, 8, 8), conditions=(Condition(name, (1, 1, 1)),))
        self.gain = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, sample: Tensor, timestep: Tensor, **conditions: Tensor) -> Tensor:
        return sample * self.gain + sum(conditions.values())


class NamedLikeAPath(_Fixed):
    """Its name is no file name."""

    spec = ModelSpec(name="org/model v1", sample_shape=(2, 8, 8), prediction_type="epsilon")
