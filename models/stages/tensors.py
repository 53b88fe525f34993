"""Fronts on tensors: what the eager sampler runs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from samplegraph.models.spec import Condition
from samplegraph.models.stages.front import Front


class OnTensors:
    """``Operations`` of ``Inlet.run`` in torch."""

    def call(self, front: Front, inputs: Mapping[str, Tensor], twofold: bool) -> Mapping[str, Tensor]:
        results: dict[str, Tensor] = front(**inputs)
        return results

    def stack(self, uncond: Tensor, cond: Tensor) -> Tensor:
        return torch.cat([uncond, cond])

    def halves(self, both: Tensor) -> tuple[Tensor, Tensor]:
        rows = both.shape[0] // 2
        return both[:rows], both[rows:]

    def null(self, like: Tensor, declared: Condition) -> Tensor:
        assert declared.null is not None
        return torch.full_like(like, declared.null)
