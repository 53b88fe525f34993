"""The grid: every table a sampler needs, built once from a noise schedule, a spacing and a respacing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.training import Schedule

Array = npt.NDArray[np.float64]
Family = Literal["vp", "ve", "flow", "tokens"]
TABLES = ("timesteps", "alpha", "sigma", "alpha_next", "sigma_next", "abar", "abar_next", "input_scale")


@dataclass(frozen=True, eq=False)
class Grid:
    """Frozen float64 tables over M evaluation points for a sampler of ``steps`` steps.

    At point i the sample is ``x_i = alpha[i] * x0 + sigma[i] * eps``; the model is asked at ``timesteps[i]``
    and sees ``x_i * input_scale[i]``. ``alpha``/``sigma`` have M + 1 entries: the last is where sampling ends.
    ``alpha_next[i], sigma_next[i]`` is where a step from point i leads: the next point, except in schedulers
    that diffusers lets step to ``t - T // N`` (DDIM). M equals ``steps`` unless a scheduler evaluates between
    steps. ``abar`` and ``abar_next`` (M,) are alpha^2 there before its root was taken.

    The tables were computed in ``dtype``. A scheduler whose own coefficients cancel computes them from ``tensor``
    with the same operations as diffusers, so that they carry its rounding, and widens them with ``floats``.

    ``family`` says how x is scaled: ``vp`` keeps alpha^2 + sigma^2 = 1, ``ve`` keeps alpha = 1, where
    ``input_scale = 1 / sqrt(sigma^2 + 1)`` makes of it what a variance-preserving model is shown, and ``flow`` keeps
    alpha + sigma = 1. ``preconditioned`` has rows (skip, gain), (M,) each, for the prediction types that a network
    made for this grid gives only through ``x0 = skip * x + gain * output``, and may have two more for eps.
    ``input_shift`` is added to the scaled sample. ``schedule`` is None where the grid follows no discrete noise
    schedule: a model that declares one is then asked at the same noise-to-signal ratio. ``own`` holds further
    tables that one scheduler alone needs. A run takes the steps from ``begin`` on: all, unless it starts from an image.

    Raises:
        OptionError: a table is not finite or has the wrong length.
    """

    steps: int
    family: Family
    schedule: Schedule | None
    timesteps: Array
    alpha: Array
    sigma: Array
    alpha_next: Array = None  # type: ignore[assignment]
    sigma_next: Array = None  # type: ignore[assignment]
    abar: Array = None  # type: ignore[assignment]
    abar_next: Array = None  # type: ignore[assignment]
    input_scale: Array = None  # type: ignore[assignment]
    input_shift: float = 0.0
    preconditioned: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)
    own: Mapping[str, npt.NDArray[np.floating[Any]]] = field(default_factory=dict)
    init_noise_sigma: float = 1.0
    dtype: torch.dtype = torch.float64
    begin: int = 0

    def __post_init__(self) -> None:
        if self.alpha_next is None:
            object.__setattr__(self, "alpha_next", self.alpha[1:])
            object.__setattr__(self, "sigma_next", self.sigma[1:])
        if self.abar is None:
            object.__setattr__(self, "abar", self.alpha[:-1] ** 2)
            object.__setattr__(self, "abar_next", self.alpha_next**2)
        if self.input_scale is None:
            object.__setattr__(self, "input_scale", np.ones(self.points))
        for name in TABLES:
            table = np.array(getattr(self, name), dtype=np.float64)
            if not np.isfinite(table).all():
                raise OptionError(
                    f"the {name} table is not finite (entry {int(np.argmin(np.isfinite(table)))} is "
                    f"{table[~np.isfinite(table)][0]}); change the noise schedule or the respacing options"
                )
            table.setflags(write=False)
            object.__setattr__(self, name, table)
        if len(self.alpha) != self.points + 1 or len(self.sigma) != self.points + 1:
            raise OptionError(f"alpha and sigma need {self.points + 1} entries for {self.points} timesteps")

    @property
    def points(self) -> int:
        """Number M of points at which the model can be evaluated."""
        return len(self.timesteps)

    def tensor(self, table: str) -> torch.Tensor:
        """The named table in the precision it was computed in."""
        return torch.from_numpy(getattr(self, table).copy()).to(self.dtype)


def step_count(
    steps: int | None, timesteps: Sequence[float] | None, sigmas: Sequence[float] | None, *, with_end: bool = True
) -> int:
    """Number of steps that ``steps``, custom ``timesteps`` (N) or custom ``sigmas`` ask for: N of them, or N + 1
    ``with_end``, the sigma at which sampling ends.

    Raises:
        OptionError: none or two of them, a count below 1, or counts that contradict each other.
    """
    if timesteps is not None and sigmas is not None and (with_end or len(timesteps) != len(sigmas)):
        fix = "give one of them" if with_end else "they have to have one length"
        raise OptionError(f"timesteps and sigmas are both given; {fix}")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise OptionError(f"steps={steps!r} is not allowed; give a whole number of at least 1")
    own = len(timesteps) if timesteps is not None else len(sigmas) - with_end if sigmas is not None else None
    if own is None and steps is None:
        raise OptionError("steps is missing; give a whole number of at least 1")
    if own is not None and steps is not None and own != steps:
        table = "timesteps" if timesteps is not None else "sigmas"
        raise OptionError(f"steps={steps} contradicts {table}, which make {own} steps; leave steps out")
    count = steps if steps is not None else own
    assert count is not None
    if count < 1:
        raise OptionError("sigmas needs at least two entries: one step and the final sigma")
    return count
