"""What a manifest says of the modules in front of and behind the sampler in its graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A module in front, from ``inputs`` of the caller or of earlier ones to ``outputs``, or the one behind, from the
    sample to the graph's output.

    ``source`` is what it was made from, ``package.module:factory``; empty where nobody said.
    """

    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
