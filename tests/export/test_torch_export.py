"""torch's exporter with onnxscript's optimiser: the rule left out would have found nothing."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
import pytest
import torch
from onnxscript import optimizer
from onnxscript.rewriter.rules.common import slice_split_rule
from torch import Tensor, nn

from samplegraph.export.denoiser import optimise, torch_export
from samplegraph.export.denoiser.torch_export import export_module


class Rotated(nn.Module):
    """Rotary positions: both halves of the last axis, as two slices; and some that onnxscript's rules find."""

    def forward(self, x: Tensor, angle: Tensor) -> Tensor:
        first, second = x[..., :8], x[..., 8:]
        turned = torch.cat([-second, first], dim=-1).clamp(min=-3.0).clamp(max=3.0)
        turned = turned.reshape(2, 64).reshape(x.shape) + 0.0
        return x * angle.cos() + turned * angle.sin()


def test_the_slow_rule_is_left_out() -> None:
    assert slice_split_rule not in optimise._RULES
    assert len(optimise._RULES) > 20


def test_optimised_as_by_onnxscript(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same graph, node by node and value by value."""
    whole: list[ir.Model] = []

    def both(model: ir.Model, original: Any = optimise.optimise) -> None:
        whole.append(model.clone())
        optimizer.optimize_ir(whole[0], num_iterations=1)
        original(model)

    monkeypatch.setattr(torch_export, "optimise", both)
    model = export_module(Rotated(), (torch.zeros(2, 4, 16), torch.zeros(16)), ["x", "angle"], ["output"], None)
    for node in [*model.graph, *whole[0].graph]:
        node.name = ""  # those of new nodes are numbered on from the last, and a copy starts anew
    assert ir.serde.serialize_model(model) == ir.serde.serialize_model(whole[0])
