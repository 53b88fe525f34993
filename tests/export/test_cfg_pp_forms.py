"""The CFG++ forms of solvers against their definitions in ComfyUI, written out over noise-to-signal ratios in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from samplegraph.export import Captures, compile
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.schedulers import OptionError, Scheduler, create

Array = npt.NDArray[np.float64]
#: ``(guided x0, unconditional x0)`` of a sample at a sigma.
Model = Callable[[Array, float], tuple[Array, Array]]
STEPS, LABEL, NULL, SCALE = 5, 3, 4, 0.7


def ancestral(sigma: float, end: float, eta: float) -> tuple[float, float]:
    up = min(end, eta * np.sqrt(end**2 * (sigma**2 - end**2) / sigma**2))
    return float(np.sqrt(end**2 - up**2)), float(up)


def euler_ancestral(model: Model, x: Array, sigmas: Array, draws: Iterator[Array]) -> Array:
    for sigma, end in pairwise(sigmas):
        x0, free = model(x, sigma)
        down, up = ancestral(sigma, end, 1.0)
        x = x0 + down * (x - free) / sigma + up * next(draws)
    return x


def dpmpp_2m(model: Model, x: Array, sigmas: Array, draws: Iterator[Array]) -> Array:
    t, before = -np.log(np.maximum(sigmas, 1e-300)), None
    for i, (sigma, end) in enumerate(pairwise(sigmas)):
        x0, free = model(x, sigma)
        moved = x0 + end / sigma * (x - free)
        if before is not None and end > 0:
            h, last = t[i + 1] - t[i], t[i] - t[i - 1]
            moved = moved - np.expm1(-h) * h / (2 * last) * (x0 - before)
        x, before = moved, free
    return x


def res_multistep(model: Model, x: Array, sigmas: Array, draws: Iterator[Array], eta: float = 0.0) -> Array:
    before, low = None, 0.0
    for i, (sigma, end) in enumerate(pairwise(sigmas)):
        x0, free = model(x, sigma)
        down, up = ancestral(sigma, end, eta)
        if down == 0 or before is None:
            x = x0 + down * (x - free) / sigma
        else:
            h = np.log(sigma / down)
            c2 = np.log(low / sigmas[i - 1]) / h
            phi_1 = np.expm1(-h) / -h
            phi_2 = (phi_1 - 1) / -h
            x = np.exp(-h) * (x + x0 - free) + h * ((phi_1 - phi_2 / c2) * free + phi_2 / c2 * before)
        if end > 0 and eta:
            x = x + up * next(draws)
        before, low = free, down
    return x


def gradient_estimation(model: Model, x: Array, sigmas: Array, draws: Iterator[Array]) -> Array:
    before = None
    for sigma, end in pairwise(sigmas):
        x0, free = model(x, sigma)
        d = (x - free) / sigma
        x = x0 + end * d
        if before is not None and end > 0:
            x = x + (2.0 - 1) * (d - before) * (end - sigma)
        before = d
    return x


def dpmpp_2s_ancestral(model: Model, x: Array, sigmas: Array, draws: Iterator[Array]) -> Array:
    for sigma, end in pairwise(sigmas):
        x0, free = model(x, sigma)
        down, up = ancestral(sigma, end, 1.0)
        if down == 0:
            return x0
        h = np.log(sigma / down)
        between = np.exp(-h / 2) * (x + x0 - free) - np.expm1(-h / 2) * x0
        middle, free = model(between, sigma * np.exp(-h / 2))
        x = np.exp(-h) * (x + x0 - free) - np.expm1(-h) * middle + up * next(draws)
    return x


FORMS = [
    ("euler_ancestral", {}, euler_ancestral),
    ("dpm_multistep", {}, dpmpp_2m),
    ("res_multistep", {}, res_multistep),
    ("res_multistep", {"eta": 1.0}, lambda *given: res_multistep(*given, eta=1.0)),
    ("gradient_estimation", {}, gradient_estimation),
    ("dpmpp_2s_ancestral", {}, dpmpp_2s_ancestral),
]


def guided(network: nn.Module, scheduler: Scheduler) -> Model:
    """The network at the sigmas of ``scheduler``'s points, seen as ComfyUI shows it a sample of deviation sigma."""
    g = scheduler.grid
    ratios = (g.sigma[:-1] / g.alpha[:-1])[: g.points]

    def evaluate(x: Array, sigma: float) -> tuple[Array, Array]:
        t = float(g.timesteps[int(np.abs(ratios - sigma).argmin())])
        seen = torch.from_numpy(x / np.sqrt(sigma**2 + 1)).float()
        with torch.no_grad():
            free, cond = (
                network(seen, torch.tensor([t]).float(), torch.tensor([label])).double().numpy()
                for label in (NULL, LABEL)
            )
        return x - sigma * (free + SCALE * (cond - free)), x - sigma * free

    return evaluate


@pytest.mark.parametrize(("name", "options", "definition"), FORMS, ids=[f"{n}-{o}" for n, o, _ in FORMS])
def test_the_graph_is_comfyui_s(
    name: str,
    options: dict[str, Any],
    definition: Callable[..., Array],
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Any,
) -> None:
    scheduler = create(name, STEPS, cfg_pp=True, exact_tables=True, **options)
    sampler = Sampler(denoisers["tiny"], scheduler, SCALE)
    program = compile(sampler, captures=captures)
    random = np.random.default_rng(0)
    noise = random.standard_normal((1, 2, 8, 8)).astype(np.float32)
    draws = random.standard_normal((scheduler.profile().noise_slices, 1, 2, 8, 8)).astype(np.float32)
    given = {"step_noise": draws} if len(draws) else {}
    found = Engine(program.save(tmp_path / "x.onnx"))(noise=noise, class_labels=[LABEL], **given)
    sigmas = np.asarray(scheduler.sigmas)
    first = noise.astype(np.float64) * scheduler.init_noise_sigma / float(scheduler.grid.alpha[0])
    wanted = definition(guided(denoisers["tiny"], scheduler), first, sigmas, iter(draws.astype(np.float64)))
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize(
    "options", [{"solver_order": 3}, {"algorithm_type": "sde-dpmsolver++"}, {"solver_type": "heun"}], ids=str
)
def test_only_the_midpoint_rule_on_x0_has_a_form(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"cfg_pp=True is not defined with {next(iter(options))}"):
        create("dpm_multistep", STEPS, cfg_pp=True, **options)
