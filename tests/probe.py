"""A network that notes how it is called."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from samplegraph.models import ModelSpec


@dataclass
class Call:
    """One evaluation."""

    sample: Tensor
    timestep: Tensor
    conditions: dict[str, Tensor]


class Probe(nn.Module):
    """``0.5 * sample + 0.1 * sum of each condition's row``, and a list of its calls."""

    def __init__(self, spec: ModelSpec | None = None, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if spec is not None:
            self.spec = spec
        self.calls: list[Call] = []
        self.gain = nn.Parameter(torch.full((1,), 0.5, dtype=dtype), requires_grad=False)

    def forward(self, sample: Tensor, timestep: Tensor, **conditions: Tensor) -> Tensor:
        self.calls.append(Call(sample.clone(), timestep.clone(), {k: v.clone() for k, v in conditions.items()}))
        shift = torch.zeros(sample.shape[0], dtype=sample.dtype)
        for value in conditions.values():
            shift = shift + 0.1 * value.reshape(sample.shape[0], -1).to(sample.dtype).sum(1)
        return sample * self.gain + shift.reshape(-1, *[1] * (sample.ndim - 1))
