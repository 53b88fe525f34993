"""What ``corrected=True`` is for: by default these schedulers do as diffusers does, and lose order or variance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from deviation import deviation_error

from samplegraph.schedulers import create

THIRD: dict[str, Any] = {"solver_order": 3, "final_sigmas_type": "sigma_min"}
#: Scheduler, options, order by default and corrected, number of exact steps at the start.
ORDERS = [
    ("dpm_multistep", THIRD, 2, 3, 2),
    ("dpm_multistep", {**THIRD, "algorithm_type": "dpmsolver"}, 2, 3, 2),
    ("dpm_multistep", {**THIRD, "algorithm_type": "sde-dpmsolver++"}, 1, 2, 0),
    ("dpm_singlestep", {**THIRD, "algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}, 0, 1, 0),
]


@pytest.mark.parametrize(("name", "options", "default", "corrected", "exact"), ORDERS)
def test_the_third_order(name: str, options: dict[str, Any], default: int, corrected: int, exact: int) -> None:
    for flag, order in ((False, default), (True, corrected)):
        errors = []
        for steps in (192, 384):
            sigmas = np.geomspace(5, 0.05, steps + 1)
            scheduler = create(name, sigmas=sigmas, exact_tables=True, corrected=flag, **options)
            errors.append(deviation_error(scheduler, exact))
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)
        assert scheduler.order == order


def test_ddim_steps_to_the_next_timestep() -> None:
    """T // N is not the distance of linspace timesteps: refinement does not help until a step ends at the next one."""
    schedule: dict[str, Any] = {"num_train_timesteps": 4096, "beta_start": 1e-8, "beta_end": 0.005}
    options = {**schedule, "timestep_spacing": "linspace", "clip_sample": False, "exact_tables": True}
    default = [deviation_error(create("ddim", n, **options)) for n in (192, 384)]
    corrected = [deviation_error(create("ddim", n, corrected=True, **options)) for n in (192, 384)]
    assert default[1] > default[0]
    assert math.log2(corrected[0] / corrected[1]) == pytest.approx(1, abs=0.1)
    grid = create("ddim", 192, corrected=True, **options).grid
    assert np.array_equal(grid.sigma_next[:-1], grid.sigma[1:-1])


def test_ddim_is_the_same_where_the_stride_is_the_distance() -> None:
    for steps in (1, 2, 8, 25):
        a, b = (create("ddim", steps, corrected=flag).grid for flag in (False, True))
        assert np.array_equal(a.alpha_next, b.alpha_next)
        assert np.array_equal(a.sigma_next, b.sigma_next)


def test_euler_churns_before_the_model_looks() -> None:
    """For data at one point a model of eps keeps the marginal variance only if it sees the noise that churn added."""
    options: dict[str, Any] = {"s_churn": 5.0, "exact_tables": True, "prediction_type": "epsilon"}
    options["sigmas"] = np.geomspace(5, 0.05, 26)
    assert deviation_error(create("euler", corrected=True, **options), s=0.0) < 1e-12
    assert deviation_error(create("euler", **options), s=0.0) > 0.01


def test_euler_asks_at_the_raised_sigma() -> None:
    scheduler = create("euler", 8, s_churn=2.0, s_tmax=20.0, corrected=True)
    points = [points for (points,) in scheduler.profile().evaluations]
    assert [p < 8 for p in points] == [s > 20 for s in scheduler.sigmas[:-1]]
    raised = scheduler.grid.sigma[points[-1]]
    assert raised == pytest.approx(scheduler.sigmas[7] * 1.25)
    assert scheduler.grid.timesteps[points[-1]] > scheduler.grid.timesteps[7]


def test_karras_ve_falls_to_the_papers_sigmas() -> None:
    """Diffusers takes the schedule's squares for its sigmas."""
    default, corrected = (create("karras_ve", 8, s_churn=0.0, corrected=flag) for flag in (False, True))
    assert corrected.sigmas[:8] == pytest.approx(np.sqrt(default.sigmas[:8]), rel=1e-6)


def test_ipndm_uses_the_first_prediction() -> None:
    default, corrected = (create("ipndm", 5, corrected=flag) for flag in (False, True))
    assert (default.profile().nfe, corrected.profile().nfe) == (4, 5)
