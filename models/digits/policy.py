"""The built-in model with a policy for an answer, so that the scheduler that integrates one can be tried."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from samplegraph.models.digits.unet import DigitsUNet
from samplegraph.models.spec import ModelSpec

#: Predictions of a policy: ``piflow``'s default.
N_GRID = 10


class DigitsPolicy(nn.Module):
    """Answers with the prediction of ``network`` for every time of a policy, (B, 1, 16, ``N_GRID`` * 16).

    A distilled network would predict each time by itself; this policy is constant, so that ``piflow`` draws with it
    what ``flow_match_euler`` draws on the same grid.
    """

    spec: ClassVar[ModelSpec] = replace(DigitsUNet.spec, name="digits-policy")

    def __init__(self, network: DigitsUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        return torch.cat([self.network(sample, timestep, class_labels)] * N_GRID, dim=-1)
