"""One capture per denoiser, shared by all tests of a worker."""

from __future__ import annotations

import pytest
from networks import CrossAttention, TinyDiT, TinyUNet, Unconditional, seeded
from torch import nn

from samplegraph.export import Captures


@pytest.fixture(scope="session")
def captures() -> Captures:
    return Captures()


@pytest.fixture(scope="session")
def denoisers() -> dict[str, nn.Module]:
    made = {"tiny": TinyUNet(), "tinydit": TinyDiT(), "attention": CrossAttention(), "signal": Unconditional()}
    return {name: seeded(model) for name, model in made.items()}
