"""Which rows of a call hold prompts and which negative prompts, where a pipeline reads the two differently."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samplegraph.models.spec import Condition
from samplegraph.models.stages import FrontSpec

#: 1 for the rows of prompts, 0 for those of negative prompts.
BRANCH = Condition("is_prompt", dtype="int64", null=0, minimum=0, maximum=1)


class Branch(nn.Module):
    """``is_prompt`` (B,) for a front behind it: ones, which its null value makes zeros of the other branch.

    Args:
        ids: an input that the front behind it takes as well; it has one row per sample.
    """

    def __init__(self, ids: Condition) -> None:
        super().__init__()
        self.name = ids.name
        self.spec = FrontSpec((ids,), (BRANCH.name,))

    def forward(self, **ids: Tensor) -> Tensor:
        return torch.ones_like(ids[self.name][:, 0])


def where_prompt(is_prompt: Tensor, prompt: Tensor, negative: Tensor) -> Tensor:
    """The rows (B, ...) of ``prompt`` where ``is_prompt`` (B,), else those of ``negative``."""
    return torch.where(is_prompt.reshape(-1, *[1] * (prompt.ndim - 1)) > 0, prompt, negative)
