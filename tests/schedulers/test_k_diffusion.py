"""The schedulers that k-diffusion has, against its own functions; those that it has not, against their limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from k_diffusion_sampling import model, normals, ours, sampling, start

from samplegraph.schedulers import create, names
from samplegraph.schedulers.catalogue.registry import scheduler_class

EXACT = {"exact_tables": True}

#: Fewer steps than these end in an exception there.
LEAST = {"lms": 4, "dpmpp_2m_sde": 2, "dpmpp_3m_sde": 2}
#: Named too, on grids of their own: their parity is with diffusers, and ``LIMITS`` has what is shared.
APART = {"dpm_multistep", "edm_euler", "edm_dpm", "cosine_dpm", "karras_ve", "dpm_fast"}

#: Scheduler and options -> arguments of the k-diffusion function that it names.
PAIRS: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("euler", {}, {}),
    ("euler", {"s_churn": 5.0, "s_noise": 1.1, "corrected": True}, {"s_churn": 5.0, "s_noise": 1.1}),
    ("euler_ancestral", {}, {}),
    ("heun", {}, {}),
    ("kdpm2", {}, {}),
    ("kdpm2_ancestral", {}, {}),
    ("lms", {}, {}),
    ("lms", {"order": 2}, {"order": 2}),
    *(("dpmpp_2s_ancestral", o, o) for o in ({}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0})),
    *(
        ("dpmpp_2m_sde", o, o)
        for o in ({}, {"eta": 0.5, "s_noise": 1.1}, {"solver_type": "heun"}, {"eta": 0.0, "solver_type": "heun"})
    ),
    *(("dpm_sde", o, o) for o in ({}, {"s_noise": 1.1})),
    *(("dpmpp_3m_sde", o, o) for o in ({}, {"eta": 0.5, "s_noise": 1.1}, {"eta": 0.0})),
]


def halved() -> Callable[..., torch.Tensor]:
    """Normalised increments of a Brownian motion over sigma, asked for the first part of a step and then for all of
    it: the second draw is the increment over the rest."""
    draw, seen = normals(), {}

    def increment(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
        if float(sigma) not in seen:
            seen[float(sigma)] = (float(sigma_next), draw())
            return seen[float(sigma)][1]
        middle, first = seen[float(sigma)]
        early = (float(sigma) - middle) / (float(sigma) - float(sigma_next))
        return early**0.5 * first + (1 - early) ** 0.5 * draw()

    return increment


CASES = [(*pair, steps) for pair in PAIRS for steps in (1, 2, 3, 8, 25) if steps >= LEAST.get(pair[0], 1)]


@pytest.mark.parametrize(("name", "options", "given", "steps"), CASES, ids=str)
def test_a_run_is_that_of_k_diffusion(
    name: str, options: Mapping[str, Any], given: Mapping[str, Any], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sigmas = np.append(np.geomspace(14.6, 0.03, steps), 0.0)
    scheduler = create(name, sigmas=sigmas, **options, **EXACT)
    function = getattr(sampling(), str(scheduler.k_diffusion))
    monkeypatch.setattr(sampling(), "default_noise_sampler", lambda _: normals())
    sampler = {"noise_sampler": normals()} if name.endswith(("sde", "ancestral")) else {}
    if name == "dpm_sde":
        sampler = {"noise_sampler": halved()}
    draw = normals()
    monkeypatch.setattr(torch, "randn_like", lambda _: draw())
    theirs = function(model, start(scheduler), torch.from_numpy(sigmas), disable=True, **given, **sampler)
    found = ours(scheduler, start(scheduler), normals())
    assert (found - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_a_step_that_leaves_noise_alone() -> None:
    """So steep that rounding keeps nothing of the sample: no midpoint, and the next steps have theirs."""
    sigmas = np.array([1e9, 2.0, 1.0, 0.5, 0.0])
    scheduler = create("dpmpp_2s_ancestral", sigmas=sigmas, **EXACT)
    assert scheduler.profile().evaluations == ((0,), (1, 4), (2, 5), (3,))
    first = torch.from_numpy(sigmas)
    theirs = sampling().sample_dpmpp_2s_ancestral(
        model, start(scheduler), first, disable=True, noise_sampler=normals()
    )
    found = ours(scheduler, start(scheduler), normals())
    assert (found - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8, 25])
def test_dpm_fast_is_that_of_k_diffusion(steps: int, eta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the ends of the grid and lays out its own."""
    sigmas = np.append(np.geomspace(14.6, 0.03, max(steps, 2)), 0.0)[-steps - 1 :]
    scheduler = create("dpm_fast", sigmas=sigmas, eta=eta, **EXACT)
    ends = float(sigmas[-2]) * (0.5 if steps == 1 else 1.0), float(sigmas[0])
    if steps == 1:  # a single sigma above 0 has no length
        scheduler = create("dpm_fast", sigmas=[ends[1], ends[0]], eta=eta, **EXACT)
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, dtype=torch.float64))  # float32 times end in NaN
    low, high = torch.tensor(ends, dtype=torch.float64)
    theirs = sampling().sample_dpm_fast(
        model, start(scheduler), low, high, steps, disable=True, eta=eta, noise_sampler=normals()
    )
    assert (ours(scheduler, start(scheduler), normals()) - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_every_scheduler_that_names_a_k_diffusion_function_is_compared() -> None:
    assert {name for name in names() if scheduler_class(name).k_diffusion} == {name for name, *_ in PAIRS} | APART


#: Runs that are the same method.
LIMITS: list[tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = [
    (("seeds_2", {"eta": 0.0}), ("dpmpp_2s_ancestral", {"eta": 0.0})),
    (("seeds_2", {"eta": 0.0, "r": 1.0, "solver_type": "phi_2"}), ("exp_heun_2", {})),
    (("res_multistep", {}), ("dpmpp_2m_sde", {"eta": 0.0, "solver_type": "heun"})),
    (("gradient_estimation", {"gamma": 1.0}), ("euler", {})),
    (("ipndm_v", {"order": 1}), ("euler", {})),
    (("ipndm_v", {"order": 2}), ("lms", {"order": 2})),
    (("ipndm_v", {"order": 4}), ("lms", {"order": 4})),
]


@pytest.mark.parametrize("steps", [1, 2, 3, 9])
@pytest.mark.parametrize(("one", "other"), LIMITS, ids=str)
def test_the_same_method_gives_the_same_samples(
    one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]], steps: int
) -> None:
    sigmas = np.append(np.geomspace(14.6, 0.03, steps), 0.0)
    first, second = (create(name, sigmas=sigmas, **options, **EXACT) for name, options in (one, other))
    a, b = (ours(each, start(each), normals()) for each in (first, second))
    assert (a - b).abs().max() <= 1e-10 * b.abs().max()
