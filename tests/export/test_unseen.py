"""What compiled graphs must not hold, on a denoiser that tempts: class and text conditions, fused projections."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import seeded, waves
from torch import Tensor, nn
from torch.nn import functional as F

from samplegraph.export import Captures, ExportError, compile
from samplegraph.export.graph.bindings import uses
from samplegraph.export.verification.examples import example_inputs, run_eager
from samplegraph.export.verification.probe import run_graph
from samplegraph.models import Condition, ModelSpec, Sampler
from samplegraph.schedulers import create

WIDTH, HEADS, CONTEXT = 24, 3, 10


class Block(nn.Module):
    """adaLN, self-attention, cross-attention with K and V in one projection, a gated layer."""

    def __init__(self, style: int) -> None:
        super().__init__()
        self.style = style
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, elementwise_affine=n > 0) for n in range(3))
        self.modulation = nn.Linear(16, 6 * WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=style != 2), nn.Linear(WIDTH, WIDTH)
        self.q, self.kv, self.cross = nn.Linear(WIDTH, WIDTH), nn.Linear(CONTEXT, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.gated, self.last = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor, embedding: Tensor, text: Tensor) -> Tensor:
        m = self.modulation(embedding)[:, None].chunk(6, -1)
        first, second, third = self.norms
        x = x + m[2] * self.out(self._attended(*self._parts(self.qkv(first(x) * (1 + m[0]) + m[1]))))
        k, v = self.kv(text).view(x.shape[0], -1, 2, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        x = x + m[3] * self.cross(self._attended(self._heads(self.q(second(x))), k, v))
        kept, gate = self.gated(third(x) * (1 + m[4]) + m[5]).chunk(2, -1)
        out: Tensor = x + self.last(kept * F.gelu(gate))
        return out

    def _parts(self, qkv: Tensor) -> list[Tensor]:
        """q, k and v in three common styles."""
        rows, tokens, width = qkv.shape
        if self.style == 0:
            return list(qkv.reshape(rows, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4))
        if self.style == 1:
            return [self._heads(part) for part in qkv.chunk(3, -1)]
        return list(qkv.view(rows, tokens, HEADS, width // HEADS).permute(0, 2, 1, 3).chunk(3, -1))

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Unseen(nn.Module):
    """The time alone modulates a convolution and the first block; the class enters at the second, text in each."""

    def __init__(self) -> None:
        super().__init__()
        conditions = (
            Condition("text", dtype="float32", shape=(7, CONTEXT)),
            Condition("label", dtype="int64", null=5, minimum=0, maximum=5),
        )
        self.spec = ModelSpec("unseen", (3, 8, 8), prediction_type="epsilon", conditions=conditions, guidance_scale=2.0)
        self.time, self.label = nn.Sequential(nn.Linear(16, 16), nn.Mish(), nn.Linear(16, 16)), nn.Embedding(6, 16)
        self.first, self.norm = nn.Conv2d(3, WIDTH, 3, padding=1), nn.GroupNorm(4, WIDTH)
        self.scale, self.down = nn.Linear(16, 2 * WIDTH), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, stride=2)
        self.blocks = nn.ModuleList(Block(style) for style in range(3))
        self.up, self.last = nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2), nn.Conv2d(2 * WIDTH, 3, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor, label: Tensor) -> Tensor:
        t = self.time(waves(timestep))
        scale, shift = self.scale(F.silu(t))[:, :, None, None].chunk(2, 1)
        x = self.first(sample)
        y = self.down(F.silu(self.norm(x) * (1 + scale) + shift)).flatten(2).mT
        for k, block in enumerate(self.blocks):
            y = block(y, t + self.label(label) if k else t, text)
        out: Tensor = self.last(torch.cat([self.up(y.mT.reshape(-1, WIDTH, 4, 4)), x], 1))
        return out


@pytest.fixture(scope="module")
def unseen() -> nn.Module:
    return seeded(Unseen())


@pytest.mark.parametrize("batch", [1, 3, "dynamic"])
@pytest.mark.parametrize("scale", ["input", 2.5, None])
def test_the_bars_hold(
    batch: int | str, scale: float | str | None, unseen: nn.Module, captures: Captures, tmp_path: Path
) -> None:
    sampler = Sampler(unseen, create("ddim", 4, clip_sample=False), scale)
    program = compile(sampler, batch=batch, captures=captures)
    path = program.save(tmp_path / "x.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    inputs = example_inputs(sampler, program.signature, seed=3)
    expected, found = run_eager(sampler, inputs), run_graph(path, inputs)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    graph = program.model.graph
    fed, readers = set(graph.inputs), Counter[str]()
    for node in graph:
        assert any(value in fed for value in uses(node)), f"{node.op_type} depends on the timestep alone"
        fed.update(node.outputs)
    shapes = {(16, 6 * WIDTH), (6 * WIDTH, 16), (CONTEXT, 2 * WIDTH), (2 * WIDTH, CONTEXT)}
    for value in program.weights:
        if value.const_value is not None and tuple(value.const_value.shape) in shapes:
            readers.update([value.name or ""] * len(value.uses()))
    assert set(readers.values()) == {1}
    assert len(readers) == 5  # K and V of three blocks; modulation of two: the first block's is folded
    # GroupNorm, its convolutions, and the first block up to its cross-attention
    assert (program.manifest.specialised.get("on one branch", 0) > 40) == (scale is not None)


class Fixed(nn.Module):
    """Python's ``len`` makes a number of the batch."""

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return sample.reshape(len(sample), -1).tanh().reshape(sample.shape) * timestep[:, None, None, None]


def test_a_model_that_fixes_its_batch_is_told() -> None:
    with pytest.raises(ExportError, match="batch"):
        compile(Sampler(Fixed(), create("ddim", 2)), (1, 2, 4, 4), batch="dynamic")
