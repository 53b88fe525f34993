"""RePaint against its pipeline's loop, and what it refuses."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from pipelines import SHAPE, Smooth, ours, relative_error, repaint

from samplegraph.models import Sampler
from samplegraph.schedulers import OptionError, create, from_config

IMAGE = torch.linspace(-1, 1, 96).reshape(SHAPE)
MASK = (torch.arange(16).reshape(1, 1, 4, 4) % 3 > 0).float().expand(2, 1, 4, 4)

CONFIGS = [
    {"eta": eta, "clip_sample": clip, **schedule}
    for eta, clip, schedule in itertools.product(
        [0.0, 0.5, 1.0],
        [True, False],
        [{}, {"beta_schedule": "squaredcos_cap_v2"}, {"beta_schedule": "sigmoid", "num_train_timesteps": 100}],
    )
]
JUMPS = [{"jump_length": 10, "jump_n_sample": 10}, {"jump_length": 1, "jump_n_sample": 2}]
JUMPS += [{"jump_length": 2, "jump_n_sample": 3}, {"jump_length": 3, "jump_n_sample": 1}]


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_parity(steps: int, config: dict[str, Any]) -> None:
    for jumps in JUMPS if steps < 8 else JUMPS[1:3]:
        theirs = repaint(steps, config, jumps, IMAGE, MASK)
        scheduler = from_config({"_class_name": "RePaintScheduler", **config}, steps, **jumps)
        assert relative_error(ours(scheduler, Smooth(), image=IMAGE, mask=MASK), theirs) <= 1e-5, jumps


def test_the_known_part_is_kept() -> None:
    found = ours(create("repaint", 8, jump_length=2, jump_n_sample=2), Smooth(), image=IMAGE, mask=MASK)
    assert torch.allclose(found * MASK, IMAGE * MASK, atol=1e-6)
    assert not torch.allclose(found, IMAGE, atol=0.1)


def test_evaluations_and_draws() -> None:
    """N = 25: jumps at levels 0 and 10, nine each of ten steps back, each over T // N = 40 training timesteps."""
    profile = create("repaint", 25).profile()
    assert (profile.nfe, profile.noise_slices) == (25 + 180, 205 + 180 * 40)
    profile = create("repaint", 25, single_draw=True).profile()
    assert (profile.nfe, profile.noise_slices) == (205, 205 + 180)


def test_one_draw_per_step_back_has_the_same_law() -> None:
    many, one = (create("repaint", 8, single_draw=single) for single in (False, True))
    for i in range(8):
        keep, var = 1.0, 0.0
        for shrink, add in many.back[i]:
            keep, var = keep * shrink, var * shrink**2 + add**2
        mean = one._back(i, 1.0, lambda: 0.0)
        assert mean == pytest.approx(keep, rel=1e-5)
        assert one._back(i, 0.0, lambda: 1.0) ** 2 == pytest.approx(var, rel=1e-5)


def test_too_many_evaluations_are_refused_with_the_number_and_the_remedy() -> None:
    with pytest.raises(OptionError, match=r"2,410 evaluations, more than 2,000; lower jump_n_sample or steps"):
        create("repaint", 250)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": IMAGE}, "mask is missing"),
        ({"image": IMAGE, "mask": torch.ones(2, 1, 5, 4)}, r"mask has shape \(2, 1, 5, 4\).*give \(2, 1, 4, 4\)"),
        ({"image": IMAGE[:, :, :2], "mask": MASK}, r"image has shape .*give \(2, 3, 4, 4\)"),
    ],
)
def test_wrong_inputs(inputs: dict[str, torch.Tensor], message: str) -> None:
    scheduler = create("repaint", 2)
    with pytest.raises(OptionError, match=message):
        Sampler(Smooth(), scheduler)(torch.randn(SHAPE), torch.randn(2, *SHAPE), **inputs)
