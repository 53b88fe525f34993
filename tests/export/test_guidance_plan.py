"""Graphs in which some evaluations have both branches of guidance and some have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from samplegraph.export import Captures, Program, compile
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.models import Sampler
from samplegraph.models.interval import Interval
from samplegraph.runtime import Engine, Manifest
from samplegraph.schedulers import create, names

TOKENS = {"encoder_hidden_states": torch.randn((1, 3, 6), generator=torch.Generator().manual_seed(0))}
INTERVAL = {"guidance_interval": "steps:0.25,0.75"}


def make(
    captures: Captures, network: nn.Module, name: str, batch: int | str, scale: Any = "input", **guidance: Any
) -> Program:
    options = {"thresholding": True} if name == "ddim" else {}
    sampler = Sampler(network, create(name, 4, **options), scale, **guidance)
    own = hasattr(network, "spec")
    return compile(sampler, None if own else (1, 4, 6, 6), None if own else TOKENS, batch=batch, captures=captures)


def rows_of(program: Program, weight: str) -> list[int]:
    """Rows on which the nodes that read this weight work, in order."""
    graph = onnx.shape_inference.infer_shapes(ir.serde.serialize_model(program.model), strict_mode=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    return [shapes[node.output[0]][0].dim_value for node in graph.node if weight in node.input]


@pytest.mark.parametrize(
    ("model", "name", "batch", "scale", "guidance"),
    [
        ("tiny", "ddim", 1, "input", {**INTERVAL, "guidance_rescale": 0.7}),
        ("tiny", "heun", 2, 2.5, {"guidance_interval": "sigma:0.3,5"}),
        ("tiny", "kdpm2", "dynamic", 2.5, {"guidance_interval": "sigma:0.3,5", "guidance_rescale": 0.4}),
        ("tiny", "pndm", 1, [1.0, 4.0, 0.0, 2.0], {}),
        ("tiny", "euler", "dynamic", [1.0, 4.0, 0.0, 2.0], INTERVAL),
        ("attention", "dpm_multistep", 1, "input", INTERVAL),
        ("attention", "unipc", "dynamic", "input", {**INTERVAL, "guidance_rescale": 1.0}),
        ("attention", "score_sde_ve", 2, 3.0, {**INTERVAL, "guidance_rescale": 0.4}),
        ("attention", "score_sde_ve", "dynamic", "input", INTERVAL),
    ],
)
def test_graph_equals_eager(
    model: str,
    name: str,
    batch: int | str,
    scale: Any,
    guidance: dict[str, Any],
    captures: Captures,
    denoisers: dict[str, nn.Module],
) -> None:
    program = make(captures, denoisers[model], name, batch, scale, **guidance)
    assert program.verify().error <= 1e-5
    onnx.checker.check_model(ir.serde.serialize_model(program.model), full_check=True)
    tensors = [value.const_value.numpy() for value in program.model.graph.initializers.values()]  # type: ignore[union-attr]
    large = [(t.dtype.str, t.shape, t.tobytes()) for t in tensors if t.nbytes >= 64]
    assert len(set(large)) == len(large)

    sampler, _ = rebuild(Manifest.from_json(program.manifest.to_json()), denoisers[model])
    asked = program.sampler.guidance
    assert (sampler.guidance.interval, sampler.guidance.rescale) == (asked.interval, asked.rescale)
    assert sampler.denoiser.scales == program.sampler.denoiser.scales


#: Traced, each in several seconds.
SLOW = ("repaint", "score_sde_ve", "vq_diffusion")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in names()])
def test_every_scheduler(name: str, captures: Captures, denoiser_of: Callable[[str], nn.Module]) -> None:
    """In an interval in sigma that leaves some evaluations out; one that leaves out none changes nothing."""
    network, scheduler = denoiser_of(name), create(name, 4)
    plain = Sampler(network, scheduler)
    assert Sampler(network, scheduler, guidance_interval="sigma:0,inf").denoiser.scales == plain.denoiser.scales
    grid, points = scheduler.grid, plain.profile.points
    middle = float(np.median([grid.sigma[p] / grid.alpha[p] for p in points]))
    sampler = Sampler(network, scheduler, guidance_interval=Interval("sigma", middle, float("inf")))
    assert {sampler.denoiser.scale_at(point) for point in points} == {"input", None}
    assert compile(sampler, batch=1, captures=captures).verify().error <= 1e-5


@pytest.mark.parametrize("batch", [1, 2])
def test_an_evaluation_outside_has_one_branch(
    batch: int, captures: Captures, denoisers: dict[str, nn.Module]
) -> None:
    """The network is there once per evaluation, on B rows outside the interval and on 2B inside."""
    program = make(captures, denoisers["tiny"], "heun", batch, **INTERVAL)
    assert program.manifest.guidance.scales == (1.0, None, None, None, None, 1.0, 1.0)
    rows = rows_of(program, "network.last.weight")
    assert rows == [batch * (2 if scale is None else 1) for scale in program.manifest.guidance.scales]


def test_weights_are_those_of_plain_guidance(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    """So graphs with and without an interval share one file of weights."""
    plain = make(captures, denoisers["attention"], "euler", 1)
    some = make(captures, denoisers["attention"], "euler", 1, **INTERVAL)
    assert some.manifest.weights == plain.manifest.weights
    uses = Counter(v.name for node in some.model.graph for v in node.inputs if v is not None and v.const_value)
    assert uses["network.query.bias"] == 4


def test_in_chunks(captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    sampler = Sampler(denoisers["tiny"], create("heun", 4), [1.0, 4.0, 0.0, 2.0], **INTERVAL)
    assert compile(sampler, layout="chunked:3", captures=captures).verify().error <= 1e-5


@pytest.mark.parametrize("interval", ["sigma:0,inf", "steps:0,1"])
def test_an_interval_that_covers_all_is_plain_guidance(
    interval: str, captures: Captures, denoisers: dict[str, nn.Module]
) -> None:
    plain = make(captures, denoisers["tiny"], "heun", 1)
    covered = make(captures, denoisers["tiny"], "heun", 1, guidance_interval=interval)
    graphs = [ir.serde.serialize_model(p.model).graph for p in (plain, covered)]
    for graph in graphs:
        graph.name = ""
    assert graphs[0].SerializeToString(deterministic=True) == graphs[1].SerializeToString(deterministic=True)


def test_the_runtime_runs_them(captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path) -> None:
    program = make(captures, denoisers["tiny"], "ddim", 1, **INTERVAL)
    path = program.save(tmp_path / f"{program.manifest.name}.onnx")
    assert path.name == "tiny-ddim-4-gs0.25-0.75.onnx"
    noise = np.random.default_rng(0).standard_normal((3, 2, 8, 8)).astype(np.float32)
    found = Engine(path)(noise=noise, class_labels=[0, 1, 2], guidance_scale=4.0)
    with torch.no_grad():
        given = {"class_labels": torch.tensor([0, 1, 2]), "guidance_scale": torch.tensor(4.0)}
        expected = program.sampler(torch.from_numpy(noise), **given)
    assert np.abs(found - expected.numpy()).max() <= 1e-5 * np.abs(expected.numpy()).max()
