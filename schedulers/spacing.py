"""Timestep spacings: which of the T training timesteps the N steps visit (arXiv:2305.08891, table 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from samplegraph.schedulers.errors import OptionError, one_of

Array = npt.NDArray[np.float64]
SPACINGS = ("linspace", "leading", "trailing")


def spaced(
    spacing: str, steps: int, last: int, *, offset: int = 0, drop_final: bool = False, whole: bool, period: int | None = None
) -> Array:
    """Descending timesteps of shape (N,).

    Args:
        last: number of training timesteps that may be visited, counted from 0.
        drop_final: place N + 1 points and drop the last one, as the DPM-Solver family does.
        whole: round ``linspace`` to whole timesteps; else they are float32 values.
        offset: added to ``leading`` timesteps (``steps_offset``).
        period: training timesteps that ``trailing`` divides into N, where not ``last``.

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
            return np.asarray(t, dtype=np.float64)
    return np.asarray(t[:steps], dtype=np.float64)


def custom(timesteps: Sequence[float], num_train_timesteps: int) -> Array:
    """The caller's own timesteps, which must descend within [0, T).

    Raises:
        OptionError: they do not descend or leave the training range.
    """
    t = np.asarray(timesteps, dtype=np.float64)
    if t.ndim != 1 or not len(t) or not np.isfinite(t).all():
        raise OptionError(f"timesteps={timesteps!r} is not allowed; give a list of finite numbers")
    if (np.diff(t) >= 0).any():
        raise OptionError(f"timesteps={_short(timesteps)} do not descend; sort them from the noisiest down, each once")
    if t[0] >= num_train_timesteps or t[-1] < 0:
        raise OptionError(
            f"timesteps={_short(timesteps)} leave the training range; give values from {num_train_timesteps - 1} to 0"
        )
    return t


def _short(values: Sequence[float]) -> str:
    shown = ", ".join(f"{v:g}" for v in list(values)[:6])
    return f"[{shown}{', ...' if len(values) > 6 else ''}]"
