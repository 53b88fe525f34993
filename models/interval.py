"""The part of a sampler in which guidance applies."""

from __future__ import annotations

from dataclasses import dataclass

from samplegraph.schedulers import OptionError

UNITS = ("sigma", "steps")
_FORM = "give for example sigma:0.3,5 (noise-to-signal ratio) or steps:0.2,0.8 (fractions of the steps)"


@dataclass(frozen=True)
class Interval:
    """Guidance in a limited interval, Kynkaanniemi et al. 2024 (arXiv:2404.07724), eq. 5.

    Args:
        unit: ``sigma``, the noise-to-signal ratio sigma / alpha where the model is evaluated, both ends included, or
            ``steps``: step i of N lies at (i + 0.5) / N, its middle; ``high`` is not included.
        low, high: the ends; ``high`` may be infinite in ``sigma``.

    Raises:
        OptionError: an unknown unit, or ends that are no interval.
    """

    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise OptionError(f"guidance_interval={self} has the unit {self.unit!r}; {_FORM}")
        most = 1.0 if self.unit == "steps" else float("inf")
        if not 0 <= self.low < self.high <= most:
            raise OptionError(
                f"guidance_interval={self} is empty or out of range; give LO < HI, both from 0 to {most:g}"
            )

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``sigma:0.3,5`` or ``steps:0.2,0.8``.

        Raises:
            OptionError: it is neither.
        """
        unit, colon, ends = text.partition(":")
        try:
            low, high = (float(part) for part in ends.split(","))
        except ValueError:
            raise OptionError(f"guidance_interval={text!r} is not UNIT:LO,HI; {_FORM}") from None
        return cls(unit.strip() if colon else text, low, high)

    def covers(self, ratio: float, middle: float) -> bool:
        """Whether an evaluation at this noise-to-signal ratio, in the step with this middle, lies inside."""
        return self.low <= ratio <= self.high if self.unit == "sigma" else self.low <= middle < self.high

    def __str__(self) -> str:
        return f"{self.unit}:{self.low!r},{self.high!r}"
