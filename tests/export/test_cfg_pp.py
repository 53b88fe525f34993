"""CFG++ against Algorithm 2 of arXiv:2406.08070 in numpy, and what needs both predictions apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from samplegraph.export import Captures, ExportError, compile
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.schedulers import OptionError, create
from samplegraph.schedulers.plans.plan import plan
from samplegraph.schedulers.stepwise import Stepwise

Array = npt.NDArray[np.float64]
STEPS, LABEL, NULL = 5, 3, 4
ABAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def eps_of(network: nn.Module, x: Array, t: float, label: int) -> Array:
    with torch.no_grad():
        output = network(torch.from_numpy(x).float(), torch.tensor([t]).float(), torch.tensor([label]))
    return np.asarray(output.double().numpy())


def algorithm_2(network: nn.Module, x: Array, scales: list[float], times: Array, abars: Array) -> Array:
    """Unconditional renoising: ``abars`` (N + 1) are those of the steps and of the end."""
    for lam, t, abar, abar_next in zip(scales, times, abars, abars[1:], strict=False):
        uncond, cond = eps_of(network, x, t, NULL), eps_of(network, x, t, LABEL)
        eps = uncond + lam * (cond - uncond)
        x0 = (x - np.sqrt(1 - abar) * eps) / np.sqrt(abar)
        x = np.sqrt(abar_next) * x0 + np.sqrt(1 - abar_next) * uncond
    return x


def expected(name: str, network: nn.Module, noise: Array, scales: list[float]) -> Array:
    if name == "ddim":
        times = np.arange(STEPS)[::-1] * (1000.0 // STEPS)
        return algorithm_2(network, noise, scales, times, np.append(ABAR[times.astype(int)], 1.0))
    times = np.linspace(0, 999, STEPS)[::-1]
    sigmas = np.interp(times, np.arange(1000), np.sqrt((1 - ABAR) / ABAR))
    abars = np.append(1 / (1 + sigmas**2), 1.0)
    return algorithm_2(network, noise * sigmas[0] * np.sqrt(abars[0]), scales, times, abars)


@pytest.mark.parametrize("batch", [1, "dynamic"])
@pytest.mark.parametrize(("name", "options"), [("ddim", {"clip_sample": False}), ("euler", {"beta_start": 1e-4})])
@pytest.mark.parametrize("scale", [0.6, 1.0, "input", [0.9, 1.0, 0.3, 0.0, 0.5]])
def test_the_graph_is_the_paper_s_algorithm(
    name: str,
    options: dict[str, Any],
    batch: int | str,
    scale: Any,
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Any,
) -> None:
    sampler = Sampler(denoisers["tiny"], create(name, STEPS, cfg_pp=True, **options), scale)
    program = compile(sampler, batch=batch, captures=captures)
    assert program.verify().error <= 1e-5
    noise = np.random.default_rng(0).standard_normal((1, 2, 8, 8)).astype(np.float32)
    given = {"guidance_scale": 0.4} if scale == "input" else {}
    found = Engine(program.save(tmp_path / "x.onnx"))(noise=noise, class_labels=[LABEL], **given)
    scales = scale if isinstance(scale, list) else [0.4 if scale == "input" else scale] * STEPS
    wanted = expected(name, denoisers["tiny"], noise.astype(np.float64), scales)
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


def test_the_plan_has_both_outputs() -> None:
    scheduler = create("ddim", STEPS, cfg_pp=True, clip_sample=False, exact_tables=True)
    found = plan(scheduler)
    assert found.basis == ("x", "output_0", "uncond_0")
    for i, step in enumerate(found.steps):
        alpha, sigma, alpha_next, sigma_next = scheduler.pair(i)
        gain = alpha_next / alpha
        assert step.x == pytest.approx((gain, -gain * sigma, sigma_next), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["ddim", "euler"])
@pytest.mark.parametrize("guidance", [{"guidance_scale": None}, {"guidance_interval": "steps:0,0.5"}])
def test_it_needs_both_branches(name: str, guidance: dict[str, Any], denoisers: dict[str, nn.Module]) -> None:
    with pytest.raises(OptionError, match=f"{name} with cfg_pp reads the unconditional prediction in every evaluation"):
        Sampler(denoisers["tiny"], create(name, STEPS, cfg_pp=True), **guidance)


@pytest.mark.parametrize("layout", ["step", "loop"])
def test_layouts_that_have_one_prediction(layout: str, captures: Captures, denoisers: dict[str, nn.Module]) -> None:
    sampler = Sampler(denoisers["tiny"], create("ddim", STEPS, cfg_pp=True), 0.6)
    with pytest.raises(ExportError, match="cannot read the unconditional prediction, as cfg_pp does"):
        compile(sampler, layout=layout, captures=captures)


def test_it_needs_a_condition(denoisers: dict[str, nn.Module]) -> None:
    sampler = Sampler(denoisers["signal"], create("ddim", STEPS, cfg_pp=True))
    with pytest.raises(OptionError, match="this model has no condition to guide"):
        compile(sampler)


@pytest.mark.parametrize(
    ("name", "options"), [("ddim", {"use_clipped_model_output": True}), ("euler", {"s_churn": 1.0})]
)
def test_options_that_contradict_it(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="cfg_pp"):
        create(name, STEPS, cfg_pp=True, **options)


def test_one_prediction_per_step_is_not_enough() -> None:
    with pytest.raises(OptionError, match="cfg_pp needs two predictions in each step"):
        Stepwise(create("euler", STEPS, cfg_pp=True))
