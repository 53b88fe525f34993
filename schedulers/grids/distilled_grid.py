"""Grids of models distilled for few steps: a choice among the timesteps that the distillation used."""

from __future__ import annotations

import numpy as np

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.options import SCHEDULE_DEFAULTS, GridOptions
from samplegraph.schedulers.grids.spacing import Array, custom

#: Options of latent consistency models' grids, with their defaults.
DISTILLED_DEFAULTS = {
    **SCHEDULE_DEFAULTS,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "original_inference_steps": 50,
    "timesteps": None,
    "strength": 1.0,
}
#: Options of diffusers' classes that none of their methods reads.
IGNORED = ("set_alpha_to_one", "steps_offset", "timestep_spacing")


def distilled_timesteps(steps: int, options: GridOptions) -> Array:
    """N of the timesteps that the model was distilled at, descending: custom ones, or about evenly chosen.

    Those are every ``T // original_inference_steps``-th, or all of T where ``full_range_steps`` is given, up to the
    share ``strength``.

    Raises:
        OptionError: there are fewer than N, or ``timesteps`` and ``strength`` are both given.
    """
    total = options.schedule.num_train_timesteps
    if options.timesteps is not None:
        if options.strength != 1:
            raise OptionError(
                f"strength={options.strength!r} and timesteps are both given; in diffusers such a run ends in noise: "
                "give the timesteps that are to be taken"
            )
        return custom(options.timesteps, total, whole=True)
    original = options.full_range_steps or options.original_inference_steps or total
    if options.full_range_steps is not None:
        known = np.arange(int(total * options.strength))
    else:
        known = np.arange(1, int(original * options.strength) + 1) * (total // original) - 1
    most = min(len(known), original)
    if steps > most:
        raise OptionError(
            f"steps={steps} is more than the {most} timesteps of original_inference_steps={original} and "
            f"strength={options.strength:g}; give at most {most} steps, or a larger original_inference_steps"
        )
    chosen = np.floor(np.linspace(0, len(known), num=steps, endpoint=False)).astype(np.int64)
    return np.asarray(known[::-1][chosen], dtype=np.float64)
