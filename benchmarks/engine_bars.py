"""What builds of 25 steps have to keep to: bytes of a plan, and seconds of one engine for all chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Megabytes a step beyond the weights.
PLANS = {"dit": ("DiT, 8 blocks", 1.8), "unet": ("conditional UNet", 3.5)}
STEPS, FASTER = 25, 8.0


@dataclass(frozen=True)
class Bar:
    """``value`` may be at most ``limit``, or has to be at least that where it is a ``floor``."""

    what: str
    value: float
    limit: float
    floor: bool = False

    @property
    def met(self) -> bool:
        """Whether it is kept to."""
        return self.value >= self.limit if self.floor else self.value <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.floor else "at most"
        return f"{self.what}: {self.value:.2f} ({bound} {self.limit:g}{'' if self.met else ', missed'})"


def megabytes_a_step(record: dict[str, Any]) -> float:
    """Of a plan beyond the weights; `step` and `loop` are engines of one evaluation."""
    evaluations = 1 if record["layout"] in ("step", "loop") else record["steps"]
    return float((record["bytes"] - record["engines"] * record["weight_bytes"]) / evaluations / 1e6)


def bars(records: Sequence[dict[str, Any]]) -> list[Bar]:
    """Those that ``records`` have the builds for."""
    built = {(r["model"], r["layout"]): r for r in records if r["steps"] == STEPS and "bytes" in r}
    made = [
        Bar(f"{name}, {STEPS} steps: MB a step beyond the weights", megabytes_a_step(built[model, "unrolled"]), limit)
        for model, (name, limit) in PLANS.items()
        if (model, "unrolled") in built
    ]
    whole, chunk = built.get(("dit", "unrolled")), built.get(("dit", "repeated:5"))
    if whole and chunk:
        times = whole["cpu_seconds"] / chunk["cpu_seconds"]
        what = f"DiT, {STEPS} steps: times that `repeated:5` builds faster than one graph"
        made.append(Bar(what, times, FASTER, floor=True))
    return made
