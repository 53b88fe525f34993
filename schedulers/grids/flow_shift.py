"""Where on a straight path the steps lie: the shifts of flow-matching models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError, flag, in_range, one_of, whole

Values = TypeVar("Values", npt.NDArray[np.floating[Any]], torch.Tensor)


@dataclass(frozen=True)
class FlowShift:
    """Moves the sigmas of a straight path towards its noisy end.

    ``shift`` is the constant one of Stable Diffusion 3 (arXiv:2403.03206, eq. 23). ``use_dynamic_shifting`` takes
    ``mu``, that of the image at hand, in its place: given, or from ``image_seq_len``, its number of tokens, by the line
    through (``base_image_seq_len``, ``base_shift``) and (``max_image_seq_len``, ``max_shift``), as Flux does.
    ``shift_terminal`` then stretches the sigmas so that the last one has this value, as LTX-Video does;
    ``invert_sigmas`` counts them from the noise, for models that predict ``x0 - eps`` (Mochi).

    Raises:
        OptionError: a value out of range.
    """

    shift: float = 1.0
    use_dynamic_shifting: bool = False
    mu: float | None = None
    image_seq_len: int | None = None
    base_shift: float | None = 0.5
    max_shift: float | None = 1.15
    base_image_seq_len: int = 256
    max_image_seq_len: int = 4096
    time_shift_type: str = "exponential"
    shift_terminal: float | None = None
    invert_sigmas: bool = False

    def __post_init__(self) -> None:
        if not 0 < in_range("shift", self.shift, 0.0, math.inf) < math.inf:
            raise OptionError(f"shift={self.shift!r} is not allowed; give a number above 0")
        flag("use_dynamic_shifting", self.use_dynamic_shifting)
        flag("invert_sigmas", self.invert_sigmas)
        one_of("time_shift_type", self.time_shift_type, ("exponential", "linear"))
        low, high = (whole(name, getattr(self, name), 1) for name in ("base_image_seq_len", "max_image_seq_len"))
        for name in ("base_shift", "max_shift", "mu"):
            if getattr(self, name) is not None:
                in_range(name, getattr(self, name), -700.0, 700.0)
        if self.shift_terminal is not None and in_range("shift_terminal", self.shift_terminal, 0.0, 1.0) == 1:
            raise OptionError("shift_terminal=1 leaves no path; give a number below 1, or null")
        if self.image_seq_len is not None:
            whole("image_seq_len", self.image_seq_len, 1)
            if low >= high or self.base_shift is None or self.max_shift is None:
                raise OptionError(
                    "image_seq_len needs base_shift, max_shift, and base_image_seq_len below max_image_seq_len"
                )

    @property
    def dynamic(self) -> float:
        """mu, as given or that of ``image_seq_len`` tokens.

        Raises:
            OptionError: there is none, or two, or it is not above 0 for a linear shift.
        """
        if (self.mu is None) == (self.image_seq_len is None):
            raise OptionError(
                "use_dynamic_shifting=True needs one of mu, the shift of the image, and image_seq_len, its number of "
                "tokens (height/16 * width/16 for Flux); give it, or use_dynamic_shifting=False"
            )
        mu = self.mu if self.mu is not None else self._mu_of_tokens()
        if self.time_shift_type == "linear" and mu <= 0:
            raise OptionError(f"mu={mu!r} is not allowed with time_shift_type='linear'; give one above 0")
        return float(mu)

    def _mu_of_tokens(self) -> float:
        assert self.image_seq_len is not None
        assert self.base_shift is not None
        assert self.max_shift is not None
        slope = (self.max_shift - self.base_shift) / (self.max_image_seq_len - self.base_image_seq_len)
        return self.image_seq_len * slope + (self.base_shift - slope * self.base_image_seq_len)

    def constant(self, sigmas: Values) -> Values:
        """``sigmas`` moved by ``shift``."""
        return self.shift * sigmas / (1 + (self.shift - 1) * sigmas)

    def shifted(self, sigmas: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """``sigmas`` (N,) moved as the options say."""
        if self.use_dynamic_shifting:
            mu = math.exp(self.dynamic) if self.time_shift_type == "exponential" else self.dynamic
            with np.errstate(divide="ignore"):
                sigmas = mu / (mu + (1 / sigmas - 1) ** 1.0)
        else:
            sigmas = self.constant(sigmas)
        return self.stretched(sigmas) if self.shift_terminal else sigmas

    def stretched(self, sigmas: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """``sigmas`` (N,) so that the last is ``shift_terminal``.

        Raises:
            OptionError: it is 1 and cannot move.
        """
        assert self.shift_terminal is not None
        rest = 1 - sigmas
        if rest[-1] == 0:
            raise OptionError(
                f"shift_terminal={self.shift_terminal!r} cannot move the last of {len(sigmas)} sigmas from 1, which "
                "gives NaN in diffusers; give more steps, custom sigmas, or shift_terminal=null"
            )
        stretched: npt.NDArray[np.floating[Any]] = 1 - (rest / (rest[-1] / (1 - self.shift_terminal)))
        return stretched
