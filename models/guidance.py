"""Classifier-free guidance: which conditions get an unconditional twin, and how the two outputs are combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from samplegraph.models.spec import ModelSpec
from samplegraph.schedulers import OptionError

NEGATIVE = "negative_"
SCALE = "guidance_scale"
#: ``Guidance.scale`` that makes the scale a graph input.
INPUT = "input"


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance, Ho and Salimans 2022 (arXiv:2207.12598), eq. 6 in diffusers' convention:
    ``uncond + scale * (cond - uncond)``; rows are ordered [unconditional, conditional].

    Args:
        scale: ``"input"`` (a scalar graph input), a float (baked), or None or 1 (no unconditional branch).
        guided: conditions that differ between the branches; None means all.

    Raises:
        OptionError: ``scale`` is none of these.
    """

    scale: float | str | None = INPUT
    guided: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        scale = self.scale
        if scale is None or scale == INPUT:
            return
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not abs(scale) < float("inf"):
            raise OptionError(f"guidance_scale={scale!r} is not allowed; give a finite number, 'input' or None")
        object.__setattr__(self, "scale", None if scale == 1 else float(scale))

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
        if not chosen and self.scale != INPUT:
            raise OptionError(f"guidance_scale={self.scale} needs a condition to guide; this model has none")
        return chosen

    def negatives(self, conditions: list[str], spec: ModelSpec) -> list[str]:
        """Guided conditions without a declared null value: each gets an input ``negative_<name>``."""
        return [n for n in self.names(conditions) if (c := spec.condition(n)) is None or c.null is None]

    def rows(
        self, conditions: Mapping[str, torch.Tensor], guided: list[str], spec: ModelSpec
    ) -> dict[str, torch.Tensor]:
        """Conditions of 2B rows: unconditional first, then conditional."""
        rows: dict[str, torch.Tensor] = {}
        for name, value in conditions.items():
            if name == SCALE or name.startswith(NEGATIVE):
                continue
            other = value
            if name in guided:
                declared = spec.condition(name)
                null = declared.null if declared else None
                other = conditions[NEGATIVE + name] if null is None else torch.full_like(value, null)
            rows[name] = torch.cat([other, value])
        return rows

    def combine(self, output: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
        """``(2B, ...) -> (B, ...)``."""
        uncond, cond = output.chunk(2)
        return uncond + scale * (cond - uncond)
