"""A scheduler that takes steps for another one (UniPC's ``solver_p``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from samplegraph.schedulers.base import Noise, Scheduler, State
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.prediction import Prediction, convert
from samplegraph.schedulers.vector import X


def nested_scheduler(option: str, asked: str | Mapping[str, Any], outer: Scheduler) -> Scheduler:
    """Build the scheduler that ``asked`` names or describes (a diffusers config), over as many steps as ``outer``.

    Raises:
        OptionError: it clips, draws noise, evaluates the model more than once per step, or visits other timesteps,
            or the outer scheduler does not know its prediction type or thresholds.
    """
    from samplegraph.schedulers.catalogue.config import from_config
    from samplegraph.schedulers.catalogue.registry import create
    from samplegraph.schedulers.catalogue.starting import starting_at

    shown = f"{option}={asked!r}"
    inner = create(asked, outer.steps) if isinstance(asked, str) else from_config(asked, outer.steps)
    if outer.prediction.prediction_type is None:
        raise OptionError(f"{shown} needs prediction_type: both schedulers read the same output, each for itself")
    for who, options in (("it", inner.prediction), (f"the scheduler around {option}", outer.prediction)):
        if options.clip_sample or options.thresholding:
            raise OptionError(
                f"{shown}: {who} clips, so the step is not affine; set clip_sample and thresholding to false"
            )
    inner = starting_at(inner, outer.grid.begin)
    profile = inner.profile()
    if inner.grid.family != outer.grid.family:
        raise OptionError(
            f"{shown}: {inner.name} scales samples otherwise (alpha = 1); choose a variance-preserving one"
        )
    if profile.noise_slices:
        raise OptionError(f"{shown}: {inner.name} draws noise, in diffusers from the global generator; choose another")
    if any(profile.evaluations[i] != (i,) for i in inner.indices):
        raise OptionError(
            f"{shown}: {inner.name} takes more than one evaluation per step; choose a multistep scheduler"
        )
    if not np.array_equal(inner.grid.timesteps, outer.grid.timesteps):
        raise OptionError(
            f"{shown}: {inner.name} visits other timesteps (first {inner.grid.timesteps[0]:g}) than the scheduler "
            f"around it ({outer.grid.timesteps[0]:g}); give both the same timestep_spacing"
        )
    return inner


def nested_step(
    inner: Scheduler, outer: Scheduler, i: int, seen: tuple[X, Prediction[X]], x: X, state: State[X], noise: Noise[X]
) -> tuple[X, State[X]]:
    """Step ``inner`` from ``x`` with the output that the model gave ``outer``: a sample it saw and its prediction."""
    kind, g = outer.prediction.prediction_type, inner.grid
    assert kind is not None
    p, alpha, sigma = seen[1], float(outer.grid.alpha[i]), float(outer.grid.sigma[i])
    output = {"epsilon": p.eps, "sample": p.x0, "v_prediction": alpha * p.eps - sigma * p.x0}[kind]

    def denoise(x: X, point: int) -> Prediction[X]:
        scale = float(g.input_scale[point])
        own = inner.prediction.prediction_type or kind
        return convert(own, x, output, float(g.alpha[point]), float(g.sigma[point]), scale)

    return inner.step(i, x, state, denoise, noise)
