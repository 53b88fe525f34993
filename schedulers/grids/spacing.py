"""Timestep spacings: which of the T training timesteps the N steps visit (arXiv:2305.08891, table 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from samplegraph.schedulers.errors import OptionError, one_of

Array = npt.NDArray[np.float64]
SPACINGS = ("linspace", "leading", "trailing")


def spaced(
    spacing: str,
    steps: int,
    last: int,
    *,
    offset: int = 0,
    drop_final: bool = False,
    whole: bool,
    period: int | None = None,
) -> Array:
    """Descending timesteps of shape (N,).

    Args:
        last: number of training timesteps that may be visited, counted from 0.
        drop_final: place N + 1 points and drop the last one, as the DPM-Solver family does.
        whole: round ``linspace`` to whole timesteps; else they are float32 values.
        offset: added to ``leading`` timesteps (``steps_offset``).
        period: training timesteps that ``trailing`` divides into N, where not ``last``; fewer than N timesteps
            come back where ``last`` is smaller. The timestep -1 that diffusers appends for some N (61, 103,
            121 of 1000) by a rounding error is left out.

    Raises:
        OptionError: ``spacing`` is unknown.
    """
    count = steps + 1 if drop_final else steps
    match one_of("timestep_spacing", spacing, SPACINGS):
        case "linspace":
            if whole:
                t = np.linspace(0, last - 1, count).round()[::-1]
            else:
                t = np.linspace(0, last - 1, count, dtype=np.float32)[::-1].astype(np.float64)
        case "leading":
            t = (np.arange(count) * (last // count))[::-1].astype(np.float64) + offset
        case _:
            t = np.arange(last, 0, -(period or last) / steps).round() - 1.0
            t = t[t >= 0]
    return np.asarray(t[:steps], dtype=np.float64)


def custom(timesteps: Sequence[float], num_train_timesteps: int, *, whole: bool) -> Array:
    """The caller's own timesteps, which must descend within [0, T).

    Raises:
        OptionError: they do not descend, leave the training range, or are fractions where ``whole``.
    """
    t = numbers("timesteps", timesteps)
    if (np.diff(t) >= 0).any():
        raise OptionError(
            f"timesteps={shown(timesteps)} do not descend; sort them from the noisiest down, each once"
        )
    if t[0] >= num_train_timesteps or t[-1] < 0:
        raise OptionError(
            f"timesteps={shown(timesteps)} leave the training range; give values from "
            f"{num_train_timesteps - 1} to 0"
        )
    if whole and (t != np.trunc(t)).any():
        raise OptionError(f"timesteps={shown(timesteps)} are not whole; this scheduler takes whole timesteps only")
    return t


def numbers(name: str, values: Sequence[float]) -> Array:
    """``values`` as float64, if they are a list of finite numbers.

    Raises:
        OptionError: they are not.
    """
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        table = np.empty(0)
    if table.ndim != 1 or not len(table) or not np.isfinite(table).all():
        raise OptionError(f"{name}={values!r} is not allowed; give a list of finite numbers")
    return table


def shown(values: Sequence[float]) -> str:
    """The first of ``values``, short."""
    head = ", ".join(f"{v:g}" for v in list(values)[:6])
    return f"[{head}{', ...' if len(values) > 6 else ''}]"
