"""The two routes from a sampler to a graph agree: lowered from ``Affine``, and traced by torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from samplegraph.export import Captures, compile, compiler
from samplegraph.export.graph.builder import CALL
from samplegraph.export.sampling.lower import lower_sampler
from samplegraph.export.signature import signature
from samplegraph.export.storage.weights import tensor_of
from samplegraph.models import Sampler
from samplegraph.schedulers import create, names

#: Each kind of step: one and several evaluations, history, a corrector, noise, distilled, pyramid.
KINDS = {
    *("ddim", "dpm_multistep", "dpm_singlestep", "unipc", "pndm", "heun", "euler_ancestral", "sa_solver"),
    *("lcm", "cogvideox_dpm", "flow_match_euler", "helios", "karras_ve", "seeds_3"),
    *("repaint", "score_sde_ve", "vq_diffusion"),
}


@pytest.mark.parametrize("name", [n if n in KINDS else pytest.param(n, marks=pytest.mark.slow) for n in names()])
def test_lowered_equals_traced(
    name: str, captures: Captures, denoiser_of: Callable[[str], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler(denoiser_of(name), create(name, 4))
    lowered = compile(sampler, batch=2, captures=captures)

    def refuse(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(compiler, "lower_sampler", refuse)
    traced = compile(sampler, batch=2, captures=captures)
    for program in (lowered, traced):
        errors = program.verify().errors
        assert len(errors) == 4
        assert max(errors) <= 1e-5


@pytest.mark.parametrize("name", names())
def test_no_scheduler_is_traced(name: str, denoiser_of: Callable[[str], nn.Module]) -> None:
    """Neither as combinations nor operation by operation, whatever the batch."""
    sampler = Sampler(denoiser_of(name), create(name, 4))
    for batch in (2, "dynamic"):
        for exact in (False, True):
            graph = lower_sampler(sampler, signature(sampler, None, None, batch), exact=exact).graph
            calls = [node for node in graph if node.op_type == CALL]
            assert len(calls) == sampler.profile.nfe


@pytest.mark.parametrize("squash", [torch.tanh, lambda x: x.clamp(-1.0, 1.0), lambda x: abs(x)], ids=["f", "m", "o"])
def test_a_scheduler_that_computes_with_tensors_is_traced(
    squash: Callable[[Any], Any], captures: Captures, denoisers: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a function, a method, an operator that no value of a graph has."""
    scheduler = create("euler", 3)
    plain, traced = scheduler.step, []

    def step(*args: Any) -> Any:
        x, state = plain(*args)
        return squash(x), state

    monkeypatch.setattr(scheduler, "step", step)
    trace = compiler.trace_sampler
    monkeypatch.setattr(compiler, "trace_sampler", lambda *args: (traced.append(1), trace(*args))[1])
    assert compile(Sampler(denoisers["tiny"], scheduler, None), captures=captures).verify().error <= 1e-5
    assert traced


@pytest.mark.parametrize("route", ["lowered", "traced"])
@pytest.mark.parametrize("ratio", [0.05, 0.9, 0.995, 1.0])
def test_dynamic_thresholding(
    ratio: float, route: str, captures: Captures, denoisers: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither route sorts more than the shorter tail of the values."""
    if route == "traced":
        monkeypatch.setattr(compiler, "lower_sampler", compiler.trace_sampler)
    scheduler = create("ddim", 4, thresholding=True, dynamic_thresholding_ratio=ratio, sample_max_value=1.8)
    program = compile(Sampler(denoisers["tiny"], scheduler, None), batch=2, captures=captures)
    assert program.verify().error <= 1e-5
    sorts = [node for node in program.model.graph if node.op_type == "TopK"]
    values = int(np.prod(program.manifest.outputs[0].shape[1:]))  # type: ignore[arg-type]
    assert len(sorts) == 4
    for node in sorts:
        assert tensor_of(node.inputs[1]).numpy().item() <= 2 + 0.11 * values  # type: ignore[arg-type]


def test_thresholding_at_the_default_maximum_is_traced(
    captures: Captures, denoisers: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's exporter takes no integer beside a float as bounds of a clamp."""
    monkeypatch.setattr(compiler, "lower_sampler", compiler.trace_sampler)
    sampler = Sampler(denoisers["tiny"], create("ddim", 2, thresholding=True), None)
    assert compile(sampler, captures=captures).verify().error <= 1e-5


def test_first_order_update_is_three_nodes(denoisers: dict[str, nn.Module]) -> None:
    sampler = Sampler(denoisers["signal"], create("ddim", 10, clip_sample=False))
    graph = lower_sampler(sampler, signature(sampler, None, None, None)).graph
    updates = [node for node in graph if node.op_type in ("Mul", "Add", "Sub")]
    assert len(updates) <= 3 * 10
    assert len(graph) <= 3 * 10 + 10 + 1  # and one call each, and the output


def test_guidance_by_an_input_is_three_nodes(denoisers: dict[str, nn.Module]) -> None:
    sampler = Sampler(denoisers["tiny"], create("ddim", 10, clip_sample=False))
    graph = lower_sampler(sampler, signature(sampler, None, None, None)).graph
    assert len([node for node in graph if node.op_type in ("Mul", "Add", "Sub")]) <= (3 + 3) * 10


def test_half_precision_network_keeps_a_float32_sampler(tmp_path: Path) -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((1,), 0.75, dtype=torch.float16))

        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            assert sample.dtype == torch.float16
            return torch.tanh(sample * self.weight)

    sampler = Sampler(Half(), create("euler", 6))
    program = compile(sampler, (2, 3))
    assert program.verify(tolerance=2e-3).error <= 2e-3
    with torch.no_grad():
        assert sampler(torch.randn(2, 3)).dtype == torch.float32
    assert program.model.graph.outputs[0].dtype.numpy() == np.float32  # type: ignore[union-attr]
