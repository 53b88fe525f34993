"""Eager float32 runs against diffusers' own production loop, over the option cross-products.

Most runs are equal to the last bit, because tables and coefficients are computed by diffusers' own operations: where
float32 is ill-conditioned (sigma 4096 in two steps costs diffusers itself 1e-2) the same rounding happens on both
sides. One thing is done otherwise on purpose: for some step counts, such as 61 of 1000, ``trailing`` spacing gives
diffusers a stray timestep -1 by a rounding error, which is left out here.
"""

from __future__ import annotations

from collections.abc import Iterator

import diffusers
import numpy as np
import pytest
import torch
from configurations import PRODUCTS, PUBLISHED, Configuration, drawn
from production import brownian_cosine, brownian_sde, production_loop, sa_solver_pece
from reference import SHAPE, Smooth, diffusers_loop, our_run, relative_error

from samplegraph.models import Sampler
from samplegraph.schedulers import OptionError, Scheduler, from_config

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own
diffusers.logging.set_verbosity_error()
TOLERANCE = 5e-6
#: The one ill-conditioned family: churn moves a sample of size sigma = 4096 after the model has seen it, and x0 is then
#: read from v in another order than diffusers does, so its last bit may flip that of the sample (5e-4). Worst of
#: 600 drawn: 9.7e-6, in 3 steps; 3 of them are above 5e-6. And where few steps fall from a large sigma: x0 is read
#: from v as the small difference of large numbers, whose last bits depend on the order of operations (KDPM2 in 2 and
#: 3 steps 1.3e-5, PNDM in one 1.6e-5, of 320 drawn each).
ILL_CONDITIONED = 1e-4
#: And two that churn, after the model has seen the sample, so that its output is read from our x0 and not from where
#: diffusers has it. Flow-matching Heun then divides what cancels by a sigma of 1e-3 (9.8e-5; without churn it is equal
#: to the last bit). EDM Euler in one or two steps adds noise to a sample of size sigma = 80 and takes all of it away
#: (1.7e-5).


