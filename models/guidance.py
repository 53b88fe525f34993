"""Classifier-free guidance: which conditions get an unconditional twin, and how the two outputs are combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from samplegraph.models.interval import Interval
from samplegraph.models.spec import ModelSpec
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import in_range

NEGATIVE = "negative_"
SCALE = "guidance_scale"
#: ``Guidance.scale`` that makes the scale a graph input.
INPUT = "input"


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance, Ho and Salimans 2022 (arXiv:2207.12598), eq. 6 in diffusers' convention:
    ``uncond + scale * (cond - uncond)``; rows are ordered [unconditional, conditional].

    Args:
        scale: ``"input"`` (a scalar graph input), a float (baked), one per step, or None (no unconditional branch).
            Where a baked scale is 1, there is no unconditional branch either, unless the scheduler reads it.
        guided: conditions that differ between the branches; None means all.
        interval: where guidance applies; outside there is no unconditional branch. None means everywhere.
        rescale: phi in [0, 1] of Lin et al. 2023 (arXiv:2305.08891, section 3.4, eq. 15 and 16): how much of the
            guided output's deviation, per row, is brought back to that of the conditional one.

    Raises:
        OptionError: one of them is none of these.
    """

    scale: float | str | tuple[float, ...] | None = INPUT
    guided: tuple[str, ...] | None = None
    interval: Interval | None = None
    rescale: float = 0.0

    def __post_init__(self) -> None:
        scale = self.scale
        if isinstance(scale, tuple):
            scale = tuple(_finite(each) for each in scale)
        elif scale is not None and scale != INPUT:
            scale = _finite(scale)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "rescale", in_range("guidance_rescale", self.rescale, 0.0, 1.0))
        if scale is None and (self.interval is not None or self.rescale):
            name, value = ("interval", self.interval) if self.interval is not None else ("rescale", self.rescale)
            raise OptionError(f"guidance_{name}={value} needs guidance; give a guidance_scale, or leave it out")

    def pruned(self) -> Guidance:
        """No guidance at all if every baked scale is 1, else the same."""
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        ones = bool(scales) and all(each == 1 for each in scales)
        return replace(self, scale=None, interval=None, rescale=0.0) if ones else self

    def names(self, conditions: list[str]) -> list[str]:
        """Those of ``conditions`` that are guided; empty where guidance does not apply.

        Raises:
            OptionError: a scale is baked or ``guided`` names a condition, and there is none such.
        """
        if self.scale is None:
            return []
        missing = [name for name in self.guided or () if name not in conditions]
        if missing:
            raise OptionError(f"guided={missing} are not conditions of the model, which takes {conditions or 'none'}")
        chosen = [name for name in conditions if self.guided is None or name in self.guided]
        if not chosen:
            for name, value, plain in (
                ("guidance_scale", self.scale, INPUT),
                ("guidance_interval", self.interval, None),
                ("guidance_rescale", self.rescale, 0.0),
            ):
                if value != plain:
                    raise OptionError(f"{name}={value} needs a condition to guide; this model has none")
        return chosen

    def negatives(self, conditions: list[str], spec: ModelSpec) -> list[str]:
        """Guided conditions without a declared null value: each gets an input ``negative_<name>``."""
        return [n for n in self.names(conditions) if (c := spec.condition(n)) is None or c.null is None]

    def own(self, conditions: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The model's own conditions among these: the rows of the conditional branch."""
        return {k: v for k, v in conditions.items() if k != SCALE and not k.startswith(NEGATIVE)}

    def rows(
        self, conditions: Mapping[str, torch.Tensor], guided: list[str], spec: ModelSpec
    ) -> dict[str, torch.Tensor]:
        """Conditions of 2B rows: unconditional first, then conditional."""
        rows: dict[str, torch.Tensor] = {}
        for name, value in self.own(conditions).items():
            other = value
            if name in guided:
                declared = spec.condition(name)
                null = declared.null if declared else None
                other = conditions[NEGATIVE + name] if null is None else torch.full_like(value, null)
            rows[name] = torch.cat([other, value])
        return rows

    def combine(self, uncond: torch.Tensor, cond: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
        """Both branches' outputs, (B, ...), as one."""
        output = uncond + scale * (cond - uncond)
        if not self.rescale:
            return output
        axes = tuple(range(1, output.ndim))
        rescaled = output * (cond.std(dim=axes, keepdim=True) / output.std(dim=axes, keepdim=True))
        return self.rescale * rescaled + (1 - self.rescale) * output


def _finite(scale: object) -> float:
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not abs(scale) < float("inf"):
        raise OptionError(
            f"guidance_scale={scale!r} is not allowed; give a finite number, 'input' or None, or a list, one per step"
        )
    return float(scale)
