"""The respacings that diffusers lacks: against k-diffusion, diffusers' tables, and what defines them."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_utils import AysSchedules
from k_diffusion_sampling import sampling

from samplegraph.schedulers import OptionError, create
from samplegraph.schedulers.grids.community_grids import GRIDS
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.sigmas import training_sigmas

TABLE = training_sigmas(GridOptions(exact_tables=True))


def laid_out(name: str, steps: int, **options: float) -> np.ndarray:
    """The sigmas of Euler's method, the final one included."""
    return create("euler", steps, respacing=name, exact_tables=True, **options).grid.sigma


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 25, 100])
def test_there_are_n_sigmas_which_descend_to_zero(name: str, steps: int) -> None:
    sigmas = laid_out(name, steps)
    assert len(sigmas) == steps + 1
    assert (np.diff(sigmas) < 0).all()
    assert sigmas[-1] == 0


@pytest.mark.parametrize("steps", [1, 2, 10, 25])
def test_k_diffusion_lays_out_the_same(steps: int) -> None:
    low, high = 0.03, 14.6
    theirs = {
        ("polyexponential", 1.5): sampling().get_sigmas_polyexponential(steps, low, high, 1.5),
        ("polyexponential", None): sampling().get_sigmas_exponential(steps, low, high),
        ("karras", 5.0): sampling().get_sigmas_karras(steps, low, high, 5.0),
    }
    for (name, rho), sigmas in theirs.items():
        given = {"sigma_min": low, "sigma_max": high, **({} if rho is None else {"respacing_rho": rho})}
        np.testing.assert_allclose(laid_out(name, steps, **given), sigmas, rtol=2e-6)
    # There in float32, by exp(..) - 1.
    np.testing.assert_allclose(laid_out("vp", steps), sampling().get_sigmas_vp(steps), rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("ays_sd1", "StableDiffusion"), ("ays_sdxl", "StableDiffusionXL"), ("ays_svd", "StableDiffusionVideo")],
)
def test_ten_steps_are_the_published_table(name: str, theirs: str) -> None:
    np.testing.assert_allclose(laid_out(name, 10), AysSchedules[f"{theirs}Sigmas"], rtol=1e-12)


def test_a_table_is_interpolated_in_the_logarithm() -> None:
    ten, twenty = laid_out("ays_sd1", 10), laid_out("ays_sd1", 20)
    np.testing.assert_allclose(twenty[:-1:2], ten[:-1], rtol=1e-12)
    np.testing.assert_allclose(twenty[1:-3:2] ** 2, ten[:-2] * ten[1:-1], rtol=1e-12)


def test_grids_over_training_timesteps_take_the_sigmas_there() -> None:
    np.testing.assert_array_equal(laid_out("simple", 4)[:-1], TABLE[[999, 749, 499, 249]])
    np.testing.assert_array_equal(laid_out("ddim_uniform", 4)[:-1], TABLE[[751, 501, 251, 1]])
    np.testing.assert_allclose(laid_out("normal", 4)[:-1], TABLE[[999, 666, 333, 0]], rtol=1e-12)
    np.testing.assert_allclose(laid_out("sgm_uniform", 3)[:-1], TABLE[[999, 666, 333]], rtol=1e-12)


def test_what_is_uniform_is_so() -> None:
    assert np.ptp(np.diff(np.arctan(laid_out("kl_optimal", 9)[:-1]))) < 1e-12
    shares = laid_out("linear_quadratic", 8) / TABLE[-1]
    np.testing.assert_allclose(shares[:5], 1 - 0.025 * np.arange(5) / 4, rtol=1e-12)
    assert np.ptp(np.diff(shares[4:], 2)) < 1e-12


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("euler", {"respacing": "simple", "sigma_max": 5.0}, ["sigma_max", "respacing='simple'"]),
        ("euler", {"respacing": "beta", "respacing_rho": 2.0}, ["respacing_rho", "karras"]),
        ("euler", {"respacing": "karras", "respacing_rho": 0.0}, ["respacing_rho=0.0", "above 0"]),
        ("flow_match_euler", {"respacing": "ays_sd1"}, ["respacing='ays_sd1'", "flow", "karras"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(name: str, options: dict[str, object], words: list[str]) -> None:
    with pytest.raises(OptionError) as caught:
        create(name, 5, **options)
    assert all(word in str(caught.value) for word in words)


def test_other_schedulers_run_on_them() -> None:
    found = create("dpm_multistep", 6, respacing="sgm_uniform", exact_tables=True)
    ratio = found.grid.sigma[:-1] / found.grid.alpha[:-1]
    np.testing.assert_allclose(np.log(ratio), np.log(laid_out("sgm_uniform", 6)[:-1]), atol=1e-12)
    assert log(ratio[0]) > log(ratio[-1])
    assert torch.tensor(ratio).isfinite().all()
