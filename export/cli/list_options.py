"""What a scheduler's options are: their defaults, what they may be, and what they mean."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from samplegraph.schedulers import OptionError, Scheduler, create, option_defaults, scheduler_class
from samplegraph.schedulers.catalogue.registry import own_defaults

#: A value that no option takes.
_PROBE = "?"
#: Meanings of the options that shape grids and predictions, under the names that all schedulers share.
SHARED: Mapping[str, str] = {
    "angles": "angles of one's own, with that where sampling ends: N + 1",
    "base_image_seq_len": "tokens of an image for which mu is base_shift",
    "base_shift": "mu of an image of base_image_seq_len tokens",
    "beta_end": "beta of the last training timestep",
    "beta_max": "rate of the forward process at t = 1",
    "beta_min": "rate of the forward process at t = 0",
    "beta_schedule": "how beta runs from beta_start to beta_end; the model was trained with it",
    "beta_start": "beta of the first training timestep",
    "clip_sample": "clamp x0 to +-clip_sample_range",
    "clip_sample_range": "bound of clip_sample",
    "dynamic_thresholding_ratio": "quantile of |x0| that thresholding scales to 1",
    "exact_tables": "compute tables in float64 in place of diffusers' float32",
    "final_sigmas_type": "where sampling ends: sigma = 0, or the smallest of training",
    "flow_shift": "moves the sigmas of use_flow_sigmas towards the noise",
    "flow_sigmas": "sigmas of one's own for use_flow_sigmas, before the shift: N",
    "full_range_steps": "lay the steps out over all training timesteps; at most this many",
    "gamma": "correlation of the noise put on a sample that was enlarged between two stages",
    "image_seq_len": "tokens of the image, which give mu for use_dynamic_shifting",
    "interpolation_type": "how sigmas between training timesteps are found",
    "intermediate_timesteps": "angle between the two steps of N = 2",
    "invert_sigmas": "count sigmas from the noise, for models that predict x0 - eps",
    "lambda_min_clipped": "lower bound of log(alpha/sigma): cuts off the noisiest timesteps",
    "max_image_seq_len": "tokens of an image for which mu is max_shift",
    "max_timesteps": "angle at which sampling begins",
    "max_shift": "mu of an image of max_image_seq_len tokens",
    "mu": "shift of the image at hand, for use_dynamic_shifting",
    "num_train_timesteps": "number T of training timesteps",
    "original_inference_steps": "number of timesteps that the model was distilled at",
    "prediction_type": "what the model predicts; None takes what it declares",
    "ramp": "places of one's own between sigma_max at 0 and sigma_min at 1: N",
    "rescale_betas_zero_snr": "no signal left at the last timestep (arXiv:2305.08891)",
    "respacing": "another layout of the sigmas: that of Karras et al., even in log(sigma), of a beta distribution, ...",
    "respacing_rho": "exponent of respacing karras (7) or polyexponential (1)",
    "rho": "sigmas are even in their rho-th root, for sigma_schedule karras",
    "s": "offset of the cosine schedule",
    "sample_max_value": "largest bound of thresholding",
    "sampling_eps": "time at which sampling ends",
    "scaler": "bends time towards the noise above 1, towards the data below",
    "set_alpha_to_one": "a step that leaves the table leads to abar = 1, not to that of timestep 0",
    "shift": "moves the sigmas of a flow towards the noise (arXiv:2403.03206)",
    "shift_terminal": "stretches the sigmas of a flow so that the last is this",
    "sigma_data": "deviation of the data that the network was preconditioned for",
    "sigma_max": "largest sigma of the grid",
    "sigma_min": "smallest sigma of the grid above 0",
    "sigma_schedule": "even in the rho-th root of sigma, or in its logarithm",
    "sigmas": "sigmas of one's own with that where sampling ends, N + 1; N without it for flows",
    "skip_prk_steps": "no Runge-Kutta warm-up",
    "snr_shift_scale": "shifts the noise schedule towards the noise",
    "stage_index": "stage of the pyramid that the run is, from 0",
    "stage_range": "where the stages begin, as parts of training, and where the last ends: stages + 1",
    "stages": "number of stages of the pyramid; 1 is one straight path",
    "steps_offset": "added to every timestep of spacing leading",
    "strength": "share of the distilled timesteps, the least noisy ones, that the steps are laid out over",
    "thresholding": "dynamic thresholding of x0 in place of clipping (arXiv:2205.11487)",
    "time_shift_type": "how mu moves the sigmas: by exp(mu), or by mu itself",
    "times": "times of one's own, with that where sampling ends: N + 1",
    "timestep_spacing": "how N timesteps are laid out over T (arXiv:2305.08891, Table 2)",
    "timestep_type": "what the model is told: the timestep, or log(sigma)/4 as in EDM",
    "timesteps": "timesteps of one's own: N",
    "trained_betas": "betas of one's own in place of a schedule: T",
    "use_dynamic_shifting": "shift by mu, that of the image at hand, in place of the constant shift",
    "use_flow_sigmas": "run on the straight path of a flow-matching model",
}


def written(default: Any) -> str:
    """A default as it is written on the command line."""
    if isinstance(default, tuple | list):
        return json.dumps(list(default))
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)


@dataclass(frozen=True)
class Option:
    """An option of a scheduler.

    Attributes:
        choices: the words that it may be, if it is one of some words.
        allowed: what it may be, in words; empty where that is not known.
        own: whether the scheduler's class takes it, not its grid or the way predictions are read.
    """

    name: str
    default: Any
    choices: tuple[str, ...]
    allowed: str
    meaning: str
    own: bool

    def to_json(self) -> dict[str, Any]:
        """As plain data; infinities as text, which JSON lacks."""
        default = str(self.default) if self.default in (inf, -inf) else self.default
        allowed = list(self.choices) or self.allowed or None
        return {"default": default, "allowed": allowed, "meaning": self.meaning or None}


def options_of(name: str) -> tuple[Option, ...]:
    """All options of scheduler ``name``: the class's own first, then the shared ones by name."""
    cls, defaults = scheduler_class(name), option_defaults(name)
    own, meanings = own_defaults(cls), {**SHARED, **documented(cls)}
    found = []
    for key in [*own, *sorted(set(defaults) - set(own))]:
        choices, allowed = _allowed(name, key)
        allowed = allowed or ("true or false" if isinstance(defaults[key], bool) else "")
        found.append(Option(key, defaults[key], choices, allowed, meanings.get(key, ""), key in own))
    return tuple(found)


def documented(cls: type[Scheduler]) -> dict[str, str]:
    """What the section Args of the class's docstring says, by option."""
    _, _, section = inspect.cleandoc(cls.__doc__ or "").partition("\nArgs:\n")
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for names, text in entries for name in names.split(", ")}


def _allowed(name: str, key: str) -> tuple[tuple[str, ...], str]:
    """``(choices, in words)`` that the scheduler itself names when it refuses a value that no option takes."""
    try:
        create(name, 8, **{key: _PROBE})
    except OptionError as error:
        text = str(error)
    except TypeError:  # it is used before it is checked
        return (), ""
    else:
        return (), ""
    if not text.startswith(f"{key}={_PROBE!r}"):
        return (), ""
    if found := re.search(r"; choose one of (.*?)(?:; did you mean .*)?$", text):
        return tuple(found[1].split(", ")), found[1]
    _, _, asked = text.partition("; give ")
    asked = re.sub(r"from (\S+) to inf$", r"of at least \1", asked)
    return (), asked.removeprefix("a ")
