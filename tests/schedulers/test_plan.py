"""The plan as data: its basis, its digest, what it refuses."""

from __future__ import annotations

import dataclasses
import time

import pytest

from samplegraph.schedulers import create, plan


def test_the_basis_names_every_symbol_of_a_step() -> None:
    assert plan(create("ddim", 3)).basis == ("x", "output_0", "clean_0")
    assert plan(create("heun", 3)).basis == ("x", "output_0", "output_1")
    sde = create("dpm_multistep", 3, solver_order=3, algorithm_type="sde-dpmsolver++")
    assert plan(sde).basis == ("x", "state_0", "state_1", "output_0", "noise_0")


def test_a_clipped_x0_is_a_symbol_of_its_own() -> None:
    p = plan(create("ddim", 3, clip_sample_range=2.0))
    assert p.clip == 2.0
    step = p.steps[0]
    assert step.evaluations[0].x0[p.basis.index("x")] != 0.0
    assert step.x[p.basis.index("clean_0")] != 0.0


def test_euler_reads_as_the_paper_writes_it() -> None:
    scheduler = create("euler", 4)
    p, sigma = plan(scheduler), scheduler.grid.sigma
    for i, step in enumerate(p.steps):
        assert step.x == pytest.approx((1.0, sigma[i + 1] - sigma[i]))
        assert step.evaluations[0].input == pytest.approx((1 / (sigma[i] ** 2 + 1) ** 0.5, 0.0))


def test_equal_plans_have_equal_digests_and_only_those() -> None:
    def digest(name: str, steps: int = 5, **options: object) -> str:
        return plan(create(name, steps, **options)).digest()

    assert digest("ddim") == digest("ddim") == digest("ddim", prediction_type="epsilon")
    assert plan(create("ddim", 5), "v_prediction").digest() == digest("ddim", prediction_type="v_prediction")
    different = [
        digest("ddim"),
        digest("ddim", clip_sample=False),
        digest("ddim", clip_sample_range=2.0),
        digest("ddim", eta=0.1),
        digest("ddim", 6),
        digest("ddim", exact_tables=True),
        digest("ddim", prediction_type="v_prediction"),
        digest("euler"),
        digest("euler_ancestral"),
    ]
    assert len(set(different)) == len(different)


def test_a_plan_is_frozen() -> None:
    p = plan(create("ddim", 3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        p.clip = None  # type: ignore[misc]


def test_a_thousand_steps_take_well_under_a_second() -> None:
    scheduler = create("ddpm", 1000)
    start = time.process_time()
    assert len(plan(scheduler).steps) == 1000
    assert time.process_time() - start < 1.0