def tolerance(c: Configuration) -> float:
    """The bar for one configuration."""
    if c.class_name in ("FlowMatchHeunDiscreteScheduler", "EDMEulerScheduler") and c.arguments.get("s_churn"):
        return ILL_CONDITIONED
    steep = c.arguments.get("s_churn") and c.config.get("rescale_betas_zero_snr")
    if c.class_name in ("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "PNDMScheduler"):
        steep = c.steps is not None and c.steps <= 3
    if steep and c.config["prediction_type"] == "v_prediction":
        return ILL_CONDITIONED
    return 1e-5 if c.class_name == "KDPM2AncestralDiscreteScheduler" else TOLERANCE  # 7.3e-6 on a cosine schedule


def repeats(c: Configuration) -> bool:
    """Whether a timestep comes twice on the way to the noise: diffusers finds the later one and runs off its table."""
    if c.class_name != "DPMSolverMultistepInverseScheduler" or c.steps is None:
        return False
    found = from_config({"_class_name": c.class_name, **c.config}, c.steps, **c.custom, **c.arguments)
    return len(set(found.timesteps.tolist())) < c.steps


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def theirs(c: Configuration) -> torch.Tensor | None:
    """Diffusers' result, or None where it raises or gives NaN."""
    try:
        with np.errstate(all="ignore"):
            sample = production_loop(c.class_name, c.config, c.steps, set_kwargs=c.custom, step_kwargs=c.arguments)
    except Exception:  # any reason of diffusers' for not giving a picture
        return None
    return sample if bool(torch.isfinite(sample).all()) else None


def ours(c: Configuration) -> torch.Tensor | None:
    """Our result, or None where we refuse."""
    try:
        config = {"_class_name": c.class_name, **c.config}
        return our_run(from_config(config, c.steps, **c.custom, **c.arguments))
    except OptionError:
        return None


def check(configurations: list[Configuration]) -> None:
    """Compare all and report every failure at once."""
    failures, compared, values = [], 0, set()
    for c in configurations:
        want, got = theirs(c), ours(c)
        if want is None or got is None:
            if (want is None) != (got is None) and not (got is not None and repeats(c)):
                failures.append(f"{'diffusers' if want is None else 'only ours'} refuses: {c}")
            continue
        compared += 1
        values |= {(key, str(value)) for key, value in {**c.config, **c.custom, **c.arguments}.items()}
        error = relative_error(got, want)
        if not error <= tolerance(c):
            failures.append(f"{error:.1e}: {c}")
    assert not failures, "\n".join([f"{len(failures)} of {len(configurations)}", *failures])
    assert compared >= len(configurations) / 5
    asked = {(k, str(v)) for c in configurations for k, v in {**c.config, **c.custom, **c.arguments}.items()}
    assert asked - values <= NEVER_RUN, f"never compared: {asked - values - NEVER_RUN}"


#: Values that diffusers refuses wherever they appear.
NEVER_RUN = {("prediction_type", "sample")}


@pytest.mark.parametrize("class_name", PRODUCTS)
def test_parity_over_the_thinned_product(class_name: str) -> None:
    check(list(drawn(class_name)))


@pytest.mark.slow
@pytest.mark.parametrize("class_name", PRODUCTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parity_over_more_of_the_product(class_name: str, seed: int) -> None:
    check(list(drawn(class_name, rounds=2 if class_name == "HeunDiscreteScheduler" else 8, seed=seed)))


SDE: list[dict[str, object]] = [
    {},
    {"use_karras_sigmas": True},
    {"use_exponential_sigmas": True, "beta_schedule": "linear"},
    {"prediction_type": "v_prediction", "timestep_spacing": "trailing"},
    {"timestep_spacing": "leading", "steps_offset": 1},
]


@pytest.mark.parametrize("config", SDE, ids=str)
def test_parity_of_the_stochastic_solver_on_the_same_brownian_motion(config: dict[str, object]) -> None:
    for steps, s_noise in ((1, 1.0), (2, 1.0), (3, 0.9), (8, 1.0), (25, 1.0)):
        want, slices = brownian_sde(config, steps, s_noise)
        scheduler = from_config({"_class_name": "DPMSolverSDEScheduler", **config}, steps, s_noise=s_noise)
        assert relative_error(on_slices(scheduler, slices), want) <= TOLERANCE


PECE: list[dict[str, object]] = [
    {},
    {"predictor_order": 3, "corrector_order": 4, "use_karras_sigmas": True},
    {"algorithm_type": "noise_prediction", "prediction_type": "v_prediction", "lower_order_final": False},
]


@pytest.mark.parametrize("config", PECE, ids=str)
def test_parity_of_sa_solver_that_evaluates_what_it_corrects(config: dict[str, object]) -> None:
    for steps in (1, 2, 3, 8, 25):
        scheduler = from_config({"_class_name": "SASolverScheduler", **config}, steps, pece=True)
        assert scheduler.profile().nfe == 2 * steps - 1
        assert relative_error(our_run(scheduler), sa_solver_pece(config, steps)) <= TOLERANCE


COSINE: list[dict[str, object]] = [
    {},
    {"sigma_schedule": "karras", "sigma_max": 80.0},
    {"solver_type": "heun", "prediction_type": "epsilon", "euler_at_final": True},
    {"solver_order": 1, "lower_order_final": False, "sigma_data": 0.5},
]


@pytest.mark.parametrize("config", COSINE, ids=str)
def test_parity_of_the_cosine_solver_on_the_same_brownian_motion(config: dict[str, object]) -> None:
    for steps in (2, 3, 8, 25):
        want, slices = brownian_cosine(config, steps)
        scheduler = from_config({"_class_name": "CosineDPMSolverMultistepScheduler", **config}, steps)
        assert relative_error(on_slices(scheduler, slices), want) <= TOLERANCE


def on_slices(scheduler: Scheduler, slices: list[torch.Tensor]) -> torch.Tensor:
    """Our run with this noise in its steps."""
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sample: torch.Tensor = Sampler(Smooth(), scheduler)(noise, torch.stack(slices) if slices else None)
    return sample


@pytest.mark.parametrize("name", PUBLISHED)
def test_parity_of_published_configs(name: str) -> None:
    config, counts = PUBLISHED[name]
    plain = {k: v for k, v in config.items() if not k.startswith("_")}
    for steps in counts:
        want = diffusers_loop(str(config["_class_name"]), _known_to_diffusers(config, plain), steps)
        assert relative_error(our_run(from_config(config, steps)), want) <= TOLERANCE


def _known_to_diffusers(config: dict[str, object], plain: dict[str, object]) -> dict[str, object]:
    """The keys that the class's constructor takes; ``from_pretrained`` drops the others."""
    import inspect

    taken = inspect.signature(getattr(diffusers, str(config["_class_name"])).__init__).parameters
    return {k: v for k, v in plain.items() if k in taken}


@pytest.mark.parametrize(
    ("class_name", "config", "arguments"),
    [
        ("DDIMScheduler", {}, {}),
        ("DDIMScheduler", {}, {"eta": 0.5}),
        ("DDPMScheduler", {}, {}),
        ("DDPMScheduler", {"steps_offset": 1}, {}),
        ("EulerDiscreteScheduler", {}, {}),
        ("EulerDiscreteScheduler", {}, {"s_churn": 1.0, "s_tmin": 0.5, "s_tmax": 50.0}),
        ("EulerAncestralDiscreteScheduler", {}, {}),
        ("HeunDiscreteScheduler", {}, {}),
        ("DPMSolverMultistepScheduler", {}, {}),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, {}),
        ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}, {}),
        ("KDPM2AncestralDiscreteScheduler", {}, {}),
        ("UniPCMultistepScheduler", {}, {}),
    ],
)
def test_we_draw_as_often_as_diffusers(
    class_name: str, config: dict[str, object], arguments: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the noise's coefficient is 0, so that one generator gives one picture."""
    counted, randn = [], torch.randn
    monkeypatch.setattr(torch, "randn", lambda *a, **k: (counted.append(1), randn(*a, **k))[1])
    diffusers_loop(class_name, config, 8, step_kwargs=arguments)
    scheduler = from_config({"_class_name": class_name, **config}, 8, **arguments)
    assert 1 + scheduler.profile().noise_slices == len(counted)
