"""Restart sampling: k-diffusion's Heun on each way down, and noise between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from k_diffusion_sampling import model, normals, ours, sampling, start

from samplegraph.schedulers import OptionError, create

EXACT = {"exact_tables": True}


@pytest.mark.parametrize(
    ("steps", "options", "layout"),
    [
        (8, {}, []),
        (20, {}, [9]),
        (25, {"s_noise": 1.1}, [9]),
        (40, {"respacing": "karras"}, [10, 10]),
        (12, {"restart_steps": 2, "restart_times": 3, "restart_min": 0.3, "restart_max": 5.0}, [2, 2, 2]),
        (30, {"restart_times": 0}, []),
    ],
)
def test_each_way_down_is_heun(steps: int, options: dict[str, Any], layout: list[int]) -> None:
    scheduler = create("restart", steps, **options, **EXACT)
    grid, draw, x = scheduler.grid, normals(), start(scheduler)
    found = ours(scheduler, x, normals())
    turns = [i + 1 for i in range(steps - 1) if scheduler.ends[i] < grid.sigma[i + 1]]
    assert np.diff(turns).tolist() == layout[:-1]
    assert scheduler.profile().noise_slices == len(layout)
    assert scheduler.profile().nfe == 2 * steps - 1
    for first, last in zip([0, *turns], [*turns, steps], strict=True):
        way = np.append(grid.sigma[first:last], scheduler.ends[last - 1])
        x = sampling().sample_heun(model, x, torch.from_numpy(way), disable=True)
        if last < steps:
            raised = (grid.sigma[last] ** 2 - way[-1] ** 2) ** 0.5
            x = x + options.get("s_noise", 1.0) * raised * draw()
    assert (found - x).abs().max() <= 1e-10 * x.abs().max()


@pytest.mark.parametrize(("steps", "down", "times"), [(20, 9, 1), (25, 9, 1), (35, 9, 1), (36, 9, 2), (50, 12, 2)])
def test_the_default_layout_is_that_of_the_web_ui(steps: int, down: int, times: int) -> None:
    """Karras sigmas for what the restarts leave; the way from the sigma nearest 2 to that nearest 0.1 once more."""
    scheduler = create("restart", steps, **EXACT)
    sigma = create("heun", steps, beta_start=0.0001, beta_end=0.02, **EXACT).grid.sigma
    first = sampling().get_sigmas_karras(steps - down * times, sigma[-2], sigma[0]).double()
    bottom, top = ((first - bound).abs().argmin() for bound in (0.1, 2.0))
    again = sampling().get_sigmas_karras(down + 1, float(first[bottom]), float(first[top])).double()[:-1]
    ways = [first[: bottom + 1], *[again] * times, first[bottom:]]
    starts = torch.cat([way[:-1] for way in ways])
    assert len(starts) == steps
    ends = torch.cat([way[1:] for way in ways]).numpy()
    assert np.abs(scheduler.sigmas[:-1] / starts.numpy() - 1).max() <= 1e-5
    assert np.abs(np.array(scheduler.ends[:-1]) / ends[:-1] - 1).max() <= 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restart_steps": 9}, "restart_steps=9 and restart_times=1 leave -1 of 8 steps"),
        ({"restart_steps": 2, "restart_min": 3.0}, "restart_min=3 has to lie below restart_max=2"),
        ({"restart_steps": 2, "restart_min": 1.9}, "restart_min=1.9 and restart_max=2 hold no step"),
        ({"restart_steps": -1}, "restart_steps=-1 is not allowed"),
        ({"restart_times": 1.5}, "restart_times=1.5 is not allowed"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        create("restart", 8, **options)
