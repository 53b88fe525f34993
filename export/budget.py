"""What a graph will take to load, estimated before it is made: a warning where that is much, a refusal beyond that."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from samplegraph.export.errors import ExportError

Teller = Callable[[str], None]

#: Seconds of ONNX Runtime's load on two cores, by thousands of nodes and their square: fitted to the unrolled UNet of
#: the benchmarks at 5 to 100 steps (0.22, 0.56, 2.2, 6.6 and 21.5 s), within a quarter at each.
_PER_THOUSAND, _PER_SQUARE = 0.084, 0.0049
#: Seconds by gigabyte of weights, mostly packing, and bytes held by node, from Stable Diffusion 1.5 at 25 steps.
_PER_GIGABYTE, _NODE_BYTES = 5.0, 27_000
#: Seconds of load by nodes that are worth a warning, that a chunk should keep below, and that are refused.
WARN, COMFORT, REFUSE = 8.0, 3.0, 600.0


class BudgetWarning(UserWarning):
    """A graph will take long to load."""


@dataclass(frozen=True)
class Budget:
    """An estimate for ``nodes`` nodes over ``weight_bytes`` bytes of weights."""

    nodes: int
    weight_bytes: int

    @property
    def node_seconds(self) -> float:
        """Seconds of a session's load that go into nodes."""
        k = self.nodes / 1e3
        return _PER_THOUSAND * k + _PER_SQUARE * k * k

    @property
    def seconds(self) -> float:
        """Seconds of a session's load."""
        return self.node_seconds + _PER_GIGABYTE * self.weight_bytes / 1e9

    @property
    def memory(self) -> int:
        """Peak bytes of a session's load."""
        return self.weight_bytes + _NODE_BYTES * self.nodes


def check(
    nodes: int, nfe: int, weight_bytes: int, *, recurrent: Callable[[], bool], force: bool, tell: Teller | None
) -> None:
    """Warn or refuse where ``nfe`` copies of ``nodes`` nodes load slowly.

    Args:
        recurrent: whether layouts ``step`` and ``loop`` would be possible; asked where they are to be named.
        tell: takes a warning; ``warnings.warn`` where left out.

    Raises:
        ExportError: the load takes more than ten minutes, and ``force`` is not given.
    """
    budget = Budget(nodes * nfe, weight_bytes)
    if budget.node_seconds <= WARN:
        return
    what = (
        f"{nfe} evaluations make about {budget.nodes:,} nodes, which ONNX Runtime loads in about "
        f"{budget.seconds:,.0f} s and {budget.memory / 1e9:.1f} GB"
    )
    layouts = f"layout='chunked:{chunk(nodes)}'" + (", 'step' or 'loop'" if recurrent() else "")
    remedy = f"give fewer steps, or {layouts}"
    if budget.node_seconds > REFUSE and not force:
        raise ExportError(f"{what}; {remedy}, or force=True (--force)")
    (tell or _warn)(f"{what}; {remedy}, for a faster load")


def chunk(nodes: int) -> int:
    """How many evaluations of ``nodes`` nodes load within ``COMFORT`` seconds, at least one."""
    count = 1
    while Budget(nodes * (count + 1), 0).node_seconds <= COMFORT:
        count += 1
    return count


def _warn(text: str) -> None:
    warnings.warn(text, BudgetWarning, stacklevel=4)
