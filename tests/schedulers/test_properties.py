"""Properties of every scheduler in the zoo, in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from deviation import deviation_error
from zoo import APART, ZOO, Row

from samplegraph.schedulers import Grid, Prediction, Scheduler, names, option_defaults, plan, scheduler_class
from samplegraph.schedulers.plans.trajectory import trajectory

every_row = pytest.mark.parametrize("row", ZOO, ids=str)
STEPS = (1, 2, 3, 8, 25)


def test_the_zoo_holds_every_scheduler() -> None:
    assert {row.name for row in ZOO} | set(APART) == set(names())


@every_row
def test_a_constant_denoiser_is_sampled_exactly(row: Row) -> None:
    """With x0 = c and eps = (x - alpha c) / sigma a run without noise ends at alpha_N c + sigma_N eps."""
    for steps in (n for n in STEPS if n >= row.least):
        scheduler = row.create(steps)
        g, c, eps = scheduler.grid, 0.7, -1.3 if row.solves else 0.0
        draws = scheduler.profile().noise_slices

        def denoise(x: float, i: int, g: Grid = g, c: float = c) -> Prediction[float]:
            return Prediction(c, (x - float(g.alpha[i]) * c) / float(g.sigma[i]))

        first = float(g.alpha[0]) * c + (float(g.sigma[0]) * eps if not draws else 0.0)
        last = float(g.alpha_next[-1]) * c + (float(g.sigma_next[-1]) * eps if not draws else 0.0)
        final: float = scheduler(first, denoise, lambda: 0.0)
        assert final == pytest.approx(last, rel=1e-12, abs=1e-12 * max(1.0, _ratio(g)))


@every_row
def test_the_law_at_every_step_is_the_marginal_one(row: Row) -> None:
    """For data at one point x_i is N(alpha_i x0, sigma_i^2): read off the plan."""
    for steps in (n for n in STEPS if n >= row.least):
        scheduler = row.create(steps)
        g = scheduler.grid
        start = {"x0": float(g.alpha[0]), "noise": float(g.sigma[0])}
        visited = trajectory(plan(scheduler, "sample"), start)
        assert len(visited) == scheduler.steps
        scale = max(float(g.sigma[0]) ** 2, _ratio(g))
        for i, terms in enumerate(visited):
            assert terms.get("x0", 0.0) == pytest.approx(float(g.alpha_next[i]), abs=1e-12)
            if row.keeps_variance:
                variance = sum(c * c for name, c in terms.items() if name != "x0")
                assert abs(variance - float(g.sigma_next[i]) ** 2) <= 1e-12 * max(1.0, scale), (steps, i)


@pytest.mark.parametrize("row", [row for row in ZOO if not row.keeps_variance], ids=str)
def test_the_rows_that_are_said_to_miss_the_variance_do(row: Row) -> None:
    scheduler = row.create(25)
    g = scheduler.grid
    visited = trajectory(plan(scheduler, "sample"), {"x0": float(g.alpha[0]), "noise": float(g.sigma[0])})
    variances = [sum(c * c for name, c in terms.items() if name != "x0") for terms in visited]
    assert max(abs(v / float(s) ** 2 - 1) for v, s in zip(variances, g.sigma_next, strict=True) if s) > 0.001


@pytest.mark.parametrize("row", [row for row in ZOO if row.solves], ids=str)
def test_order_of_convergence(row: Row) -> None:
    """On data N(0, 4) the optimal denoiser is linear and the deviation at the end is known in closed form."""
    coarse, fine = (deviation_error(_refined(row, steps), row.exact_start) for steps in (192, 384))
    assert math.log2(coarse / fine) == pytest.approx(row.order, abs=0.2)
    assert row.create(8).order == row.order


def _ratio(g: Grid) -> float:
    """Noise to signal at the first point that has a signal."""
    alpha, sigma = next((a, s) for a, s in zip(g.alpha, g.sigma, strict=True) if a > 0)
    return float(sigma / alpha)


def _refined(row: Row, steps: int) -> Scheduler:
    taken, flow = option_defaults(row.name), row.create(4).grid.family == "flow"
    reworked = scheduler_class(row.name).reworks_tables
    if "sigmas" in taken and not reworked and ("use_flow_sigmas" in taken or not flow):
        ratio = np.geomspace(5, 0.05, steps + 1)
        return row.create(None, sigmas=ratio / (1 + ratio) if flow else ratio)
    # No custom sigmas: a smooth schedule over many timesteps, whose last step to sigma = 0 is negligible.
    schedule: dict[str, Any] = {"num_train_timesteps": 3840, "beta_start": 1e-8, "beta_end": 0.005}
    schedule = {"num_train_timesteps": 1_000_000} if flow else schedule
    return row.create(steps, **{key: value for key, value in schedule.items() if key in taken})


@every_row
def test_state_keeps_its_arity_shapes_and_dtypes(row: Row) -> None:
    scheduler = row.create(8)
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    state = scheduler.init(x)
    arity = len(state)
    assert all(not s.any() for s in state)
    for i in range(scheduler.steps):
        x, state = scheduler.step(i, x, state, lambda x, i: Prediction(x.tanh(), x.sin()), lambda: torch.ones(2, 3, 4))
        assert len(state) == arity
        assert all(s.shape == (2, 3, 4) and s.dtype == torch.float32 for s in (x, *state))


@every_row
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_the_plan_gives_what_the_scheduler_does(row: Row, prediction_type: str) -> None:
    """Following the rows with a nonlinear network ends where the scheduler ends."""
    from samplegraph.schedulers.prediction import Parameterisation

    scheduler = row.create(8)
    if prediction_type == "epsilon" and not scheduler.grid.alpha[0]:
        pytest.skip("eps says nothing of x0 where the sample has no signal")
    g, p = scheduler.grid, plan(scheduler, prediction_type)
    network = Parameterisation.of(g, prediction_type)
    random = np.random.default_rng(0)
    draws = random.standard_normal((scheduler.profile().noise_slices, 6))
    first = random.standard_normal(6) * scheduler.init_noise_sigma

    def output(seen: np.ndarray, point: int) -> np.ndarray:
        return np.tanh(seen + point)

    x, state, queue = first, [np.zeros(6)] * sum(b.startswith("state") for b in p.basis), iter(draws)
    for step in p.steps:
        values = {"x": x} | {f"state_{j}": s for j, s in enumerate(state)}
        values |= {f"noise_{j}": next(queue) for j in range(step.draws)}
        for j, e in enumerate(step.evaluations):
            values[f"output_{j}"] = output(_dot(p.basis, e.input, values), e.point)
        x, state = _dot(p.basis, step.x, values), [_dot(p.basis, row, values) for row in step.state]
    assert next(queue, None) is None

    def denoise(x: torch.Tensor, i: int) -> Prediction[torch.Tensor]:
        return network.read(x, torch.tanh(float(g.input_scale[i]) * x + i), i)

    fed = iter(torch.from_numpy(draws))
    direct = scheduler(torch.from_numpy(first), denoise, lambda: next(fed)).numpy()
    assert np.abs(direct - x).max() <= 1e-9 * np.abs(direct).max()


def _dot(basis: tuple[str, ...], row: tuple[float, ...], values: dict[str, np.ndarray]) -> np.ndarray:
    return sum((c * values[name] for name, c in zip(basis, row, strict=True) if c), np.zeros(6))
