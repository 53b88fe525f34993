"""Eager float32 runs of the multistep and two-stage schedulers against diffusers' own production loop."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from reference import diffusers_loop, our_run, relative_error

from samplegraph.schedulers import OptionError, from_config

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own
TOLERANCE = 1e-5
EPS_V = ("epsilon", "v_prediction")
FINAL = ("zero", "sigma_min")
BOTH = (True, False)

#: Class -> option -> values: the whole product is run.
PRODUCTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "DEISMultistepScheduler": {"solver_order": (1, 2, 3), "prediction_type": EPS_V, "use_karras_sigmas": BOTH},
    "UniPCMultistepScheduler": {
        "solver_order": (1, 2, 3, 5),
        "predict_x0": BOTH,
        "solver_type": ("bh1", "bh2"),
        "final_sigmas_type": FINAL,
        "lower_order_final": BOTH,
    },
    "DPMSolverSinglestepScheduler": {
        "solver_order": (1, 2, 3),
        "algorithm_type": ("dpmsolver++", "dpmsolver", "sde-dpmsolver++"),
        "solver_type": ("midpoint", "heun"),
        "final_sigmas_type": FINAL,
    },
    "LMSDiscreteScheduler": {"prediction_type": EPS_V, "use_beta_sigmas": BOTH},
    "PNDMScheduler": {"prediction_type": EPS_V, "skip_prk_steps": BOTH, "set_alpha_to_one": BOTH},
    "IPNDMScheduler": {},
    "KDPM2DiscreteScheduler": {"use_karras_sigmas": BOTH},
    "KDPM2AncestralDiscreteScheduler": {"use_karras_sigmas": BOTH},
    "DDIMInverseScheduler": {"prediction_type": ("sample", *EPS_V), "set_alpha_to_one": BOTH, "clip_sample": BOTH},
}


def theirs(class_name: str, config: dict[str, Any], steps: int) -> torch.Tensor | None:
    """Diffusers' result, or None where it raises or gives NaN."""
    try:
        with np.errstate(all="ignore"):
            sample = diffusers_loop(class_name, config, steps)
    except Exception:  # any reason of diffusers' for not giving a picture
        return None
    return sample if bool(torch.isfinite(sample).all()) else None


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("class_name", PRODUCTS)
def test_parity(class_name: str, steps: int) -> None:
    options, failures = PRODUCTS[class_name], []
    for values in product(*options.values()):
        config = dict(zip(options, values, strict=True))
        want = theirs(class_name, config, steps)
        try:
            got = our_run(from_config({"_class_name": class_name, **config}, steps))
        except OptionError as error:
            if want is not None:
                failures.append(f"{config}: {error}")
            continue
        if want is not None and torch.equal(got, want):
            continue
        if want is None or not relative_error(got, want) <= TOLERANCE:
            failures.append(f"{config}: {'diffusers refuses' if want is None else relative_error(got, want)}")
    assert not failures, "\n".join(failures)
