"""Euler, DDIM, flow matching, EDM and DPM-Solver++(1) are one step on different grids."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from samplegraph.schedulers import Affine, Prediction, Scheduler, create

#: Noise-to-signal ratios at which they all sample, the last one included.
RATIOS = np.geomspace(8.0, 0.02, 12)


def endings(scheduler: Scheduler) -> list[float]:
    """What is left of unit noise at each step for data N(0, 4), where the best denoiser is linear, over alpha."""
    g = scheduler.grid

    def denoise(x: Affine, i: int) -> Prediction[Affine]:
        alpha, sigma = float(g.alpha[i]), float(g.sigma[i])
        variance = 4 * alpha**2 + sigma**2
        return Prediction((4 * alpha / variance) * x, (sigma / variance) * x)

    x = math.hypot(2 * float(g.alpha[0]), float(g.sigma[0])) * Affine.symbol("noise")
    state, found = scheduler.init(x), []
    for i in range(len(RATIOS) - 1):
        x, state = scheduler.step(i, x, state, denoise, Affine)
        found.append(x["noise"] / float(g.alpha_next[i]))
    return found


SIGMAS: dict[str, dict[str, object]] = {
    "euler": {},
    "edm_euler": {},
    "edm_dpm": {"solver_order": 1},
    "dpm_multistep": {"solver_order": 1},
    "heun": {},
}
FLOWS = ("flow_match_euler", "flow_map")


@pytest.mark.parametrize("name", [*SIGMAS, *FLOWS])
def test_one_formula(name: str) -> None:
    """In units of alpha the step is Euler's in sigma/alpha, whatever alpha is; Heun's is not."""
    flow = name in FLOWS
    sigmas = RATIOS / (1 + RATIOS) if flow else RATIOS
    found = endings(create(name, sigmas=sigmas, exact_tables=True, **SIGMAS.get(name, {})))
    expected = [math.hypot(2, RATIOS[0])]
    for here, there in itertools.pairwise(RATIOS):
        expected.append(expected[-1] * (1 + (there - here) * here / (4 + here**2)))
    same = np.allclose(found, expected[1:], rtol=1e-12, atol=0)
    assert same is (name != "heun")


def test_ddim_is_the_same_step() -> None:
    """On the grid of DPM-Solver++ of order 1 over the same whole timesteps."""
    schedule = {"timestep_spacing": "trailing", "exact_tables": True}
    ddim = create("ddim", 8, clip_sample=False, corrected=True, **schedule)
    dpm = create("dpm_multistep", 8, solver_order=1, timesteps=ddim.timesteps, **schedule)
    rows = []
    for scheduler in (ddim, dpm):
        x, state, terms = Affine.symbol("x"), scheduler.init(Affine()), []
        for i in range(7):  # the last steps end at different levels
            alpha, sigma = float(scheduler.grid.alpha[i]), float(scheduler.grid.sigma[i])

            def denoise(x: Affine, _: int, alpha: float = alpha, sigma: float = sigma) -> Prediction[Affine]:
                return Prediction(Affine.symbol("x0"), (1 / sigma) * (x - alpha * Affine.symbol("x0")))

            x, state = scheduler.step(i, x, state, denoise, Affine)
            terms.append((x["x"], x["x0"]))
        rows.append(terms)
    assert np.allclose(rows[0], rows[1], rtol=1e-10, atol=1e-12)
